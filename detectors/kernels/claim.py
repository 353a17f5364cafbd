"""Claims: whose an address is by what is said on the link itself (ARP), against what was learned and what is seen.

Who learns takes every claim for normal.  Later a claim of another MAC address is told where the address is one of a
known device or client; of any other address that was claimed while learning only where its owner and the stranger claim
it in turn, since an office gives one address to many.  Of other addresses nothing is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.jit import kernel
from detectors.kernels.evidence import emit
from detectors.kernels.mix import mix
from detectors.kernels.peer_keys import CLAIM, CROWD, DEVICE, LINK, MOST_STRANGERS, TRUSTED, TYPE_CLAIM, TYPE_DUPLICATE
from detectors.kernels.seen import about_device, add, holds_client, is_due, is_known, look, touch
from detectors.kernels.slots import ADOPTED, CLOCK, N_BUCKETS, START, UNSET, is_key
from schemas.codes import Severity

MOST_MACS = 8
"""MAC addresses of one address that are learned at most: who claims it from thousands must not fill the bucket."""

_LOW, _MEDIUM, _HIGH = int(Severity.LOW), int(Severity.MEDIUM), int(Severity.HIGH)
_ZERO = np.uint64(0)
_VRRP, _VRRP6, _HSRP = np.uint64(0x00005E0001), np.uint64(0x00005E0002), np.uint64(0x00000C07AC)
_HSRP2, _GLBP = np.uint64(0x00000C9FF), np.uint64(0x0007B4)


@kernel()
def is_virtual(mac: Any) -> Any:
    """Whether several machines take turns with a MAC address: VRRP and CARP (RFC 9568 7.3), HSRP 1 and 2, GLBP."""
    group = mac >> np.uint64(8)
    return group in (_VRRP, _VRRP6, _HSRP) or mac >> np.uint64(12) == _HSRP2 or mac >> np.uint64(24) == _GLBP


@kernel()
def card_of(cards: Any, hi: Any, lo: Any, mac: Any) -> Any:
    """(The first MAC address of a client at or after `mac`, 0 for none); `cards` is uint64 (n, 3) sorted."""
    low = 0
    high = len(cards)
    while low < high:
        middle = (low + high) // 2
        same = cards[middle, 0] == hi and cards[middle, 1] == lo
        before = cards[middle, 0] < hi or (cards[middle, 0] == hi and cards[middle, 1] < lo)
        if before or (same and cards[middle, 2] < mac):
            low = middle + 1
        else:
            high = middle
    if low < len(cards) and cards[low, 0] == hi and cards[low, 1] == lo:
        return cards[low, 2]
    return _ZERO


@kernel()
def _is_router(routers: Any, mac: Any) -> Any:
    """Whether a MAC address is in `routers`."""
    low = 0
    high = len(routers)
    while low < high:
        middle = (low + high) // 2
        if routers[middle] < mac:
            low = middle + 1
        else:
            high = middle
    return low < len(routers) and routers[low] == mac


@kernel()
def _is_live(table: Any, bucket: Any, ts: Any, rules: Any) -> Any:
    """Whether learning is over at `ts`.  Claims start no bucket: what its devices say does."""
    if rules.learns_only:
        return False
    if table.buckets[bucket, ADOPTED] != 0:
        return True
    start = table.buckets[bucket, START]
    if start == UNSET:
        start = rules.start_ns
    return start != UNSET and max(table.buckets[bucket, CLOCK], ts) - start >= rules.site_ns


@kernel()
def _is_held(table: Any, rows: Any, slot: Any) -> Any:
    """Whether a key is held as normal."""
    return slot >= 0 and (is_known(table, slot) or (rows["flags"][slot] & TRUSTED) != 0)


@kernel()
def _learn(table: Any, rows: Any, rules: Any, ts: Any, device: Any, place: Any, lo: Any, mac: Any) -> None:
    """Hold a claim as normal."""
    mark = look(table, device, place, lo, CLAIM, _ZERO)
    slot = look(table, device, place, lo, CLAIM, mac)
    if slot >= 0:
        touch(rows, slot, ts)
    elif mark < 0 or rows["n"][mark] < MOST_MACS:
        add(table, rows, rules, False, True, ts, device, place, lo, CLAIM, mac)
        if mark < 0:
            mark = add(table, rows, rules, False, True, ts, device, place, lo, CLAIM, _ZERO)
        elif is_key(table.keys, mark, device, place, lo, CLAIM, _ZERO):
            rows["n"][mark] += 1
    else:
        return
    if mark >= 0 and is_key(table.keys, mark, device, place, lo, CLAIM, _ZERO):
        rows["asking_mac"][mark] = mac
        rows["answering_mac"][mark] = mac


@kernel()
def _owner(table: Any, rows: Any, cards: Any, mark: Any, device: Any, hi: Any, lo: Any) -> Any:
    """The MAC address that an address had last: by claims, else by what its device or client sent; 0 for none."""
    owner = rows["answering_mac"][mark] if mark >= 0 else _ZERO
    if owner == _ZERO:
        link = look(table, device, _ZERO, _ZERO, LINK, _ZERO)
        if link >= 0:
            owner = rows["answering_mac"][link]
    if owner == _ZERO:
        owner = card_of(cards, hi, lo, _ZERO)
    return owner


@kernel()
def _about(rows: Any, slot: Any, what: Any, device: Any, mac: Any) -> Any:
    """Key of a finding about an address and who claims it, held in `slot`; about the address where these are many."""
    if slot < 0 or (rows["flags"][slot] & CROWD) != 0:
        return about_device(what, device)
    return mix(about_device(what, device), mac)


@kernel()
def _tell_duplicate(
    rows: Any, rules: Any, out: Any, row: Any, ts: Any, mark: Any, slot: Any, guarded: Any, device: Any, owner: Any,
    mac: Any,
) -> None:  # fmt: skip
    """An address is claimed by its owner and by `mac`, in `slot`, in turn; of a guarded one the claim was told."""
    if is_due(rows, mark, ts, rules):
        rank = _MEDIUM
        parent = _ZERO
        if guarded:
            rank = _LOW if is_virtual(mac) else _HIGH
            parent = _about(rows, slot, TYPE_CLAIM, device, mac)
        own, other = np.float64(owner), np.float64(mac)
        about = _about(rows, slot, TYPE_DUPLICATE, device, mac)
        emit(out, row, -1, TYPE_DUPLICATE, rank, about, parent, own, own, other)


@kernel()
def claim(table: Any, rows: Any, known: Any, rules: Any, out: Any, row: Any, wire: Any) -> None:
    """Judge and learn the record of a claim.

    Args:
        table: `slots.Table`.
        rows: SEEN, by slot.  Of a mark, `asking_mac` is who claimed last, `answering_mac` the last that was normal.
        known: `peer_keys.Known`.
        rules: `seen.Rules`.
        out: `evidence.Evidence`.
        row: the record.
        wire: `peer.Wire`.
    """
    device, ts, mac, place = wire.device[row], wire.ts[row], wire.src_mac[row], np.uint64(wire.vlan[row])
    hi, lo = wire.src_ip[row, 0], wire.src_ip[row, 1]
    if mac == _ZERO:
        return
    if not _is_live(table, np.int64(device % N_BUCKETS), ts, rules):
        _learn(table, rows, rules, ts, device, place, lo, mac)
        return
    held = look(table, device, _ZERO, _ZERO, DEVICE, _ZERO)
    is_device = held >= 0 and is_known(table, held)
    is_guarded = is_device or holds_client(known.clients, hi, lo)
    mark = look(table, device, place, lo, CLAIM, _ZERO)
    if not is_guarded and not (mark >= 0 and is_known(table, mark)):
        return
    slot = look(table, device, place, lo, CLAIM, mac)
    usual = _is_held(table, rows, slot) or _is_held(table, rows, look(table, device, _ZERO, _ZERO, LINK, mac))
    usual = usual or card_of(known.cards, hi, lo, mac) == mac
    owner = _owner(table, rows, known.cards, mark, device, hi, lo)
    # Routers of a redundant pair share a MAC address, and answer for what lies behind them (proxy ARP, RFC 1027), each
    # from the address of the pair: that takes nobody's place.  Of a device whose own card is known it is still told, as
    # little: whoever knows this rule would use it.
    virtual = is_virtual(mac)
    if not usual and ((virtual and not is_device) or _is_router(known.routers, mac)):
        return
    is_back = False
    if slot >= 0:
        touch(rows, slot, ts)
        is_back = True
    if mark < 0:
        mark = add(table, rows, rules, True, False, ts, device, place, lo, CLAIM, _ZERO)
    if slot < 0 and not (usual and owner != _ZERO):
        slot = add(table, rows, rules, True, False, ts, device, place, lo, CLAIM, mac)
        if mark >= 0 and not is_key(table.keys, mark, device, place, lo, CLAIM, _ZERO):
            mark = np.int64(-1)
        if mark >= 0 and slot >= 0 and not usual and owner != _ZERO:
            if rows["flags"][mark] >= MOST_STRANGERS:
                rows["flags"][slot] |= CROWD
            else:
                rows["flags"][mark] += 1
    first = owner == _ZERO
    if first and slot >= 0:
        rows["flags"][slot] |= TRUSTED  # nobody knows whose it was: the first is believed
    last = rows["asking_mac"][mark] if mark >= 0 else _ZERO
    if mark >= 0:
        rows["asking_mac"][mark] = mac
    if usual or first:
        if mark >= 0:
            rows["answering_mac"][mark] = mac
        if last != _ZERO and last != mac:
            other = look(table, device, place, lo, CLAIM, last)
            if other >= 0 and not _is_held(table, rows, other) and ts - rows["last"][other] < rules.window_ns:
                _tell_duplicate(rows, rules, out, row, ts, mark, other, is_guarded, device, mac, last)
        return
    if is_guarded and is_due(rows, slot, ts, rules):
        own, about = np.float64(owner), _about(rows, slot, TYPE_CLAIM, device, mac)
        emit(out, row, -1, TYPE_CLAIM, _LOW if virtual else _MEDIUM, about, _ZERO, own, own, np.float64(mac))
    if is_back and last == owner and mark >= 0:
        _tell_duplicate(rows, rules, out, row, ts, mark, slot, is_guarded, device, owner, mac)
