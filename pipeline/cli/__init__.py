"""The command line.  Nothing heavy is imported before a command needs it, so that `--help` answers at once."""

from __future__ import annotations

import gc
import warnings

from pipeline.cli.app import app

__all__ = ["app", "main"]

_GARBAGE = 100_000
"""Objects made between two looks for cycles: with Python's 700, a tenth of the start is spent on looking at modules."""


def main() -> None:
    """Run `fieldtap` with the arguments of the process, and exit with its code."""
    gc.set_threshold(_GARBAGE)
    # numba says this of every kernel that is reached by function pointer; it is no news to who runs a command.
    warnings.filterwarnings("ignore", message="First-class function type feature is experimental")
    app(prog_name="fieldtap")
