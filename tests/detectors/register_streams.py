"""Words of registers with known truth: quantities as floats or integers, counters, flags, states and clocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint16]
"""uint16 (registers, samples)."""

BYTES_AT = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}


def _pair(packed: bytes, order: str) -> Words:
    moved = np.frombuffer(packed, np.uint8).reshape(-1, 4)[:, list(BYTES_AT[order])].astype(np.uint16)
    return np.stack([moved[:, 0] << 8 | moved[:, 1], moved[:, 2] << 8 | moved[:, 3]])


def course(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """How a process moves: autoregressive, a wave, a random walk or a saw, about 0 with an amplitude of about 1."""
    t = np.arange(n)
    kind = rng.integers(4)
    if kind == 0:
        rho = rng.uniform(0.8, 0.995)
        x = rng.standard_normal(n)
        for i in range(1, n):
            x[i] = rho * x[i - 1] + np.sqrt(1 - rho * rho) * x[i]
        return x
    if kind == 1:
        wave: NDArray[np.float64] = np.sin(2 * np.pi * t / rng.uniform(40, 400) + rng.uniform(0, 6))
        return wave + 0.05 * rng.standard_normal(n)
    if kind == 2:
        return 2 * np.cumsum(rng.standard_normal(n)) / np.sqrt(n)
    saw: NDArray[np.float64] = 3 * np.abs(t / rng.uniform(50, 300) % 1 - 0.5)
    return saw + 0.02 * rng.standard_normal(n)


def float32(rng: np.random.Generator, n: int, order: str) -> Words:
    """A quantity between 0.1 and 10,000, or about zero."""
    level = 10 ** rng.uniform(-1, 4)
    x = level * (1 + rng.uniform(0.02, 0.3) * course(rng, n))
    return as_float(x - level if rng.random() < 0.2 else x, order)


def as_float(x: NDArray[np.float64], order: str) -> Words:
    """These numbers as singles."""
    return _pair(x.astype(">f4").tobytes(), order)


def noisy_float(rng: np.random.Generator, n: int, order: str) -> Words:
    """A controlled quantity: nothing but noise about its set point."""
    return as_float(50 + rng.uniform(0.03, 3) * rng.standard_normal(n), order)


def analog(rng: np.random.Generator, n: int, low: float = 200, high: float = 60_000) -> Words:
    """One integer quantity with its middle between `low` and `high`."""
    middle = rng.uniform(low, high)
    swing = min(middle, 65_535 - middle) * rng.uniform(0.02, 0.3)
    return np.clip(np.round(middle + swing * course(rng, n)), 0, 65_535).astype(np.uint16)[None]


def signed(rng: np.random.Generator, n: int) -> Words:
    """One integer quantity on both sides of zero."""
    x = np.round(rng.uniform(100, 8000) * course(rng, n)).clip(-30_000, 30_000)
    return (x - x[n // 2]).astype(np.int64).astype(np.uint16)[None]


def as_u32(x: NDArray[np.int64], order: str) -> Words:
    """These numbers, modulo 2^32."""
    return _pair(x.astype(np.uint32).astype(">u4").tobytes(), order)


def counter32(rng: np.random.Generator, n: int, order: str) -> Words:
    """A counter whose low word runs over at least now and then."""
    return as_u32(np.cumsum(rng.poisson(rng.uniform(400, 20_000), n)) + rng.integers(1 << 32), order)


def counter16(rng: np.random.Generator, n: int, low: float = -0.5, high: float = 3.0) -> Words:
    """A counter that goes on by 10^low to 10^high a sample."""
    return (np.cumsum(rng.poisson(10 ** rng.uniform(low, high), n)) + rng.integers(1 << 16)).astype(np.uint16)[None]


def bitfield(rng: np.random.Generator, n: int) -> Words:
    """Three to eight flags, each of which turns now and then."""
    found = np.zeros(n, np.uint16)
    for bit in rng.choice(16, rng.integers(3, 9), False):
        turned = np.cumsum(rng.random(n) < rng.uniform(0.002, 0.03)) % 2
        found |= (turned << bit).astype(np.uint16)
    return found[None]


def enum(rng: np.random.Generator, n: int) -> Words:
    """Three to eight states in turn."""
    states = rng.choice(50, rng.integers(3, 9), False)
    found: Words = states[np.cumsum(rng.random(n) < 0.05) % len(states)].astype(np.uint16)
    return found[None]


def unix_time(rng: np.random.Generator, n: int, order: str) -> Words:
    """Seconds since 1970, read once a second."""
    return as_u32(np.arange(n) + 1_700_000_000 + rng.integers(10_000_000), order)


def time_of_day(rng: np.random.Generator, n: int) -> Words:
    """Hour, minute and second, read once a second."""
    t = np.arange(n) + rng.integers(86_400)
    return np.stack([t // 3600 % 24, t // 60 % 60, t % 60]).astype(np.uint16)
