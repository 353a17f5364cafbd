"""What fieldtap says of itself: HEALTH counters, CAPTURE files read, NAME ids resolved."""

from __future__ import annotations

import pyarrow as pa

from schemas.field import Column, schema_of

VERSION = 1
_TIME = pa.timestamp("ns", "UTC")

HEALTH_COLUMNS: tuple[Column, ...] = (
    Column("stage", pa.string(), "capture, link, stream, decode, detect, findings, sink", ""),
    Column("counter", pa.string(), "what is counted, such as packets, skipped, dropped", ""),
    Column("reason", pa.string(), "why, or of what kind: a skip reason, a protocol name", ""),
    Column("value", pa.uint64(), "how many"),
)
HEALTH = schema_of(HEALTH_COLUMNS, version=VERSION, name="health")

CAPTURE_COLUMNS: tuple[Column, ...] = (
    Column("path", pa.string(), "file as given or found", ""),
    Column("digest", pa.string(), "SHA-256 over size, first and last MiB: names the file without reading it whole", ""),
    Column("format", pa.string(), "pcap, pcapng, with +gzip or +zstd", ""),
    Column("bytes", pa.uint64(), "size on disk"),
    Column(
        "first_packet",
        pa.uint64(),
        "running number of its first packet; Wireshark's number is packet - first_packet + 1",
    ),
    Column("packets", pa.uint64(), "packets read"),
    Column("first_ts", _TIME, "time of the first packet"),
    Column("last_ts", _TIME, "time of the last packet"),
    Column("problem", pa.string(), "where and why reading ended early, empty for a whole file", ""),
)
CAPTURE = schema_of(CAPTURE_COLUMNS, version=VERSION, name="capture")

NAME_COLUMNS: tuple[Column, ...] = (
    Column("name_id", pa.uint64(), "64-bit hash of the canonical bytes"),
    Column("text", pa.string(), "the bytes as text, what is not UTF-8 escaped as \\xNN", ""),
)
NAME = schema_of(NAME_COLUMNS, version=VERSION, name="name")
