"""The run of the simulated plant: everything that happens, in order of time, into one capture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ConfigError, OutputError
from pipeline.synth import ATTACKS, SimulationReport
from pipeline.synth.attacks import MINIMUM_S, lanes, stages
from pipeline.synth.background import Background
from pipeline.synth.field.works import Field
from pipeline.synth.plant import Plant, Schedule
from pipeline.synth.routine import Engineering, Operator, Reconnections
from pipeline.synth.site import site_text
from pipeline.synth.truth import Truth, write_truth
from pipeline.synth.whole import written_whole
from pipeline.synth.wire import Tap

MAX_SCALE = 200
LAST_SECOND = 1 << 32
_SLICE_S = 5.0
"""Seconds between two writes of what has passed; nothing comes later than this."""


def run(
    out: Path,
    *,
    minutes: float,
    seed: int,
    attacks: Sequence[str],
    scale: int,
    start: datetime,
    progress: Callable[[float], None] | None,
) -> SimulationReport:
    """See :func:`pipeline.synth.simulate`."""
    names = _names(attacks)
    seconds = minutes * 60.0
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    _check(seconds, names, scale, start)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with written_whole(out / "plant.pcap") as file:
            tap, fields, truths = _play(file, seconds, seed, names, scale, start, progress)
            (out / "site.toml").write_text(site_text(fields), encoding="utf-8")
            write_truth(out / "attacks.parquet", truths, tap, _microseconds(start))
            size = file.tell()
    except OSError as error:
        raise OutputError(f"simulating into {out}: {error.strerror or error}") from error
    return SimulationReport(
        capture=out / "plant.pcap",
        site=out / "site.toml",
        attacks=out / "attacks.parquet",
        packets=tap.packets,
        size=size,
        transactions=sum(field.exchanges for field in fields),
        staged=tuple(truth.name for truth in truths),
    )


def _names(attacks: Sequence[str]) -> list[str]:
    names: list[str] = []
    for name in attacks:
        if name == "all":
            names += ATTACKS
        elif name in ATTACKS:
            names.append(name)
        else:
            raise ConfigError(f"attacks: no attack {name!r}, there are {', '.join(ATTACKS)}, all")
    return names


def _check(seconds: float, names: list[str], scale: int, start: datetime) -> None:
    if not 0 < seconds < math.inf:
        raise ConfigError(f"minutes must be above 0 and finite, not {seconds / 60:g}")
    if not 0 <= start.timestamp() < LAST_SECOND - seconds:
        raise ConfigError(f"start must be in 1970 to 2106, which is what a pcap file can say, not {start:%Y-%m-%d}")
    if not 1 <= scale <= MAX_SCALE:
        raise ConfigError(f"scale must be 1 to {MAX_SCALE}, not {scale}")
    longest = max((len(lane) for lane in lanes(names)), default=0)
    needed = longest * MINIMUM_S / 60
    if seconds / 60 < needed:
        raise ConfigError(f"{len(names)} attacks need at least {needed:g} minutes, not {seconds / 60:g}")


def _microseconds(start: datetime) -> int:
    return round(start.timestamp() * 1e6)


def _play(
    file: BinaryIO,
    seconds: float,
    seed: int,
    names: list[str],
    scale: int,
    start: datetime,
    progress: Callable[[float], None] | None,
) -> tuple[Tap, list[Field], list[Truth]]:
    tap, schedule = Tap(file, _microseconds(start)), Schedule()
    second_of_day = start.hour * 3600.0 + start.minute * 60.0 + start.second
    fields = []
    for number in range(scale):
        plant = Plant(number, seed, tap, schedule, second_of_day)
        Operator(plant)
        Engineering(plant)
        Reconnections(plant)
        Background(plant, start.timestamp())
        fields.append(Field(plant, start.timestamp()))
    truths = [stage.play() for stage in stages(names, seconds, fields)]
    now = 0.0
    while now < seconds:
        now = min(now + _SLICE_S, seconds)
        schedule.run(now)
        tap.flush(now - _SLICE_S if now < seconds else seconds)
        if progress is not None:
            progress(now / seconds)
    return tap, fields, truths
