"""Judges: the detectors of a run, device by device and across devices, with what a baseline teaches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from detectors.base import Detector
from detectors.wide import Reading
from pipeline import detect
from pipeline.config import Config
from pipeline.findings import Findings, types_of
from pipeline.metrics import HealthRow
from pipeline.panes import Collector
from pipeline.run.source import Source
from pipeline.second import SecondStage
from pipeline.second.local import Across
from pipeline.site import Site
from pipeline.site.typed import typed_devices

if TYPE_CHECKING:
    from pipeline.baseline import Baseline


class Judges:
    """Both stages over one source.

    Attributes:
        detectors: of both stages.
        untaught: names of those that the baseline teaches nothing, and which therefore learn.
    """

    def __init__(self, source: Source, config: Config, site: Site, baseline: Baseline | None) -> None:
        self._source, self._config, self._site, self._baseline = source, config, site, baseline
        self._start_ns = source.start_ns()
        self.detectors: list[Detector] = []
        self.untaught: list[str] = []
        self._loop = self._judging(config.enabled, Reading(typed_devices(site)))
        self._across = self._judging(config.across, None) if config.across else None

    def run(self, sinks: Sequence[detect.Sink] = ()) -> list[HealthRow]:
        """The whole source through both stages; its records and all findings to `sinks`; their counters."""
        across = self._second(self._across, sinks) if self._across is not None else None
        detect.run(self._source, self._loop, [*sinks, across] if across is not None else sinks)
        if across is not None:
            across.finish()
        return [*_health(self._loop), *(across.health() if across is not None else ())]

    def _judging(self, enabled: Sequence[str], reading: Reading | None) -> detect.Loop:
        config, baseline = self._config, self._baseline
        learning = replace(config.learning, start_ns=self._start_ns)
        detectors = detect.build(enabled, learning, config.params)
        if baseline is not None:
            from pipeline.baseline import adopt

            self.untaught += adopt(baseline.table, detectors)
        self.detectors += detectors
        findings = Findings(
            types_of(detectors),
            site=self._site,
            names=self._source.names,
            baseline_uid=baseline.digest if baseline is not None else "",
            versions={d.name: d.version for d in detectors},
        )
        return detect.Loop(detectors, findings, reading=reading)

    def _second(self, loop: detect.Loop, sinks: Sequence[detect.Sink]) -> Across:
        decode, panes = self._config.decode, self._config.panes
        collector = Collector(
            decode.site,
            vlan_scope=decode.vlan_tells_devices_apart,
            max_pairs=panes.max_pairs,
            start_ns=self._start_ns,
        )
        return Across(collector, SecondStage(1, lambda _: loop, max_waiting=panes.max_waiting), sinks)


def _health(loop: detect.Loop) -> list[HealthRow]:
    rows = [("detect", counter, d.name, n) for d in loop.detectors for counter, n in sorted(d.counters().items())]
    rows += [("detect", counter, "site", n) for counter, n in loop.reading.counters().items()]
    return rows + [("findings", counter, "", n) for counter, n in sorted(loop.findings.counters().items())]
