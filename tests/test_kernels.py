"""All kernels: where they may stand, how they are compiled, and that the three ways of running them agree."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detectors import jit

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "detectors", "pipeline")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
WAYS = {"compiled": {}, "checked": {"NUMBA_BOUNDSCHECK": "1"}, "plain": {"NUMBA_DISABLE_JIT": "1"}}
TYPES_ONLY = ("columns.py",)
"""Files of which kernels use nothing but the names of array types."""
COMMON = (
    "tests/test_golden.py::test_records",
    "tests/capture/test_pcap.py",
    "tests/detectors/test_slots.py",
)
"""Tests that reach capture, decode and detectors, short enough for kernels that run as plain Python."""


def defines_kernels(path: Path) -> bool:
    """Whether a file decorates a function with kernel(...), or makes one with another maker of `detectors.jit`."""
    makers = {"kernel", "unaligned_load", "indirect_call", "njit", "jit", "vectorize", "guvectorize", "cfunc"}
    return any(
        isinstance(node, ast.Call)
        and (node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")) in makers
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_every_file_with_kernels_is_part_of_the_cache_key() -> None:
    known = set(jit._sources())
    found = [path for path in FILES if defines_kernels(path)]
    assert len(found) > 20
    assert [str(path.relative_to(ROOT)) for path in found if path not in known] == []


def test_every_module_that_kernels_take_numbers_from_is_part_of_the_cache_key() -> None:
    """A constant of another file is compiled into the kernel: an edit of it must not find the old machine code."""
    known = set(jit._sources())
    missing = set()
    for path in known:
        if not defines_kernels(path) or path.name == "jit.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                sources = [ROOT / (name or "").replace(".", "/") for name in names]
                files = [source.with_suffix(".py") for source in sources]
                files = [file for file in files if file.name not in TYPES_ONLY]
                missing |= {
                    f"{file.relative_to(ROOT)} in {path.name}" for file in files if file.exists() and file not in known
                }
    assert sorted(missing) == []


def test_no_kernel_trades_exactness_for_speed() -> None:
    """Same input, same bits: no fastmath and no parallel reduction anywhere."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            named = [k.arg for k in node.keywords] if isinstance(node, ast.Call) else []
            keys = [k.value for k in node.keys if isinstance(k, ast.Constant)] if isinstance(node, ast.Dict) else []
            assert not {"fastmath", "parallel"} & {*named, *keys}, path


def test_each_way_has_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"):
        monkeypatch.delenv(name, raising=False)
    found = {jit.cache_dir()}
    for way in ("checked", "plain"):
        with monkeypatch.context() as context:
            for name, value in WAYS[way].items():
                context.setenv(name, value)
            found.add(jit.cache_dir())
    assert len(found) == 3


@jit.kernel()
def _shared(number: int, more: bool) -> int:
    return number + 1 if more else number


@jit.kernel()
def _with_constants(number: int) -> int:
    return _shared(1, True) + _shared(2, False) + _shared(number, number > 2)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_constants_share_one_version_of_a_kernel() -> None:
    """To numba each constant is a type of its own, and each type another compilation."""
    assert _with_constants(3) == 8
    _with_constants.recompile()  # type: ignore[attr-defined]  # it may have come from the cache
    assert [str(s) for s in _shared.signatures] == ["(int64, bool)"]  # type: ignore[attr-defined]


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_three_ways_agree(way: str) -> None:
    """What the tests expect does not hang on how the kernels run; as plain Python numpy warns of wanted overflows."""
    quiet = ["-W", "ignore:overflow encountered:RuntimeWarning"] if way == "plain" else []
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", *quiet, *COMMON, **WAYS[way])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


SIGNATURES = """
import json, sys, importlib
from dataclasses import replace
from pathlib import Path
from pipeline import baseline, synth
from pipeline.config import load
from pipeline.run import learn, run
from detectors import jit

folder = Path(sys.argv[1])
synth.simulate(folder, minutes=8, seed=4, attacks=["scan", "stranger_write", "setpoint_jump"])
config = load(None)
config = replace(config, learning=replace(config.learning, site_s=60.0, value_s=60.0))
learn([folder / "plant.pcap"], folder / "baseline.parquet", config)
run([folder / "plant.pcap"], folder / "out", config)
run([folder / "plant.pcap"], folder / "known", config, baseline=baseline.read(folder / "baseline.parquet"))
found = {}
for path in jit._sources():
    name = ".".join(path.relative_to(jit._ROOT).with_suffix("").parts)
    if name not in sys.modules:
        continue
    for key, value in vars(sys.modules[name]).items():
        if hasattr(value, "py_func") and value.__module__ == name:
            found[f"{name}.{key}"] = [str(signature) for signature in value.signatures]
            assert not value.targetoptions.get("parallel"), key
            assert value.targetoptions["nogil"], key
print(json.dumps(found))
"""


def test_one_signature_for_each_kernel(tmp_path: Path) -> None:
    """A second signature is a second compilation, hidden: views that are read-only, or numbers not widened."""
    done = python("-c", SIGNATURES, str(tmp_path), PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    assert sum(bool(signatures) for signatures in found.values()) > 10  # with a warm cache, those entered from Python
    assert {name: signatures for name, signatures in found.items() if len(signatures) > 1} == {}
