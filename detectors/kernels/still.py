"""Still: a quantity that always moved and no longer does; a state that lasts longer than it ever did.

A standstill is improbable when it is longer than chance allows for polls on their own, and half as long again as the
longest one learned, in polls and in time: a second client that polls faster makes more polls, not more time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel

ANALOG = 3
"""The kind of tag whose standing still is judged; see `detectors.kernels.settle.KINDS`."""
RESTS = 50
"""Rests in a state that learning must have seen before a longer one says anything."""
MOVES = 50
"""Changes that learning must have seen of a tag before its standing still says anything."""
OFTEN = 10
"""How many times as many polls as the longest normal standstill learning must have seen."""
CHANCE = 1e-9
"""How improbable a standstill must be, were each poll on its own."""
REGULAR = 2.0
"""How many times as long as the mean the longest standstill may be, and all be taken for equal."""
LONGEST = 65_535
"""Polls without a change are counted up to here."""
NEVER = np.iinfo(np.int64).min

_SECOND = 1e9
_MINUTE = 60_000_000_000
_BREAK = 10 * _MINUTE
"""A silence that ends a standstill: nobody knows what the value did."""


@kernel()
def patience(unchanged: Any) -> Any:
    """Polls without a change that have a chance of CHANCE at most: the least r with unchanged ** r <= CHANCE.

    By squaring, since the machine's logarithm is not the same everywhere; at most LONGEST.
    """
    power = 1.0
    polls = 0
    for k in range(15, -1, -1):
        square = unchanged
        for _ in range(k):
            square = square * square
        if power * square > CHANCE:
            power = power * square
            polls += 1 << k
    return min(polls + 1, LONGEST)


@kernel()
def still_limit(cold: Any, tag: Any, kind: Any, n: Any, gap: Any) -> Any:
    """Polls without a change that are normal: max(ln CHANCE / ln p, 1.5 longest + 2).

    Where the longest standstill is about as long as all others, as of a value that is sampled and held, the second
    alone: such polls are not each on their own.
    0 where nothing can be said: of tags that rest for long, learning has seen too few rests to know the longest.
    """
    low = np.float64(cold["rest_low"][tag])
    high = np.float64(cold["rest_high"][tag])
    if low > 0.0 or high > 0.0:
        # At least so many polls lie in the shorter rest: until then there is no need to look.
        rest = min(low, high) if low > 0.0 and high > 0.0 else max(low, high)
        return max(1, min(LONGEST - 1, np.int64(1.5 * rest * _SECOND / np.float64(max(gap, 1)))))
    unchanged = cold["unchanged"][tag]
    if kind != ANALOG or (1.0 - unchanged) * np.float64(n - 1) < MOVES - 0.5:
        return 0
    longest = np.int64(cold["longest"][tag])
    regular = np.float64(longest + 1) * (1.0 - unchanged) <= REGULAR
    limit = max(0 if regular else patience(unchanged), (3 * longest) // 2 + 2)
    return limit if limit < LONGEST and OFTEN * limit <= n else 0


@kernel(inline=True)
def note(hot: Any, cold: Any, tag: Any, x: Any, ts: Any) -> None:
    """Count a poll that shows no change; a change, or a long silence, starts anew."""
    seen = hot["seen"][tag]
    if x != hot["last"][tag] or ts - seen > _BREAK:
        hot["same"][tag] = 0
        return
    if hot["same"][tag] == 0:
        cold["moved"][tag] = seen
        cold["since"][tag] = NEVER
    if hot["same"][tag] < LONGEST:
        hot["same"][tag] += 1


@kernel(inline=True)
def stands(hot: Any, tag: Any, ts: Any) -> Any:
    """Count one more poll of a standstill that goes on and is normal still; False where there is more to it."""
    same = hot["same"][tag]
    if hot["still"][tag] == 0:
        return True
    if same == 0 or same >= hot["still"][tag] or ts - hot["seen"][tag] > _BREAK:
        return False
    hot["same"][tag] = same + 1
    return True


@kernel()
def learn_still(hot: Any, cold: Any, tag: Any, x: Any, ts: Any) -> None:
    """Take a standstill as normal, and where one ends, the rest of the state."""
    seen = hot["seen"][tag]
    if x != hot["last"][tag] and ts - seen <= _BREAK:
        rest = np.float64(ts - (cold["moved"][tag] if hot["same"][tag] > 0 else seen)) / _SECOND
        if hot["last"][tag] < x:
            cold["rest_low"][tag] = max(np.float64(cold["rest_low"][tag]), rest)
        else:
            cold["rest_high"][tag] = max(np.float64(cold["rest_high"][tag]), rest)
    note(hot, cold, tag, x, ts)
    if hot["same"][tag] > 0:
        cold["longest"][tag] = max(np.int64(cold["longest"][tag]), np.int64(hot["same"][tag]))
        cold["longest_ns"][tag] = max(cold["longest_ns"][tag], ts - cold["moved"][tag])


@kernel()
def settle_rest(cold: Any, tag: Any, has_two: Any) -> None:
    """Forget the longest rests of a tag that has not two states, or went through them too seldom."""
    if not has_two or cold["ups"][tag] < RESTS:
        cold["rest_low"][tag] = 0.0
    if not has_two or cold["downs"][tag] < RESTS:
        cold["rest_high"][tag] = 0.0


@kernel()
def rest_limit(hot: Any, cold: Any, tag: Any, x: Any) -> Any:
    """Seconds that the state may last: half as long again as ever, and two polls; 0.0 where nothing is known."""
    longest = np.float64(cold["rest_low"][tag] if x <= cold["low"][tag] else cold["rest_high"][tag])
    if longest <= 0.0:
        return 0.0
    return 1.5 * longest + 2.0 * np.float64(min(hot["gap"][tag], _MINUTE)) / _SECOND


@kernel()
def is_stuck(hot: Any, cold: Any, tag: Any, ts: Any, lengths: Any) -> Any:
    """Whether a standstill that has more polls than normal is evidence at `ts`: for a while, then again much later."""
    lasting = ts - cold["moved"][tag]
    if lasting < cold["longest_ns"][tag] // 2 * 3 + 2 * min(hot["gap"][tag], _MINUTE):
        return False
    return is_due(cold, tag, ts, lengths)


@kernel(inline=True)
def is_due(cold: Any, tag: Any, ts: Any, lengths: Any) -> Any:
    """Whether an alarm that lasts is evidence at `ts`: for a while from its beginning, then again much later."""
    since = cold["since"][tag]
    if since == NEVER or ts - since >= lengths.rearm_ns:
        cold["since"][tag] = ts
        return True
    return ts - since < lengths.window_ns
