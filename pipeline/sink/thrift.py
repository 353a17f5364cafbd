"""Thrift's compact protocol, as far as page headers and footers of Parquet need it.

Specification: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Sequence

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
_BYTE, _DOUBLE, _SET, _MAP = 3, 7, 10, 11


def varint(n: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(n: int) -> bytes:
    """A signed number of up to 64 bits."""
    return varint((n << 1) ^ (n >> 63))


def text(content: bytes) -> bytes:
    """Bytes behind their length."""
    return varint(len(content)) + content


def listing(kind: int, items: Sequence[bytes]) -> bytes:
    """Items of one kind."""
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + varint(len(items))
    return head + b"".join(items)


def struct(*fields: tuple[int, int, bytes]) -> bytes:
    """(id, kind, content) of each field, ids ascending by less than 16."""
    out = bytearray()
    last = 0
    for field, kind, content in fields:
        out.append((field - last) << 4 | kind)
        out += content
        last = field
    out.append(0)
    return bytes(out)


def fields_of(data: bytes) -> dict[int, bytes]:
    """The fields of a struct by their ids, as they stand there."""
    found: dict[int, bytes] = {}
    at = field = 0
    while data[at]:
        head = data[at]
        at += 1
        if head >> 4:
            field += head >> 4
        else:
            value, at = _varint(data, at)
            field = (value >> 1) ^ -(value & 1)
        start = at
        at = _behind(data, at, head & 15)
        found[field] = data[start:at]
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
    return value | data[at] << shift, at + 1


def _behind(data: bytes, at: int, kind: int) -> int:
    """The place behind a value of `kind` at `at`."""
    if kind <= 2:  # a truth value, which stands in its field's head
        return at
    if kind == _BYTE:
        return at + 1
    if kind == _DOUBLE:
        return at + 8
    if kind == BINARY:
        size, at = _varint(data, at)
        return at + size
    if kind in (LIST, _SET):
        size, inner = data[at] >> 4, data[at] & 15
        at += 1
        if size == 15:
            size, at = _varint(data, at)
        for _ in range(size):
            at = at + 1 if inner <= 2 else _behind(data, at, inner)
        return at
    if kind == STRUCT:
        while data[at]:
            head = data[at]
            at += 1
            if not head >> 4:
                _, at = _varint(data, at)
            at = _behind(data, at, head & 15)
        return at + 1
    if kind == _MAP:
        raise ValueError("a map: Parquet has none")
    return _varint(data, at)[1]
