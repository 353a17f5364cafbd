"""Judges: the detectors of a run, device by device and across devices, with what a baseline teaches them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from detectors.base import Detector
from detectors.columns import Columns
from pipeline import detect
from pipeline.config import Config
from pipeline.metrics import HealthRow
from pipeline.second import SecondStage
from pipeline.second.local import Across
from pipeline.setup import Setup
from pipeline.site import Site

if TYPE_CHECKING:
    from pipeline.baseline import Baseline


class Records(Protocol):
    """What is judged: records in order, names of theirs, and when the first one is."""

    @property
    def names(self) -> Mapping[int, str]:
        """Name id to text, as far as known."""
        ...

    def start_ns(self) -> int | None:
        """Time of the first record; None where there is none."""
        ...

    def __iter__(self) -> Iterator[Columns]: ...


class Judges:
    """Both stages over one source.

    Attributes:
        detectors: of both stages.
        untaught: names of those that the baseline teaches nothing, and which therefore learn.
    """

    def __init__(self, source: Records, config: Config, site: Site, baseline: Baseline | None) -> None:
        self._source = source
        self._setup = Setup(config, site, baseline)
        self._start_ns = source.start_ns()
        self._loop = self._setup.by_device(self._start_ns, source.names)
        self._across = self._setup.across(self._start_ns, source.names)
        self.untaught = self._setup.untaught()
        self.detectors: list[Detector] = [*self._loop.detectors, *self._across.detectors]

    def run(self, sinks: Sequence[detect.Sink] = ()) -> list[HealthRow]:
        """The whole source through both stages; its records and all findings to `sinks`; their counters."""
        if not self._across.detectors:
            detect.run(self._source, self._loop, sinks)
            return _health(self._loop)
        waiting = self._setup.config.panes.max_waiting
        second = SecondStage(1, lambda _: self._across, max_waiting=waiting)
        across = Across(self._setup.collector(self._start_ns), second, sinks)
        detect.run(self._source, self._loop, [*sinks, across])
        across.finish()
        return [*_health(self._loop), *across.health()]


def _health(loop: detect.Loop) -> list[HealthRow]:
    rows = [("detect", counter, d.name, n) for d in loop.detectors for counter, n in sorted(d.counters().items())]
    rows += [("detect", counter, "site", n) for counter, n in loop.reading.counters().items()]
    return rows + [("findings", counter, "", n) for counter, n in sorted(loop.findings.counters().items())]
