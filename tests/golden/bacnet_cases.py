"""The packets of the golden captures of BACnet/IP."""

from __future__ import annotations

import struct

from pipeline.synth.encode.bacnet import (
    ANALOG_INPUT,
    ANALOG_OUTPUT,
    BINARY_OUTPUT,
    BROADCAST,
    DEVICE,
    DISTRIBUTE,
    FILE,
    FORWARDED,
    NULL,
    OBJECT_LIST,
    OBJECT_NAME,
    OUT_OF_SERVICE,
    PRESENT_VALUE,
    PRIORITY_ARRAY,
    STATUS_FLAGS,
    UNICAST,
    abort,
    announced,
    bits,
    boolean,
    bvll,
    changed,
    complex_ack,
    ctx,
    ctx_oid,
    date,
    daytime,
    double,
    enumerated,
    error,
    identifier,
    integer,
    npdu,
    octets,
    oid,
    property_of,
    real,
    refusal,
    reject,
    request,
    segment_ack,
    segments,
    simple_ack,
    station,
    tag,
    text,
    unconfirmed,
    unsigned,
    within,
)
from tests.decode.packets import MS, SECOND, Packet, Talk
from tests.golden.registry import case
from tests.protocols.bacnet_apdus import Devices

TEMPERATURE, VALVE, FAN, PLANT = oid(ANALOG_INPUT, 3), oid(ANALOG_OUTPUT, 7), oid(BINARY_OUTPUT, 2), oid(DEVICE, 1234)
UNITS, SCHEDULE, NOON = 117, oid(17, 1), date(2026, 1, 1, 4) + daytime(12, 0, 1, 25)


@case
def bacnet_read() -> list[Packet]:
    """Reading single properties: every application type, arrays whole and by index, what is constructed."""
    d = Devices()
    d.read(1, TEMPERATURE, PRESENT_VALUE, real(21.5)).read(2, TEMPERATURE, UNITS, enumerated(62))
    d.read(3, TEMPERATURE, OBJECT_NAME, text("Supply air")).read(4, TEMPERATURE, STATUS_FLAGS, bits("0100"))
    d.read(5, TEMPERATURE, OUT_OF_SERVICE, boolean(True)).read(6, oid(46, 1), PRESENT_VALUE, double(-1e6))
    d.read(7, oid(45, 1), PRESENT_VALUE, integer(-70000)).read(8, oid(48, 1), PRESENT_VALUE, unsigned(70000))
    d.read(9, oid(48, 2), PRESENT_VALUE, unsigned((1 << 63) + 1)).read(10, oid(47, 1), PRESENT_VALUE, octets(b"\1\2"))
    d.read(11, PLANT, 56, date(2026, 1, 1, 4)).read(12, PLANT, 57, daytime(23, 59, 59, 99))
    d.read(13, oid(41, 1), PRESENT_VALUE, date(2155, 13, 32)).read(14, oid(40, 1), PRESENT_VALUE, text("\0A", 4))
    d.read(15, PLANT, OBJECT_LIST, *(identifier(t) for t in (PLANT, TEMPERATURE, VALVE)))
    d.read(16, PLANT, OBJECT_LIST, unsigned(3), index=0).read(17, PLANT, OBJECT_LIST, identifier(VALVE), index=3)
    d.read(18, VALVE, PRIORITY_ARRAY, *[NULL] * 7, real(40), *[NULL] * 7, real(0))
    d.read(19, SCHEDULE, 123, *[within(0, daytime(6, 0, 0) + real(20)), within(0, b"")])
    return d.packets


@case
def bacnet_write() -> list[Packet]:
    """Writing single properties: at a priority, relinquished, as life safety does, out of service, limits."""
    d = Devices()
    d.write(20, VALVE, PRESENT_VALUE, real(55), 8).write(21, VALVE, PRESENT_VALUE, NULL, 8)
    d.write(22, VALVE, PRESENT_VALUE, real(0), 1).write(23, TEMPERATURE, OUT_OF_SERVICE, boolean(True))
    d.write(24, TEMPERATURE, 45, real(80))
    return d.packets


