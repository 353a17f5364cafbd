"""`fieldtap show`: the right rows, readable, and nothing from the wire acts on the terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from detectors.columns import records
from pipeline.cli import app
from pipeline.errors import ConfigError
from pipeline.metrics import Counters, health_table
from pipeline.show.filters import devices, protocol_of, time_ns
from pipeline.show.tables import number
from pipeline.sink import Dataset, RecordSink, write_table
from pipeline.sink.names import names_table
from schemas.alert import ALERT, ALERT_COLUMNS
from schemas.asset import ASSET, ASSET_COLUMNS
from schemas.codes import Activity, Anomaly, Direction, Kind, Match, Op, PointType, Protocol, Severity, Space

HOSTILE = "[bold red]pump[/]\x1b[2J\x1b]0;owned\x07\u202eevil\nsecond line"
SITE = """
register_base = 0
[[device]]
name = "PLC-7"
ip = "10.0.0.11"
[[device.tag]]
name = "LT-1"
unit_id = 1
space = "holding_register"
addr = 0
scale = 0.1
unit = "m"
"""
START = 1_772_442_000_000_000_000  # 2026-03-02 09:00 UTC
SECOND = 1_000_000_000


def ip(last: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes([10, 0, 0, last])


def filled(columns: Any, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{c.name: c.default for c in columns} | row for row in rows], schema=schema)


def finding(uid: int, **more: Any) -> dict[str, Any]:
    base = {
        "finding_info_uid": uid,
        "activity_id": Activity.CREATE,
        "severity_id": Severity.HIGH,
        "analytic_uid": "value.range",
        "finding_info_desc": f"finding {uid}",
        "first_seen_time": START + uid * SECOND,
        "last_seen_time": START + uid * SECOND,
        "count": 1,
        "protocol": Protocol.MODBUS,
        "func": 3,
        "op": Op.READ,
        "device": 11,
        "device_name": "intake PLC",
        "server_ip": "10.0.0.11",
        "client_ip": "10.0.0.1",
        "client_name": "HMI",
    }
    return base | more


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small result, with a device that gives itself a hostile name."""
    out = tmp_path_factory.mktemp("results")
    base = {"protocol": Protocol.MODBUS, "device": 11, "unit": 1, "src_port": 40_000, "dst_port": 502}
    request = base | {"kind": Kind.REQUEST, "src_ip": ip(1), "dst_ip": ip(11), "client_is_src": 1}
    answer = base | {"kind": Kind.RESPONSE, "src_ip": ip(11), "dst_ip": ip(1), "match": Match.MATCHED}
    level = {"space": Space.HOLDING_REGISTER, "type": PointType.U16, "value": 42.5, "direction": Direction.READ}
    text = {"space": Space.DEVICE_ID, "type": PointType.TEXT, "value": float("nan"), "raw": -1, "direction": 1}
    read = {"func": 3, "op": Op.READ, "space": Space.HOLDING_REGISTER, "count": 2}
    write = {"func": 6, "op": Op.WRITE, "space": Space.HOLDING_REGISTER, "addr": 4, "count": 1}
    stop = {"func": 90, "subfunc": 65, "op": Op.STOP}
    sink = RecordSink(out)
    sink.put(
        records(
            [
                request | read | {"ts": START},
                answer | read | {"ts": START + SECOND, "points": [level, level | {"addr": 1, "value": 7.0}]},
                request | write | {"ts": START + 2 * SECOND, "src_ip": ip(2)},
                answer | write | {"ts": START + 3 * SECOND, "dst_ip": ip(2), "status": 2},
                request | stop | {"ts": START + 4 * SECOND, "device": 12, "dst_ip": ip(12)},
                answer | {"func": 43, "subfunc": 14, "ts": START + 5 * SECOND, "points": [text]},
                request | read | {"ts": START + 6 * SECOND, "kind": Kind.TIMEOUT, "anomaly": Anomaly.LENGTH_MISMATCH},
            ]
        )
    )
    sink.close()
    rows = [
        finding(1, severity_id=Severity.LOW),
        finding(1, severity_id=Severity.MEDIUM, count=10, activity_id=Activity.UPDATE),
        finding(2, severity_id=Severity.CRITICAL, analytic_uid="function.dangerous", func=90, subfunc=65, op=Op.STOP),
        finding(3, analytic_uid="peer.new_client", device=12, device_name="", server_ip="10.0.0.12"),
        finding(4, finding_info_desc=HOSTILE, client_ip="10.0.0.2", client_name=HOSTILE),
    ]
    data = Dataset(out / "alerts", ALERT, part_rows=100)
    for batch in filled(ALERT_COLUMNS, rows, ALERT).to_batches():
        data.write(batch, reused=False)
    data.close()
    assets = [
        {"ip": "10.0.0.1", "name": "HMI", "is_client": 1},
        {"ip": "10.0.0.11", "name": "intake PLC", "device": 11, "is_server": 1, "vendor": HOSTILE, "protocols": [1]},
        {"ip": "10.0.0.12", "device": 12, "is_server": 1, "protocols": [1], "units": list(range(20))},
    ]
    write_table(out / "assets.parquet", filled(ASSET_COLUMNS, assets, ASSET))
    write_table(out / "names.parquet", names_table({(1 << 64) - 1: HOSTILE}))
    counters = Counters("sink")
    counters.add("rows", 5, reason=HOSTILE)
    write_table(out / "health.parquet", health_table(counters.rows()))
    return out


