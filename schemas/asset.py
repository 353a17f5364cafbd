"""ASSET: one row per device or client seen; CONVERSATION: one row per (client, device, unit, protocol)."""

from __future__ import annotations

import pyarrow as pa

from schemas.field import Column, schema_of

VERSION = 1
_TIME = pa.timestamp("ns", "UTC")


def _list(of: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("item", of, nullable=False))


ASSET_COLUMNS: tuple[Column, ...] = (
    Column("ip", pa.string(), "address, empty where the link has none", ""),
    Column("macs", _list(pa.string()), "MAC addresses seen with it, up to 16", []),
    Column("vlans", _list(pa.uint32()), "VLANs seen, up to 16", []),
    Column("name", pa.string(), "name from the site file", ""),
    Column("zone", pa.string(), "zone from the site file", ""),
    Column("device", pa.uint64(), "RECORD.device where it serves, 0 for a client only"),
    Column("is_server", pa.uint8(), "1 when it answered or was asked"),
    Column("is_client", pa.uint8(), "1 when it asked"),
    Column("protocols", _list(pa.uint8()), "Protocol codes spoken", []),
    Column("units", _list(pa.uint32()), "units behind it, up to 256", []),
    Column("ports", _list(pa.uint16()), "ports served, up to 16", []),
    Column("vendor", pa.string(), "from identity objects on the wire", ""),
    Column("model", pa.string(), "product code or name", ""),
    Column("firmware", pa.string(), "revision", ""),
    Column("serial", pa.string(), "serial number", ""),
    Column("said_name", pa.string(), "the name that the device gives itself", ""),
    Column("first_seen", _TIME, "first record"),
    Column("last_seen", _TIME, "last record"),
    Column("records", pa.uint64(), "records sent or received"),
    Column("writes", pa.uint64(), "writing requests sent (client) or received (server)"),
    Column("errors", pa.uint64(), "error answers sent (server) or received (client)"),
)
ASSET = schema_of(ASSET_COLUMNS, version=VERSION, name="asset")

CONVERSATION_COLUMNS: tuple[Column, ...] = (
    Column("client_ip", pa.string(), "who asks", ""),
    Column("server_ip", pa.string(), "who answers", ""),
    Column("device", pa.uint64(), "RECORD.device of the server"),
    Column("server_port", pa.uint16(), "port served"),
    Column("unit", pa.uint32(), "unit"),
    Column("protocol", pa.uint8(), "Protocol"),
    Column("functions", _list(pa.uint16()), "distinct functions, up to 256", []),
    Column("ops", _list(pa.uint8()), "distinct Op codes", []),
    Column("first_seen", _TIME, "first record"),
    Column("last_seen", _TIME, "last record"),
    Column("requests", pa.uint64(), "requests"),
    Column("responses", pa.uint64(), "responses"),
    Column("errors", pa.uint64(), "error answers"),
    Column("timeouts", pa.uint64(), "requests that nobody answered"),
)
CONVERSATION = schema_of(CONVERSATION_COLUMNS, version=VERSION, name="conversation")
