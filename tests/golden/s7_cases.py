"""The packets of the golden captures of S7comm."""

from __future__ import annotations

import struct

from pipeline.synth.encode.s7 import (
    ACK,
    BIT,
    BYTE,
    CHAR,
    COUNTER,
    D_BIT,
    D_BYTE,
    D_INT,
    D_OCTETS,
    D_REAL,
    DB,
    DI,
    DINT,
    DWORD,
    IN,
    INT,
    JOB,
    REAL,
    TIMER,
    USER,
    WORD,
    M,
    P,
    Q,
    any_item,
    command,
    connection,
    disconnect,
    dt,
    filled,
    message,
    pi_service,
    plus,
    plus_head,
    refused,
    stop,
    symbolic,
    tpkt,
    transfer,
    user,
    value,
    variable,
)
from tests.decode.packets import SECOND, Packet, Talk
from tests.golden.registry import case
from tests.protocols.s7_frames import Line

LEVEL, PUMP = any_item(REAL, 1, DB, 8 * 8, 5), any_item(BIT, 1, Q, 8 * 4 + 1)
OFF, ON = value(D_BIT, b"\0"), value(D_BIT, b"\1")
LETTERS = b"_0A00001P"


def real(number: float) -> bytes:
    return value(D_REAL, struct.pack("!f", number))


def words(*numbers: int) -> bytes:
    return value(D_BYTE, struct.pack(f"!{len(numbers)}H", *numbers))


@case
def s7comm_session() -> list[Packet]:
    """Connection, setup, a read of one variable, a write of it, a disconnect; rack 0, slot 2, by a PG."""
    line = Line().connect().setup().read(LEVEL).values(real(21.5)).write((LEVEL, real(42.0))).written(0xFF)
    line.read(LEVEL).values(real(42.0)).put(0, disconnect(0x22, 0x11, 128)).put(1, tpkt(b"\x05\xc0\0\x11\0\x22"))
    return line.packets


@case
def s7comm_items() -> list[Packet]:
    """Reads of every area and transport size, several items in one job, bits, arrays, fill bytes, a peripheral word."""
    line = Line().connect(b"\2\3").setup()
    line.read(any_item(WORD, 10, DB, 0, 1)).values(words(*range(10)))
    line.read(PUMP, any_item(BYTE, 3, M, 80), any_item(INT, 2, IN, 8 * 64), any_item(BIT, 1, IN, 7))
    line.values(ON, value(D_BYTE, b"\1\2\3"), value(D_INT, struct.pack("!2h", -5, 5)), OFF)
    line.read(any_item(DWORD, 1, DB, 0, 9), any_item(DINT, 1, DB, 32, 9), any_item(CHAR, 5, DI, 64, 9), LEVEL)
    line.values(
        value(D_BYTE, b"\xff\xff\xff\xfe"), value(D_BYTE, b"\xff\xff\xff\xfe"), value(D_OCTETS, b"pump1"), real(-0.25)
    )
    line.read(any_item(COUNTER, 2, COUNTER, 3), any_item(TIMER, 1, TIMER, 7), any_item(WORD, 1, P, 8 * 256))
    line.values(value(D_OCTETS, b"\x01\x23\0\x07"), value(D_OCTETS, b"\x21\x50"), words(27648))
    return line.packets


@case
def s7comm_many_items() -> list[Packet]:
    """More items than a request hands on: the values of the last ones are told without their address."""
    line = Line().connect().setup(960)
    many = [any_item(WORD, 1, DB, 16 * k, 7) for k in range(49)]
    line.read(*many).values(*(words(k) for k in range(49)))
    return line.packets


