"""Detectors by name.  Strings, so that nothing heavy is imported before it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from detectors.base import Detector

DETECTORS: dict[str, str] = {
    "peer": "detectors.peer:PeerDetector",
    "function": "detectors.function:FunctionDetector",
    "value": "detectors.value:ValueDetector",
    "command": "detectors.command:CommandDetector",
    "timing": "detectors.timing:TimingDetector",
    "rate": "detectors.rate:RateDetector",
    "sequence": "detectors.sequence:SequenceDetector",
    "plant": "detectors.plant:PlantDetector",
    "replay": "detectors.replay:ReplayDetector",
}

"""Detectors of the first stage: each judges the records of a device by themselves."""

ACROSS: dict[str, str] = {
    "scan": "detectors.scan:ScanDetector",
    "role": "detectors.role:RoleDetector",
}
"""Detectors of the second stage, which judge what an address does with all devices; see `detectors.across`."""

REGISTERED: dict[str, str] = DETECTORS | ACROSS


def load(name: str) -> Callable[..., Detector]:
    """The class of detector `name`; its first argument is its `Params`.

    Raises:
        KeyError: no such detector.
    """
    module, _, attribute = REGISTERED[name].partition(":")
    found: Any = getattr(import_module(module), attribute)
    return found  # type: ignore[no-any-return]
