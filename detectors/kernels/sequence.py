"""Sequence: n-grams of what is said between a client and a unit of a device, learned, then held against what comes.

After Goldenberg and Wool 2013 (automata of Modbus cycles) and Caselli et al. 2015 (Markov chains of operations).  While
a channel is learned, its transitions of every order are held, with acknowledgements and without.  Then that order is
taken, the longest, that brought nothing new in the last quarter of learning and of which everything came several times;
where there is none, nothing is judged.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import report
from detectors.kernels.mix import mix
from detectors.kernels.seen import TYPE_PAIR, about_pair, is_open, limit_of
from detectors.kernels.slots import KNOWN, N_BUCKETS, STATUS, UNSET, find, hash_words, insert, is_key
from schemas.codes import Anomaly, Kind, LearnState, Severity

TYPE_SYMBOL = 801
TYPE_TRANSITION = 802

CHANNEL = np.uint64(1)
GRAM = np.uint64(2)
"""What a key is: a client and a unit of a device, or a sequence of theirs."""

WITH_ACKS = 0
WITHOUT = 1
ORDERS = 3
MODES = 6
"""Ways to judge, alphabet * ORDERS + order - 1."""
OPEN = 255
"""A channel that is not judged."""

FLOW = np.dtype(
    [
        ("first", np.int64),
        ("last", np.int64),
        ("since", np.int64),
        ("n0", np.uint32),
        ("n1", np.uint32),
        ("a1", np.uint64),
        ("a2", np.uint64),
        ("b1", np.uint64),
        ("b2", np.uint64),
        ("new0", np.uint32),
        ("new1", np.uint32),
        ("new2", np.uint32),
        ("new3", np.uint32),
        ("new4", np.uint32),
        ("new5", np.uint32),
        ("thin0", np.uint32),
        ("thin1", np.uint32),
        ("thin2", np.uint32),
        ("thin3", np.uint32),
        ("thin4", np.uint32),
        ("thin5", np.uint32),
        ("mode", np.uint8),
        ("state", np.uint8),
    ],
    align=True,
)
"""Held for a key: ns of first and last sight, start of its evidence window, symbols seen with acknowledgements and
without.  Of a channel also: the last two symbols of both alphabets (0: none); for each way to judge, at which symbol it
saw something new last, and how many sequences it saw less than SURE times; the way that is taken, LearnState."""

SURE = 3
"""What was seen less often may have brothers that were not seen at all: then an order has not closed."""
SPOKEN = 8
"""Symbols from which a conversation is no longer given up for others: a flood of strangers says less."""
LEAST = 200
"""Symbols that learning must have seen of a channel before it is judged."""

MOST_KEYS = 9
MOST_ALERTS = 1
"""What one record can add."""

_LEARN = int(LearnState.LEARN)
_LIVE = int(LearnState.LIVE)
_REQUEST = int(Kind.REQUEST)
_RESPONSE = int(Kind.RESPONSE)
_UNSOLICITED = int(Kind.UNSOLICITED)
_CONFIRM = int(Kind.CONFIRM)
_CONTROL = int(Kind.CONTROL)
_LOW = int(Severity.LOW)
_INFORMATIONAL = int(Severity.INFORMATIONAL)
_HOLE = np.uint64(int(Anomaly.GAP_BEFORE | Anomaly.RESYNCHRONISED))
_ZERO = np.uint64(0)


class Wire(NamedTuple):
    """The record columns that sequences are made of; see `schemas.record`."""

    ts: NDArray[np.int64]
    device: NDArray[np.uint64]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    unit: NDArray[np.uint32]
    func: NDArray[np.uint16]
    subfunc: NDArray[np.uint32]
    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    name_id: NDArray[np.uint64]
    anomaly: NDArray[np.uint64]
    gap_bytes: NDArray[np.uint32]


class Settings(NamedTuple):
    """Settings, as numbers; meaning as in `detectors.sequence.Params` and `detectors.lifecycle.Learning`."""

    learns_only: bool
    value_ns: int
    window_ns: int
    rearm_ns: int
    limit: int


@kernel()
def _symbol(wire: Any, i: Any, kind: Any) -> Any:
    """What a record says, as a number that is not 0: of requests with their place; of what devices say, by its kind."""
    about = np.uint64(wire.protocol[i]) << np.uint64(16) | np.uint64(wire.func[i])
    about |= np.uint64(kind) << np.uint64(32) | np.uint64(wire.client_is_src[i]) << np.uint64(40)
    h = mix(mix(_ZERO, about), np.uint64(wire.subfunc[i]))
    if kind == _REQUEST:
        h = mix(mix(mix(h, np.uint64(wire.space[i])), wire.addr[i]), wire.name_id[i])
    return h | np.uint64(1)


@kernel()
def _key(mode: Any) -> Any:
    """Fourth word of a sequence's key."""
    return GRAM << np.uint64(32) | np.uint64(mode) << np.uint64(40)


