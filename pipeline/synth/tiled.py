"""Benchmark captures by tiling: one row of bytes per group of polls, its varying fields filled in by numpy."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, OutputError
from pipeline.synth import START, BulkReport
from pipeline.synth.whole import written_whole

I64 = NDArray[np.int64]

MAX_FLOWS = 1_000_000
LARGEST = {"read": 125, "write": 123}
"""Registers that one PDU may carry (MODBUS Application Protocol Specification V1.1b3, 6.3 and 6.12)."""

GROUP = 4
"""Polls under way at once: their requests come first, then their responses."""
CHUNK_POLLS = 1 << 16
SNAPSHOTS = 4096
"""Polls after which the values of a device repeat."""

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
_HEADERS: list[tuple[str, Any]] = [
    ("ts_s", "<u4"),
    ("ts_us", "<u4"),
    ("captured", "<u4"),
    ("original", "<u4"),
    ("dst_mac", "V6"),
    ("src_mac", "V6"),
    ("ethertype", ">u2"),
    ("version", "u1"),
    ("tos", "u1"),
    ("ip_length", ">u2"),
    ("ip_id", ">u2"),
    ("fragment", ">u2"),
    ("ttl", "u1"),
    ("ip_protocol", "u1"),
    ("ip_checksum", ">u2"),
    ("src_ip", ">u4"),
    ("dst_ip", ">u4"),
    ("src_port", ">u2"),
    ("dst_port", ">u2"),
    ("seq", ">u4"),
    ("ack", ">u4"),
    ("data_offset", "u1"),
    ("tcp_flags", "u1"),
    ("window", ">u2"),
    ("tcp_checksum", ">u2"),
    ("urgent", ">u2"),
    ("txn", ">u2"),
    ("protocol_id", ">u2"),
    ("mbap_length", ">u2"),
    ("unit", "u1"),
]
_CAPTURE_HEADER = 16
_TCP_PAYLOAD = _CAPTURE_HEADER + 14 + 20 + 20


@dataclass(frozen=True, slots=True)
class _Shape:
    """Bytes of one group of polls: its dtype, and the PDU bodies of request and response."""

    group: np.dtype[Any]
    size: int
    request: int
    response: int

    def length_of(self, packets: int) -> int:
        """Bytes that the first `packets` packets take."""
        groups, rest = divmod(packets, 2 * self.size)
        requests = min(rest, self.size)
        return groups * self.group.itemsize + requests * self.request + (rest - requests) * self.response


@dataclass(frozen=True, slots=True)
class _Flows:
    """What tells the connections apart, one entry per connection; MACs as rows of 6 bytes."""

    client_ip: I64
    server_ip: I64
    client_port: I64
    client_mac: NDArray[np.void]
    server_mac: NDArray[np.void]
    client_seq: I64
    server_seq: I64
    first_txn: I64
    first_snapshot: I64
    devices: int


def write(path: Path, *, packets: int, registers: int, flows: int, seed: int, kind: str) -> BulkReport:
    """See :func:`pipeline.synth.bulk`."""
    _check(packets, registers, flows, kind)
    shape = _shape(registers, min(GROUP, flows), kind)
    rng = np.random.default_rng(seed)
    connections = _connections(flows, rng)
    values = _values(registers, rng)
    try:
        with written_whole(path) as file:
            file.write(PCAP_HEADER)
            first, last = _fill(file, packets, shape, connections, values, rng, kind)
    except OSError as error:
        raise OutputError(f"writing {path}: {error.strerror or error}") from error
    return BulkReport(
        path=path,
        packets=packets,
        size=len(PCAP_HEADER) + shape.length_of(packets),
        points=_carrying(packets, shape.size, kind) * registers,
        flows=min(flows, -(-packets // 2)),
        devices=connections.devices,
        first_ts_ns=first,
        last_ts_ns=last,
    )


def _check(packets: int, registers: int, flows: int, kind: str) -> None:
    if kind not in LARGEST:
        raise ConfigError(f"bulk capture: no kind {kind!r}, there are {', '.join(LARGEST)}")
    if packets < 1:
        raise ConfigError(f"bulk capture: packets must be at least 1, not {packets}")
    if not 1 <= registers <= LARGEST[kind]:
        raise ConfigError(f"bulk capture: registers must be 1 to {LARGEST[kind]} for a {kind}, not {registers}")
    if not 1 <= flows <= MAX_FLOWS:
        raise ConfigError(f"bulk capture: flows must be 1 to {MAX_FLOWS:,}, not {flows:,}")


def _carrying(packets: int, size: int, kind: str) -> int:
    """How many of the first `packets` packets carry values: groups are `size` requests, then `size` responses."""
    groups, rest = divmod(packets, 2 * size)
    requests = min(rest, size)
    return groups * size + (requests if kind == "write" else rest - requests)


def _shape(registers: int, size: int, kind: str) -> _Shape:
    span: list[tuple[str, Any]] = [("func", "u1"), ("addr", ">u2"), ("count", ">u2")]
    data: list[tuple[str, Any]] = [("n_bytes", "u1"), ("values", f"V{2 * registers}")]
    if kind == "read":
        request, response = np.dtype(_HEADERS + span), np.dtype([*_HEADERS, ("func", "u1"), *data])
    else:
        request, response = np.dtype(_HEADERS + span + data), np.dtype(_HEADERS + span)
    group = np.dtype([("request", request, (size,)), ("response", response, (size,))])
    return _Shape(group, size, request.itemsize, response.itemsize)


def _connections(flows: int, rng: np.random.Generator) -> _Flows:
    flow = np.arange(flows, dtype=np.int64)
    devices = max(16, min(250, flows // 64))
    server = flow % devices
    client = flow // 40_000 * 4 + flow % 4
    return _Flows(
        client_ip=0x0A640001 + (client // 250 << 8) + client % 250,
        server_ip=0x0A0A0B0A + server,
        client_port=20_000 + flow % 40_000,
        client_mac=_macs(0x02_00_5E_10_00_00, client),
        server_mac=_macs(0x00_80_F4_20_00_00, server),
        client_seq=rng.integers(1 << 32, size=flows),
        server_seq=rng.integers(1 << 32, size=flows),
        first_txn=rng.integers(1 << 16, size=flows),
        first_snapshot=rng.integers(SNAPSHOTS, size=devices)[server],
        devices=min(devices, flows),
    )


def _macs(base: int, index: I64) -> NDArray[np.void]:
    wide = (base + index).astype(">u8").view(np.uint8).reshape(-1, 8)
    return np.ascontiguousarray(wide[:, 2:]).view("V6").ravel()


def _values(registers: int, rng: np.random.Generator) -> NDArray[np.void]:
    """`SNAPSHOTS` rows of big-endian registers: a slow periodic swing and a few counts of noise each."""
    phase = np.arange(SNAPSHOTS)[:, None] * (2 * np.pi / SNAPSHOTS)
    cycles = rng.integers(1, 9, size=registers)
    base = rng.integers(2_000, 30_000, size=registers)
    swing = base * rng.uniform(0.02, 0.2, size=registers)
    noise = rng.integers(-3, 4, size=(SNAPSHOTS, registers))
    table = base + swing * np.sin(phase * cycles + rng.uniform(0, 2 * np.pi, size=registers)) + noise
    return np.ascontiguousarray(table.astype(">u2")).view(f"V{2 * registers}").ravel()


def _template(shape: _Shape, kind: str, registers: int) -> NDArray[np.void]:
    row = np.zeros(1, dtype=shape.group)
    for half, size in (("request", shape.request), ("response", shape.response)):
        packet = row[half]
        packet["captured"] = packet["original"] = size - _CAPTURE_HEADER
        packet["ethertype"] = 0x0800
        packet["version"] = 0x45
        packet["ip_length"] = size - _CAPTURE_HEADER - 14
        packet["fragment"] = 0x4000
        packet["ttl"] = 64 if half == "response" else 128
        packet["ip_protocol"] = 6
        packet["data_offset"] = 0x50
        packet["tcp_flags"] = 0x18
        packet["window"] = 8192
        packet["mbap_length"] = size - _TCP_PAYLOAD - 6
        packet["unit"] = 1
        packet["func"] = 3 if kind == "read" else 16
        if "count" in (packet.dtype.names or ()):
            packet["count"] = registers
        if "n_bytes" in (packet.dtype.names or ()):
            packet["n_bytes"] = 2 * registers
    row["request"]["dst_port"] = 502
    row["response"]["src_port"] = 502
    return row


def _fill(
    file: BinaryIO,
    packets: int,
    shape: _Shape,
    flows: _Flows,
    values: NDArray[np.void],
    rng: np.random.Generator,
    kind: str,
) -> tuple[int, int]:
    """Write all groups chunk by chunk; gives the first and the last time, in nanoseconds."""
    size = shape.size
    groups = -(-packets // (2 * size))
    per_chunk = min(groups, CHUNK_POLLS // size)
    rows = np.repeat(_template(shape, kind, values.dtype.itemsize // 2), per_chunk)
    left = packets
    times = (0, 0)
    for start in range(0, groups, per_chunk):
        here = min(per_chunk, groups - start)
        poll = np.arange(start * size, (start + here) * size, dtype=np.int64).reshape(here, size)
        chunk = rows[:here]
        asked, answered = _times(poll, len(flows.client_ip), size, rng)
        _fill_halves(chunk, poll, flows, shape, values, kind)
        _stamp(chunk["request"], asked)
        _stamp(chunk["response"], answered)
        written = min(left, here * 2 * size)
        file.write(chunk.view(np.uint8)[: shape.length_of(written)].data)
        order = np.concatenate([asked, answered], axis=1).ravel()
        times = (times[0] if start else int(order[0]), int(order[written - 1]))
        left -= written
    return times[0] * 1000, times[1] * 1000


def _times(poll: I64, flows: int, size: int, rng: np.random.Generator) -> tuple[I64, I64]:
    """Microseconds at which each poll is asked and answered: one poll a second per flow, or slower for many flows."""
    spacing_us = max(1_000_000 // flows, 20)
    answer_us = min(1500, size * spacing_us // 2)
    step_us = max(1, answer_us // (2 * size))
    first_us = int(START.timestamp()) * 1_000_000
    slot = np.arange(size, dtype=np.int64)
    asked = first_us + (poll // size) * (size * spacing_us) + slot * step_us
    return asked, asked + answer_us + rng.integers(0, max(1, step_us // 2), size=poll.shape)


def _fill_halves(
    rows: NDArray[np.void], poll: I64, flows: _Flows, shape: _Shape, values: NDArray[np.void], kind: str
) -> None:
    n = len(flows.client_ip)
    flow, turn = poll % n, poll // n
    asked, answered = shape.request - _TCP_PAYLOAD, shape.response - _TCP_PAYLOAD
    client_seq = flows.client_seq[flow] + turn * asked
    server_seq = flows.server_seq[flow] + turn * answered
    txn = flows.first_txn[flow] + turn
    snapshot = values[(flows.first_snapshot[flow] + turn) % SNAPSHOTS]
    client, server = flows.client_ip[flow], flows.server_ip[flow]
    request, response = rows["request"], rows["response"]
    for half, src, dst in ((request, client, server), (response, server, client)):
        half["txn"] = txn & 0xFFFF
        half["ip_id"] = txn & 0xFFFF
        half["src_ip"] = src
        half["dst_ip"] = dst
        half["ip_checksum"] = _ip_checksum(half, src, dst, txn & 0xFFFF)
    request["src_port"] = response["dst_port"] = flows.client_port[flow]
    request["src_mac"] = response["dst_mac"] = flows.client_mac[flow]
    request["dst_mac"] = response["src_mac"] = flows.server_mac[flow]
    request["seq"] = client_seq & 0xFFFFFFFF
    request["ack"] = response["seq"] = server_seq & 0xFFFFFFFF
    response["ack"] = (client_seq + asked) & 0xFFFFFFFF
    (response if kind == "read" else request)["values"] = snapshot


def _ip_checksum(half: NDArray[np.void], src: I64, dst: I64, ip_id: I64) -> I64:
    """RFC 1071 over the header's 16-bit words; only addresses and id vary within a half."""
    fixed = 0x4500 + int(half["ip_length"][0, 0]) + 0x4000 + (int(half["ttl"][0, 0]) << 8) + 6
    total = fixed + (src >> 16) + (src & 0xFFFF) + (dst >> 16) + (dst & 0xFFFF) + ip_id
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    checksum: I64 = ~total & 0xFFFF
    return checksum


def _stamp(half: NDArray[np.void], ts_us: I64) -> None:
    half["ts_s"] = ts_us // 1_000_000
    half["ts_us"] = ts_us % 1_000_000