@case
def s7comm_writes() -> list[Packet]:
    """Writes of one and several items, accepted, partly refused, refused as a whole, not answered."""
    line = Line().connect(b"\3\0").setup()
    line.write((PUMP, ON)).written(0xFF)
    line.write((PUMP, OFF), (any_item(BYTE, 3, M, 80), value(D_BYTE, b"\7\x08\x09")), (LEVEL, real(99.5)))
    line.written(0xFF, 0x03, 0x05)
    line.write((any_item(WORD, 2, DB, 16, 1), words(1, 2))).answer(b"", error=0x8104)
    line.write((any_item(INT, 1, DB, 16, 1), value(D_INT, b"\xff\x9c"))).put(
        1, dt(message(ACK, line.number, b"", error=0x8500))
    )
    line.write((any_item(COUNTER, 1, COUNTER, 4), value(D_OCTETS, b"\0\x12")))
    line.talk.now += 7 * SECOND
    line.read(LEVEL).values(refused(0x0A)).read(LEVEL, PUMP).values(refused(0x05), ON)
    return line.packets


@case
def s7comm_unknown_items() -> list[Packet]:
    """Variables of optimised blocks, an area and a size not known, an answer without its request: raw, and said so."""
    line = Line().connect().setup()
    line.read(symbolic(0xCAFE, 16), symbolic(0xBEEF, 17)).values(ON, real(1.5))
    line.write((symbolic(0xCAFE, 16), value(D_BYTE, b"\1\2"))).written(0xFF)
    line.read(any_item(BYTE, 2, 0x42, 0)).values(value(D_BYTE, b"\1\2"))
    line.read(any_item(0x77, 2, DB, 80, 3)).values(value(D_BYTE, b"\3\4"))
    line.read(any_item(BIT, 9, M, 0)).values(value(D_BYTE, b"\xff\x01"))
    line.number += 1
    line.values(words(513), value(D_INT, b"\xff\xfe"), real(2.5))
    return line.packets


@case
def s7comm_fragments() -> list[Packet]:
    """COTP fragments: a long answer in three, two directions at once, a segment that ends within a header."""
    line = Line().connect().setup(480)
    line.number = 5
    whole = message(3, line.number, b"\4\1", words(*range(100)))
    line.put(0, dt(message(JOB, line.number, b"\4\1" + any_item(WORD, 100, DB, 0, 1))))
    parts = [dt(whole[:70], last=False), dt(whole[70:150], last=False), dt(whole[150:])]
    stream = b"".join(parts)
    line.put(1, stream[:90]).put(1, stream[90:95]).put(1, stream[95:])
    line.number += 1
    asks = message(JOB, line.number, b"\5\1" + any_item(WORD, 3, DB, 0, 1), words(7, 8, 9))
    line.put(0, dt(asks[:1], last=False) + dt(asks[1:20], last=False) + dt(b"", last=False))
    line.put(0, dt(asks[20:])).written(0xFF)
    line.put(0, dt(b""))
    return line.packets


@case
def s7comm_lost_fragment() -> list[Packet]:
    """A fragment that was not captured: the message is told as malformed and gives no values; the next is whole."""
    line = Line().connect().setup(480).read(any_item(WORD, 100, DB, 0, 1))
    whole = message(3, line.number, b"\4\1", words(*range(100)))
    line.put(1, dt(whole[:70], last=False))
    line.talk.send(1, dt(whole[70:150], last=False), lost=True)
    line.put(1, dt(whole[150:]))
    line.talk.now += 2 * SECOND
    line.read(LEVEL).values(real(1.0))
    return line.packets


@case
def s7comm_pipelined() -> list[Packet]:
    """Jobs in one segment, answered in another order; the same number twice; an answer twice."""
    line = Line().connect().setup()
    jobs = [message(JOB, n, b"\4\1" + any_item(WORD, 1, DB, 16 * n, 1)) for n in (7, 8, 9)]
    line.put(0, b"".join(dt(job) for job in jobs))
    line.put(1, b"".join(dt(message(3, n, b"\4\1", words(n))) for n in (9, 7, 8)))
    line.put(1, dt(message(3, 8, b"\4\1", words(8))))
    line.put(0, dt(message(JOB, 5, b"\4\1" + LEVEL)) + dt(message(JOB, 5, b"\5\1" + PUMP, ON)))
    line.put(1, dt(message(3, 5, b"\5\1", b"\xff"))).put(1, dt(message(3, 5, b"\4\1", real(1.0))))
    return line.packets


