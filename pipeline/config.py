"""Settings from TOML, bound strictly: what is not known, of the wrong kind or out of range is one clear error."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from detectors.lifecycle import Learning
from detectors.registry import ACROSS, DETECTORS, REGISTERED
from pipeline.decode.decoder import DecodeSettings
from pipeline.errors import ConfigError
from pipeline.shard.settings import ShardSettings, SpoolSettings
from pipeline.transport.settings import KafkaSettings
from pipeline.worker.settings import WorkerSettings

T = TypeVar("T")

POINTS = ("all", "changed", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """What is written, and how."""

    points: Literal["all", "changed", "none"] = "all"
    """Which values go to `points/`: every one, only those that differ from the tag's last, or none."""
    threads: int = 2
    """1 does everything in one thread; 2 lets decode, judging and the Parquet encoder each have one of their own."""
    queue_mb: int = 16
    """Record batches that may wait for the encoder, in MiB."""
    part_points: int = 64_000_000
    """Rows after which `records/` and `points/` start another file."""
    changed_tags: int = 1 << 20
    """Tags whose last value is remembered for `points = "changed"`; the values of further tags are all kept."""
    inventory_groups: int = 1 << 16
    """Distinct (client, server, unit, function …) groups counted for assets and conversations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaneSettings:
    """What is gathered for questions across devices: who asked whom, by panes of ten seconds."""

    max_pairs: int = 1024
    """Pairs of a client and a device counted in a pane for each of the 1024 device buckets; more are refused."""
    max_waiting: int = 1 << 20
    """Rows of panes that wait for a partition that has not come so far; beyond it the oldest are judged without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a run."""

    decode: DecodeSettings = field(default_factory=DecodeSettings)
    learning: Learning = field(default_factory=Learning)
    enabled: tuple[str, ...] = tuple(DETECTORS)
    """Detectors that run, in this order."""
    across: tuple[str, ...] = tuple(ACROSS)
    """Detectors of the second stage that run, in this order."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Each enabled detector's own `Params`."""
    panes: PaneSettings = field(default_factory=PaneSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    shard: ShardSettings = field(default_factory=ShardSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)


RANGES: dict[str, tuple[float, float]] = {
    "decode.request_timeout_s": (0.001, 86_400),
    "decode.max_flows": (16, 1 << 26),
    "decode.shard": (0, (1 << 16) - 2),
    "decode.boot": (0, (1 << 32) - 1),
    "learning.budget_per_day": (0, 1_000_000),
    "learning.value_samples": (1, 1 << 31),
    "learning.write_samples": (1, 1 << 31),
    "detectors.peer.max_keys": (1, 1 << 20),
    "detectors.function.max_keys": (1, 1 << 20),
    "detectors.value.max_pages": (1, 1 << 18),
    "detectors.scan.max_keys": (1, 1 << 20),
    "detectors.scan.max_clients": (1, 1 << 10),
    "detectors.scan.share": (0, 1),
    "detectors.role.max_keys": (1, 1 << 20),
    "panes.max_pairs": (1, 1 << 20),
    "panes.max_waiting": (1, 1 << 26),
    "output.threads": (1, 2),
    "shard.batch_ms": (1, 60_000),
    "shard.batch_kb": (16, 8192),
    "shard.partitions": (0, 1024),
    "shard.clock_step_s": (1, 1e9),
    "shard.stop_s": (0, 3600),
    "spool.budget_mb": (1, 1 << 24),
    "spool.segment_mb": (1, 1024),
    "spool.sync_ms": (1, 60_000),
    "spool.sync_mb": (1, 1024),
    "worker.epoch_s": (0.05, 3600),
    "worker.epoch_mb": (1, 1024),
    "worker.backlog": (1, 64),
    "worker.revoke_s": (0.1, 3600),
    "worker.io_threads": (1, 64),
    "worker.fetch_messages": (1, 100_000),
    "output.queue_mb": (1, 65_536),
    "output.part_points": (1, 1 << 40),
    "output.changed_tags": (1, 1 << 26),
    "output.inventory_groups": (1, 1 << 22),
}
"""Lowest and highest value of settings; a number that is not named here may be anything but negative."""


def bind(cls: type[T], table: Mapping[str, Any], where: str, path: str) -> T:
    """An instance of dataclass `cls` from a TOML table.

    Args:
        cls: dataclass whose fields are the settings.
        table: as parsed.
        where: the file, for messages.
        path: dotted place of the table in the file, empty for the root.

    Raises:
        ConfigError: unknown setting, wrong type, or out of range.
    """
    kinds = get_type_hints(cls)
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    given = {}
    for key, value in table.items():
        place = f"{path}.{key}" if path else key
        if key not in known:
            raise unknown(where, place, key, known)
        given[key] = _value(kinds[key], value, where, place)
    try:
        return cls(**given)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {path}: {error}") from error


def unknown(where: str, place: str, key: str, known: list[str]) -> ConfigError:
    """The error for a setting that does not exist, with the nearest one that does."""
    near = get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known) or 'nothing'}"
    return ConfigError(f"{where}: {place}: no such setting, {hint}")


