"""Captures: files and folders of captures as one stream of packet blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.capture.block import PacketBlock
from pipeline.capture.search import search
from pipeline.capture.sniff import CaptureFile, shown
from pipeline.capture.source import Source
from schemas.health import CAPTURE

if TYPE_CHECKING:
    from pipeline.capture.ring import Ring

_MIB = 1 << 20


@dataclass(slots=True)
class CaptureInfo:
    """One capture file; the fields are those of `schemas.health.CAPTURE_COLUMNS`, times in int64 nanoseconds.

    `first_packet` is 0 and the rest as at the start until the reading comes to the file.
    """

    path: str
    digest: str
    format: str
    bytes: int
    first_packet: int
    packets: int
    first_ts: int
    last_ts: int
    problem: str


class Captures:
    """Captures as one continuous input with running packet numbers.

    Every path given is one input, read in the order given; a folder is searched through, its captures recognised by
    content and ordered by their first timestamp.  A file that breaks gives everything that is whole, is noted in
    `problems`, and the reading goes on with the next.

    A block's arrays belong to the reader: they are valid until the next block is asked for.  Beyond that, the
    buffers are used in a ring of four, so that a reading thread may be up to two blocks ahead of its consumer and
    be waiting with a third.

    Attributes:
        captures: one for each file, in the order of reading; filled while reading.
        ignored: files in the given folders that are no captures.
        total_bytes: size of all captures on disk.
        bytes_read: bytes on disk read so far, of compressed files too: to be held against `total_bytes`.
    """

    def __init__(self, paths: Sequence[Path], *, block_bytes: int = 512 << 10, block_packets: int = 32768) -> None:
        """Find the captures under `paths`.

        Args:
            paths: files and folders.
            block_bytes: bytes read at once.
            block_packets: most packets of a block.

        Raises:
            CaptureError: a path is missing, cannot be read, is no capture, or is a folder without any.
        """
        if block_bytes < 1 or block_packets < 1:
            raise ValueError(f"a block of {block_bytes} bytes and {block_packets} packets holds nothing")
        found = search([Path(path) for path in paths])
        self._files = found.files
        self._search_problems = found.problems
        self._block_bytes = block_bytes
        self._block_packets = block_packets
        self._clamped = 0
        self.ignored = found.ignored
        self.total_bytes = sum(file.size for file in found.files)
        self.bytes_read = 0
        self.captures = [_unread(file) for file in found.files]

    @property
    def problems(self) -> list[str]:
        """One line for each file that could not be read to its end, naming file, packet and byte."""
        return self._search_problems + [f"{info.path}: {info.problem}" for info in self.captures if info.problem]

    def table(self) -> pa.Table:
        """The captures so far, of schema CAPTURE."""
        return pa.Table.from_pylist([asdict(info) for info in self.captures], schema=CAPTURE)

    def health(self) -> list[tuple[str, str, str, int]]:
        """(stage, counter, reason, value) rows for HEALTH so far."""
        return [
            ("capture", "files", "read", sum(info.first_packet > 0 for info in self.captures)),
            ("capture", "files", "broken", len(self.problems)),
            ("capture", "files", "ignored", len(self.ignored)),
            ("capture", "packets", "", sum(info.packets for info in self.captures)),
            ("capture", "clamped_times", "", self._clamped),
        ]

    def __iter__(self) -> Iterator[PacketBlock]:
        """All blocks from the start; nothing is raised on the way."""
        from pipeline.capture.kernels import MAX_RECORD
        from pipeline.capture.ring import Ring

        self.captures = [_unread(file) for file in self._files]
        self.bytes_read = self._clamped = 0
        ring = Ring(self._block_bytes + MAX_RECORD, self._block_packets)
        packets = 0
        for number, file in enumerate(self._files):
            info = self.captures[number]
            info.first_packet = packets + 1
            yield from self._read(file, number, ring)
            packets += info.packets

    def _read(self, file: CaptureFile, number: int, ring: Ring) -> Iterator[PacketBlock]:
        from pipeline.capture.reader import FileReader

        info = self.captures[number]
        try:
            info.digest = digest(file.path, file.size)
            source = Source(file.path, file.compression)
        except OSError as error:
            info.problem = f"cannot be read: {error.strerror or error}"
            return
        reader = FileReader(file, source, ring, self._block_bytes)
        bytes_before, clamped_before = self.bytes_read, self._clamped
        try:
            for block in reader.blocks(info.first_packet, number):
                if info.packets == 0:
                    info.first_ts = int(block.ts_ns[0])
                info.last_ts = int(block.ts_ns[-1])
                info.packets = reader.packets
                self._clamped = clamped_before + reader.clamped
                self.bytes_read = bytes_before + source.consumed
                yield block
            info.problem = reader.problem
        finally:
            self.bytes_read = bytes_before + source.consumed
            source.close()


def digest(path: Path, size: int) -> str:
    """SHA-256, as hexadecimal, over `size` (8 bytes, little-endian), the first and the last MiB of the file.

    It names a file without reading it whole.

    Raises:
        OSError: it cannot be read.
    """
    sha = hashlib.sha256(size.to_bytes(8, "little"))
    with path.open("rb") as file:
        sha.update(file.read(_MIB))
        file.seek(max(0, size - _MIB))
        sha.update(file.read(_MIB))
    return sha.hexdigest()


def _unread(file: CaptureFile) -> CaptureInfo:
    return CaptureInfo(shown(file.path), "", file.format, file.size, 0, 0, 0, 0, "")
