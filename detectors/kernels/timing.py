"""Timing: how often each channel is polled and how soon it is answered, learned, then held against what comes.

A channel is one poll of a client (function and addresses) or the reports of a device to it.  Gaps are those between
answers, so that a device that falls silent and a client that no longer asks are told apart by the latest request.
After Lin et al. 2017 (mean and range of inter-arrival times).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.mix import mix
from detectors.kernels.seen import TYPE_PAIR, about_pair, is_open
from detectors.kernels.slots import KNOWN, STATUS, UNSET, find, hash_words, insert, is_key
from schemas.codes import Anomaly, Kind, LearnState, Match, Severity

TYPE_UNANSWERED = 701
TYPE_SILENT = 702
TYPE_FASTER = 703
TYPE_SLOWER = 704

POLL = np.uint64(0)
REPORTS = np.uint64(1)
"""What a channel is: requests that are answered, or what a device sends unasked."""

CHANNEL = np.dtype(
    [
        ("last", np.int64),
        ("asked", np.int64),
        ("first", np.int64),
        ("since", np.int64),
        ("behind_since", np.int64),
        ("seq", np.uint64),
        ("packet", np.uint64),
        ("boot", np.uint32),
        ("n", np.uint32),
        ("mean", np.float32),
        ("high", np.float32),
        ("recent", np.float32),
        ("least", np.float32),
        ("slowest", np.float32),
        ("addr", np.uint64),
        ("space", np.uint16),
        ("shard", np.uint16),
        ("func", np.uint16),
        ("protocol", np.uint8),
        ("op", np.uint8),
        ("state", np.uint8),
        ("told", np.uint8),
        ("behind", np.uint8),
    ]
)
"""Held for a channel: ns of its latest answer or report, of the latest request, of its first sight; starts of its
evidence windows (too often, too late); where that latest record lies; gaps counted; mean and largest gap learned (s);
mean of recent gaps and its least learned; largest response time learned (s); what its first record said of itself;
LearnState; whether its silence was TOLD, or nothing is known since (BLIND); answers in a row that came too late."""

TOLD = 1
BLIND = 2

FACE = np.dtype(
    [("ip_hi", np.uint64), ("ip_lo", np.uint64), ("mac", np.uint64), ("vlan", np.uint32), ("port", np.uint16)]
)
"""Held for a device: how it showed itself when one of its channels was first seen, or seen again."""

GAPS = 25
"""Gaps that learning must have seen of a channel before it is judged."""
SMOOTH = 8
"""Gaps before the mean of recent ones says something."""
RECENT = np.float32(0.25)
"""Weight of the newest gap in the mean of recent ones: about seven of them."""
REGULAR = np.float32(1.75)
"""A channel is periodic whose largest gap is at most REGULAR times the mean.  Of events that come by chance, one of a
hundred series of GAPS is so."""
BEHIND = 3
"""Answers in a row that must come too late."""

MOST_ALERTS = 2
MOST_KEYS = 1
"""What one record can add."""

_NS = 1e-9
_BACK_NS = 60_000_000_000
"""Time that runs back by more is another capture's."""
_TICK_NS = 10_000_000_000
"""Added to what is normal: a capture point may have been blind for nearly as long without a mark that says so."""
_MOMENT_S = 0.01
"""Added to what answers may take: below it, what the clocks of captures show is chance."""
_REQUEST = int(Kind.REQUEST)
_RESPONSE = int(Kind.RESPONSE)
_UNSOLICITED = int(Kind.UNSOLICITED)
_DATA = int(Kind.DATA)
_MATCHED = int(Match.MATCHED)
_LEARN = int(LearnState.LEARN)
_LIVE = int(LearnState.LIVE)
_LOW = int(Severity.LOW)
_MEDIUM = int(Severity.MEDIUM)
_HOLE = np.uint64(int(Anomaly.GAP_BEFORE | Anomaly.RESYNCHRONISED | Anomaly.MIDSTREAM | Anomaly.OUT_OF_ORDER))
"""Circumstances in which a message before this one may have been missed, or this one came late."""


