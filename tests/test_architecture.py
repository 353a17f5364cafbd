"""Architecture: what the folders may know of each other, and what the repository may hold."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import detectors
import pipeline
import schemas
from detectors.jit import KERNEL_SOURCES
from detectors.registry import REGISTERED, load
from pipeline.config import load as load_config
from pipeline.decode import layout
from pipeline.decode.ports import INDUSTRIAL, port_table
from pipeline.decode.protocols import DECODERS, NAMES, decoder, names
from schemas.codes import Protocol

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (pipeline, detectors, schemas)
MOST_LINES = 400
VAGUE = {"util", "utils", "common", "helper", "helpers", "misc", "shared", "tools", "lib", "core"}


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package.__name__).rglob("*.py"))


def modules() -> list[str]:
    found = [p.__name__ for p in PACKAGES]
    for package in PACKAGES:
        found += [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return sorted(name for name in found if not name.endswith("__main__"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# --- what knows what


def test_imports_keep_their_contracts(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True) == 0, capfd.readouterr().out


def test_the_packages_are_ours() -> None:
    for package in PACKAGES:
        assert package.__file__ is not None
        assert Path(package.__file__).resolve().parent == ROOT / package.__name__


@pytest.mark.parametrize("name", modules())
def test_every_module_imports(name: str) -> None:
    assert import_module(name).__doc__, "a module says what it is"


def test_one_file_imports_the_compiler() -> None:
    found = {place(p) for p in sources() if any(m.split(".")[0] in {"numba", "llvmlite"} for m in imported(p))}
    assert found == {"detectors/jit.py"}


def test_every_kernel_is_in_the_key_of_the_compile_cache() -> None:
    users = {place(p) for p in sources() if "detectors.jit.kernel" in set(imported(p))}
    assert users, "the search finds nothing"
    assert {p for p in users if not any(fnmatch(p, pattern) for pattern in KERNEL_SOURCES)} == set()


def test_every_dependency_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", needed)[0].replace("-", "_") for needed in project["dependencies"]}
    imports = {"sklearn": "scikit_learn"}
    used = {imports.get(m.split(".")[0], m.split(".")[0]) for p in sources() for m in imported(p)}
    ours = {p.__name__ for p in PACKAGES}
    assert used - set(sys.stdlib_module_names) - ours - {"__future__", "llvmlite"} == declared


# --- form of the code


def beside() -> list[Path]:
    """Tests, benchmarks and what starts a broker: not part of what is installed."""
    return sorted(path for name in ("tests", "benchmarks", "infra") for path in (ROOT / name).rglob("*.py"))


@pytest.mark.parametrize("path", [*sources(), *beside()], ids=place)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_modules_are_named_for_what_they_hold() -> None:
    assert {place(p) for p in sources() if p.stem in VAGUE or p.parent.name in VAGUE} == set()


def test_what_is_public_is_described() -> None:
    assert [f"{place(p)}: {name}" for p in sources() for name in undescribed(ast.parse(p.read_text()))] == []


def undescribed(tree: ast.Module) -> Iterator[str]:
    """Public classes and functions of a module, and public methods of its base classes, without a docstring."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node)
            if text is None:
                yield node.name
            elif isinstance(node, ast.ClassDef) and not node.bases:
                yield from (f"{node.name}.{part}" for part in undescribed_methods(node) if part not in text)


def undescribed_methods(node: ast.ClassDef) -> list[str]:
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]
    return [part.name for part in methods if ast.get_docstring(part) is None and not is_setter(part)]


def is_setter(function: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in function.decorator_list)


# --- registries


@pytest.mark.parametrize("name", REGISTERED)
def test_every_detector_is_found_by_its_name(name: str) -> None:
    found = load(name)
    assert found.name == name  # type: ignore[attr-defined]
    assert list(signature(found).parameters)[:1] == ["params"]
    module = import_module(REGISTERED[name].partition(":")[0])
    assert callable(module.example)
    assert module.Params()


