"""FileReader: one capture file as packet blocks, through a ring of buffers, with one kernel call a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.capture import kernels, pcap
from pipeline.capture.block import PacketBlock
from pipeline.capture.breaks import broken, truncated
from pipeline.capture.kernels import Word
from pipeline.capture.ring import Ring
from pipeline.capture.sniff import CaptureFile
from pipeline.capture.source import Source
from pipeline.errors import CaptureError

Walk = Callable[..., tuple[Word, Word, Word]]


@dataclass(slots=True)
class _Format:
    """A kernel and the state it keeps over a file; `header_bytes` stand before the first record."""

    walk: Walk
    state: NDArray[np.int64]
    interfaces: NDArray[np.int64]
    header_bytes: int


def _pcap(head: bytes) -> _Format:
    header = pcap.read_header(head)
    state = np.zeros(kernels.STATE_WORDS, np.int64)
    state[kernels.BIG], state[kernels.HEADER] = header.big, header.record_bytes
    interfaces = np.zeros((1, kernels.INTERFACE_WORDS), np.int64)
    interfaces[0, kernels.LINK], interfaces[0, kernels.SCALE] = header.link, header.scale
    return _Format(kernels.walk_pcap, state, interfaces, pcap.HEADER_BYTES)


def _pcapng() -> _Format:
    state = np.zeros(kernels.STATE_WORDS, np.int64)
    state[kernels.BIG] = -1
    interfaces = np.zeros((kernels.MAX_INTERFACES, kernels.INTERFACE_WORDS), np.int64)
    return _Format(kernels.walk_pcapng, state, interfaces, 0)


class FileReader:
    """Reads one file once.

    Attributes:
        packets: packets given so far.
        clamped: times that were held to the range of times so far.
        problem: why reading ended early, empty for a whole file.
    """

    def __init__(self, file: CaptureFile, source: Source, ring: Ring, block_bytes: int) -> None:
        self.packets = 0
        self.clamped = 0
        self.problem = ""
        self._container = file.container
        self._source = source
        self._ring = ring
        self._block_bytes = block_bytes
        self._start = 0  # in the ring's buffer: what is walked, and
        self._stop = 0  # what is filled
        self._base = 0  # byte of the capture at which the buffer starts

    def blocks(self, first_packet: int, capture: int) -> Iterator[PacketBlock]:
        """The blocks; `first_packet` and `capture` are those of the file in the whole input."""
        form = self._begin()
        while form is not None:
            buffer, index = self._ring.buffer, self._ring.index
            walked = form.walk(buffer, self._start, self._stop, form.state, form.interfaces, index)
            self._start, count, reason = int(walked[0]), int(walked[1]), int(walked[2])
            self.clamped = int(form.state[kernels.CLAMPED])
            if count:
                self._ring.lend()
                self.packets += count
                offset, captured, original, ts_ns, link = index[:, :count]
                first = first_packet + self.packets - count
                yield PacketBlock(
                    buffer[: self._stop], offset, captured, original, ts_ns, link, first_packet=first, capture=capture
                )
            if reason == kernels.FULL:
                continue
            if reason != kernels.MORE:
                self.problem = broken(reason, form.state, self.packets, self._base + self._start)
                return
            if not self._refill():
                self._end(form)
                return

    def _begin(self) -> _Format | None:
        """Read the first bytes and what they say of the format; None with a problem where they say nothing."""
        if self._container == "pcapng":
            return _pcapng()
        while self._stop < pcap.HEADER_BYTES and self._refill():
            pass
        head = self._ring.buffer[: min(self._stop, pcap.HEADER_BYTES)].tobytes()
        if not pcap.is_pcap(head):
            self.problem = _with("is no longer the capture that it was", self._source.trouble)
            return None
        try:
            form = _pcap(head)
        except CaptureError as error:
            self.problem = _with(str(error), self._source.trouble)
            return None
        self._start = form.header_bytes
        return form

    def _refill(self) -> bool:
        """Move what is left to the front of a buffer that nobody reads, and read on; False at the end."""
        old, tail = self._ring.buffer, self._stop - self._start
        new = self._ring.unlent_buffer()
        if tail and (self._start or new is not old):
            new[:tail] = old[self._start : self._stop]
        self._base += self._start
        self._start = 0
        count = self._source.readinto(new[tail : tail + self._block_bytes])
        self._stop = tail + count
        return count > 0

    def _end(self, form: _Format) -> None:
        """The bytes are over: between two records, or not."""
        left = self._stop - self._start
        if left or form.state[kernels.SKIP] > 0:
            self.problem = _with(
                truncated(form.state, self.packets, self._base + self._start, left), self._source.trouble
            )
        elif self._source.trouble:
            self.problem = f"{self._source.trouble} after packet {self.packets:,}, at byte {self._base + self._start:,}"


def _with(problem: str, trouble: str) -> str:
    return f"{problem} ({trouble})" if trouble else problem
