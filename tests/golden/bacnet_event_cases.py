"""The packets of the golden captures of BACnet's events, logs, private transfers and groups."""

from __future__ import annotations

import struct

from pipeline.synth.encode.bacnet import (
    NULL,
    UNICAST,
    bits,
    boolean,
    bvll,
    complex_ack,
    ctx,
    ctx_oid,
    date,
    daytime,
    enumerated,
    error,
    identifier,
    integer,
    logged,
    notified,
    npdu,
    octets,
    oid,
    property_of,
    real,
    refusal,
    request,
    simple_ack,
    stamped,
    summarised,
    tag,
    text,
    unconfirmed,
    unsigned,
    within,
)
from tests.decode.packets import Packet
from tests.golden.bacnet_cases import FAN, NOON, PLANT, TEMPERATURE, VALVE
from tests.golden.registry import case
from tests.protocols.bacnet_apdus import Devices

LOG, LOGS, EVENTS, CLASS = oid(20, 1), oid(27, 2), oid(25, 3), oid(15, 1)
LOG_BUFFER, RECIPIENTS, OBJECTS = 131, 102, 76
LATER = date(2026, 1, 5, 1) + daytime(12, 15, 0, 50)
ANY_TIME = date(2155, 255, 255) + daytime(12, 0, 0)
IN_ALARM = tag(1, bits("1000")[1:])
"""Status flags under tag 1."""
DESTINATION = (
    bits("1111100")
    + daytime(0, 0, 0)
    + daytime(23, 59, 59)
    + ctx_oid(0, PLANT)
    + unsigned(1)
    + boolean(True)
    + bits("111")
)
"""An entry of a notification class's list."""
PRECISE = tag(2, struct.pack("!d", 1)) + tag(3, struct.pack("!d", 1))
"""Deadband and limit of a double."""


def single(number: int, value: float) -> bytes:
    """A real under a context tag."""
    return tag(number, struct.pack("!f", value))


def ranged(thing: int, sub: int, items: bytes, count: int, first: int | None = None) -> bytes:
    """Contents of an answer to ReadRange."""
    said = property_of(thing, sub) + tag(3, bits("110")[1:]) + ctx(4, count) + within(5, items)
    return said if first is None else said + ctx(6, first)


@case
def bacnet_logs() -> list[Packet]:
    """Ranges of trend logs by position, number and time, with every kind of datum; of a list; refused; empty."""
    d = Devices()
    by_position, by_sequence = within(3, unsigned(1) + integer(4)), within(6, unsigned(70000) + integer(-2))
    records = logged(NOON, single(2, 21.5), tag(2, bits("0000")[1:])) + logged(
        LATER, single(2, 22.5), tag(2, bits("0111")[1:])
    )
    records += logged(LATER, tag(0, bits("010")[1:])) + logged(ANY_TIME, single(9, 3600))
    d.ask(request(26, 1, property_of(LOG, LOG_BUFFER) + by_position))
    d.tell(complex_ack(26, 1, ranged(LOG, LOG_BUFFER, records, 4)))
    data = [tag(1, b"\1"), ctx(3, 7), ctx(4, 70000), tag(5, b"\xfe"), tag(6, bits("0101")[1:]), tag(7, b""),
            within(8, error(2, 32)), single(2, 1)]  # fmt: skip
    d.ask(request(26, 2, property_of(LOG, LOG_BUFFER) + by_sequence))
    d.tell(complex_ack(26, 2, ranged(LOG, LOG_BUFFER, b"".join(logged(NOON, x) for x in data), 8, 70000)))
    d.tell(complex_ack(26, 11, ranged(LOG, LOG_BUFFER, logged(NOON, within(10, text("manual"))), 1)))
    d.ask(request(26, 3, property_of(LOGS, LOG_BUFFER) + within(7, NOON + integer(10))))
    both = logged(NOON, within(1, single(1, 20.5) + tag(0, b"\1") + ctx(3, 9) + within(7, error(2, 32)) + tag(6, b"")))
    both += logged(LATER, tag(0, bits("100")[1:])) + logged(LATER, single(2, -1))
    d.tell(complex_ack(26, 3, ranged(LOGS, LOG_BUFFER, both, 3, 500)))
    d.ask(request(26, 4, property_of(PLANT, OBJECTS) + within(3, unsigned(5) + integer(2))))
    d.tell(complex_ack(26, 4, ranged(PLANT, OBJECTS, identifier(TEMPERATURE) + identifier(VALVE), 2)))
    d.ask(request(26, 5, property_of(CLASS, RECIPIENTS)))
    d.tell(complex_ack(26, 5, ranged(CLASS, RECIPIENTS, DESTINATION, 1)))
    d.ask(request(26, 6, property_of(LOG, LOG_BUFFER) + within(7, ANY_TIME + integer(1))))
    d.tell(complex_ack(26, 6, ranged(LOG, LOG_BUFFER, b"", 0)))
    d.ask(request(26, 7, property_of(LOG, LOG_BUFFER) + by_position)).tell(refusal(26, 7, error(5, 76)))
    event = logged(NOON, within(1, notified(1, 1, TEMPERATURE, stamped(3, NOON), 5, (0, 3))))
    d.tell(complex_ack(26, 8, ranged(EVENTS, LOG_BUFFER, event, 1, 9)))
    d.tell(complex_ack(26, 9, ranged(LOG, LOG_BUFFER, records, 5)))
    return d.ask(request(26, 10, property_of(PLANT, OBJECTS, 3) + within(3, unsigned(5) + integer(-2)))).packets


