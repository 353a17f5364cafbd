"""The walking kernels against their plain-Python twins, on sound and on mutated captures, within bounds."""

from __future__ import annotations

import random
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import detectors.jit
from pipeline.capture import kernels, reader
from tests.capture.forms import (
    block,
    enhanced,
    interface,
    old_packet,
    option,
    pcap_header,
    pcap_record,
    read,
    section,
    simple,
)
from tests.reference.capture import Packet, Walk, nanoseconds, walk_pcap, walk_pcapng

WHY = {
    kernels.BAD_CAPTURED: "captured",
    kernels.ZEROS: "zeros",
    kernels.BAD_LENGTH: "length",
    kernels.LENGTHS_DIFFER: "differ",
    kernels.NO_INTERFACE: "interface",
    kernels.TOO_MANY_INTERFACES: "interfaces",
    kernels.BAD_ORDER: "order",
    kernels.BAD_VERSION: "version",
    kernels.NO_SECTION: "section",
}


class Fence:
    """Bytes that may be read between two bounds only: an index that wraps around is an error too."""

    def __init__(self, data: np.ndarray, start: int, stop: int) -> None:
        self.data, self.start, self.stop = data, start, stop

    def __getitem__(self, at: int) -> np.uint8:
        if not self.start <= at < self.stop:
            raise IndexError(f"byte {at} is outside of {self.start}..{self.stop}")
        return self.data[at]