def show(*arguments: str | Path) -> list[str]:
    done = CliRunner().invoke(app, ["show", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def found(lines: list[str]) -> list[str]:
    return re.findall(r"finding \d", "\n".join(lines))


@pytest.mark.parametrize("what", ["alerts", "records", "assets", "points", "health"])
def test_nothing_from_the_wire_acts_on_the_terminal(results: Path, what: str) -> None:
    text = "\n".join(show(results, what))
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    if what != "records":
        assert "[bold red]pump[/]" in text
        assert "\\x1b[2J" in text
        assert "\\u202e" in text or "\\x202e" in text


def test_alerts_are_folded_and_the_worst_comes_first(results: Path) -> None:
    lines = show(results)
    assert found(lines) == ["finding 2", "finding 3", "finding 1"]
    folded = next(line for line in lines if "finding 1" in line)
    assert folded.split()[:5] == ["medium", "2026-03-02", "09:00:01.000", "10", "value.range"]


FILTERED = [
    (["--severity", "high"], ["finding 2", "finding 3"]),
    (["--detector", "value"], ["finding 1"]),
    (["--detector", "function.dangerous"], ["finding 2"]),
    (["--detector", "func"], []),
    (["--device", "INTAKE"], ["finding 2", "finding 1"]),
    (["--device", "10.0.0.12"], ["finding 3"]),
    (["--device", "0xc"], ["finding 3"]),
    (["--client", "10.0.0.1"], ["finding 2", "finding 3", "finding 1"]),
    (["--protocol", "modbus"], ["finding 2", "finding 3", "finding 1"]),
    (["--protocol", "dnp3"], []),
    (["--function", "90"], ["finding 2"]),
    (["--function", "stop"], ["finding 2"]),
    (["--since", "2026-03-02T09:00:02", "--until", "2026-03-02T09:00:03"], ["finding 2"]),
    (["--since", "2026-03-02T10:00:03+01:00"], ["finding 3"]),
    (["--limit", "1"], ["finding 2"]),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERED, ids=[" ".join(f) for f, _ in FILTERED])
def test_alerts_by_filter(results: Path, filters: list[str], expected: list[str]) -> None:
    assert found(show(results, "alerts", *filters)) == expected


def test_a_limit_says_how_many_there_are(results: Path) -> None:
    assert show(results, "alerts", "--limit", "1")[-1] == "1 of 4 findings; --limit shows more"
    assert "4 findings" not in "\n".join(show(results, "alerts", "--limit", "0"))
    assert show(results, "alerts", "--protocol", "bacnet") == ["no findings"]


def test_records_speak_names(results: Path) -> None:
    lines = show(results, "records")
    assert len(lines) == 8
    first = "2026-03-02 09:00:00.000 0 HMI → intake PLC 1 Modbus read holding registers (3) hr:40001 (2)"
    assert " ".join(lines[1].split()) == first
    assert "write single register (6)" in lines[4]
    assert "illegal data address (2)" in lines[4]
    assert "hr:40005" in lines[4]
    assert "UMAS: stop PLC (90/65)" in lines[5]
    assert "10.0.0.12" in lines[5]
    assert "no answer, length mismatch" in lines[7]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--client", "HMI"], 5),
        (["--client", "10.0.0.2"], 2),
        (["--client", "nobody"], 0),
        (["--device", "10.0.0.12"], 1),
        (["--function", "6"], 2),
        (["--function", "write"], 2),
        (["--function", "no such"], 0),
        (["--protocol", "Modbus"], 7),
        (["--since", "2026-03-02T09:00:05"], 2),
    ],
)
def test_records_by_filter(results: Path, filters: list[str], count: int) -> None:
    lines = show(results, "records", *filters)
    assert (lines == ["no records"]) if count == 0 else (len(lines) == count + 1)


