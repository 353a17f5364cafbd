"""What every protocol in the registry must keep: any cut of stream, blocks or capture, and nobody else's bytes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.jit import address_of
from pipeline.capture.files import Captures
from pipeline.decode import layout
from pipeline.decode.protocols import DECODERS, decoder
from pipeline.synth import bulk, simulate
from schemas.codes import FAULTS, Kind, Protocol
from tests.decode.packets import ACK, MS, PSH, START_NS, Packet, Talk, ether, ip4, tcp
from tests.decode.reading import Decoded, blocks, decode_file, feed
from tests.golden.cases import CASES

PROTOCOLS = sorted(DECODERS)
LAWFUL = {
    Protocol.MODBUS: (
        "modbus_public_functions",
        "modbus_diagnostics",
        "modbus_exceptions",
        "modbus_umas",
        "modbus_device_id",
        "modbus_gateway_units",
    ),
    Protocol.DNP3: (
        "dnp3_integrity_poll",
        "dnp3_events",
        "dnp3_controls",
        "dnp3_functions",
        "dnp3_identity_and_files",
        "dnp3_several_segments",
    ),
    Protocol.IEC104: ("iec104_session", "iec104_commands", "iec104_system", "iec104_files"),
    Protocol.BACNET: (),  # over UDP alone
    Protocol.S7COMM: (
        "s7comm_session",
        "s7comm_items",
        "s7comm_fragments",
        "s7comm_control",
        "s7comm_download",
        "s7comm_userdata",
        "s7comm_blocks",
        "s7comm_cyclic",
        "s7comm_tables",
        "s7comm_alarms",
    ),
    Protocol.ENIP: (
        "enip_session",
        "enip_tags",
        "enip_types",
        "enip_structures",
        "enip_several",
        "enip_routed",
        "enip_objects",
        "enip_attribute_lists",
        "enip_texts_and_words",
        "enip_pccc",
    ),
}
"""Golden captures of one TCP connection in order and without malformed PDUs: streams that may be cut anywhere."""

HELD_BACK = ("modbus_lost_segment", "modbus_reordered", "iec104_sequence", "s7comm_lost_fragment")
"""Golden captures with holes, whose end gives out what waited behind them."""

EVERY = [(p, name) for p in PROTOCOLS for name in CASES if name.startswith(p.name.lower())]


def of_capture(path: Path) -> list[Packet]:
    packets = []
    for block in Captures([path]):
        raw = block.data.tobytes()
        columns = (block.offset, block.captured, block.original, block.ts_ns, block.link)
        for at, size, wire, ts, link in zip(*(c.tolist() for c in columns), strict=True):
            packets.append(Packet(ts, raw[at : at + size], link, wire))
    return packets


@cache
def plant(folder: Path) -> tuple[Packet, ...]:
    simulate(folder, minutes=0.3, seed=3)
    return tuple(of_capture(folder / "plant.pcap"))


def whole(row: Any) -> dict[str, Any]:
    """Everything that a record says, its points included."""
    return vars(row) | {"points": [repr(vars(p)) for p in row.points], "values": [repr(v) for v in row.values]}


def exact(found: Decoded) -> list[dict[str, Any]]:
    return [whole(r) for r in found.records]


def meaning(found: Decoded) -> list[dict[str, Any]]:
    """What does not hang on segment borders: all but packet, time, and how it was captured."""
    rows = [whole(r) for r in found.records]
    for row in rows:
        row["anomaly"] &= FAULTS
        for name in ("packet", "ts", "rtt_us"):
            del row[name]
    return rows


def turns(packets: Sequence[Packet]) -> list[tuple[int, bytes]]:
    """The payloads of a capture of one TCP connection, with their side."""
    found = []
    for p in packets:
        payload = p.data[54:]
        if payload:
            found.append((int(p.data[26:30] == bytes([10, 0, 0, 2])), payload))
    return found


def server_port(packets: Sequence[Packet]) -> int:
    """The port of a capture of one connection that is not the client's."""
    ends = int.from_bytes(packets[0].data[34:36], "big"), int.from_bytes(packets[0].data[36:38], "big")
    return next(port for port in ends if port != 40_000)


