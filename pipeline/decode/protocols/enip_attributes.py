"""Attributes of CIP objects whose layout their public definition gives; what is not here stays raw.

Clauses: The CIP Networks Library, volume 1, 4-4.1 (attributes of classes), 5-2 (identity), 5-3 (message
router), 5-5 (assembly), 3-5.2
(connection manager); volume 2, 5-3 (TCP/IP interface), 5-4 (Ethernet link), 5-7 (QoS); types: volume 1, C-6.1.
"""

from __future__ import annotations

BOOL, SINT, INT, DINT, USINT, UINT, UDINT, BYTE, WORD, DWORD = (
    0xC1, 0xC2, 0xC3, 0xC4, 0xC6, 0xC7, 0xC8, 0xD1, 0xD2, 0xD3)  # fmt: skip
"""Elementary types by their code."""
OCTETS, COUNTED, TEXT, EVEN = 1 << 8, 1 << 9, 1 << 10, 1 << 11
"""What a field is that has no elementary type: so many bytes (16 bits above); a count before its elements; of letters;
with a byte behind that makes its length even."""
SIZE_AT, COUNT_AT = 16, 20
"""Where bytes of an element, and of the count, lie in a counted field."""
SHORT_STRING = COUNTED | TEXT | 1 << SIZE_AT | 1 << COUNT_AT
STRING = COUNTED | TEXT | EVEN | 1 << SIZE_AT | 2 << COUNT_AT
WORDS = COUNTED | 2 << SIZE_AT | 2 << COUNT_AT
"""A path behind its number of words, or a list of UINT behind its length."""


def octets(count: int) -> int:
    """A field of bytes."""
    return OCTETS | count << SIZE_AT


Field = tuple[str, int]
IDENTITY, ROUTER, ASSEMBLY, CONNECTION_MANAGER, QOS, TCP_IP, ETHERNET = 0x01, 0x02, 0x04, 0x06, 0x48, 0xF5, 0xF6
OF_CLASS = 0
"""Stands for any class: attributes of the class itself, which is instance 0."""

_ADDRESSES: tuple[Field, ...] = (
    ("IP address", UDINT), ("network mask", UDINT), ("gateway address", UDINT), ("name server", UDINT),
    ("name server 2", UDINT), ("domain name", STRING),
)  # fmt: skip
_COUNTERS = (
    "in octets", "in unicast packets", "in other packets", "in discards", "in errors", "in unknown protocols",
    "out octets", "out unicast packets", "out other packets", "out discards", "out errors",
)  # fmt: skip
_MEDIA_COUNTERS = (
    "alignment errors", "FCS errors", "single collisions", "multiple collisions", "SQE test errors",
    "deferred transmissions", "late collisions", "excessive collisions", "MAC transmit errors", "carrier sense errors",
    "frames too long", "MAC receive errors",
)  # fmt: skip