@case
def bacnet_refusals() -> list[Packet]:
    """What was refused: errors with class and code, rejects, aborts from both sides, an answer to another question."""
    d = Devices()
    d.ask(request(12, 1, property_of(oid(ANALOG_INPUT, 99), PRESENT_VALUE))).tell(refusal(12, 1, error(1, 31)))
    d.ask(request(15, 2, property_of(TEMPERATURE, 75) + within(3, real(1)))).tell(refusal(15, 2, error(2, 40)))
    d.ask(request(12, 3)).tell(reject(3, 5))
    d.ask(request(14, 4, ctx_oid(0, PLANT) + within(1, ctx(0, 8)))).tell(abort(4, 4))
    d.ask(request(16, 5, ctx_oid(0, VALVE) + within(1, ctx(0, 85) + within(2, real(1)) + ctx(3, 8))))
    d.tell(refusal(16, 5, within(0, error(2, 37)) + within(1, ctx_oid(0, VALVE) + ctx(1, 85))))
    d.ask(request(12, 6, property_of(TEMPERATURE, PRESENT_VALUE)))
    d.tell(complex_ack(12, 6, property_of(VALVE, PRESENT_VALUE) + within(3, real(4))))
    d.ask(request(12, 7, property_of(TEMPERATURE, PRESENT_VALUE))).ask(abort(7, 10, server=False))
    d.ask(request(12, 8, property_of(TEMPERATURE, PRESENT_VALUE)))
    d.talk.now += 8 * SECOND
    d.tell(complex_ack(12, 8, property_of(TEMPERATURE, PRESENT_VALUE) + within(3, real(4))))
    d.tell(simple_ack(15, 9)).tell(refusal(20, 10, error(4, 26)))
    return d.packets


@case
def bacnet_discovery() -> list[Packet]:
    """Who-Is and I-Am, Who-Has and I-Have, in broadcasts, and a device that says what it is when it is read."""
    client = Devices(Talk(client="10.0.0.1", server="10.0.0.255", port=47808, server_port=47808))
    device = Devices(Talk(client="10.0.0.2", server="10.0.0.255", port=47808, server_port=47808, now=client.talk.now))
    client.put(0, bvll(BROADCAST, npdu(unconfirmed(8))))
    client.put(0, bvll(BROADCAST, npdu(unconfirmed(8, ctx(0, 1000) + ctx(1, 1999)), to=station(0xFFFF, b""))))
    device.talk.now += 5 * MS
    device.put(0, bvll(BROADCAST, npdu(announced(1234))))
    client.talk.now += 10 * MS
    client.put(0, bvll(BROADCAST, npdu(unconfirmed(7, tag(3, b"\0Supply air")))))
    client.put(0, bvll(BROADCAST, npdu(unconfirmed(7, ctx(0, 0) + ctx(1, 4194303) + ctx_oid(2, VALVE)))))
    device.talk.now += 20 * MS
    found = unconfirmed(1, identifier(PLANT) + identifier(TEMPERATURE) + text("Supply air"))
    device.put(0, bvll(BROADCAST, npdu(found)))
    reader = Devices(Talk(port=47808, server_port=47808, now=device.talk.now + 20 * MS))
    for invoke, (sub, value) in enumerate(
        ((121, text("Cimetrics")), (70, text("BMS-1")), (44, text("2.11")), (372, text("000417")), (77, text("AHU 1")),
         (58, text("Roof")), (120, unsigned(14))), 1):  # fmt: skip
        reader.read(invoke, PLANT, sub, value)
    return sorted(client.packets + device.packets + reader.packets, key=lambda p: p.ts)