@case
def s7comm_control() -> list[Packet]:
    """Stop, start, cold start, activation and deletion of blocks, a login whose password is not kept; stops refused."""
    line = Line().connect().setup()
    line.ask(stop()).answer(b"\x29").ask(pi_service(b"P_PROGRAM")).answer(b"\x28")
    line.ask(pi_service(b"P_PROGRAM", b"C ")).answer(b"\x28")
    line.ask(pi_service(b"_INSE", b"\1\x000A00001P")).answer(b"\x28")
    line.ask(pi_service(b"_DELE", b"\2\x000A00001P0800035P")).answer(b"\x28", error=0xD241)
    line.ask(pi_service(b"_GARB")).answer(b"\x28").ask(pi_service(b"_N_LOGIN_", b"\x06secret")).answer(b"\x28")
    line.ask(stop()).answer(b"", error=0x8404).ask(stop())
    return line.packets


@case
def s7comm_download() -> list[Packet]:
    """A block's download, whose parts the controller asks for, and its activation; one refused; one that ends badly."""
    line = Line().connect().setup()
    length = b"\x0d1000216000100"
    line.ask(transfer(0x1A, LETTERS, tail=length)).answer(b"\x1a")
    line.ask(transfer(0x1B, LETTERS), side=1)
    line.answer(b"\x1b\1", b"\0\x10\0\xfb" + bytes(16), side=0)
    line.ask(transfer(0x1B, LETTERS), side=1)
    line.answer(b"\x1b\0", b"\0\x10\0\xfb" + bytes(16), side=0)
    line.ask(transfer(0x1C, LETTERS), side=1).answer(b"\x1c", side=0)
    line.ask(pi_service(b"_INSE", b"\1\x000A00001P")).answer(b"\x28")
    line.ask(transfer(0x1A, b"_0800001P", tail=length)).answer(b"", error=0xD241)
    line.ask(transfer(0x1A, b"_0C00007P", tail=length)).answer(b"\x1a")
    line.ask(transfer(0x1C, b"_0C00007P", error=0x8001), side=1).answer(b"\x1c", side=0)
    return line.packets


@case
def s7comm_upload() -> list[Packet]:
    """A block's upload in two parts; one of a block that is not there."""
    line = Line().connect().setup()
    line.ask(transfer(0x1D, b"_0800001A")).answer(transfer(0x1D, number=7, tail=b"\x070000216"))
    line.ask(transfer(0x1E, number=7)).answer(b"\x1e\1", b"\0\x10\0\xfb" + bytes(16))
    line.ask(transfer(0x1E, number=7)).answer(b"\x1e\0", b"\0\x10\0\xfb" + bytes(16))
    line.ask(transfer(0x1F, number=7)).answer(b"\x1f")
    line.ask(transfer(0x1D, b"_0A65535A")).answer(b"", error=0xD209)
    return line.packets


def component(index: int, text: bytes) -> bytes:
    return struct.pack("!H", index) + text.ljust(32, b"\0")


def module(index: int, order: bytes, version: bytes) -> bytes:
    return struct.pack("!H", index) + order.ljust(20) + b"\0\xc0" + version


