"""Infer: what registers hold, from some hundred of their words that were read together.

Rules on the words alone, the first that fits wins; quantities are told from noise by how rough their course is:
`mean |step| / (98th - 2nd percentile)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import i64, kernel
from detectors.kernels.spread import decades, distinct, distinct_words, roughness, sort
from detectors.kernels.wide import TYPED, joined, swapped
from detectors.kernels.words import popcount
from detectors.kinds import (
    ANALOG16,
    BITFIELD,
    BOOL,
    CONSTANT,
    COUNTER16,
    COUNTER32,
    ENUM,
    FLOAT32,
    ORDERS,
    SECOND_WORD,
    SIGNED16,
    TIME_OF_DAY,
    TIMESTAMP,
    UNDECIDED,
)
from schemas.codes import PointType

SAMPLES = 512
"""Most samples of a register that are looked at."""
ENOUGH = 100
"""With fewer samples nothing is said of a register that changes."""
LEAST_SCORE = 0.25
"""Least score of a float, `3 - decades - 2 roughness`: a quantity that goes through zero has two decades, and more."""

N_ORDERS = len(ORDERS)
WORK_ROWS = 2
"""Rows of SAMPLES float64 that the kernels here work in."""

_U32 = int(PointType.U32)
_I16 = int(PointType.I16)
_F32 = int(PointType.F32)
_SPAN32 = 4294967296.0
_EPOCH_LOW = 946_684_800
_EPOCH_HIGH = 4_102_444_800
"""The years 2000 and 2100 in seconds since 1970."""


@kernel(inline=True)
def form_of(kind: Any, order: Any) -> Any:
    """The type by which `detectors.kernels.wide` reads such a value, 0 where it is as on the wire."""
    if kind == FLOAT32:
        return TYPED | order << 5 | _F32
    if kind in (COUNTER32, TIMESTAMP):
        return TYPED | order << 5 | _U32
    return TYPED | _I16 if kind == SIGNED16 else 0


@kernel()
def turn(samples: Any, low: Any, high: Any, n: Any, swaps: Any) -> Any:
    """Mean step of the low word where the high one changes, 0 where it never does.

    A number of two words that goes on a little runs over its low word, one that goes far leaves it anywhere: this is
    never under a third of 65,536 then.  Of two quantities, the step of the one knows nothing of the other's.
    """
    changes = 0
    total = 0
    for s in range(1, n):
        if samples[high, s] == samples[high, s - 1]:
            continue
        now = i64(samples[low, s])
        before = i64(samples[low, s - 1])
        if swaps:
            now = swapped(now)
            before = swapped(before)
        changes += 1
        total += abs(now - before)
    return total // changes if changes > 0 else 0


@kernel()
def float_score(samples: Any, i: Any, n: Any, order: Any, work: Any) -> Any:
    """How well words i and i + 1 are singles in this order: above LEAST_SCORE where they are taken for such, else 0.0.

    Finite and between 1e-4 and 1e8 for 99 %; within four decades; no mere noise; and the low word is a mantissa's: of
    many values, and it goes through its whole range whenever the high one changes.
    """
    values = work[0]
    bad = 0
    zeros = 0
    for s in range(n):
        x = joined(samples[i, s], samples[i + 1, s], _F32 | order << 5)
        size = abs(x)
        if size == 0.0:
            zeros += 1
        elif not 1e-4 <= size <= 1e8:
            bad += 1
            if 100 * bad > n:
                return 0.0
            x = values[s - 1] if s > 0 else 0.0
        values[s] = x
    if 2 * zeros > n:
        return 0.0
    rough = roughness(values, n, work[1])
    if rough < 0.0 or rough >= 0.6:
        return 0.0
    kinds = distinct(work[1], n)
    zeros = 0
    for s in range(n):
        work[1, s] = abs(values[s])
        zeros += work[1, s] == 0.0
    sort(work[1], n)
    spread = decades(work[1], n, zeros)
    score = 3.0 - spread - 2.0 * min(rough, 1.0)
    if spread > 4.0 or score <= LEAST_SCORE:
        return 0.0
    low = i if order in (1, 3) else i + 1
    noise = distinct_words(samples[low], n, work)
    if noise < 8 or 5 * noise < kinds or turn(samples, low, 2 * i + 1 - low, n, order >= 2) < 0x4000:
        return 0.0
    return score


@kernel()
def is_counter32(samples: Any, i: Any, n: Any, order: Any) -> Any:
    """Whether words i and i + 1 only rise as one, the high one by one when the low one runs over, which must be seen.

    The step that runs over is at most twice the largest other one: words that turn at 60 are no such number.
    """
    fallen = 0
    risen = 0
    over = 0
    usual = 0
    before = i64(joined(samples[i, 0], samples[i + 1, 0], _U32 | order << 5))
    for s in range(1, n):
        now = i64(joined(samples[i, s], samples[i + 1, s], _U32 | order << 5))
        step = (now - before) & 0xFFFFFFFF
        carry = ((now >> 16) - (before >> 16)) & 0xFFFF
        before = now
        if step >= 1 << 31:
            fallen += 1
            continue
        risen += step != 0
        if carry == 0:
            usual = max(usual, step)
        elif carry == 1 and step < 1 << 16:
            over = max(over, step)
        else:
            return False
    return 0 < over <= 2 * usual and 200 * fallen <= n - 1 and 50 * risen > n - 1 and risen >= 12


@kernel()
def is_clock(samples: Any, i: Any, n: Any, order: Any, since: Any, elapsed_ns: Any) -> Any:
    """Whether what words i and i + 1 count from sample `since` on are seconds or milliseconds, within a hundredth."""
    form = _U32 | order << 5
    gone = joined(samples[i, n - 1], samples[i + 1, n - 1], form) - joined(
        samples[i, since], samples[i + 1, since], form
    )
    gone = gone + _SPAN32 if gone < 0.0 else gone
    if elapsed_ns < 60_000_000_000:
        return False
    rate = gone / (elapsed_ns * 1e-9)
    return abs(rate - 1.0) <= 0.01 or abs(rate - 1000.0) <= 10.0


@kernel()
def is_counter16(words: Any, n: Any, work: Any) -> Any:
    """Whether a word rises, running over at its end: 12 values, hardly ever back, on the move."""
    fallen = 0
    risen = 0
    for s in range(1, n):
        step = (i64(words[s]) - i64(words[s - 1])) & 0xFFFF
        risen += 0 < step < 0x8000
        fallen += step >= 0x8000
    return 200 * fallen <= n - 1 and 50 * risen > n - 1 and distinct_words(words, n, work) >= 12


@kernel()
def is_epoch(samples: Any, i: Any, n: Any, order: Any, since: Any, elapsed_ns: Any) -> Any:
    """Whether words i and i + 1 are seconds since 1970, of a year from 2000 to 2099, that only rise."""
    before = 0
    for s in range(n):
        now = i64(joined(samples[i, s], samples[i + 1, s], _U32 | order << 5))
        if not _EPOCH_LOW <= now < _EPOCH_HIGH or now < before:
            return False
        before = now
    return is_clock(samples, i, n, order, since, elapsed_ns)


@kernel()
def varies(words: Any, n: Any) -> Any:
    """Whether a word ever changes."""
    found = False
    for s in range(1, n):
        found |= words[s] != words[0]
    return found


@kernel()
def pair_kind(samples: Any, i: Any, n: Any, order: Any, since: Any, elapsed_ns: Any, work: Any) -> Any:
    """What words i and i + 1 are together in this order, UNDECIDED where they are two values."""
    if not varies(samples[i if order in (1, 3) else i + 1], n):
        return UNDECIDED
    if is_counter32(samples, i, n, order):
        return TIMESTAMP if is_clock(samples, i, n, order, since, elapsed_ns) else COUNTER32
    if is_epoch(samples, i, n, order, since, elapsed_ns):
        return TIMESTAMP
    return FLOAT32 if float_score(samples, i, n, order, work) > 0.0 else UNDECIDED


@kernel()
def bits_kind(words: Any, n: Any, kinds: Any) -> Any:
    """Whether few bits change at a time (BITFIELD), or few values last long (ENUM); UNDECIDED for neither."""
    moves = 0
    flipped = 0
    single = 0
    ones = 0
    moved = 0
    for s in range(1, n):
        now = i64(words[s])
        before = i64(words[s - 1])
        if now == before:
            continue
        moves += 1
        moved |= now ^ before
        flipped += popcount(np.uint64(now ^ before))
        size = abs(now - before)
        single += size & (size - 1) == 0
        ones += size == 1
    if (
        10 * flipped < 16 * moves
        and 10 * single > 9 * moves
        and popcount(np.uint64(moved)) >= 2
        and 10 * ones <= 9 * moves
    ):
        return BITFIELD
    if kinds <= 16 and 10 * moves < 3 * (n - 1) and n >= 6 * kinds:
        return ENUM
    return UNDECIDED


@kernel()
def is_signed(words: Any, n: Any) -> Any:
    """Whether a word lies about zero, and its way is shorter when it may be negative."""
    below = False
    above = False
    plain = 0
    negative = 0
    for s in range(n):
        below |= words[s] > 0xF000
        above |= words[s] < 0x0FFF
        if s > 0:
            step = i64(words[s]) - i64(words[s - 1])
            plain += abs(step)
            step += 0x10000 * ((words[s - 1] >= 0x8000) - (words[s] >= 0x8000))
            negative += abs(step)
    return below and above and negative < plain


@kernel()
def _sixty(word: Any, packed: Any) -> Any:
    """A minute or second, of two decimal digits where `packed`; -1 where it is none."""
    if packed:
        if word & 0xF > 9:
            return -1
        word = (word >> 4) * 10 + (word & 0xF)
    return word if word < 60 else -1


@kernel()
def counts_minutes(seconds: Any, minutes: Any, n: Any, packed: Any) -> Any:
    """Whether one word counts to 59, and the other goes on by one whenever, and only when, it begins anew."""
    carries = 0
    for s in range(n):
        second = _sixty(i64(seconds[s]), packed)
        minute = _sixty(i64(minutes[s]), packed)
        if second < 0 or minute < 0:
            return False
        if s > 0:
            gone = (minute - _sixty(i64(minutes[s - 1]), packed)) % 60
            turns = second < _sixty(i64(seconds[s - 1]), packed)
            if gone != turns:
                return False
            carries += gone
    return carries >= 2


@kernel()
def single_kind(words: Any, n: Any, work: Any) -> Any:
    """What one word is by itself, UNDECIDED where it has more than one value and too few samples."""
    if not varies(words, n):
        return CONSTANT
    if n < ENOUGH:
        return UNDECIDED
    kinds = distinct_words(words, n, work)
    if is_counter16(words, n, work):
        return COUNTER16
    if kinds <= 2:
        return BOOL
    found = bits_kind(words, n, kinds)
    if found != UNDECIDED:
        return found
    return SIGNED16 if is_signed(words, n) else ANALOG16


@kernel()
def vote(samples: Any, n: Any, since: Any, elapsed_ns: Any, work: Any, votes: Any) -> None:
    """Count for each order how many pairs of adjacent words it finds to be one value.

    Args:
        samples: uint16 (registers, at least n), words of adjacent registers that were read together, oldest first.
        n: samples.
        since, elapsed_ns: a sample, and the time from it to the last.
        work: float64 (WORK_ROWS, at least n).
        votes: int64 (N_ORDERS,), added to.
    """
    if n < ENOUGH:
        return
    for order in range(N_ORDERS):
        for i in range(len(samples) - 1):
            votes[order] += pair_kind(samples, i, n, order, since, elapsed_ns, work) != UNDECIDED


@kernel()
def decide(samples: Any, n: Any, order: Any, since: Any, elapsed_ns: Any, work: Any, kinds: Any) -> None:
    """What each register holds, where values of two words have this order.

    Args:
        samples, n, since, elapsed_ns, work: as in `vote`.
        order: index into ORDERS; -1 where no value of two words is to be looked for.
        kinds: uint8 (registers,), filled with kinds.
    """
    i = 0
    while i < len(samples):
        found = UNDECIDED
        if order >= 0 and n >= ENOUGH and i + 1 < len(samples):
            found = pair_kind(samples, i, n, order, since, elapsed_ns, work)
        if found != UNDECIDED:
            kinds[i] = found
            kinds[i + 1] = SECOND_WORD
            i += 2
            continue
        kinds[i] = single_kind(samples[i], n, work)
        i += 1
    for i in range(len(samples) - 1):
        if kinds[i] >= COUNTER16 and SECOND_WORD > kinds[i + 1] >= COUNTER16:
            for packed in range(2):
                one, two = samples[i], samples[i + 1]
                if counts_minutes(one, two, n, packed) or counts_minutes(two, one, n, packed):
                    kinds[i] = TIME_OF_DAY
                    kinds[i + 1] = TIME_OF_DAY