@case
def bacnet_events() -> list[Packet]:
    """Notifications of every kind of event, acknowledged by who sees them and at the device; what is in alarm."""
    d = Devices()
    out_of_range = within(5, single(0, 81.5) + IN_ALARM + single(2, 1) + single(3, 80))
    told = notified(7, 1234, TEMPERATURE, stamped(3, NOON), 5, (0, 3), out_of_range, text=b"Supply air is hot")
    d.put(1, bvll(UNICAST, npdu(request(2, 1, told), expects=True))).put(0, bvll(UNICAST, npdu(simple_ack(2, 1))))
    later = stamped(3, LATER)
    kinds = [
        (0, within(0, tag(0, bits("101")[1:]) + IN_ALARM)),
        (1, within(1, within(0, ctx(1, 1)) + IN_ALARM)),
        (1, within(1, within(0, tag(0, b"\1")) + IN_ALARM)),
        (1, within(1, within(0, ctx(11, 70000)) + IN_ALARM)),
        (2, within(2, within(0, single(1, 2.5)) + IN_ALARM)),
        (2, within(2, within(0, tag(0, bits("01")[1:])) + IN_ALARM)),
        (3, within(3, within(0, enumerated(1)) + IN_ALARM + within(2, enumerated(0)))),
        (4, within(4, single(0, 5.5) + IN_ALARM + single(2, 4) + single(3, 1))),
        (8, within(8, ctx(0, 2) + ctx(1, 1) + tag(2, bits("1000")[1:]) + ctx(3, 3))),
        (9, within(9, ctx(0, 260) + ctx(1, 7) + within(2, real(1)))),
        (10, within(10, within(0, property_of(LOG, LOG_BUFFER)) + ctx(1, 10) + ctx(2, 20))),
        (11, within(11, ctx(0, 300) + IN_ALARM + ctx(2, 250))),
        (14, within(14, tag(0, struct.pack("!d", 1.25)) + IN_ALARM + PRECISE)),
        (17, b"\xfe\x11" + tag(0, b"\0door") + IN_ALARM + tag(2, b"\0doo") + b"\xff\x11"),
        (18, b"\xfe\x12" + within(0, real(4)) + IN_ALARM + b"\xff\x12"),
        (19, b"\xfe\x13" + ctx(0, 7) + IN_ALARM + within(2, ctx(0, 85) + within(2, real(1))) + b"\xff\x13"),
    ]  # fmt: skip
    for kind, values in kinds:
        d.tell(unconfirmed(3, notified(0, 1234, VALVE, later, kind, (0, 2), values, notify=1, ack=False)))
    d.ask(
        request(
            0,
            2,
            ctx(0, 7) + ctx_oid(1, TEMPERATURE) + ctx(2, 3) + stamped(3, NOON) + tag(4, b"\0Jones") + stamped(5, LATER),
        )
    )
    d.tell(simple_ack(0, 2))
    by_number = within(3, ctx(1, 41))
    d.tell(unconfirmed(3, notified(7, 1234, TEMPERATURE, by_number, 5, (0, 3), notify=2, text=b"acknowledged")))
    d.tell(unconfirmed(3, notified(7, 1234, FAN, within(3, tag(0, b"\x0c\0\0\0")), 3, (0, 1), b"", ack=False)))
    d.ask(
        request(
            0,
            3,
            ctx(0, 7) + ctx_oid(1, TEMPERATURE) + ctx(2, 2) + by_number + tag(4, b"\0Jones") + within(5, ctx(1, 42)),
        )
    )
    d.tell(refusal(0, 3, error(5, 73)))
    d.ask(request(3, 4)).tell(
        complex_ack(
            3,
            4,
            identifier(TEMPERATURE) + enumerated(3) + bits("011") + identifier(VALVE) + enumerated(2) + bits("111"),
        )
    )
    d.ask(request(4, 5, ctx(0, 1))).tell(
        complex_ack(
            4,
            5,
            identifier(TEMPERATURE)
            + enumerated(5)
            + enumerated(3)
            + unsigned(100)
            + unsigned(1)
            + identifier(VALVE)
            + enumerated(2)
            + enumerated(0)
            + unsigned(200),
        )
    )
    both = summarised(TEMPERATURE, 3, "011", (1, 2, 3)) + summarised(VALVE, 2, "111", (100, 100, 200))
    d.ask(request(29, 6)).tell(complex_ack(29, 6, within(0, both) + tag(1, b"\1")))
    return d.ask(request(29, 7, ctx_oid(0, VALVE))).tell(complex_ack(29, 7, within(0, b"") + tag(1, b"\0"))).packets