class Wire(NamedTuple):
    """The record columns that timing is judged by; see `schemas.record`."""

    ts: NDArray[np.int64]
    shard: NDArray[np.uint16]
    boot: NDArray[np.uint32]
    seq: NDArray[np.uint64]
    packet: NDArray[np.uint64]
    src_mac: NDArray[np.uint64]
    vlan: NDArray[np.uint32]
    src_ip: NDArray[np.uint64]
    dst_ip: NDArray[np.uint64]
    src_port: NDArray[np.uint16]
    device: NDArray[np.uint64]
    client_is_src: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    op: NDArray[np.uint8]
    unit: NDArray[np.uint32]
    match: NDArray[np.uint8]
    rtt_us: NDArray[np.int32]
    func: NDArray[np.uint16]
    subfunc: NDArray[np.uint32]
    space: NDArray[np.uint16]
    addr: NDArray[np.uint64]
    count: NDArray[np.uint32]  # type: ignore[assignment]
    addr_sub: NDArray[np.uint32]
    name_id: NDArray[np.uint64]
    anomaly: NDArray[np.uint64]
    gap_bytes: NDArray[np.uint32]


class Lengths(NamedTuple):
    """Settings, as numbers; meaning as in `detectors.timing.Params` and `detectors.lifecycle.Learning`."""

    learns_only: bool
    value_ns: int
    faster: float
    slower: float
    window_ns: int
    rearm_ns: int
    limit: int


@kernel(inline=True)
def _kind_of_report(wire: Any, i: Any) -> Any:
    """Protocol and function of a report: how many points it has, and where, varies."""
    return np.uint64(wire.protocol[i]) << np.uint64(32) | np.uint64(wire.func[i])


@kernel()
def _block(wire: Any, i: Any) -> Any:
    """What a poll asks for, as one number."""
    call = mix(mix(np.uint64(0), _kind_of_report(wire, i)), np.uint64(wire.subfunc[i]))
    where = np.uint64(wire.space[i]) << np.uint64(32) | np.uint64(wire.count[i])
    return mix(mix(mix(mix(call, wire.addr[i]), where), np.uint64(wire.addr_sub[i])), wire.name_id[i])


@kernel()
def _begin(rows: Any, slot: Any, wire: Any, i: Any) -> None:
    """First sight of a channel."""
    rows["last"][slot] = UNSET
    rows["asked"][slot] = UNSET
    rows["first"][slot] = wire.ts[i]
    rows["since"][slot] = UNSET
    rows["behind_since"][slot] = UNSET
    rows["n"][slot] = 0
    rows["mean"][slot] = 0.0
    rows["high"][slot] = 0.0
    rows["recent"][slot] = 0.0
    rows["least"][slot] = np.inf
    rows["behind"][slot] = 0
    rows["slowest"][slot] = 0.0
    rows["state"][slot] = _LEARN
    _point(rows, slot, wire, i)


@kernel()
def _point(rows: Any, slot: Any, wire: Any, i: Any) -> None:
    """Let a channel point to a record."""
    rows["seq"][slot] = wire.seq[i]
    rows["packet"][slot] = wire.packet[i]
    rows["boot"][slot] = wire.boot[i]
    rows["shard"][slot] = wire.shard[i]
    rows["told"][slot] = 0


