"""Setup: what judges, the same for a run over captures and for every partition and worker of a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from detectors import kinds, registers
from detectors.registry import load
from detectors.wide import Reading
from pipeline import detect
from pipeline.config import Config
from pipeline.findings import Findings, types_of
from pipeline.findings.said import Names
from pipeline.panes import Collector
from pipeline.site import Site
from pipeline.site.typed import typed_devices

if TYPE_CHECKING:
    from pipeline.baseline import Baseline


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings, names and baseline.  Each loop made of it is a new one, and knows the baseline."""

    config: Config
    site: Site = field(default_factory=Site.empty)
    baseline: Baseline | None = None

    def by_device(
        self, start_ns: int | None, names: Mapping[int, str] | None = None, *, marks_time: bool = True
    ) -> detect.Loop:
        """The detectors that judge device by device.

        Args:
            start_ns: record time at which the site's learning starts.
            names: name id to text, where known.
            marks_time: whether the loop places TIME marks itself.
        """
        return self._loop(self.config.enabled, start_ns, names, self.reading(), marks_time)

    def reading(self) -> Reading:
        """How detectors see registers: as the site file types them, else as the baseline does."""
        learned = None
        if self.baseline is not None:
            from pipeline.baseline import columns_of

            learned = registers.tags_of(columns_of(self.baseline.table, kinds.NAME))
        return Reading(typed_devices(self.site), learned)

    def across(self, start_ns: int | None, names: Mapping[int, str] | None = None) -> detect.Loop:
        """The detectors of the second stage; see :meth:`by_device`."""
        return self._loop(self.config.across, start_ns, names, None, False)

    def collector(self, start_ns: int | None = None) -> Collector:
        """What gathers rows for the second stage."""
        decode = self.config.decode
        return Collector(
            decode.site,
            vlan_scope=decode.vlan_tells_devices_apart,
            max_pairs=self.config.panes.max_pairs,
            start_ns=start_ns,
            taught=self.across_codes(),
        )

    def across_codes(self) -> frozenset[int]:
        """Finding types of the second stage: what is ordered of them goes on to it."""
        return frozenset(types_of([load(name) for name in self.config.across]))

    def untaught(self) -> list[str]:
        """Detectors of which the baseline given holds nothing, and which therefore learn."""
        if self.baseline is None:
            return []
        known = set(self.baseline.table.column("detector").unique().to_pylist())
        return [name for name in (*self.config.enabled, *self.config.across) if name not in known]

    def _loop(
        self,
        enabled: Sequence[str],
        start_ns: int | None,
        names: Mapping[int, str] | None,
        reading: Reading | None,
        marks_time: bool,
    ) -> detect.Loop:
        learning = replace(self.config.learning, start_ns=start_ns)
        detectors = detect.build(enabled, learning, self.config.params)
        types = types_of(detectors)
        uid, taught = "", None
        known: Mapping[int, str] = names if names is not None else {}
        if self.baseline is not None:
            from pipeline import approval
            from pipeline.baseline import adopt

            adopt(approval.settled(self.baseline.table), detectors)
            uid = self.baseline.digest
            known = Names(self.baseline.names(), known)
            taught = approval.taught_of(self.baseline.table, {kind.uid: code for code, kind in types.items()})
        findings = Findings(
            types,
            site=self.site,
            names=known,
            baseline_uid=uid,
            versions={d.name: d.version for d in detectors},
            taught=taught,
        )
        return detect.Loop(detectors, findings, marks_time=marks_time, reading=reading)
