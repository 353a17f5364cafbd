"""The command line as a person uses it: what is printed, what is left behind, with which exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from pipeline import synth
from pipeline.cli import app
from pipeline.config import load
from pipeline.run import Hooks, learn
from schemas.codes import Protocol
from schemas.health import HEALTH

ROOT = Path(__file__).resolve().parents[2]


def fieldtap(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], prog_name="fieldtap")


def process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *(str(a) for a in arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plant.pcap and site.toml."""
    folder = tmp_path_factory.mktemp("plant")
    synth.simulate(folder, minutes=2, seed=3)
    return folder


@pytest.fixture(scope="module")
def results(plant: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `fieldtap run` made of it."""
    out = tmp_path_factory.mktemp("results") / "out"
    done = fieldtap("run", plant / "plant.pcap", "--out", out, "--site", plant / "site.toml")
    assert done.exit_code == 0, done.output
    return out


def test_run_leaves_every_table_and_nothing_else(results: Path) -> None:
    assert sorted(p.name for p in results.iterdir()) == [
        "alerts",
        "assets.parquet",
        "captures.parquet",
        "conversations.parquet",
        "health.parquet",
        "names.parquet",
        "points",
        "records",
    ]
    assert not [p for p in results.rglob("*") if p.name.startswith(".")]


def test_run_counts_what_it_wrote(plant: Path, results: Path, tmp_path: Path) -> None:
    done = fieldtap("run", plant / "plant.pcap", "--out", tmp_path / "out")
    records = pl.read_parquet(results / "records" / "*.parquet")
    points = pl.read_parquet(results / "points" / "*.parquet")
    assert records["n_points"].sum() == len(points) > 1000
    packets = pl.read_parquet(results / "captures.parquet")["packets"].sum()
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["packets", f"{packets:,}"] in [line[:2] for line in lines]
    modbus = int((records["protocol"] == Protocol.MODBUS).sum())
    assert ["records", f"{modbus:,}", "Modbus"] in lines
    assert [f"{(records['protocol'] == Protocol.S7COMM).sum():,}", "S7comm"] in lines
    assert ["values", f"{len(points):,}"] in lines
    assert f"written to {tmp_path / 'out'}" in done.stdout.replace("\n", "")


def test_run_says_that_it_learns_without_a_baseline(plant: Path, tmp_path: Path) -> None:
    done = fieldtap("run", plant / "plant.pcap", "--out", tmp_path / "out")
    assert "no baseline: learning from the first 5 min of the capture" in done.stdout


def test_the_results_do_not_depend_on_the_threads(plant: Path, results: Path, tmp_path: Path) -> None:
    done = fieldtap(
        "run", plant / "plant.pcap", "--out", tmp_path / "out", "--site", plant / "site.toml", "--threads", "1"
    )
    assert done.exit_code == 0, done.output
    for path in sorted(results.rglob("*.parquet")):
        other = tmp_path / "out" / path.relative_to(results)
        assert other.read_bytes() == path.read_bytes(), path.name


def test_learn_then_run_then_compare_baselines(plant: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    done = fieldtap("learn", plant / "plant.pcap", "--out", one, "--site", plant / "site.toml")
    assert done.exit_code == 0, done.output
    synth.simulate(tmp_path / "b", minutes=1, seed=9)
    assert fieldtap("learn", tmp_path / "b" / "plant.pcap", "--out", two).exit_code == 0
    shown = fieldtap("baseline", "show", one, "--limit", "0")
    assert shown.exit_code == 0
    assert f"{pq.read_metadata(one).num_rows:,} rows" in shown.stdout
    assert "learned from plant.pcap" in shown.stdout
    assert "hr:40001" in shown.stdout
    same = fieldtap("baseline", "diff", one, one)
    assert same.stdout.strip() == "no differences"
    assert "changed" in fieldtap("baseline", "diff", one, two).stdout
    run = fieldtap("run", plant / "plant.pcap", "--out", tmp_path / "out", "--baseline", one)
    assert run.exit_code == 0, run.output
    assert "no baseline" not in run.output
    assert "findings 0" in " ".join(run.stdout.split())


def test_a_finding_is_taught_by_the_id_that_show_prints(plant: Path, tmp_path: Path) -> None:
    known = tmp_path / "b.parquet"
    assert fieldtap("learn", plant / "plant.pcap", "--out", known).exit_code == 0
    assert "provisional" in fieldtap("baseline", "show", known, "--provisional").stdout
    gone = fieldtap("baseline", "forget", known, "--detector", "peer", "--client", "10.10.2.21")
    assert gone.exit_code == 0, gone.output
    capture = plant / "plant.pcap"
    assert fieldtap("run", capture, "--out", tmp_path / "out", "--baseline", known).exit_code == 0
    shown = fieldtap("show", tmp_path / "out", "--detector", "peer.new_pair").stdout.splitlines()[1:]
    ids = [line.split()[-1] for line in shown if "10.10.2.21" in line]
    assert len(ids) > 2
    taught = fieldtap("baseline", "teach", known, tmp_path / "out", ids[0])
    assert taught.exit_code == 0, taught.output
    assert fieldtap("run", capture, "--out", tmp_path / "again", "--baseline", known).exit_code == 0
    left = fieldtap("show", tmp_path / "again", "--detector", "peer.new_pair").stdout
    assert [uid for uid in ids if uid in left] == ids[1:]
    assert fieldtap("baseline", "approve", known, "--all", "--out", tmp_path / "all.parquet").exit_code == 0
    assert "no rows" in fieldtap("baseline", "show", tmp_path / "all.parquet", "--provisional").stdout
    nothing = fieldtap("baseline", "forget", known)
    assert (nothing.exit_code, "say which entries" in nothing.stderr) == (2, True)


def test_decode_writes_records_and_points_only(plant: Path, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fieldtap("decode", plant / "plant.pcap", "--out", out).exit_code == 0
    names = {p.name for p in out.iterdir()}
    assert names == {"records", "points", "captures.parquet", "health.parquet", "names.parquet"}
    for name in ("records", "points"):
        ours, theirs = (pl.read_parquet(folder / name / "*.parquet") for folder in (out, results))
        assert ours.equals(theirs)


def test_points_changed_and_none(plant: Path, results: Path, tmp_path: Path) -> None:
    everything = pl.read_parquet(results / "points" / "*.parquet")
    assert fieldtap("decode", plant / "plant.pcap", "--out", tmp_path / "c", "--points", "changed").exit_code == 0
    kept = pl.read_parquet(tmp_path / "c" / "points" / "*.parquet")
    tag = ["device", "unit", "space", "addr", "addr_sub", "name_id", "direction"]
    numbers = everything.filter(pl.col("value").is_not_nan())
    last = pl.col("value").shift(1).over(tag)
    expected = numbers.filter(last.is_null() | (pl.col("value") != last))
    assert kept.filter(pl.col("value").is_not_nan()).equals(expected)
    assert len(kept) < len(everything) / 2
    assert fieldtap("decode", plant / "plant.pcap", "--out", tmp_path / "n", "--points", "none").exit_code == 0
    assert not (tmp_path / "n" / "points").exists()


def test_a_truncated_capture_gives_what_is_whole_and_says_where_it_broke(plant: Path, tmp_path: Path) -> None:
    whole = (plant / "plant.pcap").read_bytes()
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(whole[: len(whole) * 2 // 3 + 7])
    done = fieldtap("run", cut, "--out", tmp_path / "out")
    assert done.exit_code == 0
    warning = next(line for line in done.stderr.splitlines() if "warning" in line)
    assert str(cut) in warning
    assert "byte" in warning
    capture = pl.read_parquet(tmp_path / "out" / "captures.parquet").row(0, named=True)
    assert capture["problem"]
    assert len(pl.read_parquet(tmp_path / "out" / "records" / "*.parquet")) > 0


BAD: list[tuple[Sequence[str], str]] = [
    (["run", "none.pcap", "--out", "o"], "none.pcap"),
    (["run", "text.txt", "--out", "o"], "text.txt"),
    (["decode", "empty", "--out", "o"], "empty"),
    (["learn", "none.pcap", "--out", "b.parquet"], "none.pcap"),
    (["run", "plant.pcap", "--out", "o", "--config", "bad.toml"], "detectors.value.margn: no such setting"),
    (["run", "plant.pcap", "--out", "o", "--config", "none.toml"], "none.toml"),
    (["run", "plant.pcap", "--out", "o", "--site", "none.toml"], "none.toml"),
    (["run", "plant.pcap", "--out", "o", "--baseline", "text.txt"], "text.txt"),
    (["run", "plant.pcap", "--out", "mine"], "which fieldtap did not write"),
    (["run", "plant.pcap", "--out", "text.txt"], "text.txt"),
    (["learn", "plant.pcap", "--out", "none/b.parquet"], "none"),
    (["learn", "plant.pcap", "--out", "mine"], "it is a folder"),
    (["learn", "plant.pcap", "--out", "text.txt"], "is no baseline"),
    (["learn", "plant.pcap", "--out", "/proc/b.parquet"], "/proc"),
    (["show", "mine"], "holds no results"),
    (["show", "o"], "holds no results"),
    (["baseline", "show", "text.txt"], "text.txt"),
    (["simulate", "--out", "s", "--attacks", "flod"], "flod"),
    (["simulate", "--out", "s", "--attacks", "all,flood"], "--attacks"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    plant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plant.pcap").write_bytes((plant / "plant.pcap").read_bytes())
    (tmp_path / "text.txt").write_text("neither a capture nor a baseline\n" * 40)
    (tmp_path / "bad.toml").write_text("[detectors.value]\nmargn = 1\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = fieldtap(*arguments)
    assert done.exit_code == 2
    lines = [line for line in done.stderr.splitlines() if "compiling kernels" not in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("fieldtap: ")
    assert says in lines[0]
    assert "Traceback" not in done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unwritable_place_is_named_before_any_work(plant: Path) -> None:
    done = fieldtap("run", plant / "plant.pcap", "--out", "/proc/fieldtap")
    assert done.exit_code == 2
    assert "/proc/fieldtap" in done.stderr
    assert "packets" not in done.output


def test_an_earlier_result_is_replaced(plant: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fieldtap("run", plant / "plant.pcap", "--out", out).exit_code == 0
    assert fieldtap("decode", plant / "plant.pcap", "--out", out, "--points", "none").exit_code == 0
    assert not (out / "alerts").exists()
    assert not (out / "points").exists()


def test_a_failed_run_leaves_the_earlier_result(plant: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fieldtap("decode", plant / "plant.pcap", "--out", out).exit_code == 0
    before = {p: p.read_bytes() for p in out.rglob("*.parquet")}
    assert fieldtap("run", tmp_path / "none.pcap", "--out", out).exit_code == 2
    assert {p: p.read_bytes() for p in out.rglob("*.parquet")} == before
    assert not (out / ".partial").exists()


def test_simulate_says_what_it_wrote(tmp_path: Path) -> None:
    done = fieldtap("simulate", "--out", tmp_path, "--minutes", "1", "--seed", "5")
    assert done.exit_code == 0, done.output
    assert {"plant.pcap", "site.toml", "attacks.parquet"} <= {p.name for p in tmp_path.iterdir()}
    assert "plant.pcap" in done.stdout.replace("\n", "")


def test_simulate_writes_benchmark_captures(tmp_path: Path) -> None:
    done = fieldtap("simulate", "--out", tmp_path, "--packets", "1000", "--registers", "3", "--flows", "4")
    assert "1,000 packets, 1,500 values" in " ".join(done.stdout.split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from pipeline.cli import app\n"
        "for words in (['--help'], ['run', '--help'], ['baseline', 'diff', '--help']):\n"
        "    try:\n"
        "        app(words, prog_name='fieldtap')\n"
        "    except SystemExit as done:\n"
        "        assert done.code == 0\n"
        "heavy = {'numba', 'llvmlite', 'pyarrow', 'polars', 'numpy', 'dpkt', 'rich'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
    for command in ("run", "decode", "learn", "baseline", "show", "simulate"):
        assert f"\n  {command} " in done.stdout


def test_as_a_process(plant: Path, tmp_path: Path) -> None:
    done = process("run", plant / "plant.pcap", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert "written to" in done.stdout
    wrong = process("run", tmp_path / "none.pcap", "--out", tmp_path / "o2")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("fieldtap: ")
    assert "Traceback" not in wrong.stderr


def _interrupted(capture: Path, out: Path, command: str) -> tuple[int, str]:
    """Start, send SIGINT once results are being written; exit code and stderr."""
    arguments = [sys.executable, "-m", "pipeline", command, str(capture), "--out", str(out)]
    with subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
        stage = out / ".partial" / "records"
        deadline = time.monotonic() + 240
        while not list(stage.glob(".part-*")) and run.poll() is None and time.monotonic() < deadline:
            os.sched_yield()
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=240)
        return run.returncode, errors


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture that takes a while."""
    path = tmp_path_factory.mktemp("large") / "bulk.pcap"
    synth.bulk(path, packets=4_000_000)
    return path


def test_ctrl_c_keeps_what_is_whole(large: Path, tmp_path: Path) -> None:
    code, errors = _interrupted(large, tmp_path / "out", "decode")
    assert code == 130, errors
    assert "interrupted after" in errors
    records = pl.read_parquet(tmp_path / "out" / "records" / "part-*.parquet")
    assert 0 < len(records) < 4_000_000
    assert records["n_points"].sum() == len(pl.read_parquet(tmp_path / "out" / "points" / "part-*.parquet"))
    health = pq.read_table(tmp_path / "out" / "health.parquet", schema=HEALTH).to_pylist()
    assert {"stage": "run", "counter": "interrupted", "reason": "", "value": 1} in health
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".")]


def test_ctrl_c_leaves_an_earlier_result(plant: Path, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fieldtap("decode", plant / "plant.pcap", "--out", out).exit_code == 0
    before = {p: p.read_bytes() for p in out.rglob("*.parquet")}
    code, errors = _interrupted(large, out, "decode")
    assert code == 130, errors
    assert "nothing was written or replaced" in errors
    assert {p: p.read_bytes() for p in out.rglob("*.parquet")} == before
    assert not (out / ".partial").exists()


def test_ctrl_c_leaves_no_baseline(plant: Path, tmp_path: Path) -> None:
    hooks = Hooks(stop=lambda: True)
    report = learn([plant / "plant.pcap"], tmp_path / "b.parquet", load(None), hooks=hooks)
    assert (report.interrupted, report.kept) == (True, False)
    assert not list(tmp_path.iterdir())
