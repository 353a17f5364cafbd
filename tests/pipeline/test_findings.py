"""Evidence becomes findings: windows, rows at their turns, parents, bounds, and words a person can act on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.base import Alerts
from detectors.columns import Columns, records
from detectors.kernels.mix import mix as mix_kernel
from pipeline.findings import Findings, FindingSettings, fold, types_of
from pipeline.findings.window import finding_uid, mix
from pipeline.site import Site
from schemas.alert import ALERT
from schemas.codes import Activity, Op, Outcome, Severity
from tests.pipeline.scripted import SECOND, STRANGER, T0, TYPES, WRITE, Scripted, ip, plain, row, value

SITE = """
name = "waterworks"
[[device]]
name = "PLC-1 intake"
ip = "10.10.1.1"
[[device.tag]]
name = "LIC-1 setpoint"
space = "holding_register"
addr = 10
scale = 0.1
unit = "m"
[[device.tag]]
name = "flow total"
space = "holding_register"
addr = 20
type = "u32"
[[device.tag]]
name = "temperature"
space = "holding_register"
addr = 30
type = "i16"
scale = -0.5
[[device]]
name = "HMI"
ip = "10.10.2.1"
[[maintenance]]
start = 2023-11-14T22:10:00Z
end = 2023-11-14T22:15:00Z
devices = ["PLC-1 intake"]
reason = "pump swap"
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.toml").write_text(SITE)
    return Site.load(tmp_path / "site.toml")


def found(rows: Sequence[Mapping[str, Any]], **settings: Any) -> list[dict[str, Any]]:
    """All rows for one batch of records, and the CLOSE rows at the end of input."""
    findings = Findings(TYPES, **settings)
    batch = records(rows)
    findings.add(batch, Scripted().on_batch(batch))
    findings.finish()
    return plain(findings.take())