def test_points_take_names_and_scale_from_the_site_file(results: Path, tmp_path: Path) -> None:
    assert " ".join(show(results, "points")[1].split()) == "2026-03-02 09:00:01.000 intake PLC 1 hr:40001 42.5 u16 read"
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    named = show(results, "points", "--site", site)
    assert " ".join(named[1].split()) == "2026-03-02 09:00:01.000 PLC-7 1 LT-1 (hr:0) 4.25 m u16 read"
    lines = show(results, "points", "--device", "12")
    assert lines == ["no points"]


def test_assets_by_role(results: Path) -> None:
    assert len(show(results, "assets")) == 4
    assert "0, 1, 2, 3, 4, 5, 6, 7 +12" in "\n".join(show(results, "assets", "--device", "10.0.0.12"))
    assert len(show(results, "assets", "--client", "hmi")) == 2
    assert len(show(results, "assets", "--protocol", "modbus")) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["records", "--severity", "high"], "--severity: records has no such filter"),
        (["health", "--device", "x"], "it takes none"),
        (["alerts", "--since", "yesterday"], "--since: expected a time"),
        (["records", "--protocol", "modbsu"], "did you mean 'modbus'?"),
    ],
)
def test_a_filter_that_means_nothing_is_said(results: Path, arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["show", str(results), *arguments])
    assert done.exit_code == 2
    assert says in done.stderr


def test_points_that_were_not_kept_are_said(results: Path, tmp_path: Path) -> None:
    (tmp_path / "health.parquet").write_bytes((results / "health.parquet").read_bytes())
    (tmp_path / "names.parquet").write_bytes((results / "names.parquet").read_bytes())
    done = CliRunner().invoke(app, ["show", str(tmp_path), "points"])
    assert done.exit_code == 2
    assert "this result was made without it" in done.stderr


def test_words_to_codes() -> None:
    assert protocol_of("EtherNet/IP") == protocol_of("enip") == Protocol.ENIP
    assert time_ns("2026-03-02T09:00", "--since") == START
    assert time_ns("1969-12-31T23:59:59.5", "--since") == -500_000_000
    with pytest.raises(ConfigError):
        time_ns("9", "--since")
    assert devices({7: "Pump"}, {8: "10.0.0.8"}, "10.0.0.8") == [8]
    assert devices({}, {}, str(1 << 70)) == []


def test_numbers_as_people_write_them() -> None:
    assert [number(v) for v in (3.0, -0.5, 1e20, float("nan"), float("inf"), 1 / 3)] == [
        "3", "-0.5", "1e+20", "nan", "inf", "0.333333",
    ]  # fmt: skip


def test_health_adds_what_several_stages_count() -> None:
    one, two = Counters("link"), Counters("link")
    one.add("skipped", 2, reason="ARP")
    two.add("skipped", reason="ARP")
    two.put("seen", 4)
    assert two.get("seen") == 4
    assert two.get("never") == 0
    table = health_table([*one.rows(), *two.rows()]).to_pylist()
    assert [(r["counter"], r["reason"], r["value"]) for r in table] == [("skipped", "ARP", 3), ("seen", "", 4)]