def resegmented(packets: Sequence[Packet], cuts: Sequence[int]) -> list[Packet]:
    """The same bytes in other segments: each side's run of turns is joined and cut anew."""
    talk = Talk(server_port=server_port(packets)).open()
    sizes = iter(cuts)
    for side, payload in turns(packets):
        at = 0
        while at < len(payload):
            size = next(sizes, len(payload))
            talk.send(side, payload[at : at + size], PSH | ACK)
            at += size
    return talk.packets


@pytest.mark.parametrize(("protocol", "name"), [(p, name) for p in PROTOCOLS for name in LAWFUL[p]])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_segments_of_any_one_size(protocol: Protocol, name: str, size: int) -> None:
    packets = [p for p in CASES[name]() if p.data[34:36] == b"\x9c\x40" or p.data[36:38] == b"\x9c\x40"]
    wanted = feed(blocks(packets))
    assert len(wanted.records) > 3
    assert meaning(feed(blocks(resegmented(packets, [size] * 10_000)))) == meaning(wanted)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_split_of_the_stream(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for p in PROTOCOLS for name in LAWFUL[p]]))
    packets = [p for p in CASES[name]() if p.data[34:36] == b"\x9c\x40" or p.data[36:38] == b"\x9c\x40"]
    cuts = data.draw(st.lists(st.integers(1, 40), max_size=60))
    assert meaning(feed(blocks(resegmented(packets, cuts)))) == meaning(feed(blocks(packets)))


@pytest.mark.parametrize("seed", range(5))
def test_any_join_of_pipelined_pdus(seed: int, tmp_path: Path) -> None:
    """Requests of many polls in segments that begin and end anywhere, then the answers likewise."""
    draw = random.Random(seed)
    for name in (name for p in PROTOCOLS for name in LAWFUL[p][:1]):
        sides: list[list[bytes]] = [[], []]
        for side, payload in turns(CASES[name]()):
            sides[side].append(payload)
        port = server_port(CASES[name]())
        plain, mixed = Talk(server_port=port).open(), Talk(server_port=port).open()
        for side in (0, 1):
            for payload in sides[side]:
                plain.send(side, payload)
            stream, at = b"".join(sides[side]), 0
            while at < len(stream):
                size = draw.randrange(1, 90)
                mixed.send(side, stream[at : at + size])
                at += size
        assert meaning(feed(blocks(mixed.packets))) == meaning(feed(blocks(plain.packets)))