@case
def bacnet_several_properties() -> list[Packet]:
    """ReadPropertyMultiple with values, doubts and errors for some or all; WritePropertyMultiple."""
    d = Devices()
    wanted = [(TEMPERATURE, (PRESENT_VALUE, STATUS_FLAGS, 28)), (VALVE, (PRESENT_VALUE, 9999))]
    d.ask(request(14, 1, b"".join(ctx_oid(0, t) + within(1, b"".join(ctx(0, s) for s in subs)) for t, subs in wanted)))
    first = ctx(2, 85) + within(4, real(21.5)) + ctx(2, 111) + within(4, bits("0111")) + ctx(2, 28) + within(4, text("T"))  # fmt: skip # noqa: E501
    second = ctx(2, 85) + within(4, real(40)) + ctx(2, 9999) + within(5, error(2, 32))
    d.tell(complex_ack(14, 1, ctx_oid(0, TEMPERATURE) + within(1, first) + ctx_oid(0, VALVE) + within(1, second)))
    d.ask(request(14, 2, ctx_oid(0, TEMPERATURE) + within(1, ctx(0, 9999) + ctx(0, OBJECT_LIST) + ctx(1, 2))))
    refused = ctx(2, 9999) + within(5, error(2, 32)) + ctx(2, 76) + ctx(3, 2) + within(5, error(2, 42))
    d.tell(complex_ack(14, 2, ctx_oid(0, TEMPERATURE) + within(1, refused)))
    writes = ctx(0, 85) + within(2, real(30)) + ctx(3, 9) + ctx(0, 104) + within(2, real(0))
    d.ask(request(16, 3, ctx_oid(0, VALVE) + within(1, writes) + ctx_oid(0, FAN) + within(1, ctx(0, 85) + within(2, enumerated(1)) + ctx(3, 8))))  # fmt: skip # noqa: E501
    d.tell(simple_ack(16, 3))
    return d.packets


@case
def bacnet_changes_of_value() -> list[Packet]:
    """Subscriptions made and cancelled; notifications confirmed, refused and unconfirmed, on the flow of the polls."""
    d = Devices()
    d.ask(request(5, 1, ctx(0, 18) + ctx_oid(1, TEMPERATURE) + ctx(2, 1) + ctx(3, 60))).tell(simple_ack(5, 1))
    d.ask(request(28, 2, ctx(0, 19) + ctx_oid(1, VALVE) + ctx(2, 0) + ctx(3, 0) + within(4, ctx(0, 87) + ctx(1, 8)) + tag(5, struct.pack("!f", 1))))  # fmt: skip # noqa: E501
    d.tell(simple_ack(28, 2))
    values = ((PRESENT_VALUE, real(22.5)), (STATUS_FLAGS, bits("0010")))
    d.put(1, bvll(UNICAST, npdu(request(1, 1, changed(18, 1234, TEMPERATURE, *values)), expects=True)))
    d.put(0, bvll(UNICAST, npdu(simple_ack(1, 1)))).read(3, TEMPERATURE, PRESENT_VALUE, real(22.5))
    d.put(1, bvll(UNICAST, npdu(request(1, 2, changed(99, 1234, VALVE, (PRESENT_VALUE, real(1)))), expects=True)))
    d.put(0, bvll(UNICAST, npdu(refusal(1, 2, error(5, 79)))))
    d.tell(unconfirmed(2, changed(0, 1234, FAN, (PRESENT_VALUE, enumerated(1)), (STATUS_FLAGS, bits("0000")))))
    d.ask(request(5, 4, ctx(0, 18) + ctx_oid(1, TEMPERATURE))).tell(simple_ack(5, 4))
    d.put(1, bvll(UNICAST, npdu(request(1, 5, changed(18, 1234, TEMPERATURE, *values)), expects=True)))
    d.talk.now += 8 * SECOND
    both = b"".join(
        ctx_oid(0, thing) + within(1, ctx(0, 85) + within(2, real(value)) + tag(3, b"\x0c\0\1\x19"))
        for thing, value in ((TEMPERATURE, 23), (VALVE, 56))
    )
    several = ctx(0, 20) + ctx_oid(1, PLANT) + ctx(2, 60) + within(3, NOON) + within(4, both)
    d.put(1, bvll(UNICAST, npdu(request(31, 6, several), expects=True))).put(0, bvll(UNICAST, npdu(simple_ack(31, 6))))
    d.tell(unconfirmed(11, several)).tell(unconfirmed(11, several[:-3]))
    return d.read(6, TEMPERATURE, PRESENT_VALUE, real(1)).packets


