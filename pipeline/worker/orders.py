"""Orders: what a person tells a running deployment, as CONTROL marks in the log of records, which replay hears too."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from detectors.base import Mark
from pipeline.approval import meant
from pipeline.errors import ConfigError, TransportError
from pipeline.findings.evidence import extent_of
from pipeline.findings.taught import order_of
from pipeline.findings.window import Identity
from pipeline.marks import ORDERS_SHARD
from pipeline.transport.codec import encode
from pipeline.transport.log import HEADER
from schemas.codes import BUCKETS, MarkKind

if TYPE_CHECKING:
    from confluent_kafka import Producer

SHARD = ORDERS_SHARD
_AT_ONCE = 500
"""Orders in one message."""
_WAIT_S = 30.0


class Order(NamedTuple):
    """A subject to teach, up to how far outside of normal, and the time of its latest evidence."""

    subject: Identity
    extent: float
    ts_ns: int


def orders_of(findings: pa.Table, uids: Sequence[str], codes: dict[str, int]) -> list[Order]:
    """What teaches these findings and those rolled up below them.

    Args:
        findings: rows of schema ALERT, the last of each finding.
        uids: ids, or the start of them, in hexadecimal.
        codes: FindingType.code by its uid, of the detectors of both stages.

    Raises:
        BaselineError: no finding, or several, of an id.
        ConfigError: one is of a type that no detector has.
    """
    rows = findings.take(pa.array(np.flatnonzero(meant(findings, uids))))
    low, high, seen = (rows.column(n).to_numpy() for n in ("expected_low", "expected_high", "observed_value"))
    extents = extent_of(low, high, seen).tolist()
    latest = rows.column("last_seen_time").cast(pa.int64()).to_pylist()
    found = []
    for row, extent, ts in zip(rows.select(_SUBJECT).to_pylist(), extents, latest, strict=True):
        if row["analytic_uid"] not in codes:
            raise ConfigError(f"{row['analytic_uid']}: no detector of these settings finds this: it cannot be taught")
        found.append(Order((row["device"], codes[row["analytic_uid"]], row["subject_key"]), extent, ts))
    return found


_SUBJECT = ("device", "analytic_uid", "subject_key")


def messages(orders: Iterable[Order], partitions: int, boot: int) -> Iterable[tuple[int, bytes, bytes]]:
    """(partition, header, value) of each message: orders go where the records of their device go.

    What was found across devices is about an address: it goes where records of a device of this address would, and from
    there with the panes to the second stage.

    Each ends with an END mark: nobody has to wait for who orders.
    """
    by_partition: defaultdict[int, list[Order]] = defaultdict(list)
    for order in orders:
        by_partition[order.subject[0] % BUCKETS % partitions].append(order)
    for partition, all_of_it in sorted(by_partition.items()):
        for number, start in enumerate(range(0, len(all_of_it), _AT_ONCE)):
            part = all_of_it[start : start + _AT_ONCE]
            ts = min(order.ts_ns for order in part)
            marks = [(0, Mark(MarkKind.CONTROL, ts, SHARD, text=order_of(o.subject, o.extent))) for o in part]
            end = (0, Mark(MarkKind.END, ts, SHARD))
            header, value = encode(
                None, (*marks, end), shard=SHARD, boot=boot, partition=partition, number=number, previous_seq=0
            )
            yield partition, header, value


def send(producer: Producer, topic: str, partitions: int, orders: Sequence[Order]) -> None:
    """Write orders to the topic of records, and wait until Kafka has them.

    Raises:
        TransportError: it has not within half a minute, or refused one.
    """
    failed: list[str] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(str(error))

    for partition, header, value in messages(orders, partitions, int(time.time())):
        producer.produce(topic, value, headers=[(HEADER, header)], partition=partition, on_delivery=delivered)
    if producer.flush(_WAIT_S) or failed:
        raise TransportError(f"topic {topic}: orders were not taken: {failed[0] if failed else 'no answer'}")