class Table:
    """An array whose indices must all lie inside of it."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape = data, data.shape

    def __len__(self) -> int:
        return len(self.data)

    def _check(self, at: Any) -> None:
        for index, size in zip(at if isinstance(at, tuple) else (at,), self.shape, strict=True):
            if not 0 <= index < size:
                raise IndexError(f"{at} is outside of {self.shape}")

    def __getitem__(self, at: Any) -> Any:
        self._check(at)
        return self.data[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        self._check(at)
        self.data[at] = value


def uncompiled() -> types.ModuleType:
    """The kernels as plain Python, calls among themselves included."""
    module = types.ModuleType("kernels_uncompiled")
    real = detectors.jit.kernel
    detectors.jit.kernel = lambda *_, **__: lambda function: function  # type: ignore[assignment]
    try:
        exec(compile(Path(kernels.__file__).read_text(), kernels.__file__, "exec"), module.__dict__)
    finally:
        detectors.jit.kernel = real
    return module


PLAIN = uncompiled()


def walk(data: bytes, *, fenced: bool, chunk: int, room: int) -> Walk:
    """All packets of a capture by its kernel, given `chunk` more bytes whenever it asks for more."""
    pcap = data[:4] != b"\n\r\r\n"
    form = reader._pcap(data[:24]) if pcap else reader._pcapng()
    name = "walk_pcap" if pcap else "walk_pcapng"
    function = getattr(PLAIN if fenced else kernels, name)
    array = np.frombuffer(bytearray(data), np.uint8)
    index = np.zeros((kernels.INDEX_ROWS, room), np.int64)
    position = form.header_bytes
    stop = min(position + chunk, len(data))
    found = Walk()
    while True:
        if fenced:
            tables = Table(form.state), Table(form.interfaces), Table(index)
            result = function(Fence(array, position, stop), position, stop, *tables)
        else:
            result = function(array, position, stop, form.state, form.interfaces, index)
        position, count, reason = map(int, result)
        for offset, captured, original, ts_ns, link in index[:, :count].T.tolist():
            found.packets.append(Packet(data[offset : offset + captured], original, ts_ns, link))
        if reason == kernels.MORE and stop < len(data):
            stop = min(stop + chunk, len(data))
        elif reason != kernels.FULL:
            break
    skip = int(form.state[kernels.SKIP])
    found.at = position - (int(form.state[kernels.TOTAL]) - skip if skip else 0)
    found.why = WHY.get(reason, "cut" if stop > position or skip else "end")
    return found


CLOCKS = b"".join(interface(options=option(9, bytes([n]))) for n in (6, 9, 12, 0x80, 0x94))
SEEDS = [
    pcap_header("<") + b"".join(pcap_record(bytes(n), "<", fraction=n) for n in (0, 1, 30, 99)),
    pcap_header(">", 0xA1B23C4D) + b"".join(pcap_record(b"x" * n, ">", fraction=n) for n in (50, 3)),
    pcap_header("<", 0xA1B2CD34) + b"".join(pcap_record(b"x" * 20, "<") for _ in range(4)),
    section("<")
    + CLOCKS
    + b"".join(enhanced(b"x" * n, 1 << 10 * n, number=n, options=option(1, b"c" * n)) for n in range(5)),
    section(">")
    + interface(">", snaplen=7, options=option(14, bytes(7) + b"\x05", ">"))
    + old_packet(b"abc", 5, ">")
    + block(10, bytes(21), ">")
    + simple(b"x" * 7, ">", original=9)
    + section("<")
    + interface("<", link=7)
    + enhanced(b"12345", 2**60, "<"),
]
WORDS = [0, 1, 3, 4, 8, 11, 12, 28, 32, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x0A0D0D0A, 262_144, 262_145, 524_288]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    first = 24 if data[:4] != b"\n\r\r\n" else 12
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(first, len(data) - 4))
        how = draw(st.integers(0, 4))
        if how == 0:
            data[at] = draw(st.integers(0, 255))
        elif how == 1:
            word = draw(st.one_of(st.sampled_from(WORDS), st.integers(0, 400)))
            data[at & ~3 : (at & ~3) + 4] = word.to_bytes(4, draw(st.sampled_from(["little", "big"])))
        elif how == 2:
            del data[at : at + draw(st.sampled_from([1, 4, 16, 32]))]
        elif how == 3:
            data[at:at] = data[at : at + draw(st.integers(1, 80))]
        else:
            data[at:at] = draw(st.binary(max_size=24))
        if len(data) < first + 4:
            break
    return bytes(data)


@given(mutated(), st.integers(1, 200), st.integers(1, 5))
@settings(max_examples=400, deadline=None)
def test_kernels_agree_with_their_twins(data: bytes, chunk: int, room: int) -> None:
    wanted = (walk_pcapng if data[:4] == b"\n\r\r\n" else walk_pcap)(data)
    assert walk(data, fenced=False, chunk=chunk, room=room) == wanted


@given(mutated(), st.integers(1, 200), st.integers(1, 5))
@settings(max_examples=400, deadline=None)
def test_kernels_stay_within_bounds(data: bytes, chunk: int, room: int) -> None:
    wanted = (walk_pcapng if data[:4] == b"\n\r\r\n" else walk_pcap)(data)
    assert walk(data, fenced=True, chunk=chunk, room=room) == wanted


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_every_single_byte_changed(seed: int) -> None:
    twin = walk_pcapng if SEEDS[seed][:4] == b"\n\r\r\n" else walk_pcap
    for at in range(24 if twin is walk_pcap else 12, len(SEEDS[seed])):
        for value in (0, 1, 0x7F, 0xFF):
            data = SEEDS[seed][:at] + bytes([value]) + SEEDS[seed][at + 1 :]
            assert walk(data, fenced=False, chunk=37, room=3) == twin(data), (at, value)


def test_the_fence_holds() -> None:
    fence, table = Fence(np.zeros(9, np.uint8), 2, 5), Table(np.zeros((3, 4), np.int64))
    for at in (-1, 1, 5):
        with pytest.raises(IndexError):
            fence[at]
    for pair in ((0, 4), (3, 0), (-1, 0)):
        with pytest.raises(IndexError):
            table[pair]


@given(mutated(), st.sampled_from([1, 50, 4096]))
@settings(max_examples=100, deadline=None)
def test_captures_agree_with_the_twins(tmp_path_factory: pytest.TempPathFactory, data: bytes, block_bytes: int) -> None:
    wanted = (walk_pcapng if data[:4] == b"\n\r\r\n" else walk_pcap)(data)
    packets, problem = read(tmp_path_factory.getbasetemp() / "mutated", data, block_bytes=block_bytes)
    assert packets == wanted.packets
    assert (problem == "") == (wanted.why == "end")
    assert f" at byte {wanted.at:,}: " in problem or wanted.why == "end"
    assert problem.startswith("truncated") == (wanted.why == "cut")


@pytest.mark.parametrize("length", [524_284, 524_288, 524_292, 900_000])
@pytest.mark.parametrize("kind", [1, 2, 3, 6, 99, 0x0A0D0D0A])
@pytest.mark.parametrize("broken", [False, True])
def test_very_long_blocks(length: int, kind: int, broken: bool) -> None:
    body = {0x0A0D0D0A: section()[8:24], 1: interface()[8:16], 3: (40).to_bytes(4, "little")}
    start = section() + interface()
    long = bytearray(
        block(kind, body.get(kind, enhanced(b"x" * 40, 5)[8:68] if kind == 6 else bytes(68)).ljust(length - 12, b"\0"))
    )
    if broken:
        long[-1] ^= 1
    for cut in (0, 1, 5, 300_000):
        data = start + bytes(long) + simple(b"after")
        data = data[: len(start) + length - cut] if cut else data
        for chunk in (100_001, 1 << 22):
            assert walk(data, fenced=False, chunk=chunk, room=9) == walk_pcapng(data)


@pytest.mark.parametrize("resolution", range(256))
def test_times_of_every_resolution(resolution: int) -> None:
    random_ = random.Random(resolution)
    per_second = (2 if resolution & 0x80 else 10) ** (resolution & 0x7F)
    values = [0, 1, per_second - 1, per_second, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
    values += [random_.getrandbits(random_.randrange(1, 65)) for _ in range(60)]
    offsets = [0, 1, -1, 2**62, -(2**63), 4_611_686_018, -4_611_686_018, -4_611_686_019, random_.getrandbits(33)]
    for value in values:
        for offset_s in offsets:
            if value < 2**64:
                wanted = nanoseconds(value, resolution, offset_s)
                assert int(kernels.fine_ns(np.uint64(value), resolution, offset_s)) == wanted, (value, offset_s)
                assert -(2**62) <= wanted <= 2**62


def test_one_signature_each() -> None:
    walk(SEEDS[0], fenced=False, chunk=1 << 20, room=9)
    walk(SEEDS[4], fenced=False, chunk=1 << 20, room=9)
    for function in (kernels.walk_pcap, kernels.walk_pcapng, kernels.fine_ns):
        assert len(getattr(function, "signatures", [0])) == 1