@case
def bacnet_control() -> list[Packet]:
    """Device communication control, restarts, backup, times: with passwords, accepted, refused, unanswered."""
    d = Devices()
    password = b"\0filister"
    d.ask(request(17, 1, ctx(0, 60) + ctx(1, 1) + tag(2, password))).tell(simple_ack(17, 1))
    d.ask(request(17, 2, ctx(1, 0))).tell(refusal(17, 2, error(4, 26)))
    d.ask(request(17, 3, ctx(1, 2))).tell(simple_ack(17, 3))
    for state in range(8):
        d.ask(request(20, 10 + state, ctx(0, state) + tag(1, password))).tell(simple_ack(20, 10 + state))
    d.ask(request(20, 30, ctx(0, 9))).tell(reject(30, 8))
    d.ask(unconfirmed(6, NOON)).ask(unconfirmed(9, NOON)).ask(unconfirmed(6, date(2155, 255, 255) + daytime(12, 0, 0)))
    d.ask(request(20, 31, ctx(0, 0)))
    d.talk.now += 8 * SECOND
    return d.read(32, TEMPERATURE, PRESENT_VALUE, real(1)).packets


@case
def bacnet_files_and_objects() -> list[Packet]:
    """Files as streams and records, objects made and deleted, lists, an empty range, private transfer."""
    d = Devices()
    log = oid(FILE, 1)
    d.ask(request(6, 1, identifier(log) + within(0, integer(1000) + unsigned(480))))
    d.tell(complex_ack(6, 1, boolean(False) + within(0, integer(1000) + octets(b"x" * 480))))
    d.ask(request(7, 2, identifier(log) + within(0, integer(-1) + octets(b"new")))).tell(
        complex_ack(7, 2, tag(0, b"\3"))
    )
    d.ask(request(6, 3, identifier(log) + within(1, integer(4) + unsigned(2))))
    d.tell(complex_ack(6, 3, boolean(True) + within(1, integer(4) + unsigned(2) + octets(b"a") + octets(b"b"))))
    d.ask(request(6, 20, identifier(log) + within(0, b"\x30" + unsigned(1))))
    d.ask(request(10, 4, within(0, ctx(0, ANALOG_INPUT)))).tell(complex_ack(10, 4, identifier(TEMPERATURE)))
    d.ask(request(11, 5, identifier(VALVE))).tell(refusal(11, 5, error(1, 23)))
    d.ask(request(8, 6, property_of(oid(15, 1), 102) + within(3, unsigned(5)))).tell(simple_ack(8, 6))
    d.ask(request(26, 7, property_of(oid(20, 1), 131) + within(3, unsigned(1) + integer(10))))
    d.tell(complex_ack(26, 7, property_of(oid(20, 1), 131) + tag(3, b"\5\xe0") + ctx(4, 0) + within(5, b"")))
    d.ask(request(18, 8, ctx(0, 260) + ctx(1, 7) + within(2, real(1)))).tell(
        complex_ack(18, 8, ctx(0, 260) + ctx(1, 7))
    )
    return d.packets


