"""Bytes of DNP3 (IEEE 1815): link frames with their CRCs, transport segments, fragments and objects."""

from __future__ import annotations

import struct

FIR, FIN, CON, UNS = 0x80, 0x40, 0x20, 0x10
ALL = FIR | FIN
READ, WRITE, SELECT, OPERATE, DIRECT, DIRECT_NR = 1, 2, 3, 4, 5, 6
RESPONSE, UNSOLICITED = 129, 130
MASTER, OUTSTATION = 1, 10
ON = b"\x81"
"""A binary with flags: online, and set."""


def crc(data: bytes) -> bytes:
    """The CRC of DNP3, bit by bit."""
    found = 0
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ 0xA6BC if found & 1 else found >> 1
    return (found ^ 0xFFFF).to_bytes(2, "little")


def link(data: bytes, *, control: int, to: int, by: int) -> bytes:
    """A link frame of up to 250 bytes of user data."""
    header = struct.pack("<BBBBHH", 5, 0x64, 5 + len(data), control, to, by)
    blocks = [data[at : at + 16] for at in range(0, len(data), 16)]
    return header + crc(header) + b"".join(block + crc(block) for block in blocks)


def segments(fragment: bytes, first: int = 0, size: int = 249) -> list[bytes]:
    """The transport segments of a fragment, numbered from `first`."""
    pieces = [fragment[at : at + size] for at in range(0, len(fragment), size)] or [b""]
    last = len(pieces) - 1
    return [bytes([(k == 0) << 6 | (k == last) << 7 | (first + k) % 64]) + piece for k, piece in enumerate(pieces)]


def header(group: int, variation: int, qualifier: int, *numbers: int) -> bytes:
    """An object header; the range takes as many bytes as its qualifier says."""
    width = {0: "B", 1: "H", 2: "I", 6: "", 7: "B", 8: "H", 9: "I", 11: "B"}[qualifier & 15]
    return bytes([group, variation, qualifier]) + struct.pack(f"<{len(numbers)}{width}" if width else "", *numbers)


def ranged(group: int, variation: int, start: int, *elements: bytes) -> bytes:
    """Objects of neighbouring indices: start and stop of one byte, or of two where they need it."""
    stop = start + len(elements) - 1
    return header(group, variation, 0 if stop < 256 else 1, start, stop) + b"".join(elements)


def indexed(group: int, variation: int, *elements: tuple[int, bytes], wide: bool = False) -> bytes:
    """Objects with an index each, of one byte or of two."""
    width = "<H" if wide else "<B"
    body = b"".join(struct.pack(width, index) + element for index, element in elements)
    return header(group, variation, 0x28 if wide else 0x17, len(elements)) + body


def sized(group: int, variation: int, *elements: bytes) -> bytes:
    """Objects with a size each."""
    body = b"".join(struct.pack("<H", len(element)) + element for element in elements)
    return header(group, variation, 0x5B, len(elements)) + body


def packed(group: int, start: int, bits: str) -> bytes:
    """Packed single bits, written from the first index on."""
    number = sum(1 << i for i, bit in enumerate(bits) if bit == "1")
    return header(group, 1, 0, start, start + len(bits) - 1) + number.to_bytes((len(bits) + 7) // 8, "little")


def time48(ms: int) -> bytes:
    """A DNP3 time: milliseconds since 1970."""
    return ms.to_bytes(6, "little")


def crob(code: int, count: int = 1, on_ms: int = 500, off_ms: int = 0, status: int = 0) -> bytes:
    """A control relay output block (group 12, variation 1)."""
    return struct.pack("<BBIIB", code, count, on_ms, off_ms, status)


def classes(*numbers: int) -> bytes:
    """Headers that ask for classes of data."""
    return b"".join(header(60, 1 + number, 6) for number in numbers)
