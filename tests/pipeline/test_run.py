"""The compositions: the same results whatever the cut of the input, bounded, and nothing half-written."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline import baseline, synth
from pipeline.config import Config, load
from pipeline.errors import CaptureError, OutputError
from pipeline.run import Hooks, Progress, Report, decode, learn, run
from pipeline.run.source import Names
from pipeline.sink.writer import RecordSink
from schemas.alert import ALERT
from schemas.asset import ASSET, CONVERSATION
from schemas.codes import Protocol
from schemas.health import CAPTURE, HEALTH, NAME
from schemas.record import POINT_ROWS, RECORD_ROWS


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plant")
    synth.simulate(folder, minutes=3, seed=4)
    return folder / "plant.pcap"


@pytest.fixture(scope="module")
def config() -> Config:
    settings = load(None)
    return replace(settings, learning=replace(settings.learning, site_s=60.0, value_s=60.0))


def tables(out: Path) -> dict[str, pl.DataFrame]:
    found = {name: pl.read_parquet(out / name / "part-*.parquet") for name in ("records", "points", "alerts")}
    return found | {name: pl.read_parquet(out / f"{name}.parquet") for name in ("assets", "conversations")}


def counters(report: Report) -> dict[tuple[str, str, str], int]:
    return {(stage, counter, reason): value for stage, counter, reason, value in report.health}


def test_every_table_has_its_published_schema(plant: Path, tmp_path: Path, config: Config) -> None:
    run([plant], tmp_path / "out", config)
    schemas = {
        "records/part-00000": RECORD_ROWS,
        "points/part-00000": POINT_ROWS,
        "alerts/part-00000": ALERT,
        "assets": ASSET,
        "conversations": CONVERSATION,
        "health": HEALTH,
        "captures": CAPTURE,
        "names": NAME,
    }
    for name, schema in schemas.items():
        found = pq.read_schema(tmp_path / "out" / f"{name}.parquet")
        assert found.equals(schema), name
        assert found.metadata == schema.metadata, name


def test_the_report_says_what_was_written(plant: Path, tmp_path: Path, config: Config) -> None:
    report = run([plant], tmp_path / "out", config)
    found = tables(tmp_path / "out")
    assert report.packets == pl.read_parquet(tmp_path / "out" / "captures.parquet")["packets"].sum()
    assert sum(report.records.values()) == len(found["records"])
    assert report.records["Modbus"] == (found["records"]["protocol"] == Protocol.MODBUS).sum()
    assert {"Modbus", "S7comm", "IEC-104", "BACnet", "DNP3"} <= set(report.records)
    assert report.undecoded["NTP"] > 0
    assert "Modbus" not in report.undecoded
    assert report.points == len(found["points"]) == found["records"]["n_points"].sum()
    assert sum(report.findings.values()) == found["alerts"]["finding_info_uid"].n_unique()
    assert sum(report.findings.values()) > 0
    assert (report.interrupted, report.kept, report.problems, report.ignored) == (False, True, [], [])
    assert counters(report)["sink", "rows", "points"] == report.points
    evidence = sum(counters(report)["findings", "evidence", stage] for stage in ("", "across"))
    last = found["alerts"].group_by("finding_info_uid", maintain_order=True).last()
    assert last["count"].sum() == evidence


def test_names_in_findings_assets_and_points_are_one(plant: Path, tmp_path: Path, config: Config) -> None:
    run([plant], tmp_path / "out", config)
    names = pl.read_parquet(tmp_path / "out" / "names.parquet")
    found = tables(tmp_path / "out")
    texts = found["points"].filter(pl.col("type") == 12)
    assert len(texts) > 0
    assert set(texts["raw"].cast(pl.UInt64, wrap_numerical=True)) <= set(names["name_id"])
    by_number = {"vendor 260", "Rockwell Automation"}  # as BACnet and CIP tell them
    assert set(found["assets"]["vendor"]) - {"", *by_number} <= set(names["text"])
    assert set(found["assets"]["vendor"]) - {""}


def test_files_folders_and_compression_make_no_difference(plant: Path, tmp_path: Path, config: Config) -> None:
    split = tmp_path / "rotated"
    split.mkdir()
    data = plant.read_bytes()
    cuts = _packet_ends(data)
    middle = cuts[len(cuts) // 2]
    (split / "b.pcap.gz").write_bytes(gzip.compress(data[:middle]))
    (split / "a.pcap").write_bytes(data[:24] + data[middle:])
    (split / "readme.txt").write_text("not a capture")
    whole = run([plant], tmp_path / "one", config)
    parts = run([split], tmp_path / "two", config)
    assert whole.packets == parts.packets
    assert [Path(p).name for p in parts.ignored] == ["readme.txt"]
    one, two = tables(tmp_path / "one"), tables(tmp_path / "two")
    for name, table in one.items():
        assert table.equals(two[name]), name


def _packet_ends(data: bytes) -> list[int]:
    ends, at = [], 24
    while at < len(data):
        at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        ends.append(at)
    return ends


def test_a_site_that_was_learned_is_quiet(plant: Path, tmp_path: Path, config: Config) -> None:
    learned = tmp_path / "baseline.parquet"
    learn([plant], learned, config)
    known = baseline.read(learned)
    assert known.lineage["captures"][0]["path"] == "plant.pcap"
    report = run([plant], tmp_path / "out", config, baseline=known)
    assert report.findings == {}
    assert report.untaught == []


def test_a_baseline_without_a_detector_says_so(plant: Path, tmp_path: Path, config: Config) -> None:
    learn([plant], tmp_path / "b.parquet", replace(config, enabled=("peer",)))
    report = run([plant], tmp_path / "out", config, baseline=baseline.read(tmp_path / "b.parquet"))
    assert report.untaught == ["function", "value", "command", "timing", "rate", "sequence", "plant", "replay"]


def test_progress_comes_to_the_end(plant: Path, tmp_path: Path, config: Config) -> None:
    seen: list[Progress] = []
    report = decode([plant, plant], tmp_path / "out", config, hooks=Hooks(progress=seen.append))
    assert seen[-1].bytes_read == seen[-1].total_bytes == 2 * plant.stat().st_size
    assert seen[-1].packets == report.packets


def test_stopped_early_it_ends_as_if_the_input_had(tmp_path: Path, config: Config) -> None:
    bulk = tmp_path / "bulk.pcap"
    synth.bulk(bulk, packets=200_000)
    report = run([bulk], tmp_path / "out", config, hooks=Hooks(stop=lambda: True))
    assert report.interrupted
    assert report.kept
    assert 0 < report.packets < 200_000
    assert len(tables(tmp_path / "out")["records"]) == report.packets
    assert counters(report)["run", "interrupted", ""] == 1


def test_a_full_disk_leaves_nothing(
    plant: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: RecordSink, batch: object) -> None:
        raise OutputError("points: cannot write: No space left on device")

    monkeypatch.setattr(RecordSink, "put", full)
    with pytest.raises(OutputError, match="No space left"):
        run([plant], tmp_path / "out", config)
    assert not list(tmp_path.iterdir())


def test_a_missing_capture_leaves_nothing(tmp_path: Path, config: Config) -> None:
    with pytest.raises(CaptureError):
        run([tmp_path / "none.pcap"], tmp_path / "out", config)
    assert not list(tmp_path.iterdir())


def test_small_parts_hold_the_same(plant: Path, tmp_path: Path, config: Config) -> None:
    small = replace(config, output=replace(config.output, part_points=1, queue_mb=1))
    run([plant], tmp_path / "one", config)
    run([plant], tmp_path / "two", small)
    one, two = tables(tmp_path / "one"), tables(tmp_path / "two")
    for name, table in one.items():
        assert table.equals(two[name]), name


class HastyDecoder:
    """A decoder that has met all its names before the first batch was taken."""

    known = ((1, "Pump"), (2, "Valve"), (1, "Pump"))

    def names(self, first: int, stop: int) -> dict[int, str]:
        return dict(self.known[first:stop])


def test_names_are_found_once_the_batch_was_taken_that_met_them() -> None:
    names = Names(HastyDecoder())  # type: ignore[arg-type]
    assert names.get(1) is None
    names.reach(1)
    assert (names.get(1), names.get(2)) == ("Pump", None)
    names.reach(3)
    assert dict(names) == {1: "Pump", 2: "Valve"}
    assert len(names) == 2
