"""Source: captures through the decoder, and what is told about them at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from detectors.columns import Columns
from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder, DecodeSettings
from pipeline.metrics import Counters, HealthRow
from pipeline.names import protocol_text
from pipeline.run.report import Hooks, Progress, Report
from schemas.codes import Protocol


class Names(Mapping[int, str]):
    """The decoder's names as they grow, read anew only when one is asked for that is not yet known."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._known: Mapping[int, str] = {}
        self._stale = True

    def grown(self) -> None:
        """More was decoded."""
        self._stale = True

    def __getitem__(self, name_id: int) -> str:
        if name_id not in self._known:
            self._refresh()
        return self._known[name_id]

    def __iter__(self) -> Iterator[int]:
        self._refresh()
        return iter(self._known)

    def __len__(self) -> int:
        self._refresh()
        return len(self._known)

    def _refresh(self) -> None:
        if self._stale:
            self._known = self._decoder.names()
            self._stale = False


class Source:
    """Every record of some captures, in order; ends early when asked to stop.

    Attributes:
        captures, decoder: what it reads with.
        names: name id to text, as far as decoded.
        packets: packets read so far.
        interrupted: whether it was asked to stop.
    """

    def __init__(self, paths: Sequence[Path], settings: DecodeSettings, hooks: Hooks) -> None:
        """Find the captures.

        Raises:
            CaptureError: a path does not exist or is no capture.
        """
        self.captures = Captures(paths)
        self.decoder = Decoder(settings)
        self.names = Names(self.decoder)
        self.packets = 0
        self.interrupted = False
        self._hooks = hooks
        self._by_protocol = np.zeros(256, np.int64)
        self._points = 0
        self._started = perf_counter()
        self._batches = self._read()
        self._ahead: list[Columns] = []

    def __iter__(self) -> Iterator[Columns]:
        while self._ahead:
            yield self._ahead.pop()
        yield from self._batches

    def start_ns(self) -> int | None:
        """Time of the first record, which it decodes for that; None where there is none."""
        for batch in self._batches:
            if len(batch):
                self._ahead.append(batch)
                return int(batch.ts[0])
        return None

    def _read(self) -> Iterator[Columns]:
        for block in self.captures:
            self.packets += len(block)
            for batch in self.decoder.feed(block):
                self._count(batch)
                yield batch
                del batch
            self._hooks.progress(Progress(self.captures.bytes_read, self.captures.total_bytes, self.packets))
            if self._hooks.stop():
                self.interrupted = True
                break
        for batch in self.decoder.finish():
            self._count(batch)
            yield batch
            del batch

    def _count(self, batch: Columns) -> None:
        self.names.grown()
        self._by_protocol += np.bincount(batch.protocol, minlength=256)
        if len(batch):
            self._points += int(batch.offsets[-1] - batch.offsets[0])

    def report(self, out: Path, health: Sequence[HealthRow]) -> Report:
        """What was read, with the counters of the other stages."""
        rows = [*self.captures.health(), *self.decoder.health(), *health, *self._own()]
        recognised = {_usual(name): n for name, n in _by_reason(rows, "protocol").items()}
        return Report(
            out=out,
            packets=self.packets,
            points=self._points,
            seconds=perf_counter() - self._started,
            span_s=self._span_s(),
            records=self._records(),
            skipped=_by_reason(rows, "skipped"),
            undecoded={name: n for name, n in recognised.items() if name not in self._records()},
            problems=[str(p) for p in self.captures.problems],
            ignored=[str(p) for p in self.captures.ignored],
            interrupted=self.interrupted,
            health=rows,
        )

    def _span_s(self) -> float:
        read = [c for c in self.captures.captures if c.packets]
        return (max(c.last_ts for c in read) - min(c.first_ts for c in read)) / 1e9 if read else 0.0

    def _records(self) -> dict[str, int]:
        return {protocol_text(int(p)): int(self._by_protocol[p]) for p in np.flatnonzero(self._by_protocol)}

    def _own(self) -> list[HealthRow]:
        counters = Counters("run")
        counters.put("packets", self.packets)
        for name, n in self._records().items():
            counters.put("records", n, reason=name)
        counters.put("interrupted", int(self.interrupted))
        return counters.rows()


def _by_reason(rows: Sequence[HealthRow], counter: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, name, reason, value in rows:
        if name == counter and value:
            found[reason] = found.get(reason, 0) + value
    return found


def _usual(name: str) -> str:
    """The usual name of a protocol that decode counts by its member's name."""
    member = Protocol.__members__.get(name.upper())
    return protocol_text(member) if member is not None else name