@case
def s7comm_identity() -> list[Packet]:
    """System status lists that tell what the controller is, one in two parts; its mode; a list it does not have."""
    line = Line().connect().setup()
    order = b"6ES7 315-2EH14-0AB0"
    modules = module(1, order, b"\0\1\0\1") + module(6, order, b"V\0\1\0"[:1] + b"\1\2\3") + module(7, b"", b"V\3\2\6")
    line.inquire(4, 1, b"\0\x11\0\0").tell(4, 1, struct.pack("!HHHH", 0x11, 0, 28, 3) + modules)
    parts = [
        component(1, b"Boiler 3"),
        component(2, b"CPU 315"),
        component(3, b"Hall 7"),
        component(5, b"S C-X4U421302009"),
    ]
    head = struct.pack("!HHHH", 0x1C, 0, 34, 5)
    line.inquire(4, 1, b"\0\x1c\0\0").tell(4, 1, head + b"".join(parts), more=1, part=0xD5)
    line.number += 1
    follow = bytes([0, 1, 0x12, 8, 0x12, 0x44, 1, 1, 0, 0, 0, 0])
    line.put(0, dt(message(USER, line.number, follow, b"\x0a\0\0\0"))).tell(
        4, 1, component(7, b"CPU 315-2 PN/DP"), part=0xD5
    )
    line.inquire(4, 1, b"\4\x24\0\0").tell(
        4, 1, struct.pack("!HHHH", 0x0424, 0, 20, 1) + b"\x51\x44\xff\x08" + bytes(16)
    )
    line.inquire(4, 1, b"\x07\x77\0\0").tell(4, 1, error=0xD401)
    return line.packets


@case
def s7comm_userdata() -> list[Packet]:
    """Clock read and set, blocks listed, a password given and refused, memory reset, alarms unasked, a mode told."""
    line = Line().connect().setup()
    noon = bytes.fromhex("00202601011200012507")
    line.inquire(7, 1).tell(7, 1, noon).inquire(7, 2, noon).tell(7, 2)
    line.inquire(3, 1).tell(3, 1, b"08\0\x010A\0\3").inquire(3, 2, b"0A").tell(3, 2, b"\0\1\x22\5")
    line.inquire(3, 3, b"0A00001A").tell(3, 3, error=0xD209)
    line.inquire(5, 1, b"\x64\x17\x16\x77\x55\x77\x55\x77").tell(5, 1, error=0xD602).inquire(5, 2).tell(5, 2)
    line.inquire(1, 0x0C, b"\0\1").tell(1, 0x0C)
    line.inquire(1, 9, command(b"\0\1" + variable(2, 0, 4) + value(D_BYTE, b"\1") + b"\0"))
    line.put(1, dt(message(USER, 0, *user(0, 4, 6, bytes(20))))).put(1, dt(message(USER, 0, *user(0, 0, 2, bytes(4)))))
    line.inquire(9, 9, b"\1")
    return line.packets


@case
def s7comm_plus() -> list[Packet]:
    """S7comm-plus of versions 1 to 3: opcode and function, notifications, a message over two, one without opcode."""
    line = Line().connect(b"SIMATIC-ROOT-HMI", b"\6\0")
    line.put(0, dt(plus(1, plus_head(0x31, 0x04CA, 1)))).put(1, dt(plus(1, plus_head(0x32, 0x04CA, 1))))
    line.put(0, dt(plus(2, plus_head(0x31, 0x054C, 2)))).put(1, dt(plus(2, plus_head(0x32, 0x054C, 2))))
    line.put(0, dt(plus(3, plus_head(0x31, 0x04F2, 3)))).put(1, dt(plus(3, b"\x33" + bytes(12))))
    line.put(1, dt(plus(3, plus_head(0x32, 0x04F2, 3) + bytes(40), trailer=False))).put(1, dt(plus(3, bytes(60))))
    line.put(0, dt(plus(3, plus_head(0x31, 0x0542, 4)))).put(0, dt(bytes([0x72, 0xFF, 0, 0])))
    line.put(0, dt(plus(3, b"\x31", digest=60)[:20])).put(0, dt(plus(2, plus_head(0x31, 0x0004, 5))))
    return line.packets


