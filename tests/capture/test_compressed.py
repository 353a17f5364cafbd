"""gzip and zstd: whole, in several members, and cut off or damaged anywhere."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.capture.files import Captures
from pipeline.errors import CaptureError
from tests.capture.forms import enhanced, interface, pcap_header, pcap_record, read, section
from tests.reference.capture import walk_pcap

NOISE = random.Random(1).randbytes
PCAP = pcap_header() + b"".join(pcap_record(NOISE(50)) for _ in range(3000))
PCAPNG = section() + interface() + b"".join(enhanced(NOISE(50), i) for i in range(3000))
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"hello"


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize("plain", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_one_or_several_members(tmp_path: Path, plain: bytes, pack) -> None:
    whole, problem = read(tmp_path / "plain", plain)
    assert (len(whole), problem) == (3000, "")
    for packed in (pack(plain), pack(plain[:3]) + pack(b"") + pack(plain[3:70_001]) + pack(plain[70_001:])):
        assert read(tmp_path / "packed", packed) == (whole, "")
        assert read(tmp_path / "packed", packed, block_bytes=1000) == (whole, "")


def test_a_zstd_file_may_start_with_a_frame_without_data(tmp_path: Path) -> None:
    assert read(tmp_path / "x", SKIPPABLE + zstd(PCAP)) == read(tmp_path / "x", PCAP)


def test_the_format_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(PCAP))
    (tmp_path / "b").write_bytes(zstd(PCAPNG))
    captures = Captures([tmp_path / "a", tmp_path / "b"])
    assert [info.format for info in captures.captures] == ["pcap+gzip", "pcapng+zstd"]


def test_every_truncation_of_gzip_gives_all_that_can_be_inflated(tmp_path: Path) -> None:
    records = [pcap_record(data) for data in (b"", NOISE(30), b"x" * 60, b"yz")]
    packed = gzip.compress(pcap_header() + b"".join(records))
    path = tmp_path / "x"
    opened = 0
    for cut in range(4, len(packed)):
        inflated = zlib.decompressobj(31).decompress(packed[:cut])
        if len(inflated) < 4:
            path.write_bytes(packed[:cut])
            with pytest.raises(CaptureError, match="gzip"):
                Captures([path])
            continue
        opened += 1
        packets, problem = read(path, packed[:cut])
        assert packets == (walk_pcap(inflated).packets if len(inflated) >= 24 else []), cut
        assert "gzip data ends early" in problem
    assert opened > 50
    assert read(path, packed)[1] == ""


@pytest.mark.parametrize("cut", [70_000, 100_001, -9, -1])
def test_a_large_truncation_loses_no_whole_packet(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(PCAP)
    inflated = zlib.decompressobj(31).decompress(packed[:cut])
    packets, problem = read(tmp_path / "x", packed[:cut])
    # a decompressor holds back what it has not finished: less than one step of its own
    wanted = walk_pcap(inflated).packets
    assert packets == wanted[: len(packets)]
    assert len(wanted) - len(packets) <= 2
    assert "gzip data ends early" in problem


def test_every_truncation_of_zstd_gives_whole_packets(tmp_path: Path) -> None:
    frames = [zstd(pcap_header()), *[zstd(pcap_record(bytes([i]) * 20)) for i in range(4)]]
    whole = b"".join(frames)
    ends = [sum(map(len, frames[: i + 1])) for i in range(len(frames))]
    for cut in range(ends[0], len(whole) + 1):
        packets, problem = read(tmp_path / "x", whole[:cut])
        # the last bytes of a frame may be its checksum, after the data
        assert len(packets) in {sum(end <= cut for end in ends[1:]), sum(end <= cut + 8 for end in ends[1:])}
        assert [p.data for p in packets] == [bytes([i]) * 20 for i in range(len(packets))]
        assert (problem == "") == (cut in ends), cut


def test_a_truncation_between_two_packets_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(pcap_header() + pcap_record(b"abc"))
    packets, problem = read(tmp_path / "x", packed[:-1])
    assert len(packets) == 1
    assert problem.startswith("gzip data ends early")
    assert problem.endswith("after packet 1, at byte 43")


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_rubbish_after_the_end_costs_no_packet(tmp_path: Path, pack) -> None:
    packets, problem = read(tmp_path / "x", pack(PCAP) + b"rubbish")
    assert packets == walk_pcap(PCAP).packets
    assert "data ends early" in problem


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_damage_anywhere_raises_nothing(tmp_path: Path, pack) -> None:
    packed = pack(PCAP[:4000])
    for at in range(6, len(packed), 37):
        damaged = bytearray(packed)
        damaged[at] ^= 0xFF
        (tmp_path / "x").write_bytes(damaged)
        try:
            captures = Captures([tmp_path / "x"])
        except CaptureError:
            continue
        assert sum(len(piece) for piece in captures) <= 4000 // 16


def test_progress_counts_bytes_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(PCAP))
    (tmp_path / "b").write_bytes(zstd(PCAP))
    captures = Captures([tmp_path / "a", tmp_path / "b"], block_bytes=4096)
    steps = [captures.bytes_read for _ in captures]
    assert steps == sorted(steps)
    assert 0 < steps[0] < captures.total_bytes
    assert captures.bytes_read == captures.total_bytes == sum(p.stat().st_size for p in tmp_path.iterdir())


def test_compressed_text_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "notes.gz"
    path.write_bytes(gzip.compress(b"Hello there"))
    with pytest.raises(CaptureError, match=r"notes\.gz: not a capture: gzip of what starts with 48 65 6c 6c$"):
        Captures([path])
