"""Pictures of the cases: truth and alarms over time, and what was measured beside floor and goal."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality import process
from benchmarks.quality.metrics import Flags, Measure, segments
from benchmarks.quality.process import Judged

TIMELINES: dict[str, Callable[[Path], list[Judged]]] = {
    "batadal": lambda data: [process.batadal_rows(data)],
    "pasad": process.pasad_rows,
    "skab": lambda data: sorted(process.skab_rows(data), key=lambda run: number(run.name)),
}
"""The cases that are judged row by row."""
TRUTH, ALARM, PLAIN, MET, MISSED = "#c9782c", "#41464d", "#a3a8b0", "#30588c", "#b03a3a"
WIDTH, TIMELINE, BAR, MARGIN = 9.0, 0.62, 0.5, 0.8
"""Inches: width of a picture, height of a timeline and of a bar, and for title and legend together."""
_DOTS = (0, (1, 1))
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def number(text: str) -> float:
    """The first number in a text, such as a floor's, NaN where there is none."""
    found = _NUMBER.search(text)
    return float(found.group()) if found else math.nan


def draw(name: str, measures: Sequence[Measure], timelines: Sequence[Judged], folder: Path) -> Path:
    """The picture of a case, as `name`.png in `folder`."""
    from matplotlib.figure import Figure

    heights = [TIMELINE] * len(timelines) + [BAR] * len(measures)
    height = sum(heights) + MARGIN
    figure = Figure(figsize=(WIDTH, height), dpi=120)
    grid = figure.add_gridspec(
        len(heights),
        1,
        height_ratios=heights,
        left=0.36,
        right=0.93,
        top=1 - 0.6 * MARGIN / height,
        bottom=0.4 * MARGIN / height,
        hspace=0.9,
    )
    rows = [figure.add_subplot(grid[i]) for i in range(len(heights))]
    for axes, timeline in zip(rows, timelines, strict=False):
        _timeline(axes, timeline)
    for axes, measure in zip(rows[len(timelines) :], measures, strict=True):
        _bar(axes, measure)
    figure.text(0.02, 1 - 0.2 / height, measures[0].data, fontsize=12, fontweight="bold", va="center")
    _legend(figure, height, bool(timelines))
    path = folder / f"{name}.png"
    figure.savefig(path)
    return path


def _timeline(axes: Any, judged: Judged) -> None:
    """Truth above, alarms below."""
    _stretches(axes, judged.truth, judged.first, 1.1, TRUTH)
    _stretches(axes, judged.alarmed, judged.first, 0.0, ALARM)
    axes.set_xlim(judged.first, judged.first + len(judged.truth))
    axes.set_ylim(-0.1, 2.1)
    axes.set_yticks([])
    _label(axes, judged.name)
    _plain(axes)


def _stretches(axes: Any, flags: Flags, first: int, bottom: float, colour: str) -> None:
    spans = [(first + start, stop - start) for start, stop in segments(flags)]
    axes.broken_barh(spans, (bottom, 0.9), facecolor=colour, edgecolor=colour, linewidth=0.4)


def _bar(axes: Any, measure: Measure) -> None:
    """A bar on a scale of its own, with lines for floor and goal."""
    floor, goal = number(measure.floor), number(measure.goal)
    shown = [0.0, measure.value, *(x for x in (floor, goal) if not math.isnan(x))]
    low, high = min(shown), max(shown)
    room = 0.08 * (high - low) or 1.0
    colour = {True: MET, False: MISSED, None: PLAIN}[measure.met]
    axes.barh(0, measure.value, height=0.7, color=colour)
    for at, style in ((floor, "-"), (goal, _DOTS)):
        if not math.isnan(at):
            axes.axvline(at, color="black", linewidth=1.4, linestyle=style)
    axes.set_xlim(low - room * (low < 0), high + room)
    axes.set_ylim(-0.5, 0.5)
    axes.set_yticks([])
    _label(axes, measure.what)
    axes.text(1.01, 0.5, f"{measure.value:.4g}", transform=axes.transAxes, fontsize=9, va="center", color=colour)
    _plain(axes)


def _label(axes: Any, text: str) -> None:
    axes.text(-0.02, 0.5, text, transform=axes.transAxes, fontsize=9, va="center", ha="right")


def _plain(axes: Any) -> None:
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", labelsize=7, length=2, pad=1)


def _legend(figure: Any, height: float, has_timelines: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Any] = [Patch(color=TRUTH, label="truth"), Patch(color=ALARM, label="alarm")] if has_timelines else []
    entries += [
        Patch(color=MET, label="floor met"),
        Patch(color=MISSED, label="floor missed"),
        Patch(color=PLAIN, label="no floor"),
        Line2D([], [], color="black", label="floor"),
        Line2D([], [], color="black", linestyle=_DOTS, label="goal"),
    ]
    anchor = (0.98, 1 - 0.03 / height)
    figure.legend(
        handles=entries, loc="upper right", bbox_to_anchor=anchor, ncols=len(entries), fontsize=7, frameon=False
    )
