"""The command, with misfortunes at chosen points: `python -m tests.faults.entry detect …`.

What happens is said by environment variables:

FIELDTAP_HOLD_AT    labels with commas between; at each in turn the process stops itself (SIGSTOP), once
FIELDTAP_HOLDS      file to which each label is added just before
FIELDTAP_RECORDS_ID id of the topic of records: epochs of others are not held
FIELDTAP_FORCED     the worker takes every partition, whatever the group says
FIELDTAP_COMMITS    commits of offsets, more of them than usual, are `delayed`, `repeated` or `refused`
FIELDTAP_KEEP       epochs are never emptied

Reading committed offsets fails, whatever is set.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline import owner
from pipeline.ledger import Chain, Epoch
from pipeline.owner import Owner, Step
from pipeline.worker import loop
from pipeline.worker.held import State
from pipeline.worker.loop import Worker

BEFORE_POLL = "before a poll"
AFTER_REJOIN = "after a poll that re-joined"
BEFORE_CREATE = "before the create"
BEFORE_PUBLISH = "between create and publish"
BEFORE_SEND = "between publish and send"
AFTER_COMPACTION = "after compaction"
LABELS = (BEFORE_POLL, AFTER_REJOIN, BEFORE_CREATE, BEFORE_PUBLISH, AFTER_COMPACTION)


class Holds:
    """Stops this process at the labels it was given, in their order."""

    def __init__(self, labels: Sequence[str], file: str) -> None:
        self._labels = deque(labels)
        self._file = file
        self._lock = threading.Lock()

    def next(self) -> str:
        """The label that is due."""
        return self._labels[0] if self._labels else ""

    def at(self, *labels: str, last: bool = True) -> None:
        """Stop here if one of these is due; with `last`, the next one is due afterwards."""
        with self._lock:
            due = self.next()
            if due not in labels:
                return
            if last:
                self._labels.popleft()
            with open(self._file, "a") as out:
                out.write(f"{due}\n")
            # To this thread: sent to the process, it may run on until another thread has taken the signal.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def around(kind: type, name: str) -> Callable[[Callable[..., Any]], None]:
    """Put a function around a method: it is given the method, then its arguments."""

    def put(function: Callable[..., Any]) -> None:
        method = getattr(kind, name)

        @wraps(method)
        def replaced(*given: Any, **named: Any) -> Any:
            return function(method, *given, **named)

        setattr(kind, name, replaced)

    return put


def hold(holds: Holds, records_id: str) -> None:
    """Stop at labels."""
    rejoining: list[int] = []

    @around(Worker, "turn")
    def turn(method: Callable[..., Any], worker: Worker) -> None:
        if any(h.state is State.RUNNING and h.owner.backlog for h in worker.held.values()):
            if holds.next() == AFTER_REJOIN and not rejoining:
                rejoining.append(worker.counts["rebalances"])
                holds.at(AFTER_REJOIN, last=False)
            holds.at(BEFORE_POLL)
        method(worker)

    @around(Worker, "_take")
    def take(method: Callable[..., Any], worker: Worker, messages: Any) -> None:
        # The poll is over, and nothing was done yet with what it gave.
        if rejoining and worker.counts["rebalances"] > rejoining[0]:
            rejoining.clear()
            holds.at(AFTER_REJOIN)
        method(worker, messages)

    @around(Chain, "create")
    def create(method: Callable[..., Any], chain: Chain, epoch: Epoch) -> None:
        if chain.place.topic_id == records_id:
            holds.at(BEFORE_CREATE)
        method(chain, epoch)

    @around(Owner, "step")
    def step(method: Callable[..., Any], one: Owner) -> Step:
        done: Step = method(one)
        if one.chain.place.topic_id == records_id:
            holds.at(*{Step.CREATE: (BEFORE_PUBLISH, AFTER_COMPACTION), Step.PUBLISH: (BEFORE_SEND,)}.get(done, ()))
        return done


class Forced(confluent_kafka.Consumer):
    """Takes every partition of its topics, and is in no group."""

    def subscribe(self, topics: list[str], on_assign: Any = None, **_: Any) -> None:  # type: ignore[override]
        known = self.list_topics(timeout=30).topics
        on_assign(self, [TopicPartition(t, p) for t in topics for p in known[t].partitions])


class Delayed(confluent_kafka.Consumer):
    """Sends each commit only when two later ones are due."""

    def commit(self, *, offsets: list[TopicPartition], **_: Any) -> None:  # type: ignore[override]
        held = self.__dict__.setdefault("held", deque())
        held.append(offsets)
        if len(held) > 2:
            super().commit(offsets=held.popleft(), asynchronous=True)


class Repeated(confluent_kafka.Consumer):
    """Sends the first commit again and again after each later one."""

    def commit(self, *, offsets: list[TopicPartition], **_: Any) -> None:  # type: ignore[override]
        first = self.__dict__.setdefault("first", offsets)
        for again in (offsets, first, first):
            super().commit(offsets=again, asynchronous=True)


class Refused(confluent_kafka.Consumer):
    """Refuses every commit."""

    def commit(self, **_: Any) -> None:  # type: ignore[override]
        raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID))


def _unread(*_: Any, **__: Any) -> Any:
    raise AssertionError("offsets are never read")


def main() -> None:
    """The command."""
    env = os.environ
    kinds: dict[str, type[confluent_kafka.Consumer]] = {"delayed": Delayed, "repeated": Repeated, "refused": Refused}
    kind = (
        Forced if env.get("FIELDTAP_FORCED") else kinds.get(env.get("FIELDTAP_COMMITS", ""), confluent_kafka.Consumer)
    )
    confluent_kafka.Consumer = type("Unread", (kind,), {"committed": _unread})  # type: ignore[misc]
    if env.get("FIELDTAP_COMMITS"):
        loop._COMMIT_S = 0.1
    if env.get("FIELDTAP_KEEP"):
        owner.collect = lambda _: owner.Collected(0, 0)  # type: ignore[assignment]
    labels = [label for label in env.get("FIELDTAP_HOLD_AT", "").split(",") if label]
    if labels:
        hold(Holds(labels, env["FIELDTAP_HOLDS"]), env["FIELDTAP_RECORDS_ID"])

    from pipeline.cli import main as command

    command()


if __name__ == "__main__":
    main()
