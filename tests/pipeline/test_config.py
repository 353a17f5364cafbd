"""Settings: bound strictly, and the example says exactly what the code does."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pytest

from pipeline.config import SECTIONS, Config, bind, configure, load
from pipeline.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[2] / "infra" / "config" / "fieldtap.toml"


def test_the_example_holds_the_defaults() -> None:
    assert load(EXAMPLE) == load(None)


def test_the_example_names_every_setting() -> None:
    table = tomllib.loads(EXAMPLE.read_text())
    assert set(table) == {*SECTIONS, "detectors", "kafka"}
    config = load(None)
    for section in SECTIONS:
        known = {f.name for f in fields(getattr(config, section))}
        assert known - set(table[section]) <= {"start_ns"}, section
    assert set(table["kafka"]) == {"topic_prefix", "producer", "consumer"}, "the rest is librdkafka's"
    for name, params in config.params.items():
        assert {f.name for f in fields(params)} == set(table["detectors"][name]), name


def test_a_setting_is_taken() -> None:
    config = configure({"decode": {"request_timeout_s": 2}, "detectors": {"value": {"margin": 0.5}}})
    assert config.decode.request_timeout_s == 2.0
    assert isinstance(config.decode.request_timeout_s, float)
    assert config.params["value"].margin == 0.5


def test_enabled_detectors_only_are_built() -> None:
    config = configure({"detectors": {"enabled": ["value", "peer", "value"], "function": {}}})
    assert config.enabled == ("value", "peer")
    assert set(config.params) == {"value", "peer"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"detectors": {"value": {"margn": 1}}}, "detectors.value.margn: no such setting, did you mean 'margin'?"),
    ({"decod": {}}, "decod: no such setting, did you mean 'decode'?"),
    ({"detectors": {"valu": {}}}, "detectors.valu: no such setting, did you mean 'value'?"),
    ({"detectors": {"enabled": ["pear"]}}, "detectors.enabled: no detector 'pear', did you mean 'peer'?"),
    ({"detectors": {"enabled": "peer"}}, "detectors.enabled: expected a list, found text ('peer')"),
    ({"detectors": {"enabled": [1]}}, "detectors.enabled[0]: expected text, found a whole number (1)"),
    ({"detectors": {"value": {"margin": "big"}}}, "detectors.value.margin: expected a number, found text ('big')"),
    ({"decode": {"max_flows": 1.5}}, "decode.max_flows: expected a whole number, found a number (1.5)"),
    ({"decode": {"max_flows": True}}, "decode.max_flows: expected a whole number, found true or false (True)"),
    ({"decode": {"max_flows": 1}}, "decode.max_flows: expected 16 to 67108864, found 1"),
    ({"decode": {"site": 3}}, "decode.site: expected text, found a whole number (3)"),
    ({"decode": {"vlan_tells_devices_apart": 1}}, "expected true or false, found a whole number (1)"),
    ({"decode": []}, "decode: expected a table, found a list ([])"),
    ({"decode": {"request_timeout_s": float("nan")}}, "decode.request_timeout_s: expected a finite number"),
    ({"learning": {"site_s": float("inf")}}, "learning.site_s: expected a finite number"),
    ({"learning": {"mode": "guess"}}, "learning.mode: expected one of 'learn', 'detect', found 'guess'"),
    ({"output": {"points": "some"}}, "output.points: expected one of 'all', 'changed', 'none', found 'some'"),
    ({"detectors": {"value": {"margin": -0.1}}}, "detectors.value.margin: expected 0 to inf, found -0.1"),
    ({"output": {"threads": 3}}, "output.threads: expected 1 to 2, found 3"),
]


@pytest.mark.parametrize(("table", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_what_is_wrong_is_named_with_its_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        configure(table, "my.toml")
    assert str(error.value).startswith("my.toml: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[decode\n")
    with pytest.raises(ConfigError, match=r"broken\.toml: not TOML: .*line 1"):
        load(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load(broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner = Inner()
    maybe: int | None = None
    names: tuple[str, ...] = ()
    by_name: dict[str, float] | None = None
    kind: Literal["a", "b"] = "a"
    where: Path = Path()

    def __post_init__(self) -> None:
        if self.inner.depth > 9:
            raise ValueError("too deep")


def test_bind_reaches_into_nested_settings() -> None:
    table = {"inner": {"depth": 3}, "maybe": 4, "names": ["x"], "by_name": {"k": 1}, "where": "/tmp/x"}
    assert bind(Outer, table, "f", "") == Outer(
        inner=Inner(depth=3), maybe=4, names=("x",), by_name={"k": 1.0}, where=Path("/tmp/x")
    )
    with pytest.raises(ConfigError, match=r"f: inner\.dept: no such setting, did you mean 'depth'"):
        bind(Outer, {"inner": {"dept": 3}}, "f", "")
    with pytest.raises(ConfigError, match="f: top: too deep"):
        bind(Outer, {"inner": {"depth": 10}}, "f", "top")


def test_the_default_configuration_needs_no_file() -> None:
    assert isinstance(load(None), Config)