def test_findings_have_codes_and_names_of_their_own() -> None:
    types = [t for name in REGISTERED for t in load(name).findings]  # type: ignore[attr-defined]
    assert len({t.code for t in types}) == len(types)
    assert len({t.uid for t in types}) == len(types)
    assert all(t.uid.split(".")[0] in REGISTERED for t in types)


def test_every_finding_names_its_technique() -> None:
    for name in REGISTERED:
        for kind in load(name).findings:  # type: ignore[attr-defined]
            assert kind.attacks, kind.uid
            for attack in kind.attacks:
                assert re.fullmatch(r"TA01\d\d", attack.tactic), kind.uid
                assert re.fullmatch(r"T0\d{3}(\.\d{3})?", attack.technique), kind.uid
                assert attack.name, kind.uid


@pytest.mark.parametrize("protocol", DECODERS, ids=lambda p: p.name.lower())
def test_every_protocol_is_found_by_its_number(protocol: Protocol) -> None:
    module = decoder(protocol)
    assert module.protocol is protocol
    assert 0 < protocol < layout.PROTOCOLS
    assert (module.tcp_ports, module.udp_ports) == INDUSTRIAL[protocol]
    assert callable(module.kernels)


@pytest.mark.parametrize("protocol", DECODERS, ids=lambda p: p.name.lower())
def test_every_protocol_has_names(protocol: Protocol) -> None:
    found = names(protocol)
    assert found is not None
    assert found.protocol is protocol
    assert found.functions
    assert set(NAMES) == set(DECODERS)


def test_the_names_of_a_protocol_need_no_compiler() -> None:
    for path in NAMES.values():
        file = ROOT / (path.replace(".", "/") + ".py")
        assert not {m for m in imported(file) if m.startswith("detectors")}, place(file)


def test_ports_lead_to_what_is_decoded() -> None:
    table = port_table()
    for protocol, (tcp, udp) in INDUSTRIAL.items():
        for row, ports in ((0, tcp), (1, udp)):
            assert all(table[row, port] == (protocol if protocol in DECODERS else 0) for port in ports)


# --- what the repository holds


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


MACHINE = re.compile(rb"(?<![\w.])/(?:work|root|home|Users)/[\w.-]")
REGISTRY = re.compile(
    rb"(?:index-url|https?://[^\s\"'>)]*(?:pypi|pythonhosted|anaconda|artifactory|nexus|/simple/))", re.I
)


def texts() -> Iterator[tuple[str, bytes]]:
    for path in tracked():
        content = path.read_bytes()
        if path != Path(__file__).resolve() and b"\0" not in content[:8192]:
            yield place(path), content


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [(name, m.group()) for name, text in texts() for m in (MACHINE.search(text), REGISTRY.search(text)) if m]
    assert found == []


def test_the_search_for_machines_and_registries_can_find() -> None:
    assert MACHINE.search(b"open('/home/me/x')")
    assert MACHINE.search(b"cd /root/x")
    assert REGISTRY.search(b"--index-url x")
    assert REGISTRY.search(b"https://mirror.example/pypi/simple")
    assert not MACHINE.search(b"framework/rooted")


def test_no_large_file_is_tracked() -> None:
    assert [place(p) for p in tracked() if p.stat().st_size > 1 << 20] == []


CONSTRAINT = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+(?: *; [^#\\]+)?"
    r"(?: \\)?|\s+--hash=sha256:[0-9a-f]{64}(?: \\)?|\s*#.*|)"
)


def test_constraints_hold_names_versions_hashes_and_markers_only() -> None:
    lines = (ROOT / "infra/constraints.txt").read_text().splitlines()
    assert [line for line in lines if not CONSTRAINT.fullmatch(line)] == []
    assert not re.search(r"://|--index|--find-links|@ ", "\n".join(lines))
    pinned = [(line.split("==")[0], line.partition(";")[2]) for line in lines if re.match(r"\w", line)]
    assert len(pinned) == len(set(pinned)) > 0


@pytest.mark.parametrize("path", sorted((ROOT / "infra/config").glob("*.toml")), ids=place)
def test_every_example_of_settings_loads(path: Path) -> None:
    assert load_config(path)
