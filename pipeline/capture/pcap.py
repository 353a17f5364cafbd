"""pcap: what the file's header says, and the time of the first packet without a kernel.

The format is that of tcpdump's savefiles, version 2; the walk over the records is in `pipeline.capture.kernels`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import CaptureError

HEADER_BYTES = 24
RECORD_BYTES = 16
MODIFIED_RECORD_BYTES = 24
"""A record's header in the variant of A. Kuznetsov, which adds interface, protocol and packet type."""

_KINDS = {
    0xA1B2C3D4: (1_000, RECORD_BYTES),
    0xA1B23C4D: (1, RECORD_BYTES),
    0xA1B2CD34: (1_000, MODIFIED_RECORD_BYTES),
}
"""Magic number: nanoseconds per unit of the fraction, bytes of a record's header."""


@dataclass(frozen=True, slots=True)
class PcapHeader:
    """What the walk needs of a file's header.

    Attributes:
        big: integers are big-endian.
        scale: nanoseconds per unit of a record's fraction of a second.
        record_bytes: length of a record's header.
        link: link type, without the bits above it that tell of frame check sequences.
    """

    big: bool
    scale: int
    record_bytes: int
    link: int


def is_pcap(head: bytes) -> bool:
    """Whether a file that starts with `head` says that it is pcap."""
    return len(head) >= 4 and any(int.from_bytes(head[:4], order) in _KINDS for order in ("little", "big"))


def read_header(head: bytes) -> PcapHeader:
    """The header in the first HEADER_BYTES of a file that `is_pcap`.

    Raises:
        CaptureError: it is of another version, or not whole.
    """
    if len(head) < HEADER_BYTES:
        raise CaptureError(f"truncated in the file header: {len(head)} of {HEADER_BYTES} bytes there")
    big = int.from_bytes(head[:4], "big") in _KINDS
    magic, major, minor = struct.unpack_from(">IHH" if big else "<IHH", head)
    if major != 2:
        raise CaptureError(f"pcap of version {major}.{minor}: only version 2 is known")
    scale, record_bytes = _KINDS[magic]
    link = int.from_bytes(head[20:24], "big" if big else "little") & 0xFFFF
    return PcapHeader(big, scale, record_bytes, link)


def first_time(read: Callable[[int], bytes]) -> int | None:
    """The time of the first packet in ns, None where there is none; `read` gives the next n bytes, or what is left."""
    header = read_header(read(HEADER_BYTES))
    words = read(8)
    if len(words) < 8:
        return None
    seconds, fraction = struct.unpack(">II" if header.big else "<II", words)
    return int(seconds * 1_000_000_000 + fraction * header.scale)