def activities(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    return [(r["activity_id"], r["count"]) for r in rows]


def test_a_finding_is_created_updated_at_powers_of_ten_and_closed_at_its_windows_end() -> None:
    rows = found([row(i, i) for i in range(150)])
    assert activities(rows) == [(1, 1), (2, 10), (2, 100), (3, 150)]
    assert [(r["time"] - T0) // SECOND for r in rows] == [0, 9, 99, 600]
    assert len({r["finding_info_uid"] for r in rows}) == 1
    last = rows[-1]
    assert (last["start_time"], last["end_time"] - T0) == (T0, 600 * SECOND)
    assert (last["first_seen_time"], last["last_seen_time"] - T0) == (T0, 149 * SECOND)
    assert (last["status_id"], last["type_uid"], last["class_uid"]) == (4, 200403, 2004)


def test_evidence_after_ten_minutes_is_another_finding() -> None:
    rows = found([row(0, 1), row(599.9, 2), row(600, 3)])
    assert activities(rows) == [(1, 1), (3, 2), (1, 1), (3, 1)]
    assert rows[0]["finding_info_uid"] != rows[2]["finding_info_uid"]


def test_a_window_is_closed_when_record_time_has_passed_it_and_again_when_late_evidence_came() -> None:
    findings = Findings(TYPES)
    for at, ahead in ((0, 599), (1, 600), (2, 601)):
        batch = records([row(at)])
        findings.add(batch, Scripted().on_batch(batch))
        findings.advance(T0 + ahead * SECOND)
    table = findings.take()
    assert activities(plain(table)) == [(1, 1), (3, 2), (3, 3)]
    assert fold(table).column("count").to_pylist() == [3]


def test_a_rise_in_severity_and_a_known_outcome_are_updates_and_a_fall_is_none() -> None:
    script = [(3, 0), (2, 0), (4, 0), (4, 0), (3, Outcome.REFUSED), (3, Outcome.NO_ANSWER), (3, Outcome.ACCEPTED)]
    rows = found([row(i, i, count=severity, rtt_us=outcome) for i, (severity, outcome) in enumerate(script)])
    assert activities(rows) == [(1, 1), (2, 3), (2, 5), (2, 7), (3, 7)]
    assert [r["severity_id"] for r in rows] == [3, 4, 4, 4, 4]
    assert [r["outcome"] for r in rows] == [0, 0, Outcome.REFUSED, Outcome.ACCEPTED, Outcome.ACCEPTED]


def test_risk_is_severity_weighed_by_confidence() -> None:
    assert [found([row(0, count=s)])[0]["risk_score"] for s in (1, 2, 3, 4, 5)] == [8, 24, 40, 60, 80]


def test_the_most_extreme_value_is_kept_with_its_bounds() -> None:
    rows = found([row(i, i, points=value(v)) for i, v in enumerate((70, 95, 10, 80))])
    assert [r["observed_value"] for r in rows] == ["70.0", "95.0"]
    assert rows[-1]["expected"] == "40 to 60"
    rows = found([row(0, 0, points=value(70)), row(1, 1, points=value(-300)), row(2, 2)])
    assert rows[-1]["observed_value"] == "-300.0"


def test_a_value_without_bounds_is_that_of_the_tag_which_the_line_names() -> None:
    """What a client writes first of all, and what it writes to other tags meanwhile."""
    points = [{"space": 4, "addr": addr, "value": float(v)} for addr, v in ((7, 3), (8, 500), (7, 4), (8, 900))]
    batch = records([row(0, 1, points=points)])
    findings = Findings(TYPES)
    alerts = Alerts.of(
        np.zeros(4, np.int64),
        STRANGER.code,
        np.ones(4, np.uint64),
        point=np.arange(4),
        observed=np.array([3.0, 500.0, 4.0, 900.0]),
    )
    findings.add(batch, alerts)
    findings.finish()
    last = plain(findings.take())[-1]
    assert (last["addr"], last["observed_value"], last["count"]) == (7, "4.0", 4)


def test_functions_and_pointers_are_the_first_distinct_ones() -> None:
    rows = found([row(i, i, func=i // 2) for i in range(100)])
    assert rows[-1]["functions"] == list(range(32))
    assert [e["seq"] for e in rows[-1]["evidences"]] == list(range(16))
    assert [len(r["evidences"]) for r in rows] == [1, 10, 16, 16]
    assert rows[1]["functions"] == [0, 1, 2, 3, 4]


def test_many_pieces_of_one_record_point_to_it_once() -> None:
    batch = records([row(0, 7)])
    findings = Findings(TYPES)
    findings.add(batch, Alerts.of(np.zeros(12, np.int64), WRITE.code, np.ones(12, np.uint64)))
    rows = plain(findings.take())
    assert activities(rows) == [(1, 1), (2, 10)]
    assert [len(r["evidences"]) for r in rows] == [1, 1]


def test_a_finding_is_rolled_up_under_its_parent_while_that_is_open() -> None:
    parent = {"flow": 50, "label": STRANGER.code}
    rows = found(
        [
            row(0, 0, flow=7, peer_seq=50),
            row(1, 1, **parent),
            row(2, 2, flow=8, peer_seq=50),
            row(3, 3, flow=9, peer_seq=50, device=6),
            row(4, 4, flow=7, peer_seq=50),
            row(700, 5, flow=8, peer_seq=50),
        ]
    )
    created = [r for r in rows if r["activity_id"] == Activity.CREATE]
    uid = created[1]["finding_info_uid"]
    assert [r["parent_uid"] for r in created] == [0, 0, uid, 0, 0]


def test_evidence_of_one_record_is_simultaneous_for_parents() -> None:
    batch = records([row(0)])
    alerts = Alerts.of(
        np.zeros(2, np.int64),
        np.array([WRITE.code, STRANGER.code]),
        np.array([1, 2], np.uint64),
        parent=np.array([2, 0], np.uint64),
    )
    findings = Findings(TYPES)
    findings.add(batch, alerts)
    child, parent = plain(findings.take())
    assert child["parent_uid"] == parent["finding_info_uid"]


def test_two_findings_never_roll_up_under_each_other() -> None:
    alerts = Alerts.of(
        np.zeros(2, np.int64),
        np.array([WRITE.code, STRANGER.code]),
        np.array([1, 2], np.uint64),
        parent=np.array([2, 1], np.uint64),
    )
    findings = Findings(TYPES)
    findings.add(records([row(0)]), alerts)
    first, second = plain(findings.take())
    assert first["parent_uid"] == second["finding_info_uid"]
    assert second["parent_uid"] == 0


def test_what_finds_no_room_is_dropped_and_counted_and_high_severity_has_room_kept() -> None:
    rows = [row(i / 100, i, flow=i + 1) for i in range(30)]
    rows += [row(1, 99, flow=5), row(1.1, 100, flow=77, count=Severity.HIGH)]
    findings = Findings(TYPES, settings=FindingSettings(bucket_findings=16))
    batch = records(rows)
    findings.add(batch, Scripted().on_batch(batch))
    findings.finish()
    table = fold(findings.take())
    assert findings.counters()["dropped"] == 18
    assert table.num_rows == 13
    assert sorted(table.column("count").to_pylist()) == [1] * 12 + [2]
    assert Severity.HIGH in table.column("severity_id").to_pylist()


def test_another_capture_of_the_same_time_finds_anew_once_a_window_is_long_over() -> None:
    rows = found([row(0, 1), row(100, 2), row(1250, 3, flow=2), row(500, 4), row(501, 5)])
    closed = {(r["start_time"] - T0) // SECOND: r["count"] for r in rows if r["activity_id"] == Activity.CLOSE}
    assert closed == {0: 2, 1250: 1, 500: 2}


def test_room_is_made_when_windows_have_ended() -> None:
    rows = [row(0, i, flow=i + 1) for i in range(12)] + [row(650, 50 + i, flow=50 + i) for i in range(12)]
    findings = Findings(TYPES, settings=FindingSettings(bucket_findings=16))
    batch = records(rows)
    findings.add(batch, Scripted().on_batch(batch))
    assert findings.counters()["dropped"] == 0
    assert findings.counters()["windows"] == 12


def flood(n: int) -> tuple[Columns, Alerts]:
    one = records([row(0)])
    batch = dataclasses.replace(one.take(np.zeros(n, np.intp)), ts=T0 + np.arange(n, dtype=np.int64))
    return batch, Alerts.of(np.arange(n), WRITE.code, np.ones(n, np.uint64))


def test_a_flood_is_one_finding_with_updates_at_the_very_evidence() -> None:
    findings = Findings(TYPES)
    findings.add(*flood(1_000_000))
    rows = plain(findings.take())
    assert activities(rows) == [(1, 1)] + [(2, 10**k) for k in range(1, 7)]
    assert [r["time"] - T0 for r in rows[1:]] == [10**k - 1 for k in range(1, 7)]


def test_a_finding_says_what_may_be_behind_it_by_who_and_where(tmp_path: Path) -> None:
    kind = dataclasses.replace(STRANGER, fits=(("fault", "a loop"), ("attack", "a guess"), ("misoperation", "a test")))
    text = SITE.replace('name = "HMI"', 'name = "ENG"\nrole = "engineering"')
    (tmp_path / "site.toml").write_text(text)
    site = Site.load(tmp_path / "site.toml")

    def hint(at_s: float, client: str, known: Site) -> str:
        findings = Findings({**TYPES, STRANGER.code: kind}, site=known)
        batch = records([row(at_s, label=STRANGER.code, src_ip=ip(client))])
        findings.add(batch, Scripted().on_batch(batch))
        return str(plain(findings.take())[0]["hint"])

    assert hint(900, "10.10.9.66", Site.empty()) == "fault (a loop), or attack (a guess), or misoperation (a test)"
    assert hint(900, "10.10.9.66", site).startswith("attack (nobody has given the client a name; a guess), or fault")
    assert hint(900, "10.10.2.1", site).startswith("misoperation (the client is an engineering station; a test), or")
    assert hint(60, "10.10.9.66", site).startswith("misoperation (the device is in maintenance; a test), or fault")


@pytest.mark.parametrize(("impact", "risk"), [("low", 30), ("medium", 40), ("high", 50)])
def test_the_risk_counts_severity_confidence_and_impact(tmp_path: Path, impact: str, risk: int) -> None:
    (tmp_path / "site.toml").write_text(f'[[device]]\nname = "PLC-1"\nip = "10.10.1.1"\nimpact = "{impact}"\n')
    assert found([row(0)], site=Site.load(tmp_path / "site.toml"))[0]["risk_score"] == risk


def test_the_id_is_the_hash_of_subject_and_start_by_the_shared_mixer() -> None:
    rows = found([row(0, device=5, flow=1)])
    assert rows[0]["finding_info_uid"] == finding_uid((5, WRITE.code, 1), T0)
    for seed, word in ((0, 0), (2**64 - 1, 12345), (9001, T0)):
        assert mix(seed, word) == int(mix_kernel(np.uint64(seed), np.uint64(word)))


def test_the_line_speaks_the_sites_names_and_units(site: Site) -> None:
    (first, _) = found([row(900, points=value(78000))], site=site)
    assert first["finding_info_desc"] == (
        "10.10.9.66 (stranger) wrote register hr:40011 'LIC-1 setpoint' of PLC-1 intake: 7800 m, expected 4 to 6 m"
    )
    assert (first["tag"], first["device_name"], first["server_ip"]) == ("LIC-1 setpoint", "PLC-1 intake", "10.10.1.1")
    assert (first["observed"], first["expected"], first["observed_value"]) == ("7800 m", "4 to 6 m", "78000.0")
    assert first["attacks"][0]["technique_uid"] == "T0836"
    assert (first["client_ip"], first["client_name"], first["analytic_uid"]) == (
        "10.10.9.66",
        "10.10.9.66",
        "scripted.write",
    )


def test_without_a_site_addresses_speak() -> None:
    (first, _) = found([row(0, points=value(78))])
    assert first["finding_info_desc"] == "10.10.9.66 wrote register hr:40011 of 10.10.1.1: 78, expected 40 to 60"


def test_one_word_of_a_two_register_tag_is_not_scaled(site: Site) -> None:
    (first, _) = found([row(900, points=value(78, addr=21))], site=site)
    assert "hr:40022 'flow total' (word 2 of 2) of PLC-1 intake: 78, expected 40 to 60" in first["finding_info_desc"]


def test_a_negative_scale_turns_the_bounds_around(site: Site) -> None:
    (first, _) = found([row(900, points=value(65535, addr=30))], site=site)
    assert (first["observed"], first["expected"]) == ("0.5", "-30 to -20")


def test_what_has_no_value_is_told_by_its_function() -> None:
    (first, _) = found([row(0, label=STRANGER.code, op=Op.READ, func=3, rtt_us=Outcome.REFUSED)])
    assert first["finding_info_desc"] == "10.10.9.66 asked 10.10.1.1 for read holding registers (3) (read); refused"
    assert first["observed"] == "read holding registers (3)"


def test_maintenance_marks_and_does_not_hide(site: Site) -> None:
    in_maintenance = [row(0, 0), row(10, 1), row(10, 2, device=6, dst_ip=bytes(16))]
    rows = found(in_maintenance, site=site)
    marked = [r for r in rows if r["device"] == 5]
    assert [r["is_alert"] for r in marked] == [0, 0]
    assert all(r["finding_info_desc"].endswith(" (during maintenance: pump swap)") for r in marked)
    assert {r["is_alert"] for r in rows if r["device"] == 6} == {1}
    after = found([row(0, 0), row(200, 1), row(300, 2)], site=site)
    assert [(r["activity_id"], r["count"], r["is_alert"]) for r in after] == [(1, 1, 0), (2, 2, 1), (3, 3, 1)]
    assert "maintenance" not in after[-1]["finding_info_desc"]


def test_names_from_the_wire_cannot_write_on_the_terminal() -> None:
    point = [{"space": 96, "addr": 0, "name_id": 77, "value": 99.0}]
    (first, _) = found([row(0, points=point)], names={77: "Tank\x1b[2J{client}\u202e"})
    assert "Tank\\x1b[2J{client}\\u202e" in first["finding_info_desc"]
    assert first["tag"] == "Tank\\x1b[2J{client}\\u202e"


def test_a_name_that_comes_later_than_its_record_is_told_from_then_on() -> None:
    names: dict[int, str] = {}
    findings, rows = Findings(TYPES, names=names), []
    point = [{"space": 96, "addr": 0, "name_id": 77, "value": 99.0}]
    for at, text in ((0, None), (1, "Tank"), (2, None)):
        names.update({77: text} if text else {})
        batch = records([row(9 * at + i, 9 * at + i, points=point) for i in range(9)])
        findings.add(batch, Scripted().on_batch(batch))
        rows += plain(findings.take())
    findings.finish()
    rows += plain(findings.take())
    assert [(r["activity_id"], r["tag"]) for r in rows] == [(1, f"name:{77:016x}"), (2, "Tank"), (3, "Tank")]
    assert len({r["finding_info_uid"] for r in rows}) == 1


def test_a_text_with_an_unknown_field_is_refused() -> None:
    bad = dataclasses.replace(WRITE, text="{client} did {nothing}")
    with pytest.raises(ValueError, match=r"scripted\.write speaks of 'nothing'"):
        Findings({bad.code: bad})


def test_evidence_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="9001"):
        Findings({STRANGER.code: STRANGER}).add(*flood(1))


def test_two_detectors_may_not_share_a_code() -> None:
    class Other(Scripted):
        findings = (dataclasses.replace(WRITE, uid="other.write"), STRANGER)

    with pytest.raises(ValueError, match="share code 9001"):
        types_of([Scripted(), Other()])


def test_nothing_found_is_an_empty_table_of_the_schema() -> None:
    findings = Findings(TYPES)
    batch = records([row(0, label=0)])
    findings.add(batch, Scripted().on_batch(batch))
    findings.finish()
    table = findings.take()
    assert (table.num_rows, table.schema) == (0, ALERT)
    assert fold(table).num_rows == 0
