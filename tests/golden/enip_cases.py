"""The packets of the golden captures of EtherNet/IP."""

from __future__ import annotations

import struct

from pipeline.synth.encode import cip as e
from tests.decode.packets import ACK, PSH, Packet, Talk
from tests.golden.registry import case

SESSION = 0x11223344
READ_PART, WRITE_PART, MODIFY_TAG, PCCC = 0x52, 0x53, 0x4E, 0x4B
GET_SINGLE, SET_SINGLE, OPEN, CLOSE, SEND = 0x0E, 0x10, 0x54, 0x4E, 0x52
GET_LIST, SET_LIST = 0x03, 0x04
MANAGER = e.instance(6, 1)
NAME = e.identity(1, 14, 107, (20, 13), 0x00C0FFA1, "1769-L33ER")


class Line(Talk):
    """A conversation with a controller whose sender context counts."""

    number = 0

    def command(self, side: int, code: int, data: bytes = b"", session: int = SESSION, status: int = 0) -> Line:
        self.send(side, self.framed(code, data, session, status))
        return self

    def framed(self, code: int, data: bytes = b"", session: int = SESSION, status: int = 0) -> bytes:
        return e.encapsulated(code, session, data, context=struct.pack("<Q", self.number), status=status)

    def connect(self) -> Line:
        self.open()
        self.command(0, e.REGISTER, b"\1\0\0\0", session=0)
        return self.command(1, e.REGISTER, b"\1\0\0\0")

    def ask(self, service: int, path: bytes, data: bytes = b"") -> Line:  # type: ignore[override]
        self.number += 1
        return self.command(0, e.SEND_RR_DATA, e.unconnected(e.request(service, path, data)))

    def tell(self, service: int, data: bytes = b"", status: int = 0, extended: tuple[int, ...] = ()) -> Line:
        return self.command(1, e.SEND_RR_DATA, e.unconnected(told(service, data, status, extended)))

    def over(self, side: int, connection: int, count: int, message: bytes) -> Line:
        """A message over a connection."""
        items = struct.pack("<IHHHHIHHH", 0, 0, 2, 0xA1, 4, connection, 0xB1, 2 + len(message), count)
        return self.command(side, 0x70, items + message)


def told(service: int, data: bytes = b"", status: int = 0, extended: tuple[int, ...] = ()) -> bytes:
    words = struct.pack(f"<{len(extended)}H", *extended)
    return bytes([service | 0x80, 0, status, len(extended)]) + words + data


def line() -> Line:
    return Line(server_port=44818)


def element(name: str, *indices: int) -> bytes:
    """The path of a tag, and of an element of it."""
    return e.symbol(name) + b"".join(bytes([0x28, i]) if i < 256 else struct.pack("<HH", 0x29, i) for i in indices)


def reals(*numbers: float) -> bytes:
    return struct.pack(f"<H{len(numbers)}f", e.REAL, *numbers)


def count(n: int) -> bytes:
    return struct.pack("<H", n)


@case
def enip_session() -> list[Packet]:
    """A legacy command, services and identity listed, a session opened, refused in another version, and closed."""
    talk = line()
    talk.open()
    talk.command(0, 1, session=0).command(1, 1, b"\1\0\1\0\x24\0", session=0)
    services = struct.pack("<HHHHH16s", 1, 0x100, 20, 1, 0x120, b"Communications")
    talk.command(0, 4, session=0).command(1, 4, services, session=0)
    item = struct.pack("<H", 1) + struct.pack("!hHI8x", 2, 44818, 0x0A000002) + NAME + b"\3"
    talk.command(0, e.LIST_IDENTITY, session=0)
    talk.command(1, e.LIST_IDENTITY, struct.pack("<HHH", 1, 0x0C, len(item)) + item, session=0)
    talk.command(0, e.REGISTER, b"\2\0\0\0", session=0).command(1, e.REGISTER, b"\1\0\0\0", session=0, status=0x69)
    talk.command(0, e.REGISTER, b"\1\0\0\0", session=0).command(1, e.REGISTER, b"\1\0\0\0")
    talk.command(0, e.UNREGISTER)
    return talk.packets


@case
def enip_identity_udp() -> list[Packet]:
    """A list of identities asked over UDP, and told; another protocol's datagram on the port."""
    talk = line()
    talk.datagram(0, talk.framed(e.LIST_IDENTITY, session=0))
    item = struct.pack("<H", 1) + struct.pack("!hHI8x", 2, 44818, 0x0A000002) + NAME + b"\3"
    talk.datagram(1, talk.framed(e.LIST_IDENTITY, struct.pack("<HHH", 1, 0x0C, len(item)) + item, session=0))
    return talk.packets


