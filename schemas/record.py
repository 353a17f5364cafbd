"""RECORD: one row per PDU half; POINT: one row per value that it carries.

In memory and on Kafka a record's points are the list column `points` (flat child arrays and offsets, shared
without a copy).  In Parquet they are a dataset of their own, :data:`POINT_ROWS`, because nested columns make
the encoder several times slower and because people want a time series per tag.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.field import Column, schema_of

VERSION = 1

_TIME = pa.timestamp("ns", "UTC")
_IP = pa.binary(16)

POINT_COLUMNS: tuple[Column, ...] = (
    Column("space", pa.uint16(), "kind of point (Space)"),
    Column(
        "addr",
        pa.uint64(),
        "address within the space; S7 counts bits, BACnet has array index + 1 in the high half",
    ),
    Column("addr_sub", pa.uint32(), "second part of the address: file number, DB number, property"),
    Column("name_id", pa.uint64(), "id of the tag's name where the protocol has names, 0 for none"),
    Column("value", pa.float64(), "the value as a number; NaN for text and bytes"),
    Column(
        "raw", pa.int64(), "the exact integer where float64 cannot hold it, or the name id of text and bytes; else 0"
    ),
    Column("type", pa.uint8(), "how the wire encoded it (PointType)"),
    Column("quality", pa.uint16(), "why the value may not mean what it says (Quality), 0 is good"),
    Column("direction", pa.uint8(), "who asserts the value (Direction)"),
    Column("source_ts", _TIME, "the device's own time of the value, the epoch for none"),
)

RECORD_COLUMNS: tuple[Column, ...] = (
    Column("ts", _TIME, "capture time of the packet that completed the PDU"),
    Column("shard", pa.uint16(), "capture point"),
    Column("boot", pa.uint32(), "start of the shard; seq counts within it"),
    Column("seq", pa.uint64(), "running number of the record within (shard, boot)"),
    Column("packet", pa.uint64(), "running number over the input of the packet that completed the PDU, from 1"),
    Column("src_mac", pa.uint64(), "sender's MAC, 48 bits, 0 where the link has none"),
    Column("dst_mac", pa.uint64(), "receiver's MAC, 48 bits"),
    Column("vlan", pa.uint32(), "inner VLAN id in the low 16 bits, outer (QinQ) in the high; 0 for none"),
    Column("src_ip", _IP, "sender of this half, IPv4 mapped into IPv6", bytes(16)),
    Column("dst_ip", _IP, "receiver of this half", bytes(16)),
    Column("src_port", pa.uint16(), "sender's port"),
    Column("dst_port", pa.uint16(), "receiver's port"),
    Column("transport", pa.uint8(), "what carried it (Transport)"),
    Column("flow", pa.uint64(), "hash of 5-tuple, VLAN scope and connection counter; the same for both directions"),
    Column("device", pa.uint64(), "hash of site, server's IP or MAC and VLAN scope: whom this concerns"),
    Column("client_is_src", pa.uint8(), "1 when the sender is the client"),
    Column("protocol", pa.uint8(), "Protocol"),
    Column("kind", pa.uint8(), "which half of an exchange (Kind)"),
    Column("op", pa.uint8(), "protocol-neutral verb (Op)"),
    Column(
        "unit",
        pa.uint32(),
        "Modbus unit, DNP3 outstation, S7 rack and slot, CIP slot, IEC common address, BACnet network and station",
    ),
    Column(
        "peer_unit",
        pa.uint32(),
        "the other end's, where the protocol has one (DNP3 master, IEC originator); session of EtherNet/IP",
    ),
    Column("txn", pa.uint32(), "transaction id on the wire"),
    Column("match", pa.uint8(), "what became of the pairing (Match)"),
    Column("peer_seq", pa.uint64(), "seq of the other half, 0 for none"),
    Column("rtt_us", pa.int32(), "response time in microseconds, -1 where there is none", -1),
    Column("func", pa.uint16(), "function code, service or type id as on the wire"),
    Column("subfunc", pa.uint32(), "sub-function, MEI type, UMAS function, userdata group"),
    Column("space", pa.uint16(), "kind of the points addressed (Space)"),
    Column("addr", pa.uint64(), "first address, copied from the request to its response"),
    Column("count", pa.uint32(), "how many points were asked for or written"),
    Column("addr_sub", pa.uint32(), "second part of the address"),
    Column("name_id", pa.uint64(), "id of the name addressed, 0 for none"),
    Column("status", pa.uint32(), "0 for success, else the protocol's error or exception code"),
    Column("flags", pa.uint32(), "RecordFlag: the low 24 bits are the protocol's own"),
    Column("anomaly", pa.uint64(), "what is unusual about the PDU (Anomaly)"),
    Column("gap_bytes", pa.uint32(), "bytes missing in this direction just before this PDU"),
    Column("length", pa.uint32(), "bytes of the PDU with its application header"),
    Column("label", pa.uint16(), "ground truth of an attack in labelled data, 0 for none"),
    Column("n_points", pa.uint32(), "how many points the PDU carried"),
)

POINT = pa.struct([c.field() for c in POINT_COLUMNS])

RECORD_ROWS = schema_of(RECORD_COLUMNS, version=VERSION, name="record")
"""A record without its points, as `records/` holds it in Parquet."""

RECORD = RECORD_ROWS.append(pa.field("points", pa.list_(pa.field("item", POINT, nullable=False)), nullable=False))
"""A record with its points, as memory and Kafka hold it."""

POINT_KEY_COLUMNS: tuple[Column, ...] = tuple(
    next(c for c in RECORD_COLUMNS if c.name == name) for name in ("ts", "shard", "boot", "seq", "device", "unit")
)

POINT_ROWS = schema_of((*POINT_KEY_COLUMNS, *POINT_COLUMNS), version=VERSION, name="point")
"""A value with the record it came from, as `points/` holds it in Parquet."""