@kernel(inline=True)
def _gram(order: Any, before: Any, earlier: Any, symbol: Any) -> Any:
    """The last `order` symbols as one number."""
    if order == 1:
        return symbol
    past = mix(_ZERO, before) if order == 2 else mix(mix(_ZERO, earlier), before)
    return mix(past, symbol)


@kernel()
def _clear(rows: Any, slot: Any, ts: Any) -> None:
    """A key that has just come to be held."""
    rows["first"][slot] = ts
    rows["last"][slot] = ts
    rows["since"][slot] = UNSET
    rows["n0"][slot] = 0
    rows["n1"][slot] = 0
    rows["new0"][slot] = 0
    rows["new1"][slot] = 0
    rows["new2"][slot] = 0
    rows["new3"][slot] = 0
    rows["new4"][slot] = 0
    rows["new5"][slot] = 0
    rows["thin0"][slot] = 0
    rows["thin1"][slot] = 0
    rows["thin2"][slot] = 0
    rows["thin3"][slot] = 0
    rows["thin4"][slot] = 0
    rows["thin5"][slot] = 0
    rows["mode"][slot] = OPEN
    rows["state"][slot] = _LEARN
    forget(rows, slot)


@kernel()
def forget(rows: Any, slot: Any) -> None:
    """Nothing is known of what a channel said last."""
    rows["a1"][slot] = 0
    rows["a2"][slot] = 0
    rows["b1"][slot] = 0
    rows["b2"][slot] = 0


@kernel()
def _note(rows: Any, slot: Any, mode: Any, n: Any) -> None:
    """A way to judge saw something new at the channel's symbol `n`."""
    if mode == 0:
        rows["new0"][slot] = n
    elif mode == 1:
        rows["new1"][slot] = n
    elif mode == 2:
        rows["new2"][slot] = n
    elif mode == 3:
        rows["new3"][slot] = n
    elif mode == 4:
        rows["new4"][slot] = n
    else:
        rows["new5"][slot] = n


@kernel()
def _thin(rows: Any, slot: Any, mode: Any, more: Any) -> None:
    """One sequence more, or less, that a way to judge saw less than SURE times."""
    if mode == 0:
        rows["thin0"][slot] += more
    elif mode == 1:
        rows["thin1"][slot] += more
    elif mode == 2:
        rows["thin2"][slot] += more
    elif mode == 3:
        rows["thin3"][slot] += more
    elif mode == 4:
        rows["thin4"][slot] += more
    else:
        rows["thin5"][slot] += more


@kernel()
def _is_held(table: Any, device: Any, hi: Any, lo: Any, w3: Any, gram: Any) -> Any:
    """The slot of a sequence, -1 where it is not held."""
    return find(table, hash_words(device, hi, lo, w3, gram), device, hi, lo, w3, gram)


@kernel()
def _learn(
    table: Any, rows: Any, settings: Any, slot: Any, alphabet: Any, n: Any, before: Any, earlier: Any, symbol: Any,
    device: Any, hi: Any, lo: Any, ts: Any,
) -> None:  # fmt: skip
    """Hold the sequences that end in `symbol`, of every order for which there is a past."""
    for order in range(1, ORDERS + 1):
        if (order > 1 and before == 0) or (order > 2 and earlier == 0):
            return
        mode = alphabet * ORDERS + order - 1
        w3, gram = _key(mode), _gram(order, before, earlier, symbol)
        held = _is_held(table, device, hi, lo, w3, gram)
        if held < 0:
            h = hash_words(device, hi, lo, w3, gram)
            most = limit_of(table, np.int64(device % N_BUCKETS), settings.limit, not settings.learns_only)
            held = insert(table, most, True, _ZERO, h, device, hi, lo, w3, gram)
            if held >= 0:
                _clear(rows, held, ts)
            _note(rows, slot, mode, n)
            _thin(rows, slot, mode, 1)
        if held >= 0:
            rows["n0"][held] += 1
            if rows["n0"][held] == SURE:
                _thin(rows, slot, mode, -1)
                table.keys[held, STATUS] |= KNOWN
            rows["last"][held] = max(rows["last"][held], ts)


@kernel(inline=True)
def _has_closed(new: Any, thin: Any, n: Any) -> Any:
    """Whether nothing new came in the last quarter of `n` symbols, and everything came SURE times."""
    return n >= LEAST and 4 * np.int64(new) <= 3 * np.int64(n) and thin == 0


@kernel()
def settle(rows: Any, slot: Any) -> None:
    """End the learning of a channel: the longest order that has closed, with acknowledgements before without."""
    mode = OPEN
    n0, n1 = rows["n0"][slot], rows["n1"][slot]
    if _has_closed(rows["new2"][slot], rows["thin2"][slot], n0):
        mode = 2
    elif _has_closed(rows["new5"][slot], rows["thin5"][slot], n1):
        mode = 5
    elif _has_closed(rows["new1"][slot], rows["thin1"][slot], n0):
        mode = 1
    elif _has_closed(rows["new4"][slot], rows["thin4"][slot], n1):
        mode = 4
    elif _has_closed(rows["new3"][slot], rows["thin3"][slot], n1):
        mode = 3
    rows["mode"][slot] = mode
    rows["state"][slot] = _LIVE