@case
def bacnet_transfers() -> list[Packet]:
    """A vendor's own services with their parameters as octets, values for a group, orders to a life safety device."""
    d = Devices()
    d.ask(request(18, 1, ctx(0, 260) + ctx(1, 7) + within(2, real(1) + text("a"))))
    d.tell(complex_ack(18, 1, ctx(0, 260) + ctx(1, 7) + within(2, octets(b"ok"))))
    d.ask(request(18, 2, ctx(0, 260) + ctx(1, 9))).tell(
        refusal(18, 2, within(0, error(5, 45)) + ctx(1, 260) + ctx(2, 9))
    )
    d.tell(unconfirmed(4, ctx(0, 36) + ctx(1, 300) + within(2, within(1, unsigned(5)))))
    channels = (
        ctx(0, 1) + real(50) + ctx(0, 2) + ctx(1, 3) + enumerated(1) + ctx(0, 3) + NULL + ctx(0, 4) + boolean(True)
    )
    d.ask(
        unconfirmed(10, ctx(0, 23) + ctx(1, 8) + within(2, channels + ctx(0, 5) + within(0, ctx(0, 1))) + tag(3, b"\1"))
    )
    d.ask(unconfirmed(10, ctx(0, 24) + ctx(1, 16) + within(2, b"")))
    zone = oid(22, 1)
    d.ask(request(27, 3, ctx(0, 9) + tag(1, b"\0Guard 2") + ctx(2, 4) + ctx_oid(3, zone))).tell(simple_ack(27, 3))
    return (
        d.ask(request(27, 4, ctx(0, 9) + tag(1, b"\0Guard 2") + ctx(2, 1))).tell(refusal(27, 4, error(5, 29))).packets
    )


@case
def bacnet_malformed_events() -> list[Packet]:
    """Events, logs and transfers that are cut off, that close what is not open, whose counts and priorities lie."""
    d = Devices()
    whole = notified(7, 1234, TEMPERATURE, stamped(3, NOON), 5, (0, 3), within(5, single(0, 81.5) + IN_ALARM))
    for cut in (2, 7, 12, 20, 27, 31, 35, 39, 43, len(whole) - 1):
        d.tell(unconfirmed(3, whole[:cut]))
    d.tell(unconfirmed(3, whole + b"\0")).tell(unconfirmed(3, whole[:-2] + b"\x6f\xcf"))
    d.tell(unconfirmed(3, notified(7, 1234, TEMPERATURE, stamped(3, ANY_TIME), 5, (0, 3), b"\x5c\0\0\0\0")))
    d.ask(request(0, 1, ctx(0, 7) + ctx_oid(1, TEMPERATURE) + ctx(2, 3) + within(3, within(2, NOON[:5]))))
    record = logged(NOON, single(2, 1))
    bare = within(0, NOON)
    wrong = (record[:-1], record[:6], bare + within(1, real(1)), bare + within(1, b""), b"\x4f", record)
    for invoke, items in enumerate(wrong, 20):
        d.tell(complex_ack(26, invoke, ranged(LOG, LOG_BUFFER, items, 2)))
    d.tell(complex_ack(26, 3, ranged(LOGS, LOG_BUFFER, logged(NOON, b"\x1e" + single(1, 1)), 1)))
    d.ask(request(26, 4, property_of(LOG, LOG_BUFFER) + within(3, unsigned(1)))).ask(
        request(26, 5, property_of(LOG, LOG_BUFFER) + within(4, b""))
    )
    d.tell(complex_ack(3, 6, identifier(VALVE) + bits("1"))).tell(complex_ack(4, 16, identifier(VALVE) + enumerated(1)))
    d.tell(complex_ack(29, 7, within(0, summarised(VALVE, 2, "111", (1, 2, 3))[:-6]))).tell(
        complex_ack(29, 17, within(0, b""))
    )
    d.ask(request(18, 8, ctx(0, 260))).ask(request(18, 9, ctx(0, 1) + ctx(1, 1) + b"\x2e\x3f")).ask(
        request(27, 1, ctx(0, 1))
    )
    d.ask(unconfirmed(10, ctx(0, 1) + ctx(1, 0) + within(2, ctx(0, 1) + ctx(1, 17) + real(1))))
    d.ask(unconfirmed(10, ctx(0, 1) + ctx(1, 8) + within(2, ctx(0, 1)))).ask(unconfirmed(10, ctx(0, 1) + ctx(1, 8)))
    return d.packets
