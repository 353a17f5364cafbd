"""Function: what is asked of a device and by whom, with what became of it; and PDUs that break their protocol.

Keys of one table: (client, device, unit, protocol, subject, function, sub-function).  The subject tells the use of a
function from a malformed PDU, another protocol, a conflicting answer; a subject of its own counts matched answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.evidence import report
from detectors.kernels.seen import TYPE_PAIR, about_pair, add, is_due, is_known, is_live, tick, touch
from detectors.kernels.slots import N_BUCKETS, find, hash_words, is_key
from schemas.codes import FAULTS, Anomaly, Kind, Match, Outcome, Severity

TYPE_UNSEEN = 201
TYPE_DANGEROUS = 202
TYPE_MALFORMED = 203
TYPE_NOT_PROTOCOL = 204
TYPE_CONFLICT = 205
TYPE_UNASKED = 206

USE = np.uint64(0)
MALFORMED_ASKED = np.uint64(1)
MALFORMED_ANSWERED = np.uint64(2)
NOT_PROTOCOL = np.uint64(3)
CONFLICT = np.uint64(4)
UNASKED = np.uint64(5)
ANSWERS = np.uint64(6)
"""Subjects."""

DANGEROUS_USE = 1
"""Flag of a use: an operation that is reported whoever asks."""
ONE_ANSWER = 256
"""The flags of a use count its first matched answers from this bit on."""

MOST_KEYS = 5
MOST_ALERTS = 5
"""What one record can add."""

_RESPONSE = int(Kind.RESPONSE)
_UNSOLICITED = int(Kind.UNSOLICITED)
_FOREIGN = int(Kind.FOREIGN)
_TIMEOUT = int(Kind.TIMEOUT)
_MATCHED = int(Match.MATCHED)
_UNMATCHED = int(Match.UNMATCHED)
_LATE = int(Match.LATE)
_DUPLICATE = int(Match.DUPLICATE)
_ACCEPTED = int(Outcome.ACCEPTED)
_REFUSED = int(Outcome.REFUSED)
_NO_ANSWER = int(Outcome.NO_ANSWER)
_LOW = int(Severity.LOW)
_MEDIUM = int(Severity.MEDIUM)
_HIGH = int(Severity.HIGH)
_NONE = np.uint64(0)
_OTHER = np.uint64(int(Anomaly.NOT_PROTOCOL | Anomaly.BAD_PROTOCOL_ID))
_CONFLICTING = np.uint64(int(Anomaly.CONFLICTING_RESPONSE | Anomaly.OVERLAP_DIFFERS))
"""Of an answer: it does not fit its request, or another answer has been sent in its very place."""
_BROKEN = np.uint64(
    FAULTS
    & ~int(
        Anomaly.NOT_PROTOCOL
        | Anomaly.BAD_PROTOCOL_ID
        | Anomaly.CONFLICTING_RESPONSE
        | Anomaly.RESERVED_CODE
        | Anomaly.BAD_CHECKSUM
        | Anomaly.OVERLAP_DIFFERS
    )
)
"""Faults of form.  Checksums are left out: captured on the sender, they are filled in only later by its hardware."""
_DIFFERS = np.uint64(int(Anomaly.OVERLAP_DIFFERS))
_SUSPICIOUS = _OTHER | _CONFLICTING | _BROKEN
_RESERVED = np.uint64(int(Anomaly.RESERVED_CODE))
_BLIND = np.uint64(
    int(
        Anomaly.TRUNCATED
        | Anomaly.MIDSTREAM
        | Anomaly.GAP_BEFORE
        | Anomaly.OUT_OF_ORDER
        | Anomaly.RESYNCHRONISED
        | Anomaly.FRAGMENTED
    )
)
"""Circumstances in which a request may have been missed."""


@kernel()
def _breach(
    table: Any, rows: Any, rules: Any, out: Any, row: Any, what: Any, severity: Any, static: Any, hi: Any, lo: Any,
    device: Any, ts: Any, w3: Any, w4: Any,
) -> None:  # fmt: skip
    """Judge a breach of protocol by its key; a static one is never learned except from clean traffic."""
    live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
    h = hash_words(device, hi, lo, w3, w4)
    slot = find(table, h, device, hi, lo, w3, w4)
    if slot < 0:
        known = rules.learns_only or not (static or live)
        slot = add(table, rows, rules, live, known, ts, device, hi, lo, w3, w4)
        if known:
            return
    else:
        touch(rows, slot, ts)
        if is_known(table, slot):
            return
    if is_due(rows, slot, ts, rules):
        report(out, row, what, severity, 0, about_pair(what, hi, lo, device), about_pair(TYPE_PAIR, hi, lo, device))


@kernel()
def _use(
    table: Any, rows: Any, rules: Any, out: Any, row: Any, danger: Any, severity: Any, hi: Any, lo: Any, device: Any,
    ts: Any, w3: Any, w4: Any,
) -> None:  # fmt: skip
    """Judge a request by its function."""
    h = hash_words(device, hi, lo, w3, w4)
    slot = find(table, h, device, hi, lo, w3, w4)
    if slot < 0:
        live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
        known = rules.learns_only or not (live or danger > 0)
        slot = add(table, rows, rules, live, known, ts, device, hi, lo, w3, w4)
        if known:
            return
        if slot >= 0 and danger > 0:
            rows["flags"][slot] |= DANGEROUS_USE
    else:
        touch(rows, slot, ts)
        if is_known(table, slot):
            return
    pair = about_pair(TYPE_PAIR, hi, lo, device)
    if danger > 0:
        report(out, row, TYPE_DANGEROUS, danger, 0, about_pair(TYPE_DANGEROUS, hi, lo, device), pair)
    elif is_due(rows, slot, ts, rules):
        report(out, row, TYPE_UNSEEN, severity, 0, about_pair(TYPE_UNSEEN, hi, lo, device), pair)


@kernel()
def _outcome(
    table: Any, rows: Any, rules: Any, out: Any, row: Any, outcome: Any, danger: Any, severity: Any, hi: Any, lo: Any,
    device: Any, ts: Any, w3: Any, w4: Any,
) -> None:  # fmt: skip
    """Tell what became of a request that was reported."""
    h = hash_words(device, hi, lo, w3, w4)
    slot = find(table, h, device, hi, lo, w3, w4)
    if slot < 0 or is_known(table, slot):
        return
    pair = about_pair(TYPE_PAIR, hi, lo, device)
    if (rows["flags"][slot] & DANGEROUS_USE) != 0:
        rank = danger if danger > 0 else _HIGH
        report(out, row, TYPE_DANGEROUS, rank, outcome, about_pair(TYPE_DANGEROUS, hi, lo, device), pair)
    elif is_due(rows, slot, ts, rules):
        report(out, row, TYPE_UNSEEN, severity, outcome, about_pair(TYPE_UNSEEN, hi, lo, device), pair)


@kernel()
def _answers(table: Any, rows: Any, rules: Any, hi: Any, lo: Any, device: Any, ts: Any, w3: Any, count: Any) -> Any:
    """How many matched answers this conversation has had, with this one where `count`."""
    w3 = w3 | ANSWERS << np.uint64(40)
    h = hash_words(device, hi, lo, w3, _NONE)
    slot = find(table, h, device, hi, lo, w3, _NONE)
    if slot < 0:
        if not count:
            return np.int64(0)
        live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
        add(table, rows, rules, live, False, ts, device, hi, lo, w3, _NONE)
        return np.int64(1)
    if count:
        touch(rows, slot, ts)
    return rows["n"][slot]


@kernel()
def functions(
    start: Any, wire: Any, dangers: Any, severities: Any, trust: Any, table: Any, rows: Any, rules: Any, out: Any
) -> Any:
    """Judge and learn the records from `start` on, until they end or there is no more room.

    Args:
        start: first record.
        wire: `seen.Wire`.
        dangers: int64 (256,), severity of each operation that is always reported, else 0.
        severities: int64 (256,), severity of each operation where it was never seen.
        trust: matched answers after which an unasked answer of a conversation means something.
        table: `slots.Table`.
        rows: SEEN, by slot.
        rules: `seen.Rules`.
        out: `seen.Evidence`.

    Returns:
        The record to go on with; the number of records where all are done.
    """
    slot = np.int64(-1)
    for i in range(start, len(wire.ts)):
        if table.used[0] + MOST_KEYS > len(table.keys) or out.filled[0] + MOST_ALERTS > len(out.marks):
            return i
        device = wire.device[i]
        ts = wire.ts[i]
        tick(table.buckets, np.int64(device % N_BUCKETS), ts, rules.start_ns)
        kind = np.int64(wire.kind[i])
        asks = wire.client_is_src[i] != 0
        if asks:
            hi, lo = wire.src_ip[i, 0], wire.src_ip[i, 1]
        else:
            hi, lo = wire.dst_ip[i, 0], wire.dst_ip[i, 1]
        base = np.uint64(wire.unit[i]) | np.uint64(wire.protocol[i]) << np.uint64(32)
        call = np.uint64(wire.func[i]) << np.uint64(32) | np.uint64(wire.subfunc[i])
        if slot < 0 or not is_key(table.keys, slot, device, hi, lo, base, call):
            slot = find(table, hash_words(device, hi, lo, base, call), device, hi, lo, base, call)
        if slot >= 0 and (wire.anomaly[i] & _SUSPICIOUS) == _NONE and is_known(table, slot):
            if asks and kind not in (_FOREIGN, _TIMEOUT, _RESPONSE):
                touch(rows, slot, ts)
                continue
            if kind == _RESPONSE and wire.match[i] == _MATCHED and rows["flags"][slot] >= trust * ONE_ANSWER:
                continue
        danger = dangers[wire.op[i]]
        severity = severities[wire.op[i]]
        anomaly = wire.anomaly[i]
        if (anomaly & _RESERVED) != _NONE:
            severity = max(severity, _HIGH)
        if kind == _TIMEOUT:
            _outcome(table, rows, rules, out, i, _NO_ANSWER, danger, severity, hi, lo, device, ts, base, call)
            continue
        if kind == _FOREIGN or (anomaly & _OTHER) != _NONE:
            w3 = base | NOT_PROTOCOL << np.uint64(40)
            _breach(table, rows, rules, out, i, TYPE_NOT_PROTOCOL, _MEDIUM, True, hi, lo, device, ts, w3, _NONE)
            continue
        broken = anomaly & _BROKEN
        if kind != _RESPONSE:
            broken |= anomaly & _DIFFERS
        if broken != _NONE:
            w3 = base | (MALFORMED_ASKED if asks else MALFORMED_ANSWERED) << np.uint64(40)
            rank = _MEDIUM if asks else _LOW
            _breach(table, rows, rules, out, i, TYPE_MALFORMED, rank, True, hi, lo, device, ts, w3, broken)
        if kind == _RESPONSE:
            match = np.int64(wire.match[i])
            matched = match in (_MATCHED, _LATE)
            sighted = (anomaly & _BLIND) == _NONE and wire.gap_bytes[i] == 0
            answers = _answers(table, rows, rules, hi, lo, device, ts, base, matched)
            if matched and slot >= 0 and is_key(table.keys, slot, device, hi, lo, base, call):
                rows["flags"][slot] += ONE_ANSWER
            if (anomaly & _CONFLICTING) != _NONE:
                w3 = base | CONFLICT << np.uint64(40)
                _breach(table, rows, rules, out, i, TYPE_CONFLICT, _HIGH, True, hi, lo, device, ts, w3, _NONE)
            elif match in (_UNMATCHED, _DUPLICATE) and answers >= trust and sighted:
                w3 = base | UNASKED << np.uint64(40)
                _breach(table, rows, rules, out, i, TYPE_UNASKED, _MEDIUM, False, hi, lo, device, ts, w3, _NONE)
            if matched:
                outcome = _REFUSED if wire.status[i] != 0 else _ACCEPTED
                _outcome(table, rows, rules, out, i, outcome, danger, severity, hi, lo, device, ts, base, call)
            if answers > 0 or wire.status[i] != 0:
                continue
        elif not asks and kind != _UNSOLICITED:
            continue
        _use(table, rows, rules, out, i, danger, severity, hi, lo, device, ts, base, call)
    return len(wire.ts)
