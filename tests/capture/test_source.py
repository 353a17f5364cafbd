"""Source: a failing disk is a reason why the bytes ended, never an exception."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.capture.reader import FileReader
from pipeline.capture.ring import Ring
from pipeline.capture.sniff import CaptureFile
from pipeline.capture.source import Source

UNREADABLE = Path("/proc/self/mem")
"""Opens, and fails at the first read: nothing is mapped at address 0."""

pytestmark = pytest.mark.skipif(not UNREADABLE.exists(), reason="no /proc/self/mem, whose reading fails")


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_a_reading_error_ends_the_bytes(compression: str) -> None:
    source = Source(UNREADABLE, compression)
    view = np.zeros(100, np.uint8)
    assert source.readinto(view) == 0
    assert "Input/output error" in source.trouble
    assert source.readinto(view) == 0
    source.close()
    source.close()


@pytest.mark.parametrize("container", ["pcap", "pcapng"])
def test_a_reading_error_is_the_problem_of_the_file(container: str) -> None:
    source = Source(UNREADABLE, "")
    reader = FileReader(CaptureFile(UNREADABLE, container, "", 1), source, Ring(1 << 20, 10), 4096)
    assert list(reader.blocks(1, 0)) == []
    assert "cannot be read: Input/output error" in reader.problem
    source.close()