@kernel()
def _show(rows: Any, slot: Any, devices: Any, faces: Any, limit: Any, wire: Any, i: Any) -> None:
    """Note what a channel is about, and how its device shows itself."""
    rows["func"][slot] = wire.func[i]
    rows["protocol"][slot] = wire.protocol[i]
    rows["op"][slot] = wire.op[i]
    rows["space"][slot] = wire.space[i]
    rows["addr"][slot] = wire.addr[i]
    zero = np.uint64(0)
    device = wire.device[i]
    h = hash_words(device, zero, zero, zero, zero)
    face = find(devices, h, device, zero, zero, zero, zero)
    if face < 0:
        face = insert(devices, limit, False, zero, h, device, zero, zero, zero, zero)
        if face < 0:
            return
    faces["ip_hi"][face] = wire.src_ip[i, 0]
    faces["ip_lo"][face] = wire.src_ip[i, 1]
    faces["mac"][face] = wire.src_mac[i]
    faces["vlan"][face] = wire.vlan[i]
    faces["port"][face] = wire.src_port[i]


@kernel(inline=True)
def _near(mean: Any, x: Any, n: Any) -> Any:
    """A mean of recent numbers with one more, of which `n` came before."""
    return x if n == 0 else mean + RECENT * (x - mean)


@kernel()
def _learn(rows: Any, slot: Any, gap: Any, answer: Any, ts: Any, lengths: Any) -> Any:
    """Take a gap and a response time as normal; whether the channel has just gone live."""
    n = rows["n"][slot]
    rows["recent"][slot] = _near(rows["recent"][slot], gap, n)
    rows["mean"][slot] += (gap - rows["mean"][slot]) / np.float32(n + 1)
    rows["high"][slot] = max(rows["high"][slot], gap)
    rows["slowest"][slot] = max(rows["slowest"][slot], answer)
    rows["n"][slot] = n + 1
    if n + 1 >= SMOOTH:
        rows["least"][slot] = min(rows["least"][slot], rows["recent"][slot])
    if lengths.learns_only or n + 1 < GAPS or ts - rows["first"][slot] < lengths.value_ns:
        return False
    rows["state"][slot] = _LIVE
    return True


@kernel()
def _judge(
    rows: Any, slot: Any, gap: Any, answer: Any, wire: Any, i: Any, hi: Any, lo: Any, lengths: Any, out: Any
) -> None:
    """Hold a gap and a response time against what was learned."""
    ts, device = wire.ts[i], wire.device[i]
    recent = _near(rows["recent"][slot], gap, 1)
    rows["recent"][slot] = recent
    pair = about_pair(TYPE_PAIR, hi, lo, device)
    least = np.float64(rows["least"][slot])
    often = is_periodic(rows, slot) and lengths.faster * np.float64(recent) < least
    if often and is_open(rows["since"], slot, ts, lengths.window_ns, lengths.rearm_ns):
        key = about_pair(TYPE_FASTER, hi, lo, device)
        emit(out, i, -1, TYPE_FASTER, _MEDIUM, key, pair, least, np.nan, np.float64(recent))
    most = lengths.slower * np.float64(rows["slowest"][slot]) + _MOMENT_S
    if np.float64(answer) <= most:
        rows["behind"][slot] = 0
        return
    rows["behind"][slot] = min(rows["behind"][slot] + 1, 255)
    if rows["behind"][slot] >= BEHIND and is_open(rows["behind_since"], slot, ts, lengths.window_ns, lengths.rearm_ns):
        key = about_pair(TYPE_SLOWER, hi, lo, device)
        emit(out, i, -1, TYPE_SLOWER, _LOW, key, pair, np.nan, most, np.float64(answer))


