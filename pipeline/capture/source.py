"""Source: the bytes of one capture file, decompressed where need be, in pieces and without surprises."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_STEP = 1 << 16
"""Bytes asked of a decompressor at once: what is lost when it fails, until it is asked again byte by byte."""


class Source:
    """Reads a file from start to end.  Nothing is raised after opening: `trouble` says why the bytes ended early.

    Attributes:
        compression: "", "gzip" or "zstd".
        consumed: bytes of the file on disk read so far.
        trouble: empty, or why there are no more bytes although the file did not end.
    """

    def __init__(self, path: Path, compression: str) -> None:
        """Open `path`.

        Raises:
            OSError: it cannot be opened.
        """
        self.path = path
        self.compression = compression
        self.trouble = ""
        self.consumed = 0
        self._delivered = 0
        self._file = io.FileIO(path)
        self._packed: pa.NativeFile | None = _decompress(self._file, compression) if compression else None

    def readinto(self, view: NDArray[np.uint8]) -> int:
        """Fill `view` as far as there are bytes; the count, 0 only at the end."""
        filled = 0
        try:
            while filled < len(view) and not self.trouble:
                count = self._read_some(view[filled:])
                if count == 0:
                    break
                filled += count
                self._delivered += count
        except OSError as error:
            self.trouble = f"cannot be read: {error.strerror or error}"
        self.consumed = self._file.tell()
        return filled

    def close(self) -> None:
        """Close the file; safe to call again."""
        if self._packed is not None:
            self._packed.close()
        self._file.close()

    def _read_some(self, view: NDArray[np.uint8]) -> int:
        if self._packed is None:
            return self._file.readinto(view.data) or 0
        try:
            return int(self._packed.readinto(view[:_STEP]))
        except (OSError, ValueError) as error:
            count = self._salvage(view[:_STEP])
            self.trouble = f"{self.compression} data ends early: {_reason(error)}"
            return count

    def _salvage(self, view: NDArray[np.uint8]) -> int:
        """What lies before the damage.

        A failing read does not tell how far it came, so the stream is read again up to where it stood, then byte by
        byte: that costs the time of one more reading, for a damaged file only.
        """
        count = 0
        try:
            packed = _decompress(io.FileIO(self.path), self.compression)
            scratch = np.empty(_STEP, np.uint8)
            left = self._delivered
            while left > 0:
                left -= int(packed.readinto(scratch[:left])) or left
            while count < len(view) and packed.readinto(view[count : count + 1]) == 1:
                count += 1
        except (OSError, ValueError):
            pass  # this is where the damage is; the first error is the one that is told
        return count


def _decompress(file: io.FileIO, compression: str) -> pa.NativeFile:
    """The decompressed bytes of `file`, which it owns; several members or frames are one stream to it."""
    return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), compression)


def _reason(error: Exception) -> str:
    """The decompressor's own words, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
