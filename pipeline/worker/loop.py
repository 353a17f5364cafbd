"""Worker: takes messages from Kafka, gives them to the stages of its partitions, and lets their owners write.

Kafka's group membership only decides who works on what.  What is true is decided by the ledger alone: offsets are
committed for tools that show lag, and never read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from pipeline.errors import FieldtapError
from pipeline.transport.log import LogMessage
from pipeline.transport.settings import ClientSettings, connect
from pipeline.worker.held import Held, LogTruncated, State
from pipeline.worker.outbox import Outbox

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError
    from confluent_kafka import Message as KafkaMessage

    from pipeline.worker.settings import WorkerSettings
    from pipeline.worker.watermarks import Watermarks

_POLL_S = 0.05
_COMMIT_S = 5.0
_SAY_S = 60.0
"""How often it is told that Kafka is away, while it is."""
Partition = tuple[str, int]


class Worker:
    """A member of the group.

    Attributes:
        held: partitions that it has now.
        counts: what it did: messages, partitions taken over, epochs refused, store not clear, rebalances.
    """

    def __init__(
        self,
        client: ClientSettings,
        topics: Sequence[str],
        hold: Callable[[Partition, ThreadPoolExecutor, Callable[[int], None]], Held],
        outbox: Outbox,
        watermarks: Watermarks,
        settings: WorkerSettings,
        *,
        say: Callable[[str], None],
    ) -> None:
        """Join the group.

        Args:
            client: settings of the Kafka client.
            topics: names of the topics to read.
            hold: makes what holds a partition, given a pool for I/O and a check of its position.
            outbox: where findings and refused messages go.
            watermarks: tells where the logs begin and end.
            say: told what a person should know, a line each time.
        """
        from confluent_kafka import Consumer

        self._settings = settings
        self._hold = hold
        self._outbox = outbox
        self._watermarks = watermarks
        self._say = say
        self._pool = ThreadPoolExecutor(settings.io_threads, thread_name_prefix="ledger")
        self._paused: set[Partition] = set()
        self._commit_at = monotonic() + _COMMIT_S
        self._committed: dict[Partition, int] = {}
        self._problem: BaseException | None = None
        self._waiting = False
        self._told: set[tuple[Partition, str]] = set()
        self.held: dict[Partition, Held] = {}
        self.counts = dict.fromkeys(("messages", "rebalances", "taken", "retried", "sought"), 0)
        self._last_error, self._say_at = "", 0.0

        def make(given: ClientSettings) -> Consumer:
            return Consumer({**given, "error_cb": self._heard})

        self._consumer = connect(make, client)
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def run(self, stop: Callable[[], bool], over: Callable[[], bool]) -> None:
        """Work until asked to stop, or until all input is over.

        Args:
            over: asked while every partition held is done: whether all others are done too.

        Raises:
            FieldtapError: Kafka says that this can never work (no such topic, not allowed).
        """
        while not stop():
            self.turn()
            if self.held and all(h.done for h in self.held.values()) and over():
                return

    def turn(self) -> None:
        """Take what has come, and see to every partition."""
        self._take(self._consumer.consume(self._settings.fetch_messages, _POLL_S))
        if self._problem is not None:
            raise self._problem
        self._outbox.poll()
        for partition, held in self.held.items():
            self._tend(partition, held)
        self._tell_waiting()
        self._commit()

    def close(self) -> None:
        """Give the partitions back, with what can still be finished, and leave the group."""
        self._consumer.close()
        for partition in list(self.held):
            self._drop([partition], finish=False)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._outbox.deliver(_COMMIT_S)

    def _take(self, messages: Sequence[KafkaMessage]) -> None:
        by_partition: dict[Partition, list[LogMessage]] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._trouble(message, error)
                continue
            place = (message.topic() or "", message.partition() or 0)
            by_partition.setdefault(place, []).append(LogMessage(message))
        for partition, taken in by_partition.items():
            held = self.held.get(partition)
            if held is None:
                continue
            self.counts["messages"] += len(taken)
            if not held.feed(taken):
                self._seek(partition, held)
            self._hand_on(partition, held)

    def _hand_on(self, partition: Partition, held: Held) -> None:
        stage = held.stage
        if stage.live:
            live, stage.live = stage.live, []
            self._outbox.live(live)
        if stage.refused:
            refused, stage.refused = stage.refused, []
            self._outbox.refuse(partition, refused)
            for message, reason, newer in refused:
                self._tell_refused(partition, message.offset, reason, newer)

    def _tell_refused(self, partition: Partition, offset: int, reason: str, newer: bool) -> None:
        """The first of each reason: there may be millions."""
        if (partition, reason) not in self._told:
            self._told.add((partition, reason))
            what = "parked" if newer else "to the dead letters"
            self._say(f"{_name(partition)}: message {offset}: {reason}: {what}; further ones are only counted")

    def _tell_waiting(self) -> None:
        """Once when writing begins to fail, once when all is written again."""
        waiting = [held for held in self.held.values() if held.trouble]
        if bool(waiting) == self._waiting:
            return
        self._waiting = bool(waiting)
        if waiting:
            self._say(f"{_name(waiting[0].name)}: {waiting[0].trouble}; tried again until it works")
        else:
            self._say("nothing waits any more for what did not answer")

    def _tend(self, partition: Partition, held: Held) -> None:
        taken, retried, stopped = held.taken, held.retried, held.state is State.STOPPED
        held.tend()
        self._hand_on(partition, held)
        if held.taken > taken:
            self.counts["taken"] += 1
            self._say(f"{_name(partition)}: another worker wrote this epoch first; taking up its state")
        if held.retried > retried:
            self.counts["retried"] += 1
        if held.state is State.STOPPED and not stopped:
            self._say(f"ALARM {_name(partition)} stopped: {held.problem}")
        if held.state is State.READY and self._seek(partition, held):
            held.running()
        self._pause(partition, held.busy)

    def _pause(self, partition: Partition, wanted: bool) -> None:
        if wanted == (partition in self._paused):
            return
        place = [_place(partition)]
        if wanted:
            self._consumer.pause(place)
            self._paused.add(partition)
        else:
            self._consumer.resume(place)
            self._paused.discard(partition)

    def _seek(self, partition: Partition, held: Held) -> bool:
        """Whether the client now goes on at the position; it refuses while it is not yet fetching."""
        from confluent_kafka import KafkaException

        try:
            self._consumer.seek(_place(partition, held.position))
        except KafkaException:
            return False
        self.counts["sought"] += 1
        return True

    def _check(self, partition: Partition) -> Callable[[int], None]:
        def check(position: int) -> None:
            low, high = self._watermarks.of(*partition)
            if position < low:
                raise LogTruncated(
                    f"the ledger goes on at offset {position}, but the log now begins at {low}: "
                    f"records were deleted before they were judged; start a new run"
                )
            if position > high:
                raise LogTruncated(
                    f"the ledger goes on at offset {position}, but the log ends at {high}: "
                    f"it is not the log that this run was made of; start a new run"
                )

        return check

    def _commit(self) -> None:
        """Tell lag tools how far the truth has come."""
        if monotonic() < self._commit_at:
            return
        self._commit_at = monotonic() + _COMMIT_S
        known = {
            p: h.owner.finished for p, h in self.held.items() if h.state is State.RUNNING and h.owner.finished >= 0
        }
        fresh = [_place(p, offset) for p, offset in known.items() if self._committed.get(p) != offset]
        if fresh:
            from confluent_kafka import KafkaException

            with suppress(KafkaException):
                self._consumer.commit(offsets=fresh, asynchronous=True)
                self._committed.update(known)

    def _assigned(self, consumer: Consumer, places: Iterable[Any]) -> None:
        from confluent_kafka import OFFSET_BEGINNING

        self.counts["rebalances"] += 1
        names = [(p.topic, p.partition) for p in places]
        consumer.incremental_assign([_place(name, OFFSET_BEGINNING) for name in names])
        consumer.pause([_place(name) for name in names])
        for name in names:
            self._paused.add(name)
            self.held[name] = self._hold(name, self._pool, self._check(name))
        self._tell_moved("given", names)

    def _revoked(self, consumer: Consumer, places: Iterable[Any]) -> None:
        names = [(p.topic, p.partition) for p in places]
        self._tell_moved("taken away", names)
        self._drop(names, finish=True)
        consumer.incremental_unassign([_place(name) for name in names])

    def _lost(self, consumer: Consumer, places: Iterable[Any]) -> None:
        names = [(p.topic, p.partition) for p in places]
        self._tell_moved("lost, for it was silent too long", names)
        self._drop(names, finish=False)
        consumer.incremental_unassign([_place(name) for name in names])

    def _tell_moved(self, what: str, names: Sequence[Partition]) -> None:
        for topic in sorted({topic for topic, _ in names}):
            numbers = sorted(number for of, number in names if of == topic)
            self._say(f"{what}: {topic} {', '.join(map(str, numbers))}")

    def _drop(self, names: Iterable[Partition], *, finish: bool) -> None:
        deadline = monotonic() + (self._settings.revoke_s if finish else 0.0)
        for name in names:
            held = self.held.pop(name, None)
            self._paused.discard(name)
            self._committed.pop(name, None)
            if held is not None and finish:
                self._hand_on(name, held)
                held.release(deadline, self._outbox.deliver)

    def _heard(self, error: KafkaError) -> None:
        """What the client says of its connections: it mends them by itself, for as long as it takes."""
        from confluent_kafka import KafkaError as Codes

        if error.code() != Codes._ALL_BROKERS_DOWN:
            self._last_error = error.str()
        elif monotonic() >= self._say_at:
            self._say_at = monotonic() + _SAY_S
            self._say(f"Kafka does not answer: {self._last_error or error.str()}; waiting for it")

    def _trouble(self, message: KafkaMessage, error: KafkaError) -> None:
        from confluent_kafka import KafkaError as Codes

        place = (message.topic() or "", message.partition() or 0)
        if error.code() == Codes._AUTO_OFFSET_RESET and place in self.held:
            held = self.held[place]
            held.state, held.problem = State.STOPPED, f"offset {held.position} is not in the log"
            self._say(f"ALARM {_name(place)} stopped: {held.problem}")
        elif error.fatal() or error.code() in _hopeless(Codes):
            # A client that met a fatal error does nothing any more, and says so once.
            self._problem = FieldtapError(f"Kafka: {error.str()}")
        elif error.code() not in (Codes._PARTITION_EOF, Codes._ALL_BROKERS_DOWN, Codes._TRANSPORT):
            self._say(f"Kafka: {error.str()}")


def _hopeless(codes: Any) -> tuple[int, ...]:
    return (
        codes._FATAL,
        codes.UNKNOWN_TOPIC_OR_PART,
        codes._UNKNOWN_TOPIC,
        codes.TOPIC_AUTHORIZATION_FAILED,
        codes.GROUP_AUTHORIZATION_FAILED,
        codes._AUTHENTICATION,
    )


def _name(partition: Partition) -> str:
    return f"{partition[0]}/{partition[1]}"


def _place(partition: Partition, offset: int | None = None) -> Any:
    from confluent_kafka import TopicPartition

    return TopicPartition(*partition) if offset is None else TopicPartition(*partition, offset)
