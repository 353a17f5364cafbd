"""pcap: every magic and order, every truncation, and lengths that cannot be."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import dpkt
import pytest

from pipeline.capture.files import Captures
from pipeline.errors import CaptureError
from tests.capture.forms import MICRO, MODIFIED, NANO, SECOND, pcap_header, pcap_record, read
from tests.reference.capture import Packet

RECORDS = [b"", b"a", b"bc" * 44, bytes(range(256)) * 5]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "scale"), [(MICRO, 1000), (NANO, 1)])
def test_orders_and_resolutions(tmp_path: Path, order: str, magic: int, scale: int) -> None:
    records = [pcap_record(data, order, SECOND + i, 999_999 - i, 2000) for i, data in enumerate(RECORDS)]
    packets, problem = read(tmp_path / "x", pcap_header(order, magic, link=113) + b"".join(records))
    assert problem == ""
    assert packets == [
        Packet(data, 2000, (SECOND + i) * 10**9 + (999_999 - i) * scale, 113) for i, data in enumerate(RECORDS)
    ]


@pytest.mark.parametrize("nano", [False, True])
def test_what_dpkt_writes(tmp_path: Path, nano: bool) -> None:
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, nano=nano)
    for i, data in enumerate(RECORDS):
        writer.writepkt(data, SECOND + i + 0.5)
    packets, problem = read(tmp_path / "x", file.getvalue())
    assert problem == ""
    assert packets == [Packet(data, len(data), (SECOND + i) * 10**9 + 500_000_000, 1) for i, data in enumerate(RECORDS)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_modified_records(tmp_path: Path, order: str) -> None:
    extra = struct.pack(order + "IHBB", 3, 0x0800, 4, 0)
    record = struct.pack(order + "IIII", SECOND, 7, 3, 9) + extra + b"abc"
    packets, problem = read(tmp_path / "x", pcap_header(order, MODIFIED) + record * 2)
    assert (packets, problem) == ([Packet(b"abc", 9, SECOND * 10**9 + 7000, 1)] * 2, "")


def test_link_type_without_the_bits_above_it(tmp_path: Path) -> None:
    packets, _ = read(tmp_path / "x", pcap_header(link=0x2400_0001) + pcap_record(b"ab"))
    assert packets[0].link == 1


def test_the_last_second_of_the_format(tmp_path: Path) -> None:
    packets, _ = read(tmp_path / "x", pcap_header() + pcap_record(b"ab", seconds=2**32 - 1, fraction=2**32 - 1))
    assert packets[0].ts_ns == (2**32 - 1) * 10**9 + (2**32 - 1) * 1000


def test_no_packet_is_longer_than_it_was(tmp_path: Path) -> None:
    packets, problem = read(tmp_path / "x", pcap_header() + pcap_record(b"abcdef", original=2))
    assert (packets[0].original, problem) == (6, "")


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap_header(version=(7, 3)))
    with pytest.raises(CaptureError, match=r"x\.pcap: pcap of version 7\.3: only version 2 is known$"):
        Captures([path])


def test_every_truncation_gives_the_whole_packets(tmp_path: Path) -> None:
    records = [pcap_record(data) for data in (b"", b"abc", b"x" * 40, b"yz")]
    whole = pcap_header() + b"".join(records)
    ends = [24 + sum(map(len, records[: i + 1])) for i in range(len(records))]
    for cut in range(4, len(whole) + 1):
        packets, problem = read(tmp_path / "x", whole[:cut])
        assert len(packets) == sum(end <= cut for end in ends), cut
        assert (problem == "") == (cut in [24, *ends]), cut


@pytest.mark.parametrize(
    ("cut", "problem"),
    [
        (10, "truncated in the file header: 10 of 24 bytes there"),
        (24 + 9, "truncated in packet 1 at byte 24: 9 of 16 bytes there"),
        (24 + 56 + 40, "truncated in packet 2 at byte 80: 40 of 56 bytes there"),
    ],
)
def test_the_place_of_a_truncation(tmp_path: Path, cut: int, problem: str) -> None:
    data = pcap_header() + pcap_record(b"a" * 40) * 2
    assert read(tmp_path / "x", data[:cut])[1] == problem


def test_places_have_thousands_separators(tmp_path: Path) -> None:
    data = pcap_header() + pcap_record(b"a" * 88) * 1300
    packets, problem = read(tmp_path / "x", data[:-1])
    assert len(packets) == 1299
    assert problem == f"truncated in packet 1,300 at byte {24 + 1299 * 104:,}: 103 of 104 bytes there"


@pytest.mark.parametrize("length", [262_145, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_an_impossible_length_ends_the_file(tmp_path: Path, length: int) -> None:
    hostile = struct.pack("<IIII", SECOND, 0, length, length) + bytes(500_000)
    packets, problem = read(tmp_path / "x", pcap_header() + pcap_record(b"ab") + hostile)
    assert len(packets) == 1
    assert problem == f"broken in packet 2 at byte 42: captured length {length:,}, at most 262,144 is possible"


def test_the_largest_length_is_read(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1024
    packets, problem = read(tmp_path / "x", pcap_header() + pcap_record(data) * 3, block_bytes=4096)
    assert ([packet.data for packet in packets], problem) == ([data] * 3, "")


def test_a_tail_of_zeros_is_no_packets(tmp_path: Path) -> None:
    packets, problem = read(tmp_path / "x", pcap_header() + pcap_record(b"ab") + bytes(4096))
    assert (len(packets), problem) == (1, "broken in packet 2 at byte 42: nothing but zeros")
