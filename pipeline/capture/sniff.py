"""Sniff: what a file is, by its first bytes and never by its name."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.capture import pcap, pcapng
from pipeline.capture.source import Source
from pipeline.errors import CaptureError

_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
"""Magic numbers of zstd frames that carry no data, with which a file may start."""


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A file that is a capture.

    Attributes:
        path: as given or found.
        container: pcap or pcapng.
        compression: "", gzip or zstd.
        size: bytes on disk.
    """

    path: Path
    container: str
    compression: str
    size: int

    @property
    def format(self) -> str:
        """Container and compression in a word, such as pcap or pcapng+zstd."""
        return f"{self.container}+{self.compression}" if self.compression else self.container


def sniff(path: Path) -> CaptureFile:
    """What `path` is.

    Raises:
        CaptureError: it is no capture, or one that cannot be read.
        OSError: it cannot be opened.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CaptureError(f"{shown(path)}: not a regular file")
    if status.st_size == 0:
        raise CaptureError(f"{shown(path)}: empty file")
    with path.open("rb") as file:
        start = file.read(4)
    compression = _compression(start)
    head, trouble = start, ""
    if compression or len(start) == 4:
        head, trouble = _head(path, compression)
    if trouble and not head:
        raise CaptureError(f"{shown(path)}: {trouble}")
    if pcap.is_pcap(head):
        _check_pcap(path, head)
        return CaptureFile(path, "pcap", compression, status.st_size)
    if pcapng.is_pcapng(head):
        return CaptureFile(path, "pcapng", compression, status.st_size)
    wrapped = f"{compression} of what " if compression else ""
    raise CaptureError(f"{shown(path)}: not a capture: {wrapped}starts with {head[:4].hex(' ') or 'nothing'}")


def shown(path: Path | str) -> str:
    """`path` as text on one line: what cannot be printed, or is no text, is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def first_time(file: CaptureFile) -> int | None:
    """The time of the first packet in ns, None where there is none, or none that can be told."""
    try:
        source = Source(file.path, file.compression)
    except OSError:
        return None
    try:
        read = _reading(source)
        return pcap.first_time(read) if file.container == "pcap" else pcapng.first_time(read)
    except CaptureError:
        return None
    finally:
        source.close()


def _compression(start: bytes) -> str:
    if start[:2] == b"\x1f\x8b":
        return "gzip"
    if start == b"\x28\xb5\x2f\xfd" or int.from_bytes(start, "little") in _SKIPPABLE:
        return "zstd"
    return ""


def _check_pcap(path: Path, head: bytes) -> None:
    """A header of another version is told at once; one that is cut short is an empty capture with a problem."""
    if len(head) < pcap.HEADER_BYTES:
        return
    try:
        pcap.read_header(head)
    except CaptureError as error:
        raise CaptureError(f"{shown(path)}: {error}") from None


def _head(path: Path, compression: str) -> tuple[bytes, str]:
    """The first bytes, and why there are not more of them."""
    source = Source(path, compression)
    try:
        return _reading(source)(pcap.HEADER_BYTES), source.trouble
    finally:
        source.close()


def _reading(source: Source) -> Callable[[int], bytes]:
    def read(count: int) -> bytes:
        view = np.empty(count, np.uint8)
        return view[: source.readinto(view)].tobytes()

    return read
