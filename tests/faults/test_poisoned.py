"""Poisoned messages among good ones, in both topics that workers read."""

from __future__ import annotations

import random
import time
from importlib import import_module
from itertools import islice
from types import ModuleType

import pytest

from pipeline.second.message import FORMAT as PANE_FORMAT
from pipeline.second.message import Newer as NewerPane
from pipeline.second.message import Poison as PoisonedPane
from pipeline.second.message import decode as decode_pane
from pipeline.transport import topics
from pipeline.transport.codec import decode
from pipeline.transport.log import HEADER
from pipeline.transport.message import Newer, Poison
from tests.faults.conftest import MakeGround
from tests.faults.ground import TARGETS, Ground
from tests.faults.verdict import dose, hold, seed, verdict

Message = tuple[bytes | None, bytes | None]
SHARE = 10
"""One of so many goes to the panes."""


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The maker of poisoned messages; it asks for kernels that check bounds, which nobody else here shall have."""
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "0")
    made = import_module("tests.transport.poison")
    monkeypatch.delenv("NUMBA_BOUNDSCHECK")
    return made


def fate(ours: Ground, topic: str, partition: int, header: bytes | None, value: bytes | None) -> str:
    """Where a message must end: among the dead letters, parked, or taken."""
    try:
        if topic == topics.RECORDS:
            decode(header, value, partition=partition)
        else:
            decode_pane(header, value, sources=ours.partitions, partition=partition, partitions=TARGETS)
    except (Poison, PoisonedPane):
        return "dead"
    except (Newer, NewerPane):
        return "parked"
    return "taken"


def poisoned_panes(poison: ModuleType, rng: random.Random, honest: list[Message]) -> Message:
    """A message of the second stage with something wrong, or one of a newer format."""
    header, value = rng.choice(honest)
    assert header is not None
    assert value is not None
    if rng.random() < 0.2:
        return header[:4] + (PANE_FORMAT + 1).to_bytes(2, "little") + header[6:], value
    kinds = (poison.header_raw, poison.shortened, poison.lengthened, poison.missing, poison.noise)
    forged: Message = rng.choice(kinds)(rng, header, value or b"\0")
    return forged


def put(ours: Ground, topic: str, partition: int, message: Message) -> None:
    """Send a message as it is."""
    header, value = message
    ours.put(topic, partition, value, None if header is None else [(HEADER, header)])


def test_poison(ground: MakeGround, poison: ModuleType) -> None:
    inputs = dose("POISON", 2_000)
    ours = ground(seed(21))
    rng, began = random.Random(ours.seed), time.monotonic()
    team = [ours.workers.start() for _ in range(2)]
    ours.blocks(2)
    ours.flush()
    ours.wait()
    honest: list[Message] = [(dict(m.headers())[HEADER], m.value()) for m in ours.all_of(topics.PANES)]
    fates = {"dead": 0, "parked": 0, "taken": 0}
    at_once = 100
    for n, (_, message) in enumerate(islice(poison.stream(ours.seed), inputs)):
        topic, partition = topics.RECORDS, 0
        if n % SHARE == 0:
            topic, partition = topics.PANES, rng.randrange(TARGETS)
            message = poisoned_panes(poison, rng, honest)
            # A forged one that is taken would be believed: that is what access rights are for.
            while fate(ours, topic, partition, *message) == "taken":
                message = poisoned_panes(poison, rng, honest)
        fates[fate(ours, topic, partition, *message)] += 1
        put(ours, topic, partition, message)
        if n % at_once == 0:
            ours.blocks(1)
    ours.finish()
    ours.wait()
    assert ours.leave(team) == [0, 0]
    put_away = {"dead": topics.DEAD_LETTERS, "parked": topics.PARKED}
    arrived = {name: len(ours.all_of(topic)) for name, topic in put_away.items()}
    made = verdict(ours, "poisoned messages", inputs, began, but=["refusals"], **fates)
    assert fates["dead"] > inputs // 2
    assert fates["parked"] > 0
    assert arrived == {name: fates[name] for name in arrived}
    hold(made)
