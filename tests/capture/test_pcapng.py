"""pcapng: sections, interfaces, clocks, every kind of packet block, and blocks that cannot be."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import dpkt
import pytest

from tests.capture.forms import SECOND, block, enhanced, interface, old_packet, option, padded, read, section, simple
from tests.reference.capture import Packet, nanoseconds

MICROS = SECOND * 1_000_000
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def resolution(byte: int, order: str = "<") -> bytes:
    return option(9, bytes([byte]), order)


@ORDERS
def test_every_kind_of_packet_block(tmp_path: Path, order: str) -> None:
    data = (
        section(order)
        + interface(order, link=113)
        + enhanced(b"abc", MICROS + 1, order, original=900)
        + old_packet(b"defgh", MICROS + 2, order)
        + simple(b"ij", order)
    )
    packets, problem = read(tmp_path / "x", data)
    base = SECOND * 10**9
    assert problem == ""
    assert packets == [
        Packet(b"abc", 900, base + 1000, 113),
        Packet(b"defgh", 5, base + 2000, 113),
        Packet(b"ij", 2, base + 2000, 113),
    ]


def test_what_dpkt_writes(tmp_path: Path) -> None:
    file = io.BytesIO()
    writer = dpkt.pcapng.Writer(file)
    for i in range(5):
        writer.writepkt(b"x" * i, SECOND + i)
    packets, problem = read(tmp_path / "x", file.getvalue())
    assert problem == ""
    assert packets == [Packet(b"x" * i, i, (SECOND + i) * 10**9, 1) for i in range(5)]


def test_sections_have_their_own_order_and_interfaces(tmp_path: Path) -> None:
    first = section("<") + interface("<", link=1) + interface("<", link=101) + enhanced(b"a", MICROS, "<", number=1)
    second = section(">", length=1234) + interface(">", link=276) + enhanced(b"b", MICROS + 5, ">")
    packets, problem = read(tmp_path / "x", first + second + first)
    assert problem == ""
    assert [(p.data, p.link, p.ts_ns - SECOND * 10**9) for p in packets] == [
        (b"a", 101, 0),
        (b"b", 276, 5000),
        (b"a", 101, 0),
    ]


def test_an_interface_of_another_section_is_unknown(tmp_path: Path) -> None:
    data = section() + interface() * 2 + section() + interface() + enhanced(b"b", MICROS, number=1)
    assert read(tmp_path / "x", data) == ([], "broken in packet 1 at byte 116: interface 1 of 1")


@ORDERS
@pytest.mark.parametrize("byte", [0, 3, 6, 9, 10, 12, 15, 18, 19, 0x80, 0x8A, 0x94, 0x9F, 0xA0, 0xBE, 0xBF])
@pytest.mark.parametrize("offset_s", [None, 0, 1000, -1000])
def test_clocks(tmp_path: Path, order: str, byte: int, offset_s: int | None) -> None:
    options = resolution(byte, order)
    if offset_s is not None:
        options = option(14, struct.pack(order + "q", offset_s), order) + options
    per_second = (2 if byte & 0x80 else 10) ** (byte & 0x7F)
    wanted = [value for value in (0, 1, per_second - 1, 12345 * per_second + per_second // 3) if value < 2**64]
    frames = b"".join(enhanced(b"x", value, order) for value in wanted)
    packets, problem = read(tmp_path / "x", section(order) + interface(order, options=options) + frames)
    assert problem == ""
    shift = (offset_s or 0) * 10**9
    assert [p.ts_ns for p in packets] == [value * 10**9 // per_second + shift for value in wanted]


@pytest.mark.parametrize("byte", [0, 6, 9, 0x80, 0x81])
def test_times_beyond_the_range_are_held_to_it_and_counted(tmp_path: Path, byte: int) -> None:
    from pipeline.capture.files import Captures

    path = tmp_path / "x"
    path.write_bytes(section() + interface(options=resolution(byte)) + enhanced(b"a", 2**64 - 1) + enhanced(b"b", 1))
    captures = Captures([path])
    times = [time for piece in captures for time in piece.ts_ns.tolist()]
    assert times == [2**62, nanoseconds(1, byte, 0)]
    assert ("capture", "clamped_times", "", 1) in captures.health()


def test_options_after_the_end_of_options_count_for_nothing(tmp_path: Path) -> None:
    options = option(2, b"eth0") + option(0, b"") + resolution(9)
    packets, _ = read(tmp_path / "x", section() + interface(options=options) + enhanced(b"a", MICROS))
    assert packets[0].ts_ns == SECOND * 10**9


def test_an_option_longer_than_its_block_counts_for_nothing(tmp_path: Path) -> None:
    options = struct.pack("<HH", 9, 60_000) + bytes(4)
    packets, problem = read(tmp_path / "x", section() + interface(options=options) + enhanced(b"a", MICROS))
    assert (packets[0].ts_ns, problem) == (SECOND * 10**9, "")


def test_other_blocks_are_passed_over(tmp_path: Path) -> None:
    others = [block(kind, bytes(n)) for kind, n in [(4, 20), (5, 48), (10, 8), (0xBAD, 0), (0x40000BAD, 3_000_000)]]
    data = (
        section(options=option(4, b"x")) + b"".join(others) + interface() + others[-1] + enhanced(b"a", 0) + others[0]
    )
    for block_bytes in (13, 4096, 1 << 22):
        packets, problem = read(tmp_path / "x", data, block_bytes=block_bytes)
        assert (len(packets), problem) == (1, "")


def test_a_packet_with_very_long_options_is_read(tmp_path: Path) -> None:
    frame = enhanced(b"abc", MICROS, options=option(1, b"x" * 60_000) * 20)
    packets, problem = read(tmp_path / "x", section() + interface() + frame * 2, block_bytes=4096)
    assert ([p.data for p in packets], problem) == ([b"abc"] * 2, "")


@ORDERS
def test_simple_packets_are_cut_to_the_snapshot_length(tmp_path: Path, order: str) -> None:
    frame = block(3, struct.pack(order + "I", 70) + b"abcdef", order)
    packets, problem = read(tmp_path / "x", section(order) + interface(order, snaplen=6) + frame)
    assert (packets, problem) == ([Packet(b"abcdef", 70, 0, 1)], "")


def test_every_truncation_gives_the_whole_packets(tmp_path: Path) -> None:
    blocks = [
        (section(">"), 0),
        (interface(">", options=resolution(9, ">")), 0),
        (enhanced(b"abcde", 5, ">", options=option(1, b"hm", ">")), 1),
        (block(5, bytes(16), ">"), 0),
        (old_packet(b"", 6, ">"), 1),
        (section("<"), 0),
        (interface("<"), 0),
        (simple(b"x" * 21), 1),
        (enhanced(b"z", 5), 1),
    ]
    whole = b"".join(data for data, _ in blocks)
    ends = [sum(len(data) for data, _ in blocks[: i + 1]) for i in range(len(blocks))]
    for cut in range(4, len(whole) + 1):
        packets, problem = read(tmp_path / "x", whole[:cut])
        wanted = sum(count for (_, count), end in zip(blocks, ends, strict=True) if end <= cut)
        assert len(packets) == wanted, cut
        assert (problem == "") == (cut in ends), cut


def test_the_place_of_a_truncation(tmp_path: Path) -> None:
    start = section() + interface()
    assert len(start) == 48
    frame = enhanced(b"a" * 40, MICROS)
    assert (
        read(tmp_path / "x", start + frame + frame[:30])[1] == "truncated in packet 2 at byte 120: 30 of 72 bytes there"
    )
    other = block(5, bytes(40))
    assert (
        read(tmp_path / "x", start + frame + other[:30])[1]
        == "truncated in a block of type 0x5 after packet 1 at byte 120: 30 of 52 bytes there"
    )
    assert read(tmp_path / "x", start + b"junk")[1] == "truncated after packet 0 at byte 48: 4 of 12 bytes there"


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


FRAME = enhanced(b"a" * 8, MICROS)
PLAIN = simple(b"a" * 8)
OTHER = block(99, bytes(8))


@pytest.mark.parametrize(
    ("hostile", "problem"),
    [
        (
            changed(FRAME, 4, 28),
            "broken in packet 2 at byte 88: block length 28, must be a multiple of 4 and at least 32",
        ),
        (
            changed(FRAME, 4, 41),
            "broken in packet 2 at byte 88: block length 41, must be a multiple of 4 and at least 32",
        ),
        (
            changed(FRAME, 4, 0),
            "broken in packet 2 at byte 88: block length 0, must be a multiple of 4 and at least 32",
        ),
        (changed(FRAME, 36, 44), "broken in packet 2 at byte 88: block length 40 at its start, 44 at its end"),
        (changed(FRAME, 20, 9), "broken in packet 2 at byte 88: captured length 9, at most 8 is possible"),
        (
            changed(FRAME, 20, 2**32 - 1),
            "broken in packet 2 at byte 88: captured length 4,294,967,295, at most 8 is possible",
        ),
        (changed(FRAME, 8, 1), "broken in packet 2 at byte 88: interface 1 of 1"),
        (changed(FRAME, 8, 2**32 - 1), "broken in packet 2 at byte 88: interface 4,294,967,295 of 1"),
        (changed(PLAIN, 8, 99), "broken in packet 2 at byte 88: captured length 99, at most 8 is possible"),
        (
            changed(OTHER, 4, 8),
            "broken in a block of type 0x63 after packet 1 at byte 88: block length 8, "
            "must be a multiple of 4 and at least 12",
        ),
        (
            changed(OTHER, 16, 24),
            "broken in a block of type 0x63 after packet 1 at byte 88: block length 20 at its start, 24 at its end",
        ),
        (
            changed(section(), 8, 7),
            "broken in a section header after packet 1 at byte 88: byte-order magic 07000000",
        ),
        (
            changed(section(), 12, 9),
            "broken in a section header after packet 1 at byte 88: pcapng of version 9.0: only version 1 is known",
        ),
        (
            changed(interface(), 4, 16),
            "broken in an interface description after packet 1 at byte 88: block length 16, "
            "must be a multiple of 4 and at least 20",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_block_that_cannot_be_ends_the_file(tmp_path: Path, hostile: bytes, problem: str) -> None:
    data = section() + interface() + FRAME + hostile + FRAME * 3
    packets, found = read(tmp_path / "x", data)
    assert len(packets) == 1
    assert found == problem


def test_a_packet_before_any_interface_ends_the_file(tmp_path: Path) -> None:
    assert read(tmp_path / "x", section() + PLAIN) == ([], "broken in packet 1 at byte 28: interface 0 of 0")


def test_a_packet_of_more_than_256_kib_ends_the_file(tmp_path: Path) -> None:
    packets, problem = read(tmp_path / "x", section() + interface() + enhanced(bytes(262_145), MICROS))
    assert packets == []
    assert problem == "broken in packet 1 at byte 48: captured length 262,145, at most 262,144 is possible"


def test_interfaces_are_bounded(tmp_path: Path) -> None:
    data = section() + interface() * 65_537 + FRAME
    packets, problem = read(tmp_path / "x", data)
    assert packets == []
    assert problem.endswith("interface 65,537, at most 65,536 are read")
    data = section() + interface() * 65_535 + interface(link=7) + enhanced(b"a", 0, number=65_535)
    assert read(tmp_path / "x", data) == ([Packet(b"a", 1, 0, 7)], "")


def test_padding_is_as_the_format_wants(tmp_path: Path) -> None:
    frames = [enhanced(b"x" * n, MICROS) for n in range(9)]
    packets, _ = read(tmp_path / "x", section() + interface() + b"".join(frames))
    assert [len(p.data) for p in packets] == list(range(9))
    assert [len(f) for f in frames] == [32 + len(padded(b"x" * n)) for n in range(9)]
