"""Rows of ALERT from windows and what they knew when each row was due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from detectors.base import FindingType
from pipeline import names as readable
from pipeline.findings.said import Said
from pipeline.findings.text import Facts, check, facts_of, hint_text, line, seen_text, values_of
from pipeline.findings.window import Activities, Subject, Window
from pipeline.site import Site
from schemas.alert import ALERT, CATEGORY_UID, CLASS_UID
from schemas.codes import Activity, Severity

ATTACK_VERSION = "18.1"
SEVERITY_WEIGHT: dict[int, int] = {
    Severity.INFORMATIONAL: 10,
    Severity.LOW: 30,
    Severity.MEDIUM: 50,
    Severity.HIGH: 75,
    Severity.CRITICAL: 100,
    Severity.FATAL: 100,
}
"""Part of the risk score, 0 to 100, that a certain finding of this severity has."""
IMPACT_WEIGHT = {"low": 75, "medium": 100, "high": 125}
"""Percent of the risk that a finding about a device of this impact has."""
_NEW, _RESOLVED = 1, 4
_FACTS_KEPT = 4096

Row = tuple[Window, Activities]


_NO_ROWS = ALERT.empty_table()


class RowWriter:
    """Writes rows with the words of one site."""

    def __init__(
        self,
        types: Mapping[int, FindingType],
        site: Site,
        names: Mapping[int, str],
        baseline_uid: str,
        versions: Mapping[str, str],
    ) -> None:
        for kind in types.values():
            check(kind)
        self._types = types
        self._site = site
        self._names = names
        self._baseline_uid = baseline_uid
        self._versions = versions
        self._attacks = {code: _attacks(kind) for code, kind in types.items()}
        self._said = Said(names)
        self._facts: dict[Subject, Facts] = {}

    def quiet(self, subject: Subject) -> tuple[tuple[int, int], ...]:
        """Maintenance times [start, end) of the subject's device, ns."""
        if not self._site.maintenance:
            return ()
        device = self._facts_of(subject).device
        return tuple((m.start_ns, m.end_ns) for m in self._site.maintenance_of(device.name if device else ""))

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Rows of schema ALERT."""
        if not rows:
            return _NO_ROWS
        columns: dict[str, list[Any]] = {name: [] for name in ALERT.names}
        for window, told in rows:
            for name, value in self._row(window, told).items():
                columns[name].append(value)
        return pa.table([pa.array(columns[f.name], f.type) for f in ALERT], schema=ALERT)

    def _facts_of(self, subject: Subject) -> Facts:
        facts = self._facts.get(subject)
        if facts is None:
            if len(self._facts) >= _FACTS_KEPT:
                self._facts.clear()
            facts = facts_of(subject, self._site, self._names)
            if not subject.name_id or subject.name_id in self._names:  # a name may come later than its first record
                self._facts[subject] = facts
        return facts

    def _row(self, window: Window, told: Activities) -> dict[str, Any]:
        kind, subject = self._types[window.identity[1]], window.subject
        facts = self._facts_of(subject)
        return {
            **_activity(window, told),
            **self._analytic(kind, told, facts),
            **self._words(kind, window, told, facts),
            **_subject(subject),
            "client_ip": facts.client_ip,
            "client_name": facts.client_name,
            "server_ip": facts.server_ip,
            "device_name": facts.device_name,
            "tag": facts.tag,
            "device": window.identity[0],
            "subject_key": window.identity[2],
        }

    def _analytic(self, kind: FindingType, told: Activities, facts: Facts) -> dict[str, Any]:
        impact = IMPACT_WEIGHT[facts.device.impact if facts.device else "medium"]
        weight = SEVERITY_WEIGHT.get(told.severity, 0)
        return {
            "confidence_score": kind.confidence,
            "risk_score": min(100, (weight * kind.confidence * impact + 5000) // 10_000),
            "finding_info_title": kind.title,
            "finding_info_types": list(kind.types),
            "analytic_uid": kind.uid,
            "analytic_version": self._versions.get(kind.uid.partition(".")[0], ""),
            "analytic_type_id": kind.analytic_type,
            "attacks": self._attacks[kind.code],
            "baseline_uid": self._baseline_uid,
        }

    def _words(self, kind: FindingType, window: Window, told: Activities, facts: Facts) -> dict[str, Any]:
        values = values_of(kind, told, facts, self._site, window.subject, self._said)
        text = line(kind, window.subject, facts, told, values)
        return {
            "finding_info_desc": text if told.alerting else text + self._maintenance(window, facts),
            "hint": hint_text(kind, facts, told),
            "expected": values[0],
            "observed": seen_text(kind, window.subject, facts, values[1]),
        }

    def _maintenance(self, window: Window, facts: Facts) -> str:
        found = self._site.maintenance_at(facts.device.name if facts.device else "", window.start)
        reason = readable.visible(found.reason) if found else ""
        return f" (during maintenance: {reason})" if reason else " (during maintenance)"


def _attacks(kind: FindingType) -> list[dict[str, str]]:
    return [
        {
            "tactic_uid": attack.tactic,
            "technique_uid": attack.technique,
            "technique_name": attack.name,
            "version": ATTACK_VERSION,
        }
        for attack in kind.attacks
    ]


def _activity(window: Window, told: Activities) -> dict[str, Any]:
    return {
        "time": told.time,
        "activity_id": int(told.activity),
        "category_uid": CATEGORY_UID,
        "class_uid": CLASS_UID,
        "type_uid": CLASS_UID * 100 + int(told.activity),
        "severity_id": told.severity,
        "status_id": _RESOLVED if told.activity is Activity.CLOSE else _NEW,
        "is_alert": int(told.alerting),
        "finding_info_uid": window.uid,
        "parent_uid": window.parent_uid,
        "start_time": window.start,
        "end_time": window.end,
        "first_seen_time": told.first,
        "last_seen_time": told.last,
        "count": told.count,
        "functions": window.functions[: told.functions],
        "expected_low": told.low,
        "expected_high": told.high,
        "observed_value": told.observed,
        "outcome": told.outcome,
        "evidences": [pointer._asdict() for pointer in window.pointers[: told.pointers]],
    }


_SUBJECT = ("unit", "protocol", "op", "func", "subfunc", "space", "addr", "addr_sub", "name_id")


def _subject(subject: Subject) -> dict[str, Any]:
    return {name: getattr(subject, name) for name in _SUBJECT}