@kernel()
def timings(start: Any, wire: Any, table: Any, rows: Any, devices: Any, faces: Any, lengths: Any, out: Any) -> Any:
    """Judge and learn the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire: Wire.
        table, rows: `slots.Table` of channels, and CHANNEL by slot.
        devices, faces: `slots.Table` of devices, and FACE by slot.
        lengths: Lengths.
        out: `evidence.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    slot = np.int64(-1)
    for i in range(start, len(wire.ts)):
        if (
            table.used[0] + MOST_KEYS > len(table.keys)
            or devices.used[0] >= len(devices.keys)
            or out.filled[0] + MOST_ALERTS > len(out.marks)
        ):
            return i
        kind = np.int64(wire.kind[i])
        asks = wire.client_is_src[i] != 0
        requests = asks and kind == _REQUEST
        answers = not asks and kind == _RESPONSE and wire.match[i] == _MATCHED
        reports = not asks and kind in (_UNSOLICITED, _DATA)
        if not (requests or answers or reports):
            continue
        device, ts = wire.device[i], wire.ts[i]
        hi = wire.src_ip[i, 0] if asks else wire.dst_ip[i, 0]
        lo = wire.src_ip[i, 1] if asks else wire.dst_ip[i, 1]
        w3 = np.uint64(wire.unit[i]) | (REPORTS if reports else POLL) << np.uint64(40)
        w4 = _kind_of_report(wire, i) if reports else _block(wire, i)
        if slot < 0 or not is_key(table.keys, slot, device, hi, lo, w3, w4):
            h = hash_words(device, hi, lo, w3, w4)
            slot = find(table, h, device, hi, lo, w3, w4)
            if slot < 0:
                slot = insert(table, lengths.limit, True, np.uint64(0), h, device, hi, lo, w3, w4)
                if slot < 0:
                    continue
                _begin(rows, slot, wire, i)
        if asks:
            rows["asked"][slot] = max(rows["asked"][slot], ts)
            continue
        last = rows["last"][slot]
        blind = last == UNSET or rows["told"][slot] == BLIND or ts < last - _BACK_NS
        if blind:
            _show(rows, slot, devices, faces, lengths.limit, wire, i)
        elif ts <= last:
            continue
        rows["last"][slot] = ts
        _point(rows, slot, wire, i)
        if blind or wire.gap_bytes[i] != 0 or (wire.anomaly[i] & _HOLE) != 0:
            continue
        gap = np.float32(np.float64(ts - last) * _NS)
        answer = np.float32(max(np.float64(wire.rtt_us[i]), 0.0) * 1e-6)
        if rows["state"][slot] == _LIVE:
            _judge(rows, slot, gap, answer, wire, i, hi, lo, lengths, out)
        elif _learn(rows, slot, gap, answer, ts, lengths):
            table.keys[slot, STATUS] |= KNOWN
    return len(wire.ts)


@kernel(inline=True)
def is_periodic(rows: Any, slot: Any) -> Any:
    """Whether a channel was regular while it was learned."""
    return rows["state"][slot] == _LIVE and rows["high"][slot] <= REGULAR * rows["mean"][slot]


@kernel()
def patience_ns(rows: Any, slot: Any) -> Any:
    """How long a channel may be silent: max(3 mean, 1.5 largest gap) and a tick; 0 where it is not periodic."""
    if not is_periodic(rows, slot):
        return np.int64(0)
    mean, high = np.float64(rows["mean"][slot]), np.float64(rows["high"][slot])
    return np.int64(max(3.0 * mean, 1.5 * high) * 1e9) + _TICK_NS


@kernel()
def overdue(rows: Any, used: Any, shard: Any, now: Any, unseen: Any, late: Any) -> Any:
    """Channels of a capture point that are silent for too long and of which that was not told.

    Where the capture point saw nothing at all for half of what a channel may be silent, the channel starts anew.

    Args:
        rows: CHANNEL, by slot.
        used: slots in use.
        shard: the capture point.
        now: ns of record time.
        unseen: ns before it without any record of the capture point.
        late: int64 (used,), filled with their slots.

    Returns:
        How many there are.
    """
    n = 0
    for slot in range(used):
        if rows["told"][slot] != 0 or rows["shard"][slot] != shard or rows["last"][slot] == UNSET:
            continue
        patience = patience_ns(rows, slot)
        if patience > 0 and 2 * unseen >= patience:
            rows["told"][slot] = BLIND
        elif patience > 0 and now - rows["last"][slot] > patience:
            late[n] = slot
            n += 1
    return n