@kernel()
def _judge(
    wire: Any, i: Any, table: Any, rows: Any, slot: Any, symbol: Any, before: Any, earlier: Any, settings: Any,
    out: Any, hi: Any, lo: Any,
) -> None:  # fmt: skip
    """Hold what comes against the order that was taken."""
    mode = np.int64(rows["mode"][slot])
    order = mode % ORDERS + 1
    device, ts = wire.device[i], wire.ts[i]
    if (order > 1 and before == 0) or (order > 2 and earlier == 0):
        return
    if _is_held(table, device, hi, lo, _key(mode), _gram(order, before, earlier, symbol)) >= 0:
        return
    if not is_open(rows["since"], slot, ts, settings.window_ns, settings.rearm_ns):
        return
    single = _key(mode // ORDERS * ORDERS)
    what = TYPE_TRANSITION if _is_held(table, device, hi, lo, single, symbol) >= 0 else TYPE_SYMBOL
    blind = wire.gap_bytes[i] != 0 or (wire.anomaly[i] & _HOLE) != 0
    rank = _INFORMATIONAL if blind else _LOW
    report(out, i, what, rank, 0, about_pair(what, hi, lo, device), about_pair(TYPE_PAIR, hi, lo, device))


@kernel()
def sequences(start: Any, wire: Any, table: Any, rows: Any, settings: Any, out: Any) -> Any:
    """Judge and learn the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire: Wire.
        table, rows: `slots.Table` of channels and sequences, and FLOW by slot.
        settings: Settings.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    slot = np.int64(-1)
    for i in range(start, len(wire.ts)):
        if table.used[0] + MOST_KEYS > len(table.keys) or out.filled[0] + MOST_ALERTS > len(out.marks):
            return i
        kind = np.int64(wire.kind[i])
        acknowledges = kind in (_CONFIRM, _CONTROL)
        if not acknowledges and kind not in (_REQUEST, _RESPONSE, _UNSOLICITED):
            continue
        device, ts = wire.device[i], wire.ts[i]
        asks = wire.client_is_src[i] != 0
        hi = wire.src_ip[i, 0] if asks else wire.dst_ip[i, 0]
        lo = wire.src_ip[i, 1] if asks else wire.dst_ip[i, 1]
        # Housekeeping names no unit; it belongs to what the conversation is about.
        unit = np.uint64(0) if acknowledges else np.uint64(wire.unit[i])
        w3 = CHANNEL << np.uint64(32)
        if slot < 0 or not is_key(table.keys, slot, device, hi, lo, w3, _ZERO):
            h = hash_words(device, hi, lo, w3, _ZERO)
            slot = find(table, h, device, hi, lo, w3, _ZERO)
            if slot < 0:
                most = limit_of(table, np.int64(device % N_BUCKETS), settings.limit, not settings.learns_only)
                slot = insert(table, most, True, _ZERO, h, device, hi, lo, w3, _ZERO)
                if slot < 0:
                    continue
                _clear(rows, slot, ts)
        live = rows["state"][slot] == _LIVE
        mode = np.int64(rows["mode"][slot])
        if live and mode == OPEN:
            continue
        symbol = mix(_symbol(wire, i, kind), unit) | np.uint64(1)
        rows["last"][slot] = max(rows["last"][slot], ts)
        rows["n0"][slot] = min(rows["n0"][slot] + 1, 1 << 31)
        if rows["n0"][slot] == SPOKEN:
            table.keys[slot, STATUS] |= KNOWN
        before, earlier = rows["a1"][slot], rows["a2"][slot]
        rows["a2"][slot] = before
        rows["a1"][slot] = symbol
        if live and mode < ORDERS:
            _judge(wire, i, table, rows, slot, symbol, before, earlier, settings, out, hi, lo)
        elif not live:
            n = rows["n0"][slot]
            _learn(table, rows, settings, slot, WITH_ACKS, n, before, earlier, symbol, device, hi, lo, ts)
        if not acknowledges:
            rows["n1"][slot] = min(rows["n1"][slot] + 1, 1 << 31)
            before, earlier = rows["b1"][slot], rows["b2"][slot]
            rows["b2"][slot] = before
            rows["b1"][slot] = symbol
            if live and mode >= ORDERS:
                _judge(wire, i, table, rows, slot, symbol, before, earlier, settings, out, hi, lo)
            elif not live:
                n = rows["n1"][slot]
                _learn(table, rows, settings, slot, WITHOUT, n, before, earlier, symbol, device, hi, lo, ts)
        if not live and not settings.learns_only and rows["n1"][slot] >= LEAST:
            if ts - rows["first"][slot] < settings.value_ns:
                continue
            settle(rows, slot)
            table.keys[slot, STATUS] |= KNOWN
    return len(wire.ts)
