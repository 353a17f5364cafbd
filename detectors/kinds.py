"""Kinds: what registers may hold, by number and by name; light, for who only reads of it."""

from __future__ import annotations

NAME = "types"
"""The `detector` of its rows in a baseline."""
PARAMETER = "type"
"""The parameter of its rows; the value is 256 times the kind of KINDS, plus the form of `detectors.wide`."""

UNDECIDED = 0
CONSTANT = 1
FLOAT32 = 2
COUNTER32 = 3
TIMESTAMP = 4
COUNTER16 = 5
BOOL = 6
BITFIELD = 7
ENUM = 8
ANALOG16 = 9
SIGNED16 = 10
TIME_OF_DAY = 11
SECOND_WORD = 12
KINDS = (
    "",
    "constant",
    "float32",
    "counter32",
    "timestamp",
    "counter16",
    "bool",
    "bitfield",
    "enum",
    "analog16",
    "signed analog16",
    "time of day",
    "second word",
)
"""What a register was found to hold.  A value of two words is told at its first one."""
WIDE = (FLOAT32, COUNTER32, TIMESTAMP)
"""Kinds of values of two words."""

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
"""Word orders by their number; DCBA is both: words and bytes the other way round."""


def type_text(value: float) -> str:
    """What a row's value says, such as "float32 CDAB"; empty where it is none."""
    number = int(value) if 0 <= value < 1 << 16 else 0
    kind, form = number >> 8, number & 0xFF
    if kind >= len(KINDS):
        return ""
    order = f" {ORDERS[form >> 5 & 3]}" if kind in WIDE else ""
    return KINDS[kind] + order