ATTRIBUTES: dict[tuple[int, int], tuple[str, tuple[Field, ...]]] = {
    (OF_CLASS, 1): ("revision", (("", UINT),)),
    (OF_CLASS, 2): ("largest instance", (("", UINT),)),
    (OF_CLASS, 3): ("number of instances", (("", UINT),)),
    (OF_CLASS, 4): ("optional attributes", (("", WORDS),)),
    (OF_CLASS, 5): ("optional services", (("", WORDS),)),
    (OF_CLASS, 6): ("largest class attribute", (("", UINT),)),
    (OF_CLASS, 7): ("largest instance attribute", (("", UINT),)),
    (IDENTITY, 1): ("vendor", (("", UINT),)),
    (IDENTITY, 2): ("device type", (("", UINT),)),
    (IDENTITY, 3): ("product code", (("", UINT),)),
    (IDENTITY, 4): ("revision", (("major", USINT), ("minor", USINT))),
    (IDENTITY, 5): ("status", (("", WORD),)),
    (IDENTITY, 6): ("serial number", (("", UDINT),)),
    (IDENTITY, 7): ("product name", (("", SHORT_STRING),)),
    (IDENTITY, 8): ("state", (("", USINT),)),
    (IDENTITY, 9): ("configuration consistency", (("", UINT),)),
    (IDENTITY, 10): ("heartbeat interval", (("", USINT),)),
    (ROUTER, 1): ("classes", (("", WORDS),)),
    (ROUTER, 2): ("largest number of connections", (("", UINT),)),
    (ROUTER, 3): ("connections", (("", UINT),)),
    (ASSEMBLY, 1): ("number of members", (("", UINT),)),
    (ASSEMBLY, 4): ("size", (("", UINT),)),
    (CONNECTION_MANAGER, 1): ("open requests", (("", UINT),)),
    (CONNECTION_MANAGER, 2): ("open format rejects", (("", UINT),)),
    (CONNECTION_MANAGER, 3): ("open resource rejects", (("", UINT),)),
    (CONNECTION_MANAGER, 4): ("open other rejects", (("", UINT),)),
    (CONNECTION_MANAGER, 5): ("close requests", (("", UINT),)),
    (CONNECTION_MANAGER, 6): ("close format rejects", (("", UINT),)),
    (CONNECTION_MANAGER, 7): ("close other rejects", (("", UINT),)),
    (CONNECTION_MANAGER, 8): ("connection timeouts", (("", UINT),)),
    (QOS, 1): ("802.1Q tags", (("", USINT),)),
    (QOS, 2): ("DSCP of PTP events", (("", USINT),)),
    (QOS, 3): ("DSCP of PTP general", (("", USINT),)),
    (QOS, 4): ("DSCP urgent", (("", USINT),)),
    (QOS, 5): ("DSCP scheduled", (("", USINT),)),
    (QOS, 6): ("DSCP high", (("", USINT),)),
    (QOS, 7): ("DSCP low", (("", USINT),)),
    (QOS, 8): ("DSCP explicit", (("", USINT),)),
    (TCP_IP, 1): ("status", (("", DWORD),)),
    (TCP_IP, 2): ("configuration capability", (("", DWORD),)),
    (TCP_IP, 3): ("configuration control", (("", DWORD),)),
    (TCP_IP, 4): ("physical link", (("", WORDS),)),
    (TCP_IP, 5): ("interface configuration", _ADDRESSES),
    (TCP_IP, 6): ("host name", (("", STRING),)),
    (TCP_IP, 7): ("safety network number", (("", octets(6)),)),
    (TCP_IP, 8): ("TTL", (("", USINT),)),
    (TCP_IP, 9): ("multicast", (("allocation", USINT), ("reserved", USINT), ("addresses", UINT), ("first", UDINT))),
    (TCP_IP, 10): ("select ACD", (("", BOOL),)),
    (TCP_IP, 11): ("last conflict", (("state", USINT), ("MAC", octets(6)), ("ARP message", octets(28)))),
    (TCP_IP, 12): ("quick connect", (("", BOOL),)),
    (TCP_IP, 13): ("inactivity timeout", (("", UINT),)),
    (ETHERNET, 1): ("speed", (("", UDINT),)),
    (ETHERNET, 2): ("flags", (("", DWORD),)),
    (ETHERNET, 3): ("physical address", (("", octets(6)),)),
    (ETHERNET, 4): ("counters", tuple((name, UDINT) for name in _COUNTERS)),
    (ETHERNET, 5): ("media counters", tuple((name, UDINT) for name in _MEDIA_COUNTERS)),
    (ETHERNET, 6): ("control", (("bits", WORD), ("forced speed", UINT))),
    (ETHERNET, 7): ("interface type", (("", USINT),)),
    (ETHERNET, 8): ("interface state", (("", USINT),)),
    (ETHERNET, 9): ("admin state", (("", USINT),)),
    (ETHERNET, 10): ("label", (("", SHORT_STRING),)),
    (ETHERNET, 11): ("capability", (("bits", DWORD), ("speeds", COUNTED | 3 << SIZE_AT | 1 << COUNT_AT))),
}
"""(class, attribute) to its name and its fields, in the order of the wire."""

WHOLE: dict[int, tuple[int, int]] = {IDENTITY: (7, 10), ROUTER: (1, 3), TCP_IP: (6, 13), ETHERNET: (3, 10)}
"""Of an object that is read as a whole: attributes that must be there, and that may be, one behind the other from 1."""


def is_public(family: int) -> bool:
    """Whether CIP defines what attributes of this class's own mean: not those of vendors (volume 1, table 4-4.1)."""
    return 0 < family < 0x64 or 0xF0 <= family < 0x300


def name_of(family: int, instance: int, number: int) -> str:
    """What an attribute, or a field of one, is called; empty where nobody said.

    Args:
        family, instance: class and instance.
        number: the attribute, and the field, counted from 1, above 16 bits.
    """
    attribute, field = number & 0xFFFF, number >> 16
    found = ATTRIBUTES.get((family, attribute)) if instance else None
    if not instance and is_public(family):
        found = ATTRIBUTES.get((OF_CLASS, attribute))
    if found is None:
        return ""
    return found[1][field - 1][0] if 0 < field <= len(found[1]) else found[0]
