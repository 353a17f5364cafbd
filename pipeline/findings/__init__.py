"""Findings: evidence merged into what a person reads, one finding per subject and ten minutes of record time."""

from __future__ import annotations

from pipeline.findings.fold import fold
from pipeline.findings.merge import Findings, FindingSettings, types_of
from pipeline.findings.window import WINDOW_NS

__all__ = ["WINDOW_NS", "FindingSettings", "Findings", "fold", "types_of"]
