"""What registers hold, in plain Python: `struct` reads the words, lists hold the course of values."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise

BYTES_AT = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}
SECOND = "second word"
Words = Sequence[Sequence[int]]
"""For each register, its words, oldest first."""
Span = tuple[int, int]
"""A sample, and the nanoseconds from it to the last."""


def joined(words: Words, i: int, order: str, form: str) -> list[float]:
    """The values of words i and i + 1."""
    packed = [struct.pack(">HH", a, b) for a, b in zip(words[i], words[i + 1], strict=True)]
    return [float(struct.unpack(form, bytes(p[at] for at in BYTES_AT[order]))[0]) for p in packed]


def at_percent(ordered: Sequence[float], percent: int) -> float:
    """The value so far through sorted ones."""
    return ordered[percent * (len(ordered) - 1) // 100]


def is_float(words: Words, i: int, order: str) -> bool:
    """Whether words i and i + 1 are singles."""
    x = joined(words, i, order, ">f")
    bad = [s for s, v in enumerate(x) if v != 0.0 and not 1e-4 <= abs(v) <= 1e8]
    if 100 * len(bad) > len(x) or 2 * x.count(0.0) > len(x):
        return False
    for s in bad:
        x[s] = x[s - 1] if s else 0.0
    ordered = sorted(x)
    span = at_percent(ordered, 98) - at_percent(ordered, 2)
    if span <= 0:
        return False
    rough = sum(abs(b - a) for a, b in pairwise(x)) / (len(x) - 1) / span
    sizes = sorted(abs(v) for v in x if v != 0.0)
    low, high = at_percent(sizes, 2), at_percent(sizes, 98)
    spread = 0.0
    while high >= 10 * low and spread < 20:
        low, spread = 10 * low, spread + 1
    spread += (high / low - 1) / 9
    noise, course = (words[i], words[i + 1]) if order in ("CDAB", "DCBA") else (words[i + 1], words[i])
    if rough >= 0.6 or spread > 4 or 3 - spread - 2 * rough <= 0.25:
        return False
    if len(set(noise)) < 8 or 5 * len(set(noise)) < len(set(x)):
        return False
    if order in ("BADC", "DCBA"):
        noise = [w >> 8 | (w & 255) << 8 for w in noise]
    turns = [abs(noise[s] - noise[s - 1]) for s in range(1, len(x)) if course[s] != course[s - 1]]
    return bool(turns) and sum(turns) // len(turns) >= 16384


def rises(x: Sequence[float], turn: int) -> bool:
    """Whether numbers modulo `turn` go back in one step of 200 at most, and on in more than one of 50."""
    steps = [int(b - a) % turn for a, b in pairwise(x)]
    back = sum(step >= turn // 2 for step in steps)
    on = sum(0 < step < turn // 2 for step in steps)
    return 200 * back <= len(steps) and 50 * on > len(steps)


def is_counter32(words: Words, i: int, order: str) -> bool:
    """Whether words i and i + 1 rise as one number, with a carry to be seen."""
    x = [int(v) for v in joined(words, i, order, ">I")]
    usual, over = 0, 0
    for a, b in pairwise(x):
        step, carry = (b - a) % (1 << 32), ((b >> 16) - (a >> 16)) % (1 << 16)
        if step >= 1 << 31:
            continue
        if carry == 0:
            usual = max(usual, step)
        elif carry > 1 or step >= 1 << 16:
            return False
        else:
            over = max(over, step)
    moved = sum(0 < (b - a) % (1 << 32) < 1 << 31 for a, b in pairwise(x))
    return 0 < over <= 2 * usual and rises(x, 1 << 32) and moved >= 12


def is_clock(words: Words, i: int, order: str, span: Span) -> bool:
    """Whether they count seconds or milliseconds."""
    x = joined(words, i, order, ">I")
    if span[1] < 60e9:
        return False
    rate = (x[-1] - x[span[0]]) % (1 << 32) / (span[1] * 1e-9)
    return abs(rate - 1) <= 0.01 or abs(rate - 1000) <= 10


def is_epoch(words: Words, i: int, order: str, span: Span) -> bool:
    """Whether they are seconds since 1970 of this century."""
    x = joined(words, i, order, ">I")
    return x == sorted(x) and x[0] >= 946_684_800 and x[-1] < 4_102_444_800 and is_clock(words, i, order, span)


def pair(words: Words, i: int, order: str, span: Span) -> str:
    """What words i and i + 1 are together, empty for two values."""
    if len(set(words[i if order in ("CDAB", "DCBA") else i + 1])) == 1:
        return ""
    if is_counter32(words, i, order):
        return "timestamp" if is_clock(words, i, order, span) else "counter32"
    if is_epoch(words, i, order, span):
        return "timestamp"
    return "float32" if is_float(words, i, order) else ""


def single(words: Sequence[int]) -> str:
    """What one word is."""
    kinds = len(set(words))
    if kinds == 1 or len(words) < 100:
        return "constant" if kinds == 1 else ""
    if rises(words, 1 << 16) and kinds >= 12:
        return "counter16"
    if kinds == 2:
        return "bool"
    moves = [(a, b) for a, b in pairwise(words) if a != b]
    flips = [(a ^ b).bit_count() for a, b in moves]
    moved = 0
    for a, b in moves:
        moved |= a ^ b
    sizes = [abs(a - b) for a, b in moves]
    share = sum(size.bit_count() == 1 for size in sizes) / len(moves)
    is_walker = sizes.count(1) > 0.9 * len(moves)
    if sum(flips) / len(flips) < 1.6 and share > 0.9 and moved.bit_count() >= 2 and not is_walker:
        return "bitfield"
    if kinds <= 16 and len(moves) < 0.3 * (len(words) - 1) and len(words) >= 6 * kinds:
        return "enum"
    below = [w - 65536 if w >= 32768 else w for w in words]
    shorter = sum(abs(b - a) for a, b in pairwise(below)) < sum(sizes)
    return "signed analog16" if shorter and max(words) > 0xF000 and min(words) < 0x0FFF else "analog16"


def minutes(seconds: Sequence[int], words: Sequence[int], read: Callable[[int], float]) -> bool:
    """Whether `words` go on by one when, and only when, `seconds` begin anew."""
    s, m = [read(w) for w in seconds], [read(w) for w in words]
    if not all(0 <= x < 60 for x in (*s, *m)):
        return False
    turns = [b < a for a, b in pairwise(s)]
    return [(b - a) % 60 for a, b in pairwise(m)] == turns and sum(turns) >= 2


def decimal(word: int) -> float:
    """A number of two decimal digits."""
    return (word >> 4) * 10 + (word & 15) if word & 15 < 10 else math.inf


def votes(words: Words, span: Span) -> list[int]:
    """How many pairs each order finds to be one value."""
    at = range(len(words) - 1) if len(words[0]) >= 100 else ()
    return [sum(pair(words, i, order, span) != "" for i in at) for order in BYTES_AT]


def decide(words: Words, order: str, span: Span) -> list[str]:
    """What each register holds; no `order` for none of two words."""
    kinds: list[str] = []
    while len(kinds) < len(words):
        i = len(kinds)
        wide = pair(words, i, order, span) if order and i + 1 < len(words) and len(words[0]) >= 100 else ""
        kinds += [wide, SECOND] if wide else [single(words[i])]
    for i in range(len(words) - 1):
        if all(k not in ("", "constant", "float32", "counter32", "timestamp", SECOND) for k in kinds[i : i + 2]):
            one, two = words[i], words[i + 1]
            if any(minutes(a, b, read) for a, b in ((one, two), (two, one)) for read in (float, decimal)):
                kinds[i] = kinds[i + 1] = "time of day"
    return kinds
