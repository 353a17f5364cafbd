"""Types of registers that nobody wrote down: told while learning, applied while judging."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pytest

from detectors.kernels import infer
from detectors.kinds import FLOAT32, ORDERS, type_text
from detectors.lifecycle import Learning
from detectors.registers import Registers
from pipeline import synth
from pipeline.baseline import Baseline
from pipeline.cli import baselines
from pipeline.config import Config
from pipeline.decode.decoder import DecodeSettings
from pipeline.run import Hooks, Progress, Report, learn, run
from pipeline.run.source import Source
from pipeline.site import Site
from schemas.codes import PointType, Space

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> synth.SimulationReport:
    return synth.simulate(tmp_path_factory.mktemp("clean"), minutes=20, seed=1)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> synth.SimulationReport:
    return synth.simulate(tmp_path_factory.mktemp("attacked"), minutes=20, seed=2, attacks=["setpoint_jump"])


@pytest.fixture(scope="module")
def known(clean: synth.SimulationReport, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    """A baseline learned without a site file."""
    out = tmp_path_factory.mktemp("known") / "baseline.parquet"
    learn([clean.capture], out, Config())
    return Baseline.load(out)


Told = Counter[tuple[int, int, int, str]]
"""(unit, space, address, type), of whichever device."""


def types_of(baseline: Baseline, kind: str = "") -> Told:
    """What a baseline holds of types that begin with `kind`."""
    rows = baseline.table.filter(pc.equal(baseline.table.column("detector"), "types")).to_pylist()
    found = [(row["unit"], row["space"], row["addr"], type_text(row["value"])) for row in rows]
    return Counter(row for row in found if row[3].startswith(kind))


def floats_of(site: Site) -> Told:
    """The floats of the plant: the truth."""
    tags = [tag for device in site.devices for tag in device.tags if tag.type == "f32"]
    return Counter((tag.unit_id, tag.space, tag.addr, f"float32 {tag.word_order}") for tag in tags)


def joined(report: Report) -> int:
    return sum(n for _, counter, _, n in report.health if counter == "wide values joined")


def test_floats_of_the_plant_are_found_with_their_order_and_no_false_ones(
    clean: synth.SimulationReport, known: Baseline
) -> None:
    found = types_of(known, "float32")
    assert (1, int(Space.INPUT_REGISTER), 2, "float32 CDAB") in found
    assert found.total() >= 3
    assert found <= floats_of(Site.load(clean.site))


def test_an_attack_on_a_float_is_told_in_its_unit(
    attacked: synth.SimulationReport, known: Baseline, tmp_path: Path
) -> None:
    """The network flow of PLC-3 is a float in words 2 and 3, of some ten to some hundred m3/h."""
    report = run([attacked.capture], tmp_path / "out", Config(), baseline=known)
    assert joined(report) > 1000
    alerts = pl.read_parquet(tmp_path / "out" / "alerts" / "*.parquet")
    lines = [line for line in alerts["finding_info_desc"].to_list() if "ir:30003" in line and "10.10.1.13" in line]
    assert lines
    numbers = [float(line.split(" reads ")[1].split(",")[0]) for line in lines if " reads " in line]
    assert numbers
    assert all(0 < x < 1000 for x in numbers)
    points = pl.read_parquet(tmp_path / "out" / "points" / "*.parquet")
    words = points.filter((pl.col("space") == int(Space.INPUT_REGISTER)) & pl.col("addr").is_in([2, 3]))
    assert set(words["type"].unique()) == {int(PointType.U16)}


def test_what_was_learned_with_types_judges_the_same_capture_without_a_finding(
    clean: synth.SimulationReport, known: Baseline, tmp_path: Path
) -> None:
    report = run([clean.capture], tmp_path / "out", Config(), baseline=known)
    assert report.findings == {}
    anew = {n for _, counter, _, n in report.health if counter == "learned anew"}
    assert anew == {0}


def test_the_site_file_goes_before_what_was_learned(clean: synth.SimulationReport, tmp_path: Path) -> None:
    site = Site.load(clean.site)
    learn([clean.capture], tmp_path / "baseline.parquet", Config(), site=site)
    known = Baseline.load(tmp_path / "baseline.parquet")
    assert types_of(known, "counter16")
    assert not types_of(known, "float32")


def test_without_inference_the_input_is_read_once(clean: synth.SimulationReport, tmp_path: Path) -> None:
    seen: list[Progress] = []
    off = Config(learning=Learning(infer_types=False))
    learn([clean.capture], tmp_path / "off.parquet", off, hooks=Hooks(progress=seen.append))
    assert not types_of(Baseline.load(tmp_path / "off.parquet"))
    once = seen[-1]
    learn([clean.capture], tmp_path / "on.parquet", Config(), hooks=Hooks(progress=seen.append))
    assert seen[-1] == Progress(2 * once.bytes_read, 2 * once.total_bytes, 2 * once.packets)
    done = [at.bytes_read for at in seen[seen.index(once) + 1 :]]
    assert done == sorted(done)


@pytest.mark.parametrize("blocks", [1, 1000])
def test_stopped_in_either_pass_nothing_is_written(clean: synth.SimulationReport, tmp_path: Path, blocks: int) -> None:
    """`blocks`: how often it may go on; the first pass of so small a capture asks fewer times than that."""
    asked = 0
    limit = blocks

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == limit

    if blocks == 1000:
        learn([clean.capture], tmp_path / "whole.parquet", Config(), hooks=Hooks(stop=stop))
        limit, asked = asked, 0
    report = learn([clean.capture], tmp_path / "baseline.parquet", Config(), hooks=Hooks(stop=stop))
    assert (report.interrupted, report.kept) == (True, False)
    assert not (tmp_path / "baseline.parquet").exists()


def test_types_are_shown_in_words(known: Baseline, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.baseline import write

    write(tmp_path / "known.parquet", known.table)
    baselines.show(tmp_path / "known.parquet", {"detector": "types"}, 0)
    shown = capsys.readouterr().out
    assert "float32 CDAB" in shown
    assert "counter16" in shown


CAPTURES: dict[str, tuple[int, list[tuple[int, str]]]] = {
    "detection/lemay-modbus/characterization_modbus_6RTU_with_operate.pcap": (0, []),
    "parsing/mixed/modbus/ModbusTCP.pcap": (20, [(399, "CDAB")]),
    "parsing/mixed/modbus/modbus_test.pcap": (10, []),
}
"""Real captures: how many pairs of registers change in each, and what is known to be a float.  The one of a meter
shows itself: read in this order, and in no other, each of its values is a whole number of four digits."""


@pytest.mark.parametrize("place", CAPTURES)
def test_real_captures_have_no_false_float(place: str) -> None:
    """They are short: what is held here are the rules on a pair, with the fewest samples left out of account."""
    if not (DATA / place).exists():
        pytest.skip(f"no {place} in {DATA}")
    least, truth = CAPTURES[place]
    collector = Registers()
    for batch in Source([DATA / place], DecodeSettings(), Hooks()):
        collector.on_batch(batch)
        del batch
    work = np.zeros((infer.WORK_ROWS, infer.SAMPLES))
    pairs, found = 0, []
    for slot in range(collector.counters()["blocks"]):
        samples, since, elapsed_ns = collector._samples(slot)
        n, addr = samples.shape[1], int(collector._slots.keys[slot, 3])
        moves = (samples != samples[:, :1]).any(axis=1)
        for i in np.flatnonzero(moves[:-1] | moves[1:]) if n >= 32 else ():
            pairs += 1
            kinds = [infer.pair_kind(samples, i, n, order, since, elapsed_ns, work) for order in range(4)]
            found += [(addr + int(i), ORDERS[order]) for order in range(4) if kinds[order] == FLOAT32]
    assert pairs >= least
    assert found == truth
    assert "float32" not in {type_text(x).partition(" ")[0] for x in collector.learned()["value"].tolist()}
