"""What registers hold: against a twin in plain Python, and against the truth of made streams."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from detectors.kernels import infer
from detectors.kinds import KINDS, ORDERS
from tests.detectors import register_streams as streams
from tests.detectors.register_streams import Words
from tests.reference import infer as twin

N = 300
SECOND_NS = 1_000_000_000
Maker = Callable[[np.random.Generator], Words]


def inferred(words: Words) -> tuple[str, list[str]]:
    """(order of bytes, what each register holds) of one device with one block, read once a second."""
    words = np.ascontiguousarray(words)
    n = words.shape[1]
    work, votes = np.zeros((infer.WORK_ROWS, n)), np.zeros(infer.N_ORDERS, np.int64)
    infer.vote(words, n, 0, (n - 1) * SECOND_NS, work, votes)
    order = int(votes.argmax()) if votes.any() else -1
    kinds = np.zeros(len(words), np.uint8)
    infer.decide(words, n, order, 0, (n - 1) * SECOND_NS, work, kinds)
    return ORDERS[order] if order >= 0 else "", [KINDS[kind] for kind in kinds]


def told_by_twin(words: Words) -> tuple[str, list[str]]:
    rows, span = words.tolist(), (0, (words.shape[1] - 1) * SECOND_NS)
    votes = twin.votes(rows, span)
    order = ORDERS[votes.index(max(votes))] if any(votes) else ""
    return order, twin.decide(rows, order, span)


def two(one: Maker, other: Maker) -> Maker:
    return lambda rng: np.concatenate([one(rng), other(rng)])


def packed_time(rng: np.random.Generator) -> Words:
    t = streams.time_of_day(rng, N)
    return t // 10 * 16 + t % 10


SINGLES: dict[str, tuple[Maker, list[str], float]] = {
    "constant": (lambda rng: np.full((1, N), rng.integers(1 << 16), np.uint16), ["constant"], 1.0),
    "counter16": (lambda rng: streams.counter16(rng, N), ["counter16"], 0.98),
    "bool": (lambda rng: (rng.random((1, N)) < 0.1).astype(np.uint16), ["bool"], 1.0),
    "bitfield": (lambda rng: streams.bitfield(rng, N), ["bitfield"], 0.85),
    "enum": (lambda rng: streams.enum(rng, N), ["enum"], 0.97),
    "analog16": (lambda rng: streams.analog(rng, N), ["analog16"], 0.98),
    "signed analog16": (lambda rng: streams.signed(rng, N), ["signed analog16"], 0.97),
    "time of day": (lambda rng: streams.time_of_day(rng, N)[1:], ["time of day"] * 2, 0.98),
    "time of day in digits": (lambda rng: packed_time(rng)[1:], ["time of day"] * 2, 0.98),
}
WIDE: dict[str, tuple[Callable[[np.random.Generator, int, str], Words], str]] = {
    "float32": (streams.float32, "float32"),
    "counter32": (streams.counter32, "counter32"),
    "timestamp": (streams.unix_time, "timestamp"),
}
APART: dict[str, Maker] = {
    "two quantities": two(lambda rng: streams.analog(rng, N), lambda rng: streams.analog(rng, N)),
    "a quantity that looks like a high word, before another": two(
        lambda rng: streams.analog(rng, N, 14_600, 19_600), lambda rng: streams.analog(rng, N)
    ),
    "a quantity before one that looks like a high word": two(
        lambda rng: streams.analog(rng, N), lambda rng: streams.analog(rng, N, 14_600, 19_600)
    ),
    "two counters": two(lambda rng: streams.counter16(rng, N, -1, 2), lambda rng: streams.counter16(rng, N, 1, 3.5)),
    "a word that goes to and fro at each poll, before a random one": two(
        lambda rng: np.tile(np.array([[17_000, 17_100]], np.uint16), N // 2),
        lambda rng: rng.integers(0, 1 << 16, (1, N)).astype(np.uint16),
    ),
    "a quantity and a counter": two(lambda rng: streams.analog(rng, N), lambda rng: streams.counter16(rng, N)),
}


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = set()
    for turn in range(8):
        parts = [make(rng) for make, *_ in SINGLES.values()] + [make(rng) for make in APART.values()]
        parts += [make(rng, N, ORDERS[turn % 4]) for make, _ in WIDE.values() for _ in range(2)]
        parts.append(rng.integers(0, 1 << 16, (2, N)).astype(np.uint16))
        parts.append(streams.noisy_float(rng, N, ORDERS[turn % 4]))
        words = np.concatenate([parts[i] for i in rng.permutation(len(parts))])
        words = words[:, : (N, infer.ENOUGH, infer.ENOUGH - 1)[max(turn - 5, 0)]]
        order, found = inferred(words)
        assert (order, found) == told_by_twin(words)
        kinds.update(found)
    assert kinds == set(KINDS)


@pytest.mark.parametrize("name", SINGLES)
def test_what_one_register_holds_is_found(name: str) -> None:
    make, expected, share = SINGLES[name]
    rng = np.random.default_rng(1)
    found = [inferred(make(rng))[1] for _ in range(200)]
    assert found.count(expected) >= share * len(found)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", WIDE)
def test_values_of_two_words_are_found_with_their_order(name: str, order: str) -> None:
    make, kind = WIDE[name]
    rng = np.random.default_rng(2)
    found = [inferred(make(rng, N, order)) for _ in range(100)]
    assert found.count((order, [kind, "second word"])) >= 98


@pytest.mark.parametrize("order", ORDERS)
def test_the_floats_of_a_device_agree_on_their_order(order: str) -> None:
    """A row of floats could also be read from its second word on, in another order."""
    rng = np.random.default_rng(3)
    found = [inferred(np.concatenate([streams.float32(rng, N, order) for _ in range(4)])) for _ in range(50)]
    assert [seen for seen, _ in found].count(order) >= 49
    assert sum(kinds[::2].count("float32") for _, kinds in found) >= 0.98 * 200


@pytest.mark.parametrize("order", ORDERS)
def test_a_float_that_is_all_noise_is_a_float(order: str) -> None:
    rng = np.random.default_rng(4)
    found = [inferred(streams.noisy_float(rng, N, order)) for _ in range(100)]
    assert found.count((order, ["float32", "second word"])) >= 92


@pytest.mark.parametrize("name", APART)
def test_two_values_of_one_word_are_kept_apart(name: str) -> None:
    rng = np.random.default_rng(5)
    found = [inferred(APART[name](rng)) for _ in range(300)]
    assert sum(not order for order, _ in found) >= 0.98 * len(found)


def test_few_samples_tell_nothing() -> None:
    rng = np.random.default_rng(6)
    words = np.concatenate([streams.float32(rng, infer.ENOUGH - 1, "ABCD"), streams.counter16(rng, infer.ENOUGH - 1)])
    assert inferred(words) == ("", ["", "", ""])


def test_milliseconds_are_a_clock_and_a_faster_counter_is_none() -> None:
    t = np.arange(N) * 1000
    assert inferred(streams.as_u32(t + 3_000_000_000, "CDAB"))[1][0] == "timestamp"
    assert inferred(streams.as_u32(t * 2 + 3_000_000_000, "CDAB"))[1][0] == "counter32"
