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
from pipeline.run.overlap import Overlap
from pipeline.run.report import Hooks, Progress, Report
from schemas.codes import Protocol

_Made = tuple[Columns, int]
"""A batch, and how many names were known when it was made."""


class Names(Mapping[int, str]):
    """The decoder's names up to the batch that was handed out last, read only when one is asked for.

    Decode may be further by then, in a thread of its own: what a finding shows must not depend on how far.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._known: dict[int, str] = {}
        self._read = self._reach = 0

    def reach(self, count: int) -> None:
        """So many names were known when the batch was made."""
        self._reach = count

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
        if self._read < self._reach:
            self._known |= self._decoder.names(self._read, self._reach)
            self._read = self._reach


class Source:
    """Every record of some captures, in order; ends early when asked to stop.

    Args:
        paths: of the captures.
        settings, hooks: see there.
        threads: with 2, it reads and decodes in a thread of its own, ahead of who takes the records.

    Attributes:
        captures, decoder: what it reads with.
        names: name id to text, as far as records were handed out.
        packets: packets read so far.
        interrupted: whether it was asked to stop.
    """

    def __init__(self, paths: Sequence[Path], settings: DecodeSettings, hooks: Hooks, *, threads: int = 1) -> None:
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
        made = self._read()
        self._batches: Iterator[_Made] = Overlap(made, "decode") if threads > 1 else made
        self._ahead: list[Columns] = []

    def __iter__(self) -> Iterator[Columns]:
        while self._ahead:
            yield self._ahead.pop()
        for batch, names in self._batches:
            self.names.reach(names)
            yield batch
            del batch

    def close(self) -> None:
        """Read no more."""
        if isinstance(self._batches, Overlap):
            self._batches.close()

    def start_ns(self) -> int | None:
        """Time of the first record, which it decodes for that; None where there is none."""
        for batch, names in self._batches:
            if len(batch):
                self.names.reach(names)
                self._ahead.append(batch)
                return int(batch.ts[0])
        return None

    def _read(self) -> Iterator[_Made]:
        for block in self.captures:
            self.packets += len(block)
            for batch in self.decoder.feed(block):
                yield batch, self._count(batch)
                del batch
            self._hooks.progress(Progress(self.captures.bytes_read, self.captures.total_bytes, self.packets))
            if self._hooks.stop():
                self.interrupted = True
                break
        for batch in self.decoder.finish():
            yield batch, self._count(batch)
            del batch

    def _count(self, batch: Columns) -> int:
        """Count what a batch holds; names known by now."""
        self._by_protocol += np.bincount(batch.protocol, minlength=256)
        if len(batch):
            self._points += int(batch.offsets[-1] - batch.offsets[0])
        return self.decoder.named()

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