@given(cuts=st.lists(st.integers(1, 9), max_size=12))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize(("protocol", "name"), EVERY)
def test_any_cut_into_blocks(protocol: Protocol, name: str, cuts: list[int]) -> None:
    packets = CASES[name]()
    wanted, found = feed(blocks(packets)), feed(blocks(packets, cuts))
    assert exact(found) == exact(wanted)
    assert found.health == wanted.health


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_any_block_size_over_the_plant(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    packets = plant(tmp_path_factory.getbasetemp() / "contract")
    assert len(packets) > 300
    assert exact(feed(blocks(packets, [cut]))) == exact(feed(blocks(packets)))


@pytest.mark.parametrize("kind", ["read", "write"])
def test_any_reading_size_over_bulk_traffic(kind: str, tmp_path: Path) -> None:
    path = bulk(tmp_path / "bulk.pcap", packets=501, kind=kind).path
    wanted = exact(decode_file(path))
    for sizes in ({"block_bytes": 1}, {"block_bytes": 5000}, {"block_packets": 3}):
        assert exact(feed(Captures([path], **sizes))) == wanted


@pytest.mark.parametrize(("protocol", "name"), EVERY)
def test_any_truncation_of_the_input_keeps_what_came_before(protocol: Protocol, name: str) -> None:
    """Rows are immutable: what is written before a packet does not hang on what follows."""
    packets = CASES[name]()
    wanted = exact(feed(blocks(packets), finish=True))
    for size in range(len(packets)):
        found = exact(feed(blocks(packets[:size])))
        sure = [row for row in found if row["kind"] != Kind.TIMEOUT]
        held = len(sure) - len([row for row in sure if row in wanted])
        assert held <= 4, "more than what a hole at the end of the input held back"
        if name not in HELD_BACK:
            assert found == wanted[: len(found)]


@pytest.mark.parametrize(("protocol", "name"), EVERY)
def test_any_truncation_of_a_packet_neither_raises_nor_loses_earlier_records(protocol: Protocol, name: str) -> None:
    packets = CASES[name]()
    for number in range(len(packets)):
        before = exact(feed(blocks(packets[:number])))
        for size in {0, 13, 33, 53, 54, 55, 60, 61, 62, 63, len(packets[number].data) - 1}:
            if size < len(packets[number].data):
                found = feed(blocks([*packets[:number], packets[number].cut(size)]))
                if name not in HELD_BACK:
                    assert exact(found)[: len(before)] == before


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_other_protocol_claims_its_bytes(protocol: Protocol) -> None:
    """On a port that says nothing, the shape of a protocol's PDUs is nobody else's."""
    for name in LAWFUL[protocol]:
        for _, payload in turns(CASES[name]()):
            for other in PROTOCOLS:
                if other != protocol:
                    assert strict_frame(other, payload) <= 0, (name, payload.hex())


STRANGERS: list[tuple[Protocol | None, bytes]] = [
    (None, b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n"),
    (None, bytes.fromhex("160301004a010000460303") + bytes(60)),
    (None, b"SSH-2.0-OpenSSH_9.6\r\n"),
    (None, bytes.fromhex("abcd01000001000000000000") + b"\x03www\x07example\x03com\0\0\x01\0\x01"),
    (Protocol.S7COMM, bytes.fromhex("0300001611e00000000100c1020100c2020102c0010a")),
    (Protocol.DNP3, bytes.fromhex("056405c001000004e921")),
    (Protocol.IEC104, bytes.fromhex("680407000000")),
    (Protocol.ENIP, bytes.fromhex("65000400000000000000000000000000000000000000000001000000")),
    (Protocol.BACNET, bytes.fromhex("810b000c0120ffff00ff1008")),
    (None, bytes.fromhex("102c00044d5154540402003c0020") + bytes(32)),
    (None, b"\0" * 12),
    (None, b"\xff" * 40),
    (None, bytes(range(256))),
]
"""First bytes of what else is on the wire, and whose they are: HTTP, TLS, SSH, DNS ... MQTT, nothing."""


def strict_frame(protocol: Protocol, payload: bytes, state: int = 0) -> int:
    """What the protocol's `frame` says to bytes on a port that is not its own."""
    function, _, _ = decoder(protocol).kernels()
    assert address_of(function) >= 0
    work = np.zeros(layout.WORK, np.int64)
    work[layout.X_STRICT], work[layout.X_STATE], work[layout.X_SENDER_IS_CLIENT] = 1, state, 1
    return int(function(np.frombuffer(bytearray(payload), np.uint8), 0, len(payload), work))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_protocol_claims_a_strangers_bytes(protocol: Protocol) -> None:
    for payload in (payload for owner, payload in STRANGERS if owner != protocol):
        assert strict_frame(protocol, payload) <= 0, payload
        for size in range(1, len(payload)):
            assert strict_frame(protocol, payload[:size]) <= 0, payload[:size]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_random_bytes_are_hardly_ever_claimed(protocol: Protocol) -> None:
    draw = random.Random(7)
    claimed = sum(strict_frame(protocol, draw.randbytes(draw.randrange(1, 300))) > 0 for _ in range(20_000))
    assert claimed <= 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("owner", "payload"), STRANGERS)
def test_strangers_on_its_port_make_no_ordinary_record(
    protocol: Protocol, owner: Protocol | None, payload: bytes
) -> None:
    ports = decoder(protocol).tcp_ports
    if owner == protocol or not ports:
        return
    frames = [ether(ip4("10.0.0.1", "10.0.0.2", tcp((40000, ports[0]), 1, 1, payload)))]
    found = feed(blocks([Packet(START_NS, frame) for frame in frames]))
    assert all(r.kind == Kind.FOREIGN or r.anomaly & FAULTS for r in found.records)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_its_ports_and_names_are_registered(protocol: Protocol) -> None:
    module = decoder(protocol)
    assert module.protocol == protocol
    assert module.tcp_ports or module.udp_ports
    assert 0 < protocol < layout.PROTOCOLS
    assert EVERY


def test_the_decoder_keeps_no_view_of_a_block() -> None:
    """Blocks are overwritten as soon as the next one is asked for."""
    packets = CASES["modbus_split_and_pipelined"]() + [
        replace(p, ts=p.ts + 500 * MS) for p in CASES["modbus_reordered"]()
    ]

    def overwritten() -> Any:
        for block in blocks(packets, [1]):
            yield block
            block.data[:] = 0xEE
            block.ts_ns[:] = -1

    assert exact(feed(overwritten())) == exact(feed(blocks(packets, [1])))
