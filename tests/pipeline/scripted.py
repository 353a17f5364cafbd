"""A detector that finds what its records say, and streams of such records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from detectors.base import Alerts, Attack, FindingType, Mark, Recalled
from detectors.columns import Columns, records
from schemas.codes import Op, Protocol, Space

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND

WRITE = FindingType(
    code=9001,
    uid="scripted.write",
    title="Value out of range",
    text="{client} wrote register {tag} of {device}: {observed}, expected {expected}",
    types=("value",),
    analytic_type=3,
    attacks=(Attack("TA0106", "T0836", "Modify Parameter"),),
    confidence=80,
)
STRANGER = FindingType(
    code=9002,
    uid="scripted.stranger",
    title="New client",
    text="{client} asked {device} for {function} ({op}); {outcome}",
    types=("policy",),
    analytic_type=4,
    attacks=(),
    confidence=60,
)
TYPES = {t.code: t for t in (WRITE, STRANGER)}


class Scripted:
    """Finds something in every record whose `label` is a finding type: key, parent, severity … as the record says.

    `flow` is the key, `peer_seq` the parent, `count` the severity, `rtt_us` the outcome; the value is the first point.
    """

    name = "scripted"
    version = "7"
    findings = (WRITE, STRANGER)
    wants_time = False

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.adopted: Mapping[str, Any] | None = None

    def on_batch(self, batch: Columns) -> Alerts:
        row = np.flatnonzero(batch.label)
        point = np.where(batch.n_points[row] > 0, batch.offsets[:-1][row], -1).astype(np.int64)
        value = np.full(len(row), np.nan)
        value[point >= 0] = batch.points.value[point[point >= 0]]
        return Alerts.of(
            row,
            batch.label[row].astype(np.int64),
            batch.flow[row],
            parent=batch.peer_seq[row],
            severity=batch.count[row],
            point=point,
            observed=value,
            low=np.where(np.isnan(value), np.nan, 40.0),
            high=np.where(np.isnan(value), np.nan, 60.0),
            outcome=np.maximum(batch.rtt_us[row], 0),
        )

    def on_mark(self, mark: Mark) -> Recalled | None:
        self.marks.append(mark)
        return None

    def snapshot(self, buckets: Any) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass

    def learned(self) -> Mapping[str, Any]:
        return self.adopted or {"device": np.zeros(0, np.uint64)}

    def adopt(self, baseline: Mapping[str, Any]) -> None:
        self.adopted = baseline

    def counters(self) -> Mapping[str, int]:
        return {}


def ip(text: str) -> bytes:
    """An IPv4 address as RECORD has it."""
    return bytes(10) + b"\xff\xff" + bytes(int(part) for part in text.split("."))


def row(at_s: float, seq: int = 0, **columns: Any) -> dict[str, Any]:
    """A write of register 10 by 10.10.9.66 to 10.10.1.1, `at_s` seconds after T0; a finding of key 1 unless said."""
    return {
        "ts": T0 + round(at_s * SECOND),
        "seq": seq,
        "packet": seq + 1,
        "src_ip": ip("10.10.9.66"),
        "dst_ip": ip("10.10.1.1"),
        "client_is_src": 1,
        "device": 5,
        "unit": 1,
        "protocol": Protocol.MODBUS,
        "op": Op.WRITE,
        "func": 6,
        "label": WRITE.code,
        "flow": 1,
        "count": 3,
        **columns,
    }


def value(number: float, addr: int = 10) -> list[dict[str, Any]]:
    """One point with a holding register's value."""
    return [{"space": Space.HOLDING_REGISTER, "addr": addr, "value": number}]


def stream(seed: int, n: int, *, devices: int = 6, keys: int = 5, backward: bool = True) -> list[dict[str, Any]]:
    """`n` records over half an hour and more: several devices and keys, parents, late records, time that runs back."""
    random = np.random.default_rng(seed)
    rows, now = [], 0.0
    for i in range(n):
        now += float(random.exponential(4000 / n))
        if backward and random.random() < 0.002:
            now -= float(random.uniform(0, 2500))
        late = float(random.exponential(0.3)) if random.random() < 0.2 else 0.0
        device = int(random.integers(devices))
        key = int(random.integers(1, keys + 1))
        rows.append(
            row(
                now - late,
                i + 1,
                device=device * 257 + 3,
                dst_ip=ip(f"10.10.1.{device + 1}"),
                label=int(random.choice([0, WRITE.code, WRITE.code, STRANGER.code])),
                flow=key,
                peer_seq=int(random.integers(0, keys + 1)),
                count=int(random.choice([1, 2, 3, 3, 3, 4, 5], p=[0.2, 0.3, 0.2, 0.1, 0.1, 0.09, 0.01])),
                rtt_us=int(random.choice([-1, 0, 1, 2, 3], p=[0.5, 0.3, 0.01, 0.09, 0.1])),
                func=int(random.integers(1, 40)),
                points=value(float(random.integers(0, 100))) if random.random() < 0.5 else [],
            )
        )
    return rows


def batches(rows: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> Iterator[Columns]:
    """`rows` cut into batches of these sizes, over and over."""
    at = i = 0
    while at < len(rows):
        size = sizes[i % len(sizes)]
        yield records(rows[at : at + size])
        at, i = at + size, i + 1


def _without_time(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.int64()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_without_time(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(_without_time(f.type)) for f in kind])
    return kind


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as dictionaries, times as int64 ns, NaN as text so that it equals itself."""
    schema = pa.schema([f.with_type(_without_time(f.type)) for f in table.schema])
    return [{k: repr(v) if isinstance(v, float) else v for k, v in r.items()} for r in table.cast(schema).to_pylist()]
