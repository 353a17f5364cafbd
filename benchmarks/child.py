"""Runs a command of fieldtap, then notes the process's peak resident set: `python -m benchmarks.child FILE COMMAND…`.

The parent cannot ask: what wait4 reports includes the parent's own memory from before exec, and /proc is gone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.cli import main


def peak_bytes() -> int:
    """VmHWM of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    note = Path(sys.argv.pop(1))
    try:
        main()
    finally:
        note.write_text(str(peak_bytes()))
