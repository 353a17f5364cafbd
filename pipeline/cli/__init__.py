"""The command line.  Nothing heavy is imported before a command needs it, so that `--help` answers at once."""

from __future__ import annotations

from pipeline.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run `fieldtap` with the arguments of the process, and exit with its code."""
    app(prog_name="fieldtap")
