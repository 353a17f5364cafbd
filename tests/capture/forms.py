"""Captures written by hand, form by form, and read back into plain tuples."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from pipeline.capture.files import Captures
from tests.reference.capture import Packet

SECOND = 1_700_000_000
MICRO, NANO, MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34


def pcap_header(order: str = "<", magic: int = MICRO, link: int = 1, version: tuple[int, int] = (2, 4)) -> bytes:
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, 65535, link)


def pcap_record(data: bytes, order: str = "<", seconds: int = SECOND, fraction: int = 0, original: int = -1) -> bytes:
    return struct.pack(order + "IIII", seconds, fraction, len(data), len(data) if original < 0 else original) + data


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    length = struct.pack(order + "I", len(padded(body)) + 12)
    return struct.pack(order + "I", kind) + length + padded(body) + length


def section(order: str = "<", length: int = -1, options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + padded(value)


def interface(order: str = "<", link: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(
    data: bytes, units: int, order: str = "<", number: int = 0, original: int = -1, options: bytes = b""
) -> bytes:
    head = struct.pack(order + "IIIII", number, units >> 32, units & 0xFFFFFFFF, len(data), max(original, len(data)))
    return block(6, head + padded(data) + options, order)


def old_packet(data: bytes, units: int, order: str = "<", number: int = 0) -> bytes:
    head = struct.pack(order + "HHIIII", number, 7, units >> 32, units & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + padded(data), order)


def simple(data: bytes, order: str = "<", original: int = -1) -> bytes:
    return block(3, struct.pack(order + "I", max(original, len(data))) + data, order)


def packets_of(captures: Iterable) -> list[Packet]:
    """All packets of blocks, copied out, with the promises of a block checked on the way."""
    packets: list[Packet] = []
    for piece in captures:
        assert piece.data.flags.c_contiguous
        assert piece.data.flags.writeable
        assert len(piece) > 0
        assert piece.first_packet == len(packets) + 1
        raw = piece.data.tobytes()
        columns = (piece.offset, piece.captured, piece.original, piece.ts_ns, piece.link)
        assert all(column.dtype == "int64" and column.flags.c_contiguous for column in columns)
        for offset, captured, original, ts_ns, link in zip(*(c.tolist() for c in columns), strict=True):
            assert offset >= 0
            assert offset + captured <= len(raw)
            packets.append(Packet(raw[offset : offset + captured], original, ts_ns, link))
    return packets


def read(path: Path, data: bytes, **settings: int) -> tuple[list[Packet], str]:
    """The packets of a capture of these bytes, and its problem."""
    path.write_bytes(data)
    captures = Captures([path], **settings)
    packets = packets_of(captures)
    assert captures.captures[0].packets == len(packets)
    assert [f"{path}: {info.problem}" for info in captures.captures if info.problem] == captures.problems
    return packets, captures.captures[0].problem
