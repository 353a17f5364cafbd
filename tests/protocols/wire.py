"""Conversations written as captures, and what decode makes of them: for tests of a protocol's PDUs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import dpkt

from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder, DecodeSettings

CLIENT, SERVER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
START_S = 1_700_000_000


class Conversation:
    """Two hosts talking over TCP or UDP; every segment follows the last by a millisecond.

    Args:
        server_port, client_port: the ports.
        udp: datagrams instead of a connection.
        opened: whether the connection's opening is in the capture; else it is picked up midstream.
    """

    def __init__(
        self, *, server_port: int = 502, client_port: int = 50000, udp: bool = False, opened: bool = True
    ) -> None:
        self._ports = (client_port, server_port)
        self._udp = udp
        self._sequence = [1000, 9000]
        self._packets: list[tuple[float, bytes]] = []
        if opened and not udp:
            self._segment(True, b"", dpkt.tcp.TH_SYN)
            self._sequence[0] += 1
            self._segment(False, b"", dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK)
            self._sequence[1] += 1
            self._segment(True, b"", dpkt.tcp.TH_ACK)

    def ask(self, payload: bytes) -> Conversation:
        """The client sends."""
        return self._say(True, payload)

    def answer(self, payload: bytes) -> Conversation:
        """The server sends."""
        return self._say(False, payload)

    def wait(self, seconds: float) -> Conversation:
        """Nothing is said for a while."""
        self._packets.append((seconds, b""))
        return self

    def _say(self, from_client: bool, payload: bytes) -> Conversation:
        if self._udp:
            source, target = self._ends(from_client)
            self._packet(from_client, dpkt.udp.UDP(sport=source, dport=target, ulen=8 + len(payload), data=payload), 17)
        else:
            self._segment(from_client, payload, dpkt.tcp.TH_ACK | dpkt.tcp.TH_PUSH)
            self._sequence[not from_client] += len(payload)
        return self

    def _ends(self, from_client: bool) -> tuple[int, int]:
        client, server = self._ports
        return (client, server) if from_client else (server, client)

    def _segment(self, from_client: bool, payload: bytes, flags: int) -> None:
        source, target = self._ends(from_client)
        mine, other = self._sequence if from_client else reversed(self._sequence)
        self._packet(
            from_client, dpkt.tcp.TCP(sport=source, dport=target, seq=mine, ack=other, flags=flags, data=payload), 6
        )

    def _packet(self, from_client: bool, data: Any, protocol: int) -> None:
        source, target = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
        ip = dpkt.ip.IP(src=source, dst=target, p=protocol, id=len(self._packets) + 1, data=data)
        ip.len = len(ip)
        self._packets.append((0.001, bytes(dpkt.ethernet.Ethernet(type=0x0800, data=ip))))

    def write(self, folder: Path) -> Path:
        """The capture file."""
        buffer = io.BytesIO()
        writer = dpkt.pcap.Writer(buffer)
        now = 0.0
        for seconds, frame in self._packets:
            now += seconds
            if frame:
                writer.writepkt(frame, ts=START_S + now)
        path = folder / "conversation.pcap"
        path.write_bytes(buffer.getvalue())
        return path

    def records(self, folder: Path) -> list[dict[str, Any]]:
        """The records of the capture; a point's `text` is the name its `raw` stands for."""
        decoder = Decoder(DecodeSettings())
        found = [batch for block in Captures([self.write(folder)]) for batch in decoder.feed(block)]
        found.extend(decoder.finish())
        rows = [row for batch in found for row in batch.to_batch().to_pylist()]
        names = decoder.names()
        for row in rows:
            for point in row["points"]:
                point["text"] = names.get(point["raw"] & 0xFFFFFFFFFFFFFFFF, "") if point["raw"] else ""
        return rows


def mbap(pdu: bytes, *, txn: int = 1, unit: int = 17, identifier: int = 0, length: int | None = None) -> bytes:
    """A PDU with its MBAP header; a wrong length field on demand."""
    announced = len(pdu) + 1 if length is None else length
    return txn.to_bytes(2) + identifier.to_bytes(2) + announced.to_bytes(2) + bytes([unit]) + pdu


def rtu(pdu: bytes, *, unit: int = 17, good: bool = True) -> bytes:
    """A PDU as a serial line frames it; a wrong checksum on demand."""
    frame = bytes([unit]) + pdu
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return frame + (crc if good else crc ^ 0x5555).to_bytes(2, "little")