@case
def s7comm_malformed_items() -> list[Packet]:
    """Items cut off, counts that lie, answers to something else, an item without return code, an address beyond all."""
    line = Line().connect().setup()
    line.put(0, dt(message(JOB, 90, b"\4\2" + LEVEL))).put(0, dt(message(JOB, 91, b"\4\0")))
    line.put(0, dt(message(JOB, 92, b"\4\1" + LEVEL[:9]))).put(0, dt(message(JOB, 93, b"\5\1" + LEVEL)))
    line.put(0, dt(message(JOB, 94, b"\5\1" + any_item(WORD, 3, DB, 0, 1), words(1, 2))))
    line.read(LEVEL).answer(b"\4\2", filled([real(1.0), real(2.0)])).read(LEVEL).values(words(1, 2, 3))
    line.read(LEVEL).written(0xFF).read(LEVEL, PUMP).values(real(1.0)).read(LEVEL).values(real(1.0)[:6])
    line.write((LEVEL, real(1.0))).answer(b"\5\1").write((LEVEL, real(1.0))).written(0)
    line.read(any_item(DWORD, 2, DB, (1 << 24) - 32, 1)).values(value(D_BYTE, bytes(8)))
    return line.packets


@case
def s7comm_malformed() -> list[Packet]:
    """Lengths that do not fit, parameters cut off, kinds not known, TPKTs too short and too long."""
    line = Line().connect().setup()
    line.put(0, dt(message(JOB, 95, b"\4\1" + LEVEL, pad=4))).put(0, dt(message(JOB, 96, b"\4\1" + LEVEL) + b"more"))
    line.put(0, dt(message(JOB, 97, b""))).put(0, dt(message(5, 98, b"\4\1" + LEVEL))).put(0, dt(b"\x32\1\0\0"))
    line.put(0, dt(b"\x55" + bytes(20))).put(0, dt(message(JOB, 99, b"\x44")))
    line.put(0, tpkt(b"\x09\xf0\x80" + bytes(4))).put(0, tpkt(b"\x02\x20\x80")).put(0, tpkt(b"\x06\xe0\0\0\0"))
    line.put(0, b"\3\0\0\3" + b"x" * 20).put(0, b"\3\0\xff\xff" + b"x" * 20)
    line.ask(pi_service(b"P_PROGRAM")[:15]).ask(stop()[:9]).ask(transfer(0x1D)[:6]).ask(b"\xf0\0")
    line.put(0, dt(message(JOB, 100, b"\4\1" + LEVEL)[:9], last=False)).read(PUMP)  # goes on with what began before
    line.put(0, dt(message(USER, 77, b"\0\1\x12"))).put(0, dt(message(USER, 78, *user(6, 4, 1))))
    return line.packets


@case
def s7comm_refused_connection() -> list[Packet]:
    """A connection refused: the request has its answer, with the reason; another that is not answered."""
    line = Line()
    line.put(0, connection(0xE0, 0, 0x11, b"\1\x25")).put(1, disconnect(0x11, 0, 3))
    line.put(0, connection(0xE0, 0, 0x12, b"\1\2"))
    return line.packets


@case
def s7comm_midstream() -> list[Packet]:
    """The capture begins within a connection on another port: told by its shape, rack and slot not known."""
    line = Line(Talk(server_port=20_102))
    line.number = 30
    line.values(real(20.0)).read(LEVEL).values(real(21.0)).put(0, dt(b"\x32\3"))
    return line.packets


@case
def s7comm_partner() -> list[Packet]:
    """A controller that reads from who called it: its job is a request, and the roles stay."""
    line = Line().connect(b"\3\2").setup()
    line.ask(b"\4\1" + LEVEL, side=1).answer(b"\4\1", real(3.0), side=0)
    line.read(LEVEL).values(real(4.0))
    return line.packets


@case
def s7comm_not_s7() -> list[Packet]:
    """HTTP, and MMS over COTP, on port 102: one record each says so."""
    web = Talk(port=41_000, server_port=102).open()
    web.ask(b"GET / HTTP/1.0\r\n\r\n")
    web.answer(b"HTTP/1.0 200 OK\r\n\r\n")
    mms = Line(Talk(port=42_000, server_port=102).open()).connect(b"\0\1", b"\0\1")
    mms.put(0, dt(bytes.fromhex("0d0506130100160102"))).put(1, dt(bytes.fromhex("0e0506130100160102")))
    return [*web.packets, *(p.at(p.ts + SECOND) for p in mms.packets)]