@case
def enip_tags() -> list[Packet]:
    """Tags read and written: arrays, parts of structures, two indices, of a program, refused, masked."""
    talk = line().connect()
    talk.ask(e.READ_TAG, e.symbol("Level"), count(1)).tell(e.READ_TAG, reals(21.5))
    talk.ask(e.WRITE_TAG, e.symbol("Level"), reals(0)[:2] + count(1) + reals(42.25)[2:]).tell(e.WRITE_TAG)
    talk.ask(e.READ_TAG, element("Flows", 5), count(3)).tell(e.READ_TAG, reals(1.5, 2.5, 3.5))
    talk.ask(e.READ_TAG, element("Grid", 1, 300), count(1)).tell(e.READ_TAG, reals(7.0))
    talk.ask(e.READ_TAG, element("Program:Main.Pump.State", 3), count(1)).tell(e.READ_TAG, b"\xc4\0\xfe\xff\xff\xff")
    talk.ask(e.READ_TAG, element("Pumps", 2) + e.symbol("Speed"), count(1)).tell(e.READ_TAG, b"\xc3\0\x18\xfc")
    talk.ask(e.READ_TAG, e.symbol("Nothing"), count(1)).tell(e.READ_TAG, status=4, extended=(0,))
    talk.ask(e.WRITE_TAG, e.symbol("Level"), b"\xc4\0" + count(1) + bytes(4)).tell(
        e.WRITE_TAG, status=0xFF, extended=(0x2107,)
    )
    mask = struct.pack("<HII", 4, 1, 0xFFFFFFFE)
    talk.ask(MODIFY_TAG, e.symbol("Flags"), mask).tell(MODIFY_TAG)
    return talk.packets


@case
def enip_types() -> list[Packet]:
    """A tag of each elementary type, and one of a type that is not known."""
    talk = line().connect()
    low, wide = b"\xfe\xff\xff\xff", b"\xfe" + b"\xff" * 7
    values = (
        (0xC1, b"\xff"), (0xC2, low[:1]), (0xC3, low[:2]), (0xC4, low), (0xC5, wide), (0xC6, low[:1]), (0xC7, low[:2]),
        (0xC8, low), (0xC9, wide), (0xCB, struct.pack("<d", 0.1)), (0xD3, b"\5\0\0\x80"), (0xDF, b"\1\2\3"),
    )  # fmt: skip
    for kind, data in values:
        talk.ask(e.READ_TAG, e.symbol(f"Type{kind:X}"), count(1)).tell(e.READ_TAG, struct.pack("<H", kind) + data)
    return talk.packets


@case
def enip_structures() -> list[Packet]:
    """Strings, a structure without its description, and arrays in fragments, read and written."""
    talk = line().connect()
    text = struct.pack("<HHI", 0x02A0, 0x0FCE, 5) + b"batch" + bytes(77)
    talk.ask(e.READ_TAG, e.symbol("Name"), count(1)).tell(e.READ_TAG, text)
    talk.ask(e.WRITE_TAG, e.symbol("Name"), text[:4] + count(1) + text[4:]).tell(e.WRITE_TAG)
    talk.ask(e.READ_TAG, e.symbol("Motor"), count(1)).tell(e.READ_TAG, struct.pack("<HH", 0x02A0, 0x1234) + bytes(8))
    talk.ask(READ_PART, e.symbol("Log"), struct.pack("<HI", 4, 0)).tell(READ_PART, reals(1, 2), status=6)
    talk.ask(READ_PART, e.symbol("Log"), struct.pack("<HI", 4, 8)).tell(READ_PART, reals(3, 4))
    first = struct.pack("<HHI2f", e.REAL, 4, 0, 5.0, 6.0)
    talk.ask(WRITE_PART, e.symbol("Log"), first).tell(WRITE_PART)
    talk.ask(WRITE_PART, e.symbol("Log"), struct.pack("<HHI2f", e.REAL, 4, 8, 7.0, 8.0)).tell(WRITE_PART)
    return talk.packets


