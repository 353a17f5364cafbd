"""What peer learned as rows of a baseline, and back.

Parameters are "device"; "service" (`code`: protocol << 56 | port); "mac", from which a client (`peer`) or the device
speaks; "claim", a MAC address by which an address (`peer`) was claimed in a VLAN (`addr`); "identity", what a unit said
of itself in a role (`space`, `addr`): `code` is the id of a text's name, or a number + 1, `addr_sub` the protocol, and
256 more for a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.existence import addresses, baseline_columns, enter_known
from detectors.kernels import peer_keys as key
from detectors.kernels import slots as k
from detectors.slots import Slots

U64 = NDArray[np.uint64]

SEVERAL = 3
"""Addresses from which on a MAC address that speaks for them is a router's."""
NOBODY = key.Known(np.zeros((0, 2), np.uint64), np.zeros((0, 3), np.uint64), np.zeros(0, np.uint64))
_PARAMETERS = {key.SERVICE: "service", key.DEVICE: "device", key.LINK: "mac", key.CLAIM: "claim", key.SAID: "identity"}
_NAMES = np.array([_PARAMETERS.get(np.uint64(kind), "") for kind in range(7)])
_MARKED = (key.LINK, key.CLAIM, key.SAID)
"""Kinds of which a key with 0 in its last word says that one is held."""


def learned(slots: Slots) -> Mapping[str, NDArray[Any]]:
    """Known services, devices, MAC addresses, claims and identities, as columns of BASELINE without `detector`."""
    keys, rows = slots.keys, slots.rows("seen")
    kind = keys[:, 3] & np.uint64(0xFF)
    marks = (kind == key.PAIR) | (np.isin(kind, _MARKED) & (keys[:, 4] == 0))
    keep = ((keys[:, k.STATUS] & k.KNOWN) != 0) & ~marks
    keys, rows, kind = keys[keep], rows[keep], kind[keep]
    w1, w2 = keys[:, 1], keys[:, 2]
    is_claim, is_said = kind == key.CLAIM, kind == key.SAID
    peer = keys[:, 1:3].copy()
    peer[is_claim, 0] = 0
    peer[is_said] = 0
    protocol = keys[:, 3] >> np.uint64(8) & np.uint64(0xFF)
    service = protocol << np.uint64(56) | keys[:, 3] >> np.uint64(16)
    low = np.uint64(0xFFFF_FFFF)
    return baseline_columns(
        device=keys[:, 0],
        unit=np.where(is_said, w1 & low, 0).astype(np.uint32),
        space=np.where(is_said, w2 >> np.uint64(32), 0).astype(np.uint16),
        addr=np.where(is_claim, w1, np.where(is_said, w2 & low, np.uint64(0))),
        addr_sub=np.where(is_said, w1 >> np.uint64(32), 0).astype(np.uint32),
        peer=peer,
        parameter=_NAMES[kind.astype(np.int64)],
        code=np.where(kind == key.SERVICE, service, keys[:, 4]),
        n=rows["n"].astype(np.uint64),
        first=rows["first"],
        last=rows["last"],
    )


def enter(slots: Slots, baseline: Mapping[str, NDArray[Any]]) -> None:
    """Hold what a baseline knows, with the marks that belong to it."""
    words = _words(baseline)
    _enter(slots, words, baseline, np.ones(len(words), np.bool_))
    kind = words[:, 3] & np.uint64(0xFF)
    marks = words.copy()
    marks[kind == key.SERVICE, 3] = key.PAIR
    marks[:, 4] = 0
    for what in (key.SERVICE, *_MARKED):
        chosen = kind == what
        places = _enter(slots, marks[chosen], baseline, chosen)
        if what in _MARKED:
            rows, macs = slots.rows("seen"), words[chosen, 4]
            order = np.lexsort((macs, np.asarray(baseline["last"])[chosen].astype(np.int64)))
            for column in ("asking_mac", "answering_mac"):
                rows[column][places[order]] = macs[order]  # the last one seen stays
            held, count = np.unique(places, return_counts=True)
            rows["n"][held] = count


def _words(baseline: Mapping[str, NDArray[Any]]) -> U64:
    """The keys of the rows of a baseline, (n, 5)."""
    code = np.asarray(baseline["code"], np.uint64)
    peer = addresses(baseline["peer"])
    is_service, is_mac, is_claim, is_said = (
        np.asarray(baseline["parameter"]) == name for name in ("service", "mac", "claim", "identity")
    )
    unit, space, addr, sub = (np.asarray(baseline[n]).astype(np.uint64) for n in ("unit", "space", "addr", "addr_sub"))
    words = np.zeros((len(code), k.WORDS), np.uint64)
    words[:, 0] = baseline["device"]
    words[:, 1:3] = peer
    words[is_claim, 1] = addr[is_claim]
    words[is_said, 1] = (unit | sub << np.uint64(32))[is_said]
    words[is_said, 2] = (space << np.uint64(32) | addr)[is_said]
    service = key.SERVICE | code >> np.uint64(56) << np.uint64(8) | (code & np.uint64(0xFFFF)) << np.uint64(16)
    kinds = [service, *(np.full(len(code), kind) for kind in (key.LINK, key.CLAIM, key.SAID))]
    words[:, 3] = np.select([is_service, is_mac, is_claim, is_said], kinds, key.DEVICE)
    coded = is_mac | is_claim | is_said
    words[coded, 4] = code[coded]
    return words


def _enter(
    slots: Slots, words: U64, baseline: Mapping[str, NDArray[Any]], chosen: NDArray[np.bool_]
) -> NDArray[np.int64]:
    return enter_known(slots, words, {name: np.asarray(baseline[name])[chosen] for name in ("first", "last", "n")})


def known_of(baseline: Mapping[str, NDArray[Any]]) -> key.Known:
    """What detectors of every bucket are to know of the site."""
    parameter, peer = np.asarray(baseline["parameter"]), addresses(baseline["peer"])
    code, device = np.asarray(baseline["code"], np.uint64), np.asarray(baseline["device"], np.uint64)
    is_mac, asked = parameter == "mac", peer.any(axis=1)
    clients = peer[parameter == "service"]
    cards = np.column_stack([peer, code])[is_mac & asked]
    by_address = np.column_stack([peer, code])[(is_mac & asked) | (parameter == "claim")]
    by_device = np.column_stack([device, code])[is_mac & ~asked]
    routers = [_of_several(np.unique(pairs, axis=0)[:, -1]) for pairs in (by_address, by_device)]
    return key.Known(np.unique(clients, axis=0), np.unique(cards, axis=0), np.unique(np.concatenate(routers)))


def _of_several(macs: U64) -> U64:
    found, count = np.unique(macs, return_counts=True)
    return found[count >= SEVERAL]


def joined(known: key.Known, more: Mapping[str, NDArray[Any]]) -> key.Known:
    """Both together; what `more` lacks adds nothing."""
    parts = {
        name: np.ascontiguousarray(np.unique(np.concatenate([own, more.get(name, own)]), axis=0))
        for name, own in known._asdict().items()
    }
    return key.Known(**parts)
