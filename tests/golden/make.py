"""Writes the captures of the golden directories and their READMEs: `python -m tests.golden.make`.

What decode has to give for them is written by `pytest tests/test_golden.py --update-golden`, and read by a person.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.decode.packets import write_pcap
from tests.golden.cases import CASES

FOLDER = Path(__file__).parent


def capture(name: str, folder: Path) -> Path:
    """The capture of a case, in `folder`."""
    return write_pcap(folder / "input.pcap", CASES[name]())


def describe(name: str, folder: Path) -> None:
    """README.md of a case: what it is for, how it was made, the digest of its capture."""
    digest = hashlib.sha256((folder / "input.pcap").read_bytes()).hexdigest()
    purpose = " ".join((CASES[name].__doc__ or "").split())
    place = CASES[name].__module__.replace(".", "/") + ".py"
    (folder / "README.md").write_text(
        f"# {name}\n\n{purpose}\n\n"
        f"Made by `python -m tests.golden.make` from `{name}` in `{place}`: packets built by hand.\n\n"
        f"SHA-256 of `input.pcap`: `{digest}`\n"
    )


def main() -> None:
    for name in CASES:
        folder = FOLDER / name
        folder.mkdir(exist_ok=True)
        capture(name, folder)
        describe(name, folder)


if __name__ == "__main__":
    main()
