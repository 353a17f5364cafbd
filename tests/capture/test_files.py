"""Captures: folders, order, one continuous input, what is told of it, and errors in one line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.capture.files import CaptureInfo, Captures
from pipeline.errors import CaptureError
from schemas.health import CAPTURE, CAPTURE_COLUMNS
from tests.capture.forms import SECOND, enhanced, interface, packets_of, pcap_header, pcap_record, section, simple


def pcap(*seconds: int) -> bytes:
    return pcap_header() + b"".join(pcap_record(second.to_bytes(8, "big"), seconds=second) for second in seconds)


def pcapng(*seconds: int) -> bytes:
    frames = (enhanced(second.to_bytes(8, "big"), second * 1_000_000) for second in seconds)
    return section() + interface() + b"".join(frames)


def order_of(captures: Captures) -> list[int]:
    return [packet.ts_ns // 10**9 for packet in packets_of(captures)]


def test_inputs_in_the_order_given_a_folder_by_its_first_times(tmp_path: Path) -> None:
    folder = tmp_path / "rotated"
    (folder / "deeper").mkdir(parents=True)
    (folder / "c").write_bytes(pcap(10, 11))
    (folder / "b.pcapng").write_bytes(pcapng(30, 31))
    (folder / "deeper" / "a").write_bytes(pcap(20, 5))
    (folder / "empty.pcap").write_bytes(pcap())
    (tmp_path / "late").write_bytes(pcap(90))
    captures = Captures([tmp_path / "late", folder])
    assert order_of(captures) == [90, 10, 11, 20, 5, 30, 31]
    assert [(info.first_packet, info.packets) for info in captures.captures] == [(1, 1), (2, 0), (2, 2), (4, 2), (6, 2)]


def test_the_time_of_the_first_packet_is_found_behind_other_blocks(tmp_path: Path) -> None:
    from tests.capture.forms import block, option

    clock = option(9, b"\x83") + option(14, (-3).to_bytes(8, "little", signed=True))
    odd = section() + block(10, bytes(2_000_000)) + interface(options=clock) + simple(b"x") + enhanced(b"a", 23 * 8)
    (tmp_path / "1").write_bytes(pcapng(21))
    (tmp_path / "2").write_bytes(odd)
    (tmp_path / "3").write_bytes(pcapng(19))
    captures = Captures([tmp_path])
    assert [Path(info.path).name for info in captures.captures] == ["3", "2", "1"]
    assert order_of(captures) == [19, 0, 20, 21]


def test_what_is_no_capture_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(1))
    (tmp_path / "notes.pcap").write_text("Hello")
    (tmp_path / "nothing").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    captures = Captures([tmp_path])
    assert captures.ignored == [tmp_path / "notes.pcap", tmp_path / "nothing", tmp_path / "pipe"]
    assert (order_of(captures), captures.problems) == ([1], [])


def test_links_that_go_round_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(1))
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    captures = Captures([tmp_path])
    assert order_of(captures) == [1]
    assert [problem.partition(": ")[0] for problem in captures.problems] == [str(tmp_path / "gone")]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("notes.txt", b"Hello", "{path}: not a capture: starts with 48 65 6c 6c"),
        ("short", b"\xd4\xc3", "{path}: not a capture: starts with d4 c3"),
        ("newlines", b"\n\r\r\n" + bytes(40), "{path}: not a capture: starts with 0a 0d 0d 0a"),
        ("nothing.pcap", b"", "{path}: empty file"),
        ("no.gz", b"\x1f\x8bxxxxxxx", "{path}: gzip data ends early: "),
    ],
)
def test_a_file_that_is_no_capture_is_an_error(tmp_path: Path, name: str, content: bytes, error: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CaptureError) as caught:
        Captures([path])
    assert str(caught.value).startswith(error.format(path=path))
    assert "\n" not in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"gone\.pcap: no such file or folder$"):
        Captures([tmp_path / "gone.pcap"])
    with pytest.raises(CaptureError, match=r"no captures among 0 files$"):
        Captures([tmp_path])
    (tmp_path / "notes").write_text("Hello")
    with pytest.raises(CaptureError, match=r"no captures among 1 files$"):
        Captures([tmp_path])
    with pytest.raises(CaptureError, match="no captures given"):
        Captures([])
    with pytest.raises(CaptureError, match=r"/dev/null: not a regular file$"):
        Captures([Path("/dev/null")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(1))
    path.chmod(0)
    with pytest.raises(CaptureError, match=r"x\.pcap: cannot be read: Permission denied$"):
        Captures([path])


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"odd\xff\nname")
    path.write_bytes(pcap(1) + b"x")
    captures = Captures([path])
    assert order_of(captures) == [1]
    assert captures.table()["path"].to_pylist() == [f"{tmp_path}/odd\\udcff\\nname"]
    assert captures.problems == [f"{tmp_path}/odd\\udcff\\nname: truncated in packet 2 at byte 48: 1 of 16 bytes there"]


def test_reading_goes_on_behind_a_file_that_breaks(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(1, 2)[:-1])
    (tmp_path / "b").write_bytes(pcap(3) + b"\xff" * 40)
    (tmp_path / "c").write_bytes(pcapng(4))
    captures = Captures([tmp_path])
    assert order_of(captures) == [1, 3, 4]
    assert captures.problems == [
        f"{tmp_path}/a: truncated in packet 2 at byte 48: 23 of 24 bytes there",
        f"{tmp_path}/b: broken in packet 2 at byte 48: captured length 4,294,967,295, at most 262,144 is possible",
    ]
    assert ("capture", "files", "broken", 2) in captures.health()


def test_a_file_that_goes_away_or_changes_is_a_problem_not_an_exception(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(pcap(1))
    captures = Captures([tmp_path])
    (tmp_path / "a").unlink()
    (tmp_path / "b").write_text("no capture any more, but rather long")
    assert order_of(captures) == [1]
    assert captures.problems == [
        f"{tmp_path}/a: cannot be read: No such file or directory",
        f"{tmp_path}/b: is no longer the capture that it was",
    ]


def test_a_file_cut_off_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(pcap(*range(1000)))
    captures = Captures([path], block_bytes=2400)
    blocks = iter(captures)
    count = len(next(blocks))
    os.truncate(path, 3000)
    count += sum(len(piece) for piece in blocks)
    assert count == (3000 - 24) // 24
    assert captures.problems == []


def test_any_block_size_gives_the_same_packets(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(*range(1, 300)) + pcap_record(b"x" * 9000) * 3)
    (tmp_path / "b").write_bytes(pcapng(*range(300, 500)) + simple(b"y" * 9000) * 3 + section("<") + interface())
    whole = packets_of(Captures([tmp_path]))
    assert len(whole) == 299 + 3 + 200 + 3
    for block_bytes in (1, 7, 100, 4096, 1 << 22):
        for block_packets in (1, 2, 13, 32768):
            captures = Captures([tmp_path], block_bytes=block_bytes, block_packets=block_packets)
            assert packets_of(captures) == whole
            assert max(len(piece) for piece in captures) <= block_packets


def test_a_block_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(1))
    for settings in ({"block_bytes": 0}, {"block_packets": 0}):
        with pytest.raises(ValueError, match="holds nothing"):
            Captures([tmp_path], **settings)


@pytest.mark.parametrize(("block_bytes", "block_packets"), [(240, 32768), (1 << 20, 10), (100, 3)])
def test_a_block_outlives_the_next_three(tmp_path: Path, block_bytes: int, block_packets: int) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(pcap(*range(200)))
    held, places = [], set()
    for piece in Captures([tmp_path], block_bytes=block_bytes, block_packets=block_packets):
        held.append((piece, piece.data.tobytes(), piece.offset.tolist(), piece.ts_ns.tolist()))
        places.add(piece.data.ctypes.data)
        for old, data, offset, ts_ns in held[-4:]:
            assert (old.data.tobytes(), old.offset.tolist(), old.ts_ns.tolist()) == (data, offset, ts_ns)
    assert len(held) > 20
    assert len(places) <= 4


def test_the_table_of_captures(tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = pcap(SECOND, SECOND + 5) + pcap_record(b"z" * 200_000) * 15
    path.write_bytes(data)
    captures = Captures([path])
    assert [column.name for column in CAPTURE_COLUMNS] == list(CaptureInfo.__dataclass_fields__)
    assert captures.table().schema.equals(CAPTURE)
    count = len(packets_of(captures))
    table = captures.table()
    assert table.schema.equals(CAPTURE, check_metadata=True)
    row = table.to_pylist()[0]
    mib = 1 << 20
    assert row["digest"] == hashlib.sha256(len(data).to_bytes(8, "little") + data[:mib] + data[-mib:]).hexdigest()
    assert (row["path"], row["format"], row["bytes"], row["packets"]) == (str(path), "pcap", len(data), count)
    assert (row["first_packet"], row["problem"]) == (1, "")
    assert table["first_ts"].cast("int64").to_pylist() == [SECOND * 10**9]
    assert table["last_ts"].cast("int64").to_pylist() == [SECOND * 10**9]


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(1, 2)[:-1])
    captures = Captures([tmp_path])
    first = (packets_of(captures), captures.table(), captures.problems)
    assert (packets_of(captures), captures.table(), captures.problems) == first


def test_an_abandoned_reading_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(*range(100)))
    captures = Captures([tmp_path], block_packets=10)
    blocks = iter(captures)
    next(blocks)
    blocks.close()
    assert not [
        fd
        for fd in os.listdir("/proc/self/fd")
        if os.path.realpath(f"/proc/self/fd/{fd}") == str((tmp_path / "a").resolve())
    ]


def test_finding_captures_loads_no_compiler(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(2))
    (tmp_path / "b").write_bytes(pcapng(1))
    code = (
        "import sys; from pathlib import Path; from pipeline.capture.files import Captures;"
        f"Captures([Path({str(tmp_path)!r})]); print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