@case
def bacnet_routed() -> list[Packet]:
    """Devices and clients behind routers, with the same invoke ids; messages of the network layer."""
    d = Devices()
    here, there, far = station(13, b"\x3d"), station(13, b"\x3e"), station(14, bytes.fromhex("0a000005bac0"))
    about = property_of(TEMPERATURE, PRESENT_VALUE)
    for place in (here, there, far):
        d.ask(request(12, 1, about), to=place)
    for place, value in ((there, 2), (far, 3), (here, 1)):
        d.tell(complex_ack(12, 1, about + within(3, real(value))), source=place)
    d.ask(request(12, 2, about), to=here, source=station(5, b"\1")).ask(request(12, 2, about), to=here, source=station(5, b"\2"))  # fmt: skip # noqa: E501
    d.tell(complex_ack(12, 2, about + within(3, real(1))), source=here, to=station(5, b"\1"))
    d.tell(refusal(12, 2, error(1, 31)), source=here, to=station(5, b"\2"))
    d.tell(announced(77), source=there)
    for side, message in ((0, b"\0\0\x0d"), (1, b"\1\0\x0d\0\x0e"), (1, b"\3\1\0\x63"), (1, b"\4\0\x0d"),
                          (1, b"\5\0\x0d"), (0, b"\6\1\0\x0d\1\0"), (1, b"\7\0"), (0, b"\x12"), (1, b"\x13\0\1\1"), (0, b"\x80\1\4x")):  # fmt: skip # noqa: E501
        d.put(side, bvll(UNICAST, npdu(message, message=True)))
    return d.packets


@case
def bacnet_link() -> list[Packet]:
    """The virtual link: forwarded and distributed broadcasts, foreign devices, tables read, written and refused."""
    d = Devices()
    entry = bytes([10, 0, 0, 9]) + struct.pack("!H", 47808) + b"\xff\xff\xff\xff"
    d.put(0, bvll(5, b"\0\x3c")).put(1, bvll(0, b"\0\0"))
    d.put(0, bvll(2, b"")).put(1, bvll(3, entry * 2))
    d.put(0, bvll(1, entry)).put(1, bvll(0, b"\0\x10"))
    d.put(0, bvll(6, b"")).put(1, bvll(7, entry)).put(0, bvll(8, entry[:6])).put(1, bvll(0, b"\0\0"))
    d.put(1, bvll(FORWARDED, entry[:6] + npdu(announced(42)))).put(0, bvll(DISTRIBUTE, npdu(unconfirmed(8))))
    d.put(0, bvll(1, entry[:7])).put(0, bvll(0, b"\0")).put(0, bvll(12, b"\1\2\3"))
    return d.packets


@case
def bacnet_segments() -> list[Packet]:
    """An answer and a request in segments, with acknowledgements; a segment sent again; one that was lost."""
    d = Devices()
    about = property_of(PLANT, OBJECT_LIST)
    whole = complex_ack(12, 1, about + within(3, b"".join(identifier(oid(0, k)) for k in range(60))))
    d.ask(request(12, 1, about))
    pieces = segments(whole, 100)
    d.tell(pieces[0]).ask(segment_ack(1, 0)).tell(pieces[1]).tell(pieces[1]).tell(pieces[2]).ask(segment_ack(1, 2))
    for piece in pieces[3:]:
        d.tell(piece)
    d.ask(segment_ack(1, len(pieces) - 1))
    writes = b"".join(ctx_oid(0, oid(1, k)) + within(1, ctx(0, 85) + within(2, real(k))) for k in range(20))
    for piece in segments(request(16, 2, writes), 90):
        d.ask(piece)
    d.tell(segment_ack(2, 3, server=True)).tell(simple_ack(16, 2))
    d.ask(request(12, 3, about))
    pieces = segments(complex_ack(12, 3, whole[3:]), 100)
    d.tell(pieces[0]).tell(pieces[2]).ask(segment_ack(3, 0, negative=True)).tell(pieces[3])
    return d.packets