@case
def enip_several() -> list[Packet]:
    """A Multiple Service Packet whose second message fails, and one inside an Unconnected Send to slot 3."""
    talk = line().connect()
    asks = [e.request(e.READ_TAG, e.symbol(name), count(1)) for name in ("Level", "Nothing", "Flow")]
    answers = [told(e.READ_TAG, reals(21.5)), told(e.READ_TAG, status=4, extended=(0,)), told(e.READ_TAG, reals(3.0))]
    router = e.instance(e.ROUTER, 1)
    talk.ask(e.SEVERAL, router, e.several(asks)).tell(e.SEVERAL, e.several(answers), status=0x1E)
    inner = e.request(e.SEVERAL, router, e.several(asks[:1]))
    talk.ask(SEND, MANAGER, wrapped(inner, 3)).tell(e.SEVERAL, e.several(answers[:1]))
    return talk.packets


def wrapped(message: bytes, slot: int) -> bytes:
    """Contents of an Unconnected Send that goes to a slot."""
    return struct.pack("<BBH", 7, 233, len(message)) + message + bytes(len(message) & 1) + bytes([1, 0, 1, slot])


@case
def enip_routed() -> list[Packet]:
    """Requests inside an Unconnected Send: a read that is answered, and one that the router cannot pass on."""
    talk = line().connect()
    inner = e.request(e.READ_TAG, e.symbol("Tag"), count(1))
    talk.ask(SEND, MANAGER, wrapped(inner, 2)).tell(e.READ_TAG, reals(4.5))
    talk.ask(SEND, MANAGER, wrapped(inner, 9)).tell(SEND, status=1, extended=(0x0311,))
    return talk.packets


@case
def enip_objects() -> list[Packet]:
    """Attributes of objects: the identity, whole and one by one, others without a type, one set, a reset, a stop."""
    talk = line().connect()
    talk.ask(e.GET_ALL, e.instance(1, 1)).tell(e.GET_ALL, NAME)
    for number, data in ((1, b"\1\0"), (4, b"\x14\x0d"), (6, b"\xa1\xff\xc0\0"), (7, b"\x041769"), (5, b"\x30\0")):
        talk.ask(GET_SINGLE, e.instance(1, 1) + bytes([0x30, number])).tell(GET_SINGLE, data)
    talk.ask(GET_SINGLE, e.instance(0xF5, 1) + b"\x30\x05").tell(GET_SINGLE, bytes(range(20)))
    talk.ask(SET_SINGLE, e.instance(0xF5, 1) + b"\x30\x03", b"\2\0\0\0").tell(SET_SINGLE, status=0x0F)
    talk.ask(GET_SINGLE, b"\x20\x04\x25\0\x2c\1\x30\x03").tell(GET_SINGLE, b"\1\2\3")
    talk.ask(e.RESET, e.instance(1, 1), b"\0").tell(e.RESET)
    talk.ask(e.STOP, e.instance(e.MODES, 1)).tell(e.STOP, status=0x10)
    talk.ask(e.STOP, e.instance(e.MODES, 1))
    return talk.packets