_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}


def _value(kind: Any, value: Any, where: str, place: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return bind(kind, _of(dict, value, where, place), where, place)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        if value not in args:
            allowed = ", ".join(repr(a) for a in args)
            raise ConfigError(f"{where}: {place}: expected one of {allowed}, found {value!r}")
        return value
    if origin in (tuple, list, frozenset):
        items = _of(list, value, where, place)
        return origin(_value(args[0], item, where, f"{place}[{i}]") for i, item in enumerate(items))
    if origin in (dict, Mapping):
        return {k: _value(args[1], v, where, f"{place}.{k}") for k, v in _of(dict, value, where, place).items()}
    if origin is UnionType:
        return _value(next(a for a in args if a is not type(None)), value, where, place)
    return _scalar(kind, value, where, place)


def _scalar(kind: Any, value: Any, where: str, place: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is Path:
        return Path(_of(str, value, where, place))
    found = _of(kind, value, where, place) if kind in _NAMES else value
    if isinstance(found, float) and not math.isfinite(found):
        raise ConfigError(f"{where}: {place}: expected a finite number, found {found}")
    low, high = RANGES.get(place, (0, math.inf))
    if isinstance(found, int | float) and not low <= found <= high:
        raise ConfigError(f"{where}: {place}: expected {low} to {high}, found {found}")
    return found


def _of(kind: type[T], value: Any, where: str, place: str) -> T:
    if type(value) is not kind:
        found = _NAMES.get(type(value), type(value).__name__)
        raise ConfigError(f"{where}: {place}: expected {_NAMES[kind]}, found {found} ({value!r:.60})")
    return value


def _attribute(module: str, name: str) -> type[Any]:
    found: type[Any] = getattr(import_module(module), name)
    return found


def _detectors(table: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    enabled: tuple[str, ...] = _value(
        tuple[str, ...], table.get("enabled", list(REGISTERED)), where, "detectors.enabled"
    )
    for name in enabled:
        if name not in REGISTERED:
            near = get_close_matches(name, REGISTERED, 1) or list(REGISTERED)
            raise ConfigError(f"{where}: detectors.enabled: no detector {name!r}, did you mean {near[0]!r}?")
    for key in table:
        if key != "enabled" and key not in REGISTERED:
            raise unknown(where, f"detectors.{key}", key, ["enabled", *REGISTERED])
    params = {}
    for name in REGISTERED:
        if name in enabled or name in table:
            place = f"detectors.{name}"
            cls = _attribute(REGISTERED[name].partition(":")[0], "Params")
            params[name] = bind(cls, _of(dict, table.get(name, {}), where, place), where, place)
    return tuple(dict.fromkeys(enabled)), {name: params[name] for name in enabled}


SECTIONS: dict[str, tuple[str, str]] = {
    "decode": ("pipeline.decode.decoder", "DecodeSettings"),
    "learning": ("detectors.lifecycle", "Learning"),
    "panes": ("pipeline.config", "PaneSettings"),
    "output": ("pipeline.config", "OutputSettings"),
    "shard": ("pipeline.shard.settings", "ShardSettings"),
    "spool": ("pipeline.shard.settings", "SpoolSettings"),
    "worker": ("pipeline.worker.settings", "WorkerSettings"),
}
"""Section to the class of its settings; `[detectors]` is bound from the registry, `[kafka]` holds another's keys."""


def configure(table: Mapping[str, Any], where: str = "fieldtap.toml") -> Config:
    """All settings from a parsed TOML document.

    Raises:
        ConfigError: see :func:`bind`.
    """
    for key in table:
        if key not in SECTIONS and key not in ("detectors", "kafka"):
            raise unknown(where, key, key, [*SECTIONS, "detectors", "kafka"])
    bound = {
        key: bind(_attribute(*place), _of(dict, table.get(key, {}), where, key), where, key)
        for key, place in SECTIONS.items()
    }
    enabled, params = _detectors(_of(dict, table.get("detectors", {}), where, "detectors"), where)
    kafka = KafkaSettings.of(_of(dict, table.get("kafka", {}), where, "kafka"), where)
    first, across = (tuple(name for name in enabled if name in stage) for stage in (DETECTORS, ACROSS))
    return Config(enabled=first, across=across, params=params, kafka=kafka, **bound)


def load(path: Path | None) -> Config:
    """The settings in `path`, or the defaults where it is None.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or says what cannot be.
    """
    if path is None:
        return configure({})
    try:
        text = path.read_bytes().decode()
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return configure(table, str(path))