@case
def bacnet_malformed() -> list[Packet]:
    """Lengths, tags and codes that are wrong: each message is told with what can be known of it, and marked."""
    d = Devices()
    good = property_of(TEMPERATURE, PRESENT_VALUE)
    value = good + within(3, real(1))
    for body in (good[:4], good[:5], good + b"\0", good[:5] + b"\x1d", b"\x09\1",
                 ctx(0, 1) + ctx(1, 85), b"\x0d\xff\xff\xff\xff\xff"):  # fmt: skip
        d.ask(request(12, 1, body))
    for body in (value[:-1], value[:-3], good + b"\x3e\x44\0\0", good + within(2, real(1)),
                 good + b"\x3e" + b"\x0e" * 40,
                 value + ctx(4, 0), value + ctx(4, 17), good + b"\x3e\xf6\x3f", good + within(3, tag(13, b"ab", False)),
                 good + within(3, tag(4, b"ab", False)), good + within(3, tag(2, b"abcdef", False)), good + b"\x3e\x4f"):  # fmt: skip # noqa: E501
        d.ask(request(15, 2, body))
    d.ask(request(14, 3, ctx_oid(0, PLANT) + b"\x1e")).ask(request(16, 4, ctx_oid(0, PLANT) + within(1, ctx(0, 85))))
    d.ask(b"\x02\x05\1").ask(b"\x0c\x05\1\0").ask(b"\x90\1\2\3").ask(b"").ask(request(99, 5)).ask(unconfirmed(77))
    d.ask(request(17, 6, ctx(1, 7))).ask(unconfirmed(8, ctx(0, 9) + ctx(1, 3))).ask(unconfirmed(0, identifier(VALVE)))
    whole = bvll(UNICAST, npdu(request(12, 7, good)))
    d.put(0, whole[:-1]).put(0, whole + b"\0\0").put(0, whole[:3]).put(0, b"\x81\x0a\0\3" + whole[4:])
    d.put(0, bvll(UNICAST, b"\2\0\x10\x08")).put(0, bvll(UNICAST, b"\1\x20\0\5\6ab")).put(0, bvll(UNICAST, b"\1"))
    d.put(0, bvll(UNICAST, b"\1\x50\x10\x08")).put(0, bvll(UNICAST, b"\1\x08\xff\xff\0\x10\x08")).put(0, bvll(UNICAST, b"\1\x80"))  # fmt: skip # noqa: E501
    return d.packets


@case
def bacnet_not_bacnet() -> list[Packet]:
    """Another protocol on the port of BACnet/IP, and its IPv6 form: said once for each flow."""
    d, other = Devices(), Devices(Talk(client="10.0.0.9", port=40000, server_port=47808))
    d.put(0, b"GET / HTTP/1.1\r\n\r\n").put(1, b"HTTP/1.1 400\r\n\r\n").put(0, b"\x81\xff\0\4")
    other.put(0, bytes.fromhex("8201000b000001000002") + b"\1").put(0, b"\x82")
    return d.packets + other.packets


@case
def bacnet_other_port() -> list[Packet]:
    """BACnet/IP on a port of its own choice, known by its shape; both ends ask each other there."""
    d = Devices(Talk(port=47820, server_port=47820))
    d.read(1, TEMPERATURE, PRESENT_VALUE, real(21.5))
    d.put(1, bvll(UNICAST, npdu(request(12, 1, property_of(FAN, PRESENT_VALUE)), expects=True)))
    d.put(0, bvll(UNICAST, npdu(complex_ack(12, 1, property_of(FAN, PRESENT_VALUE) + within(3, enumerated(1))))))
    d.put(1, bvll(UNICAST, npdu(request(12, 2, property_of(FAN, PRESENT_VALUE)), expects=True)))
    d.read(2, TEMPERATURE, PRESENT_VALUE, real(21.5))
    d.talk.now += 8 * SECOND
    return d.read(3, TEMPERATURE, PRESENT_VALUE, real(21.5)).packets
