"""Identity: what a device says it is, against what it said before: vendor, model, firmware, serial number.

Several values of one role are normal where they were learned, such as those of the modules of a rack.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.peer_keys import CROWD, MOST_STRANGERS, SAID, TRUSTED, TYPE_IDENTITY
from detectors.kernels.seen import about_tag, add, is_due, is_known, is_live, look, touch
from detectors.kernels.slots import N_BUCKETS, is_key
from schemas.codes import FAULTS, Anomaly, Direction, Identity, PointType, Quality, RecordFlag, Severity, Space

MOST_SAID = 16
"""Points of one record that are looked at: a device has few roles, and a hostile one may say thousands."""
MOST_VALUES = 16
"""Values of one role that are learned."""

_FLAG = np.uint32(RecordFlag.IDENTITY)
_IDENTITY, _DEVICE_ID = int(Space.IDENTITY), int(Space.DEVICE_ID)
_TEXT, _BYTES, _WRITTEN = int(PointType.TEXT), int(PointType.BYTES), int(Direction.WRITTEN)
_USELESS = int(Quality.ADDRESS_UNKNOWN | Quality.INVALID | Quality.TRUNCATED)
_BROKEN = np.uint64(FAULTS | int(Anomaly.TRUNCATED))
_VENDOR, _NAME, _LOCATION, _HARDWARE = (
    int(i) for i in (Identity.VENDOR, Identity.NAME, Identity.LOCATION, Identity.HARDWARE)
)
_MEDIUM = int(Severity.MEDIUM)
_ZERO = np.uint64(0)
_TEXTS = np.uint64(1 << 40)
_EXACT = 9007199254740992.0  # 2^53
NAME_SHIFT = np.uint64(11)


@kernel(inline=True)
def says_identity(wire: Any, i: Any) -> Any:
    """Whether a record may carry what a device says of itself, whole: of a text cut short the rest is not known."""
    says = (wire.flags[i] & _FLAG) != 0 or wire.space[i] == _DEVICE_ID
    return says and wire.client_is_src[i] == 0 and (wire.anomaly[i] & _BROKEN) == _ZERO


@kernel()
def is_role(space: Any, addr: Any, is_text: Any) -> Any:
    """Whether a point tells vendor, model, firmware, serial number, product code or hardware.

    What people give their devices, a name and a place, may change.  Of Modbus (V1.1b3, 6.21) objects 0 to 2, 4 and 5.
    """
    if space == _IDENTITY:
        return _VENDOR <= addr <= _HARDWARE and addr != _NAME and addr != _LOCATION
    return space == _DEVICE_ID and is_text and addr <= 5 and addr != 3


@kernel()
def as_number(word: Any, is_text: Any) -> Any:
    """A value as evidence carries it: a number as it is, a text as the first 53 bits of its name's id, negative."""
    if is_text:
        return -np.float64(word >> NAME_SHIFT)
    return np.float64(word) - 1.0


@kernel()
def _judge(
    table: Any, rows: Any, rules: Any, out: Any, row: Any, point: Any, ts: Any, device: Any, w1: Any, w2: Any, word: Any
) -> None:  # fmt: skip
    """Judge and learn one value (`word`, not 0) of one role."""
    live = is_live(table.buckets, np.int64(device % N_BUCKETS), rules)
    mark = look(table, device, w1, w2, SAID, _ZERO)
    slot = look(table, device, w1, w2, SAID, word)
    first = mark < 0
    if slot >= 0:
        touch(rows, slot, ts)
        usual = is_known(table, slot) or (rows["flags"][slot] & TRUSTED) != 0
    else:
        if not live and not first and rows["n"][mark] >= MOST_VALUES:
            return
        usual = first or not live
        slot = add(table, rows, rules, live, not live, ts, device, w1, w2, SAID, word)
        if first and slot >= 0:
            rows["flags"][slot] |= TRUSTED
        if first:
            mark = add(table, rows, rules, live, not live, ts, device, w1, w2, SAID, _ZERO)
        elif usual and is_key(table.keys, mark, device, w1, w2, SAID, _ZERO):
            rows["n"][mark] += 1
        elif slot >= 0 and is_key(table.keys, mark, device, w1, w2, SAID, _ZERO):
            if rows["flags"][mark] >= MOST_STRANGERS:
                rows["flags"][slot] |= CROWD
            else:
                rows["flags"][mark] += 1
    if mark < 0 or not is_key(table.keys, mark, device, w1, w2, SAID, _ZERO):
        return
    if usual:
        rows["answering_mac"][mark] = word
    elif is_due(rows, slot, ts, rules):
        is_text = (w1 & _TEXTS) != _ZERO
        was, now = as_number(rows["answering_mac"][mark], is_text), as_number(word, is_text)
        alone = slot >= 0 and (rows["flags"][slot] & CROWD) == 0
        about = about_tag(TYPE_IDENTITY, device, w1, _ZERO, word if alone else _ZERO, w2)
        emit(out, row, point, TYPE_IDENTITY, _MEDIUM, about, _ZERO, was, was, now)


@kernel()
def identify(table: Any, rows: Any, rules: Any, out: Any, row: Any, wire: Any, points: Any) -> None:
    """Judge and learn what the device of a record says it is.

    Args:
        table: `slots.Table`.
        rows: SEEN, by slot.  Of a mark, `answering_mac` is the last value that was normal, `n` how many there are.
        rules: `seen.Rules`.
        out: `evidence.Evidence`.
        row: the record.
        wire: `peer.Wire`.
        points: `peer.Values`.
    """
    device, ts = wire.device[row], wire.ts[row]
    start = np.int64(wire.offsets[row])
    judged = 0
    for p in range(start, np.int64(wire.offsets[row + 1])):
        kind, space, addr = np.int64(points.type[p]), np.int64(points.space[p]), np.int64(points.addr[p])
        is_text = kind in (_TEXT, _BYTES)
        wrong = (np.int64(points.quality[p]) & _USELESS) != 0 or np.int64(points.direction[p]) == _WRITTEN
        if wrong or addr < 0 or not is_role(space, addr, is_text):
            continue
        w1 = np.uint64(wire.unit[row]) | np.uint64(wire.protocol[row]) << np.uint64(32)
        x = points.value[p]
        if is_text:
            w1 |= _TEXTS
            word = np.uint64(points.raw[p])
        elif 0.0 <= x < _EXACT - 1.0:
            word = np.uint64(x) + np.uint64(1)
        else:
            continue
        if word == _ZERO:
            continue
        _judge(
            table, rows, rules, out, row, p, ts, device, w1, np.uint64(space) << np.uint64(32) | np.uint64(addr), word
        )
        judged += 1
        if judged >= MOST_SAID:
            break
