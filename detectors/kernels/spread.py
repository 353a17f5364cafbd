"""Spread: order, quantiles, roughness and decades of some hundred numbers."""

from __future__ import annotations

from typing import Any

from detectors.jit import kernel


@kernel()
def sort(values: Any, n: Any) -> None:
    """Sort the first `n` numbers in place, by Shell's method: kernels allocate nothing."""
    gap = n // 2
    while gap > 0:
        for i in range(gap, n):
            x = values[i]
            j = i
            while j >= gap and values[j - gap] > x:
                values[j] = values[j - gap]
                j -= gap
            values[j] = x
        gap //= 2


@kernel(inline=True)
def quantile(ordered: Any, n: Any, percent: Any) -> Any:
    """The number at `percent` of the way through `n` sorted ones."""
    return ordered[percent * (n - 1) // 100]


@kernel()
def roughness(values: Any, n: Any, ordered: Any) -> Any:
    """Mean step as a share of the range; negative where nearly all values are one.  `ordered` is left sorted."""
    total = 0.0
    for s in range(n):
        ordered[s] = values[s]
        if s > 0:
            total += abs(values[s] - values[s - 1])
    sort(ordered, n)
    span = quantile(ordered, n, 98) - quantile(ordered, n, 2)
    return total / (n - 1) / span if span > 0.0 else -1.0


@kernel()
def distinct(ordered: Any, n: Any) -> Any:
    """How many different ones there are among `n` sorted numbers."""
    found = 1
    for s in range(1, n):
        if ordered[s] != ordered[s - 1]:
            found += 1
    return found


@kernel()
def decades(ordered: Any, n: Any, zeros: Any) -> Any:
    """Decades between the 2nd and the 98th percentile of the numbers behind the zeros; straight within a decade."""
    low = ordered[zeros + 2 * (n - zeros - 1) // 100]
    high = ordered[zeros + 98 * (n - zeros - 1) // 100]
    whole = 0.0
    while high >= 10.0 * low and whole < 20.0:
        low *= 10.0
        whole += 1.0
    return whole + (high / low - 1.0) / 9.0


@kernel()
def distinct_words(words: Any, n: Any, work: Any) -> Any:
    """How many different words there are."""
    for s in range(n):
        work[1, s] = float(words[s])
    sort(work[1], n)
    return distinct(work[1], n)