def opened(large: bool = False) -> tuple[bytes, bytes]:
    """A Forward Open of assemblies 101 and 102 by a multicast, and its answer."""
    sizes = "<BBIIHHIB3xIIII" if large else "<BBIIHHIB3xIHIH"
    head = struct.pack(sizes, 10, 14, 0, 0x3000, 7, 1, 0xABCD, 1, 20_000, 0x4826, 10_000, 0x2806)
    path = bytes.fromhex("340400000000000000000000")[:10] + bytes.fromhex("20042401 2c65 2c66")
    asks = head + bytes([0xA1, len(path) // 2]) + path
    tells = struct.pack("<IIHHIIIBx", 0x8001, 0x3000, 7, 1, 0xABCD, 20_000, 10_000, 0)
    return asks, tells


def cyclic(connection: int, sequence: int, data: bytes) -> bytes:
    """A datagram of a class 1 connection."""
    size = 2 + len(data)
    return struct.pack("<HHHIIHHH", 2, 0x8002, 8, connection, sequence, 0xB1, size, sequence) + data


@case
def enip_connections() -> list[Packet]:
    """A connection is opened, messages go over it, cyclic data both ways, it is closed; data of an unknown one."""
    talk = line().connect()
    asks, tells = opened()
    talk.ask(OPEN, MANAGER, asks).tell(OPEN, tells)
    read = e.request(e.READ_TAG, e.symbol("Level"), count(1))
    talk.over(0, 0x8001, 1, read).over(1, 0x3000, 1, told(e.READ_TAG, reals(21.5)))
    data = Talk(port=2222, server_port=2222, packets=talk.packets, now=talk.now)
    for n in range(1, 3):
        data.datagram(0, cyclic(0x8001, n, struct.pack("<IHH", 1, 7, 8 + n)))
        data.datagram(1, cyclic(0x3000, n, struct.pack("<HHB", 1, 2 + n, 3)))
    data.datagram(1, cyclic(0x7777, 1, b"\1\2"))
    talk.now = data.now
    close = struct.pack("<BBHHIBx", 10, 14, 7, 1, 0xABCD, 4) + bytes.fromhex("200424012c652c66")
    talk.ask(CLOSE, MANAGER, close).tell(CLOSE, struct.pack("<HHIBx", 7, 1, 0xABCD, 0))
    large, _ = opened(large=True)
    talk.ask(0x5B, MANAGER, large).tell(0x5B, struct.pack("<HHIBx", 7, 1, 0xABCD, 0), status=1, extended=(0x0106,))
    return talk.packets


def pccc(command: int, number: int, data: bytes = b"", status: int = 0) -> bytes:
    """A PCCC message of requestor 7."""
    return struct.pack("<BHIBBH", 7, 1, 0xABCD, command, status, number) + data


@case
def enip_pccc() -> list[Packet]:
    """PCCC: integers and floats read and written, bits, a refusal, a change of mode."""
    talk = line().connect()
    path = e.instance(0x67, 1)

    def both(number: int, asks: bytes, tells: bytes = b"", status: int = 0) -> None:
        talk.ask(PCCC, path, pccc(0x0F, number, asks)).tell(PCCC, pccc(0x4F, number, tells, status))

    both(1, bytes([0xA2, 4, 7, 0x89, 10, 0]), struct.pack("<hh", -5, 600))
    both(2, bytes([0xA2, 8, 8, 0x8A, 0xFF, 0x2C, 1, 0]), struct.pack("<ff", 1.5, -2.5))
    both(3, bytes([0xAA, 2, 7, 0x89, 3, 0]) + struct.pack("<h", 77))
    both(4, bytes([0xA2, 2, 3, 0x85, 0, 0]), b"\5\x80")
    both(5, bytes([0xA2, 2, 99, 0x89, 0, 0]), b"\x0e", status=0xF0)
    both(6, bytes([0xA1, 4, 9, 0x91, 1]), struct.pack("<i", -70_000))
    both(7, bytes([0x80, 1]))
    talk.ask(PCCC, path, pccc(0x06, 8, b"\3")).tell(PCCC, pccc(0x46, 8, b"SLC"))
    return talk.packets


@case
def enip_split_and_pipelined() -> list[Packet]:
    """A request over three segments, answers of two requests in one, a session already open when the capture began."""
    talk = line()
    talk.number = 5
    asks = [talk.framed(e.SEND_RR_DATA, e.unconnected(e.request(e.READ_TAG, e.symbol("Level"), count(1))))]
    talk.number = 6
    asks.append(talk.framed(e.SEND_RR_DATA, e.unconnected(e.request(e.READ_TAG, e.symbol("Flow"), count(1)))))
    answers = b""
    for number, value in ((5, 21.5), (6, 3.25)):
        talk.number = number
        answers += talk.framed(e.SEND_RR_DATA, e.unconnected(told(e.READ_TAG, reals(value))))
    talk.send(0, asks[0][:10])
    talk.send(0, asks[0][10:40])
    talk.send(0, asks[0][40:] + asks[1])
    talk.send(1, answers)
    return talk.packets


def listed(*answers: tuple[int, int, bytes]) -> bytes:
    """The answer to a list of attributes: number, status and value of each."""
    return count(len(answers)) + b"".join(struct.pack("<HH", n, status) + data for n, status, data in answers)


ADDRESSES = struct.pack("<5IH", 0x0A000002, 0xFFFFFF00, 0x0A000001, 0, 0, 5) + b"plant\0"
COUNTERS = struct.pack("<11I", *range(100, 111))


@case
def enip_attribute_lists() -> list[Packet]:
    """Lists of attributes asked for, told, set: by definition, refused, of a vendor's class, of a class itself."""
    talk = line().connect()
    numbers = struct.pack("<8H", 7, 1, 2, 4, 5, 6, 7, 8)
    identity = ((1, b"\1\0"), (2, b"\x0e\0"), (4, b"\x14\x0d"), (5, b"\x30\0"), (6, b"\xa1\xff\xc0\0"),
                (7, b"\x041769"), (8, b"\3"))  # fmt: skip
    talk.ask(GET_LIST, e.instance(1, 1), numbers).tell(GET_LIST, listed(*((n, 0, data) for n, data in identity)))
    answer = listed((1, 0, b"\1\0\0\0"), (5, 0, ADDRESSES), (99, 0x14, b""), (6, 0, b"\5\0press\0"))
    talk.ask(GET_LIST, e.instance(0xF5, 1), struct.pack("<5H", 4, 1, 5, 99, 6)).tell(GET_LIST, answer, status=0x0A)
    vendors = listed((1, 0, b"\7\0"), (2, 0, b"\1\2\3"))
    talk.ask(GET_LIST, e.instance(0x8B, 1), struct.pack("<3H", 2, 1, 2)).tell(GET_LIST, vendors)
    talk.ask(GET_LIST, e.instance(0x6B, 0), struct.pack("<2H", 1, 8)).tell(GET_LIST, listed((8, 0, b"\1\2\3\4")))
    talk.ask(GET_LIST, e.instance(0xF6, 0), struct.pack("<4H", 3, 1, 3, 4))
    talk.tell(GET_LIST, listed((1, 0, b"\4\0"), (3, 0, b"\2\0"), (4, 0, b"\1\0\x0b\0")))
    sets = struct.pack("<HHIHBHH", 3, 3, 2, 8, 64, 13, 120)
    talk.ask(SET_LIST, e.instance(0xF5, 1), sets)
    talk.tell(SET_LIST, listed((3, 0x0E, b""), (8, 0, b""), (13, 0, b"")), status=0x0A)
    talk.ask(SET_LIST, e.instance(0x8B, 1), struct.pack("<HHQHH", 2, 6, 1 << 40, 7, 1)).tell(SET_LIST, listed())
    return talk.packets


@case
def enip_whole_objects() -> list[Packet]:
    """Objects read as a whole: identity, TCP/IP, Ethernet link, router; fields of attributes one by one; cut off."""
    talk = line().connect()
    talk.ask(e.GET_ALL, e.instance(1, 1)).tell(e.GET_ALL, NAME + b"\3")
    path = bytes.fromhex("0200 20f6 2401")
    tcp_ip = struct.pack("<III", 1, 0x14, 2) + path + ADDRESSES + b"\0\0" + bytes(6) + b"\x40"
    talk.ask(e.GET_ALL, e.instance(0xF5, 1)).tell(e.GET_ALL, tcp_ip)
    link = struct.pack("<II", 100, 15) + bytes.fromhex("001d9c123456") + COUNTERS
    talk.ask(e.GET_ALL, e.instance(0xF6, 1)).tell(e.GET_ALL, link)
    single = ((0xF5, 5, ADDRESSES), (0xF5, 9, struct.pack("<BBHI", 1, 0, 4, 0xEFC00001)), (0xF6, 6, b"\1\0\x64\0"),
              (0xF6, 10, b"\6Port 1"), (0xF6, 10, b"\0"), (0xF6, 11, struct.pack("<IBHBHB", 3, 2, 10, 0, 100, 1)),
              (4, 4, b"\x20\0"))  # fmt: skip
    talk.ask(e.GET_ALL, e.instance(2, 1)).tell(e.GET_ALL, struct.pack("<6H", 3, 1, 2, 0xF5, 128, 3))
    for family, number, data in single:
        talk.ask(GET_SINGLE, e.instance(family, 1) + bytes([0x30, number])).tell(GET_SINGLE, data)
    talk.ask(GET_SINGLE, e.instance(1, 0) + b"\x30\1").tell(GET_SINGLE, b"\1\0")
    talk.ask(e.GET_ALL, e.instance(0xF5, 1)).tell(e.GET_ALL, tcp_ip[:20])
    talk.ask(e.GET_ALL, e.instance(0x8B, 1)).tell(e.GET_ALL, b"\1\2\3\4")
    return talk.packets


@case
def enip_texts_and_words() -> list[Packet]:
    """Texts, empty ones too; a structure in an array, and in two fragments; what claims to be a text and is none."""
    talk = line().connect()
    empty = struct.pack("<HHI", 0x02A0, 0x0FCE, 0) + bytes(84)
    talk.ask(e.READ_TAG, e.symbol("Batch"), count(1)).tell(e.READ_TAG, empty)
    talk.ask(e.WRITE_TAG, e.symbol("Batch"), empty[:4] + count(1) + empty[4:]).tell(e.WRITE_TAG)
    for data in (b"\xda\0\3abc", b"\xda\0\0", b"\xd0\0\3\0abc\0", b"\xda\0\x09abc"):
        talk.ask(e.READ_TAG, e.symbol("Text"), count(1)).tell(e.READ_TAG, data)
    motor = struct.pack("<HH", 0x02A0, 0x1234)
    talk.ask(e.READ_TAG, element("Motors", 2), count(1)).tell(e.READ_TAG, motor + b"\1\0\2\0\3")
    talk.ask(READ_PART, e.symbol("Motor"), struct.pack("<HI", 1, 0)).tell(READ_PART, motor + b"\1\0\2\0", status=6)
    talk.ask(READ_PART, e.symbol("Motor"), struct.pack("<HI", 1, 4)).tell(READ_PART, motor + b"\3\0")
    return talk.packets


@case
def enip_run_idle() -> list[Packet]:
    """A header of run or idle where the device told the size of its assembly before the connection was opened."""
    talk = line().connect()
    for number, size in ((101, 32), (102, 4)):
        talk.ask(GET_SINGLE, e.instance(4, number) + b"\x30\4").tell(GET_SINGLE, count(size))
    asks, tells = opened()
    talk.ask(OPEN, MANAGER, asks).tell(OPEN, tells)
    data = Talk(port=2222, server_port=2222, packets=talk.packets, now=talk.now)
    for n, runs in ((1, 1), (2, 0)):
        data.datagram(0, cyclic(0x8001, n, struct.pack("<IH30x", runs, 7 + n)))
        data.datagram(1, cyclic(0x3000, n, struct.pack("<HH", 1, 2 + n)))
    data.datagram(0, cyclic(0x8001, 3, b"\1\0"))
    return talk.packets


@case
def enip_malformed() -> list[Packet]:
    """Items cut off, paths and lengths that lie, messages outside, an answer to something else, values cut off."""
    talk = line().connect()
    whole = e.unconnected(e.request(e.READ_TAG, e.symbol("Level"), count(1)))
    for data in (whole[:7], whole[:14], whole[:18], whole[:10] + b"\2\0\xff\0\0\0", b""):
        talk.number += 1
        talk.command(0, e.SEND_RR_DATA, data)
    talk.ask(e.READ_TAG, b"\x91\x20Level" + b"\0", count(1)).ask(e.READ_TAG, b"\xe0\1\x20\1", count(1))
    talk.ask(e.READ_TAG, e.symbol("Level")).ask(e.WRITE_TAG, e.symbol("Level"), b"\xca\0").tell(e.READ_TAG, b"\xca")
    several = struct.pack("<HHH", 2, 6, 0xFFFF) + e.request(e.READ_TAG, e.symbol("A"), count(1))
    talk.ask(e.SEVERAL, e.instance(2, 1), several).ask(e.SEVERAL, e.instance(2, 1), b"\xff\xff\0\0")
    talk.ask(SEND, MANAGER, b"\7\xe9\xff\0").ask(OPEN, MANAGER, bytes(20)).ask(PCCC, e.instance(0x67, 1), b"\7\1")
    talk.ask(e.READ_TAG, e.symbol("Level"), count(1)).tell(e.WRITE_TAG)
    talk.ask(e.READ_TAG, e.symbol("Level"), count(2)).tell(e.READ_TAG, reals(1.0)[:5])
    talk.ask(GET_LIST, e.instance(1, 1), b"\2\0\1\0").tell(GET_LIST, b"\2\0\1\0\0\0\1\0\7")
    talk.ask(SET_LIST, e.instance(0xF5, 1), b"\2\0\3\0\1\0\0\0").ask(GET_LIST, e.instance(1, 1), b"\1")
    talk.command(0, 0x70, bytes(8) + b"\0\0")
    return talk.packets


@case
def enip_not_enip() -> list[Packet]:
    """A browser on the port."""
    talk = line()
    talk.open()
    talk.send(0, b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n")
    talk.send(1, b"HTTP/1.1 404 Not Found\r\n\r\n")
    return talk.packets


@case
def enip_other_port() -> list[Packet]:
    """A session on a port of its own, found by its shape."""
    talk = Line(server_port=50_000)
    talk.connect()
    talk.ask(e.READ_TAG, e.symbol("Level"), count(1)).tell(e.READ_TAG, reals(21.5))
    talk.put(talk.segment(1, b"", PSH | ACK))
    return talk.packets
