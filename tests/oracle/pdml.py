"""tshark's PDML as plain lists: for each packet, its protocols with their fields in order."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Layer:
    """One protocol of a packet.

    Attributes:
        name: tshark's.
        fields: (name, shown text, bytes in hexadecimal) of each field, nested ones behind those that hold them.
    """

    name: str
    fields: list[tuple[str, str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """What is shown of every field of a name."""
        return [shown for own, shown, _ in self.fields if own == name]

    def first(self, name: str, default: str = "") -> str:
        """What is shown of the first field of a name."""
        return next(iter(self.all(name)), default)

    def number(self, name: str) -> int:
        """The first field of a name as a number."""
        return int(self.first(name), 0)


def packets(path: Path, protocols: str, *options: str) -> Iterator[tuple[int, list[Layer]]]:
    """(number, layers) of each packet that holds one of the protocols; `options` are tshark's own."""
    shown = " or ".join(protocols.split())
    command = ["tshark", "-n", "-r", str(path), *options, "-Y", shown, "-T", "pdml", "-J", f"{protocols} tcp udp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        for _, element in ElementTree.iterparse(running.stdout):
            if element.tag != "packet":
                continue
            layers = [Layer(p.get("name", ""), [_told(f) for f in p.iter("field")]) for p in element.iter("proto")]
            number = next(layer.number("num") for layer in layers if layer.name == "geninfo")
            yield number, layers
            element.clear()


def _told(element: ElementTree.Element) -> tuple[str, str, str]:
    return element.get("name", ""), element.get("show", ""), element.get("value", "")
