"""Documentation: what it shows can be done, what it names exists, what follows from the code is up to date."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import click
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from docs import generate
from pipeline.cli.app import app
from pipeline.config import SECTIONS, load
from pipeline.ledger import Epoch, Extent, Place, Publisher, encode
from pipeline.site import Site
from pipeline.store import open_store
from schemas.alert import ALERT

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "DECISIONS.md",
    "CHANGELOG.md",
    "docs/schema.md",
    "docs/ledger.md",
    "docs/operations.md",
    "docs/shard.md",
    "infra/README.md",
]
KAFKA = ("pipeline.transport.settings", "KafkaSettings")
GENERATED = "run python -m docs.generate"


def text(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.M | re.S)


def section(page: str, heading: str) -> str:
    return text(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]


# --- what follows from the code


def test_the_table_of_columns_is_up_to_date() -> None:
    assert text("docs/schema.md") == generate.schema_page(), GENERATED


def test_the_tables_of_the_readme_are_up_to_date() -> None:
    assert text("README.md") == generate.readme(text("README.md")), GENERATED


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="'findings' are missing"):
        generate.readme(text("README.md").replace("<!-- end findings -->", ""))


# --- what it shows


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make run` leaves, of a shorter plant."""
    folder = tmp_path_factory.mktemp("readme")
    out = folder / "out"
    for words in (
        ["simulate", "--out", out / "clean", "--minutes", "2"],
        ["simulate", "--out", out / "attacked", "--minutes", "4", "--seed", "2", "--attacks", "setpoint_jump,scan"],
        ["learn", out / "clean/plant.pcap", "--out", out / "baseline.parquet"],
        ["run", out / "attacked/plant.pcap", "--out", out / "findings", "--baseline", out / "baseline.parquet"],
    ):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
    ledger_of(folder / "ledger", pq.read_table(out / "findings/alerts").select(ALERT.names))
    return folder


def ledger_of(folder: Path, rows: pa.Table) -> None:
    """A ledger of one epoch, as a worker leaves it."""
    place = Place("live", "0" * 32, 0)
    epoch = Epoch(encode(place, Extent(0, 1, True), {}, findings=rows.cast(ALERT)), place, 0)
    store = open_store(str(folder))
    store.create(place.origin, b"")
    Publisher(store).publish(epoch)


def test_the_python_of_the_readme_runs(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(results)
    names: dict[str, object] = {}
    found = blocks("README.md", "python")
    assert len(found) >= 4
    for block in found:
        exec(compile(block, "README.md", "exec"), names)
        printed = capsys.readouterr().out
        assert "shape: (0," not in printed, block
        assert "shape: (" in printed, block


def test_the_sql_of_the_readme_runs(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results)
    found = blocks("README.md", "sql")
    assert found
    for block in found:
        assert duckdb.sql(block).to_arrow_table().num_rows, block


def test_the_readme_names_what_comes_out(results: Path) -> None:
    listed = re.findall(r"^(out/\S+)", section("README.md", "What came out"), re.M)
    there = {path.relative_to(results).as_posix() for path in results.rglob("*")}
    assert {name.rstrip("/") for name in listed} <= there
    told = {name.rstrip("/").split("/")[2] for name in listed if name.startswith("out/findings/")}
    assert told == {path.name for path in (results / "out/findings").iterdir()}


def commands(page: str) -> Iterator[list[str]]:
    for block in blocks(page, "sh"):
        lines = block.replace("\\\n", " ").splitlines()
        yield from (shlex.split(line)[1:] for line in lines if line.startswith("fieldtap "))


SHOWN = [words for page in PAGES for words in commands(page)]


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_every_command_shown_is_understood(words: list[str]) -> None:
    command: click.Command = app
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


def test_what_make_run_does_is_what_is_shown() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    planned = subprocess.run(["make", "--dry-run", "run"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    done = [line for line in planned.splitlines() if line.startswith(".venv/bin/fieldtap ")]
    block = text("README.md").split("<!-- begin make-run -->")[1].split("<!-- end make-run -->")[0]
    assert done
    assert [line for line in block.splitlines() if line.startswith(".venv/bin/fieldtap ")] == done


def test_every_command_is_shown() -> None:
    shown = {words[0] for words in commands("README.md")}
    assert shown == set(app.commands)


def test_the_site_file_shown_is_read(tmp_path: Path) -> None:
    (block,) = blocks("README.md", "toml")
    path = tmp_path / "site.toml"
    path.write_text(block)
    site = Site.load(path)
    assert [d.name for d in site.devices] == ["PLC-3 distribution"]
    assert site.maintenance


# --- settings of a deployment

OPERATED = {**{name: SECTIONS[name] for name in ("worker", "panes", "shard", "spool")}, "kafka": KAFKA}


@pytest.mark.parametrize("name", OPERATED)
def test_operations_names_every_setting_with_its_default(name: str) -> None:
    module, cls = OPERATED[name]
    table = section("docs/operations.md", "Settings").split(f"\n`[{name}]`\n")[1].split("\n`[")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| `?(.*?)`? \|", table, re.M))
    known = {f.name: getattr(load(None), name) for f in fields(getattr(import_module(module), cls))}
    assert set(told) == set(known) - {"common"}
    for key, settings in known.items():
        if key in told:
            assert tomllib.loads(f"x = {told[key]}")["x"] == getattr(settings, key), key


# --- what it names


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    here = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = here / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target


NAMED = re.compile(r"`((?:schemas|detectors|pipeline|tests|benchmarks|docs|infra)/[\w./-]*)`")
WRITTEN_LATER = {"benchmarks/results/speed.md"}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "DECISIONS.md"])
def test_files_that_are_named_exist(page: str) -> None:
    found = set(NAMED.findall(re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S)))
    assert {name for name in found - WRITTEN_LATER if not (ROOT / name).exists()} == set()


def test_every_folder_of_code_is_on_the_map() -> None:
    on_map = section("README.md", "The code")
    there = [p for p in (ROOT / "pipeline").iterdir() if (p / "__init__.py").exists()]
    assert {f"pipeline/{p.name}/" for p in there} <= set(re.findall(r"`(pipeline/\w+/)`", on_map))


# --- decisions

DECISIONS = re.findall(r"^### (\d+)\. (.*?)\n(.*?)(?=^##|\Z)", text("DECISIONS.md"), re.M | re.S)


@pytest.mark.parametrize("decision", DECISIONS, ids=[f"{number} {title}" for number, title, _ in DECISIONS])
def test_a_decision_has_a_reason_a_test_and_a_limit(decision: tuple[str, str, str]) -> None:
    _, _, body = decision
    assert "**Held by**" in body
    assert "**Limit.**" in body
    named = re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)::(\w+)`", body)
    assert named or "tests of decode as a whole" in body
    for file, test in named:
        assert f"def {test}(" in text(file), f"{file}::{test}"


def test_decisions_are_numbered_in_order() -> None:
    assert [int(number) for number, _, _ in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_licence_is_the_one_that_is_declared() -> None:
    licence = text("LICENSE")
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "The fieldtap authors" in licence
    assert 'license = "Apache-2.0"' in text("pyproject.toml")
