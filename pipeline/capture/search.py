"""Search: from the paths that a person gives to the captures that are read, in order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.capture.sniff import CaptureFile, first_time, shown, sniff
from pipeline.errors import CaptureError


@dataclass(slots=True)
class Found:
    """What the given paths hold.

    Attributes:
        files: captures, in the order in which they are read.
        ignored: files of folders that are no captures.
        problems: files and folders that could not be looked into, one line each.
    """

    files: list[CaptureFile] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def search(paths: Sequence[Path]) -> Found:
    """The captures under `paths`: each path in its turn, the files of a folder by the time of their first packet.

    Raises:
        CaptureError: a path is missing, cannot be read, is no capture, or is a folder without any.
    """
    if not paths:
        raise CaptureError("no captures given")
    found = Found()
    for path in paths:
        try:
            if path.is_dir():
                _search_folder(path, found)
            else:
                found.files.append(sniff(path))
        except FileNotFoundError:
            raise CaptureError(f"{shown(path)}: no such file or folder") from None
        except OSError as error:
            raise CaptureError(f"{shown(path)}: cannot be read: {error.strerror or error}") from None
    return found


def _search_folder(folder: Path, found: Found) -> None:
    captures: list[CaptureFile] = []
    count = 0
    for path in _files(folder, found):
        count += 1
        try:
            captures.append(sniff(path))
        except CaptureError:
            found.ignored.append(path)
        except OSError as error:
            found.problems.append(f"{shown(path)}: cannot be read: {error.strerror or error}")
    if not captures:
        raise CaptureError(f"{shown(folder)}: no captures among {count:,} files")
    found.files.extend(sorted(captures, key=_order) if len(captures) > 1 else captures)


def _files(folder: Path, found: Found) -> list[Path]:
    """All files under `folder`, by path; folders behind links are not entered, so there are no circles."""
    files: list[Path] = []

    def note(error: OSError) -> None:
        found.problems.append(f"{shown(error.filename)}: cannot be read: {error.strerror or error}")

    for where, _, names in os.walk(folder, onerror=note):
        files.extend(Path(where) / name for name in names)
    return sorted(files)


def _order(file: CaptureFile) -> tuple[bool, int, Path]:
    """Files without a packet come first: they say nothing, and hold up nothing."""
    time = first_time(file)
    return time is not None, time or 0, file.path
