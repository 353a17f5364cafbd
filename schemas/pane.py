"""PANE: one row per pane of record time, client and device: what the second stage judges, across devices.

A row is about `client`: what it asked of `device`, or, where `role` is SERVER, that it answered; then both are the
answering device.  `client` is a device id like any other, made of the client's own address, so that an address is one
thing whether it asks or answers.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.field import Column, schema_of

VERSION = 1
PANE_NS = 10 * 1_000_000_000
"""Length of a pane, in nanoseconds of record time; panes start at multiples of it."""

_TIME = pa.timestamp("ns", "UTC")
_IP = pa.binary(16)

PANE_COLUMNS: tuple[Column, ...] = (
    Column("era", pa.uint32(), "how often time had run back in the stream that the row came from"),
    Column("pane", _TIME, "start of the pane in which it was counted"),
    Column("client", pa.uint64(), "device id of whom the row is about: hash of site, IP or MAC and VLAN scope"),
    Column("device", pa.uint64(), "device asked (RECORD.device)"),
    Column("role", pa.uint8(), "what `client` did (Role)"),
    Column("client_ip", _IP, "address of who asked, IPv4 mapped into IPv6", bytes(16)),
    Column("device_ip", _IP, "address of who was asked", bytes(16)),
    Column("client_mac", pa.uint64(), "MAC address of who asked, 0 where the link has none"),
    Column("device_mac", pa.uint64(), "MAC address of who was asked"),
    Column("vlan", pa.uint32(), "VLAN of the first record, as in RECORD"),
    Column("ts", _TIME, "time of the first record counted"),
    Column("shard", pa.uint16(), "capture point of the first record"),
    Column("boot", pa.uint32(), "start of the shard"),
    Column("seq", pa.uint64(), "seq of the first record"),
    Column("packet", pa.uint64(), "packet of the first record"),
    Column("protocol", pa.uint8(), "Protocol of the gravest record"),
    Column("unit", pa.uint32(), "unit of the gravest record"),
    Column("op", pa.uint8(), "Op of the gravest record: the first that is dangerous, else that writes, else any"),
    Column("func", pa.uint16(), "function of the gravest record"),
    Column("ops", pa.uint64(), "operations seen: bit Op, the highest for those from 63 on"),
    Column("requests", pa.uint32(), "messages of the client"),
    Column("writes", pa.uint32(), "of these, those that change something"),
    Column("answers", pa.uint32(), "messages of the device"),
    Column("errors", pa.uint32(), "of these, those that refuse"),
    Column("timeouts", pa.uint32(), "requests found unanswered"),
)

PANE = schema_of(PANE_COLUMNS, version=VERSION, name="pane")
