"""Sender: from the spool to Kafka, in order, once each, for as long as it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.errors import FieldtapError, TransportError
from pipeline.metrics import Counters, HealthRow
from pipeline.transport.message import HEADER_NAME
from pipeline.transport.settings import ClientSettings, KafkaSettings, connect
from pipeline.transport.spool import Spool
from pipeline.transport.tags import NAME_ID
from pipeline.transport.topics import NAMES, RECORDS

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer

HELD_KB = 32 << 10
"""What the client holds at most, in KiB; a quarter of the spool at most."""
_DEFAULTS: Mapping[str, str | int | float | bool] = {
    "linger.ms": 5,
    "message.timeout.ms": 0,  # for ever: the spool decides what is given up
    "reconnect.backoff.max.ms": 2000,
    "log_level": 0,  # what goes wrong comes as an error
}
_IDLE_S, _BUSY_S, _FULL_S = 0.25, 0.02, 0.1
_ANSWER_S = 2.0
_AGAIN_S = 0.5
_NAMES_AGAIN_S = 5.0
_PERMANENT = ("MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "INVALID_RECORD")


def partitions_of(producer: Any, topic: str) -> int:
    """Partitions of a topic, 0 while no broker answers.

    Raises:
        TransportError: a broker answers that there is no such topic, or that we may not know.
    """
    from confluent_kafka import KafkaError, KafkaException

    try:
        found = producer.list_topics(topic, timeout=_ANSWER_S).topics[topic]
    except KafkaException:
        return 0
    if found.error is not None:
        if found.error.code() in (KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT):
            return 0
        raise TransportError(f"topic {topic}: {found.error.str()}; fieldtap topics apply makes the topics")
    return len(found.partitions)


def ask_partitions(
    bootstrap: str, settings: KafkaSettings, *, stop: Callable[[], bool], waiting: Callable[[], None]
) -> int:
    """Partitions of the topic of records, once a broker answers; 0 where `stop` came first.

    Args:
        bootstrap: addresses of brokers.
        settings: how to enter.
        stop: asked between tries.
        waiting: called when the first try had no answer.

    Raises:
        ConfigError, TransportError: see :func:`pipeline.transport.settings.connect` and :func:`partitions_of`.
    """
    from confluent_kafka import Producer

    wanted = settings.client(bootstrap, "producer")
    given = ClientSettings({"log_level": 0, **wanted})
    given.masked = wanted.masked
    producer = connect(Producer, given)
    told = False
    while not (found := partitions_of(producer, settings.topic(RECORDS))):
        if stop():
            return 0
        if not told:
            told = True
            waiting()
    return found


class Sender:
    """Sends what the spool has, from a thread of its own, until it is stopped.

    Attributes:
        failure: what ended it, None while it works.
        trouble: the last thing that went wrong between here and Kafka, empty when a message arrived since.
    """

    def __init__(self, spool: Spool, bootstrap: str, settings: KafkaSettings, *, partitions: int) -> None:
        self._spool, self._bootstrap, self._partitions = spool, bootstrap, partitions
        self._settings = settings
        self._topic, self._names_topic = settings.topic(RECORDS), settings.topic(NAMES)
        self.failure: FieldtapError | None = None
        self.trouble = ""
        self._counters = Counters("sender")
        self._stopping = threading.Event()
        self._again: str = ""
        self._names_changed = threading.Condition()
        self._names: dict[int, str] = {}
        self._names_out: dict[int, str] = {}
        self._names_after = 0.0
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def tell_names(self, names: Mapping[int, str]) -> None:
        """Names that Kafka is to know: id to text."""
        with self._names_changed:
            self._names.update(names)

    def names_waiting(self) -> int:
        """Names that Kafka does not have."""
        with self._names_changed:
            return len(self._names) + len(self._names_out)

    def wait_names(self, wait_s: float) -> bool:
        """Whether Kafka has all names, now or within `wait_s`."""
        with self._names_changed:
            return self._names_changed.wait_for(lambda: not self._names and not self._names_out, wait_s)

    def check(self) -> None:
        """Raise what ended the thread.

        Raises:
            FieldtapError: it ended.
        """
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End the thread; what Kafka has not acknowledged stays in the spool."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def health(self) -> list[HealthRow]:
        """(stage, counter, reason, value) rows for HEALTH so far."""
        return self._counters.rows()

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._again = ""
                self._work()
                if self._again:
                    self.trouble = self._again
                    self._counters.add("producers", reason="begun anew")
                    self._spool.rewind()
                    with self._names_changed:
                        self._names, self._names_out = self._names_out | self._names, {}
                    self._stopping.wait(_AGAIN_S)
        except FieldtapError as error:
            self.failure = error
        except Exception as error:  # a thread must not end unseen
            self.failure = TransportError(f"kafka at {self._bootstrap}: {type(error).__name__}: {error}")

    def _client(self) -> Producer:
        from confluent_kafka import Producer

        def make(given: ClientSettings) -> Producer:
            return Producer({**given, "error_cb": self._heard})

        wanted = self._settings.client(self._bootstrap, "producer")
        held = max(1024, min(HELD_KB, self._spool.budget >> 12))
        given = ClientSettings({**_DEFAULTS, "queue.buffering.max.kbytes": held, **wanted})
        given.masked = wanted.masked
        return connect(make, given)

    def _heard(self, error: KafkaError) -> None:
        self.trouble = error.str()

    def _work(self) -> None:
        """Send with one producer until stopped, or until it is of no more use (`_again` says why)."""
        producer = self._client()
        while not (found := partitions_of(producer, self._topic)):
            producer.poll(0)  # what went wrong is heard only so
            if self._stopping.is_set():
                return
        if found != self._partitions:
            raise TransportError(
                f"topic {self._topic} has {found} partitions, the spool was begun with {self._partitions}: the "
                "partition of a device follows from that; give the topic the number it had, or begin a new spool"
            )
        while not self._stopping.is_set() and not self._again:
            ready = self._spool.read(_BUSY_S if len(producer) else _IDLE_S)
            if ready is not None:
                send = partial(
                    producer.produce,
                    self._topic,
                    value=ready.value,
                    headers=[(HEADER_NAME, ready.header)],
                    partition=ready.partition,
                    on_delivery=partial(self._delivered, ready.token),
                )
                self._produce(producer, send)
            self._send_names(producer)
            producer.poll(0)
        if not self._again:
            producer.poll(0)

    def _produce(self, producer: Producer, send: Any) -> None:
        from confluent_kafka import KafkaException

        while not self._stopping.is_set() and not self._again:
            try:
                send()
            except BufferError:
                producer.poll(_FULL_S)
            except KafkaException as error:
                self._again = error.args[0].str()
            else:
                return

    def _delivered(self, token: int, error: KafkaError | None, _: Any) -> None:
        if error is None:
            self._counters.add("messages", reason="acknowledged")
            self.trouble = ""
            self._spool.acknowledge(token)
        elif error.name() in _PERMANENT:
            self._spool.acknowledge(token, refused=f"refused by Kafka: {error.name()}")
        else:
            self._again = error.str()

    def _send_names(self, producer: Producer) -> None:
        """Names stand beside the stream: when they are refused, records go on."""
        if time.monotonic() < self._names_after:
            return
        with self._names_changed:
            names, self._names = self._names, {}
            self._names_out |= names
        for name_id, text in names.items():
            sent = partial(self._name_delivered, name_id)
            key, value = NAME_ID.pack(name_id), text.encode()
            self._produce(producer, partial(producer.produce, self._names_topic, value, key, on_delivery=sent))

    def _name_delivered(self, name_id: int, error: KafkaError | None, _: Any) -> None:
        with self._names_changed:
            text = self._names_out.pop(name_id)
            if error is not None:
                self._names.setdefault(name_id, text)
            self._names_changed.notify_all()
        if error is None:
            self._counters.add("names", reason="acknowledged")
        else:
            self._counters.add("names", reason="refused")
            self._names_after = time.monotonic() + _NAMES_AGAIN_S
            self.trouble = f"topic {self._names_topic}: {error.str()}"
