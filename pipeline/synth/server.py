"""Modbus servers of the plant: a controller's register image, and what it answers to a PDU."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from pipeline.synth.process import Process
from pipeline.synth.tags import COIL, DISCRETE, HOLDING, INPUT, Tag
from pipeline.synth.wire import UNMARKED, Host
from schemas.codes import Space

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY, NO_TARGET = 1, 2, 3, 6, 11
"""Exception codes (MODBUS Application Protocol Specification V1.1b3, 7)."""

_BIT_SPACES = {1: COIL, 2: DISCRETE}
_WORD_SPACES = {3: HOLDING, 4: INPUT}
_WRITES = {5: COIL, 6: HOLDING, 15: COIL, 16: HOLDING}
_UMAS = 90
_UMAS_OK, _UMAS_ERROR = 0xFE, 0xFD


class Table:
    """One space of one unit: the values of its tags, refreshed once per step of the process."""

    def __init__(self, tags: Iterable[Tag]) -> None:
        self.tags = tuple(tags)
        self.size = max(tag.addr + tag.width for tag in self.tags)
        self._values = [0] * self.size
        self._tick = -1

    def read(self, process: Process) -> list[int]:
        """All values from address 0; addresses without a tag hold 0."""
        if self._tick != process.tick:
            for tag in self.tags:
                self._values[tag.addr : tag.addr + tag.width] = tag.encode(getattr(process, tag.source))
            self._tick = process.tick
        return self._values

    def write(self, process: Process, addr: int, values: list[int]) -> bool:
        """Set what `values` from `addr` on cover; False when a part of them cannot be written."""
        end = addr + len(values)
        touched = [tag for tag in self.tags if tag.writable and tag.addr < end and addr < tag.addr + tag.width]
        if len(values) != sum(min(tag.addr + tag.width, end) - max(tag.addr, addr) for tag in touched):
            return False
        held = list(self.read(process))
        held[addr:end] = values
        for tag in touched:
            value = tag.decode(held[tag.addr : tag.addr + tag.width])
            setattr(process, tag.source, bool(value) if tag.type == "bool" else value)
        self._tick = -1
        return True


class Server:
    """A Modbus/TCP server: a controller, or a gateway with serial units behind it.

    Attributes:
        index: place of its program in the process, -1 where it has none.
        delay_s: typical time to an answer.
        load: factor on that time, above 1 while it is flooded.
        silent: units that were told to listen only.
        tainted: answers that an attack has a hand in: (unit, function, first address, last address) to its mark.
    """

    def __init__(
        self, host: Host, process: Process, tags: Iterable[Tag], *, index: int, identity: tuple[str, ...]
    ) -> None:
        self.host = host
        self.process = process
        self.index = index
        self.identity = identity
        self.gateway = index < 0
        self.delay_s = 0.024 if self.gateway else 0.0035
        self.load = 1.0
        self.silent: set[int] = set()
        self.tainted: dict[tuple[int, int, int, int], int] = {}
        spaces: dict[tuple[int, Space], list[Tag]] = {}
        for tag in tags:
            spaces.setdefault((tag.unit_id, tag.space), []).append(tag)
        self.tables = {key: Table(found) for key, found in spaces.items()}
        self.units = {unit for unit, _ in self.tables}

    def think(self, rng: Random) -> float:
        """Seconds until the answer, with the jitter of a scan cycle."""
        return self.delay_s * self.load * (0.7 + 0.3 * rng.expovariate(1.0))

    def mark(self, unit: int, pdu: bytes) -> int:
        """The attack that has a hand in the answer to `pdu`, if any."""
        if self.tainted and len(pdu) >= 5:
            addr, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
            for (of, func, first, last), mark in self.tainted.items():
                if of == unit and func == pdu[0] and first < addr + count and addr <= last:
                    return mark
        return UNMARKED

    def answer(self, unit: int, pdu: bytes, rng: Random | None = None) -> bytes | None:
        """The response PDU, None where there is none.  With `rng` a serial line is busy now and then."""
        if not self.gateway and unit in (0, 255):
            unit = 1
        if unit not in self.units or (unit in self.silent and pdu[:3] != b"\x08\x00\x01"):
            return _exception(pdu, NO_TARGET) if self.gateway else None
        if self.gateway and rng is not None and rng.random() < 0.004:
            return _exception(pdu, BUSY)
        func = pdu[0]
        if func in _BIT_SPACES or func in _WORD_SPACES:
            return self._read(unit, pdu)
        if func in _WRITES:
            return self._write(unit, pdu)
        return self._other(unit, pdu)

    def _other(self, unit: int, pdu: bytes) -> bytes | None:
        func = pdu[0]
        if func == 23 and len(pdu) >= 10:
            return self._read_write(unit, pdu)
        if func == 43:
            return self._identify(pdu)
        if func == 8:
            return self._diagnose(unit, pdu)
        if func == 17 and len(pdu) == 1:
            name = self.identity[1].encode()
            return bytes([17, len(name) + 1]) + name + (b"\x00" if self.index in self.process.stopped else b"\xff")
        if func == _UMAS and len(pdu) >= 3 and self.identity[0] == "Schneider Electric":
            return self._umas(pdu)
        return _exception(pdu, ILLEGAL_VALUE if func in (22, 23, _UMAS) else ILLEGAL_FUNCTION)

    def _read(self, unit: int, pdu: bytes) -> bytes:
        func = pdu[0]
        if len(pdu) != 5:
            return _exception(pdu, ILLEGAL_VALUE)
        addr, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if not 1 <= count <= (2000 if func in _BIT_SPACES else 125):
            return _exception(pdu, ILLEGAL_VALUE)
        table = self.tables.get((unit, _BIT_SPACES.get(func) or _WORD_SPACES[func]))
        if table is None or addr + count > table.size:
            return _exception(pdu, ILLEGAL_ADDRESS)
        values = table.read(self.process)[addr : addr + count]
        body = pack_bits(values) if func in _BIT_SPACES else pack_words(values)
        return bytes([func, len(body)]) + body

    def _write(self, unit: int, pdu: bytes) -> bytes:
        func = pdu[0]
        found = parse_write(pdu)
        if found is None:
            return _exception(pdu, ILLEGAL_VALUE)
        addr, values = found
        table = self.tables.get((unit, _WRITES[func]))
        if table is None or addr + len(values) > table.size or not table.write(self.process, addr, values):
            return _exception(pdu, ILLEGAL_ADDRESS)
        return pdu[:5]

    def _read_write(self, unit: int, pdu: bytes) -> bytes:
        written = self._write(unit, b"\x10" + pdu[5:])
        if written[0] & 0x80:
            return _exception(pdu, written[1])
        read = self._read(unit, b"\x03" + pdu[1:5])
        return bytes([23 | (read[0] & 0x80)]) + read[1:]

    def _identify(self, pdu: bytes) -> bytes:
        if len(pdu) != 4 or pdu[1] != 14 or pdu[2] != 1:
            return _exception(pdu, ILLEGAL_VALUE)
        texts = [text.encode() for text in self.identity]
        objects = b"".join(bytes([i, len(text)]) + text for i, text in enumerate(texts))
        return bytes([43, 14, 1, 1, 0, 0, len(texts)]) + objects

    def _diagnose(self, unit: int, pdu: bytes) -> bytes | None:
        if len(pdu) != 5:
            return _exception(pdu, ILLEGAL_VALUE)
        sub = int.from_bytes(pdu[1:3], "big")
        if sub == 4:
            self.silent.add(unit)
            return None
        if sub == 1:
            self.silent.discard(unit)
        return pdu

    def _umas(self, pdu: bytes) -> bytes:
        if pdu[2] == 0x41:
            self.process.stopped.add(self.index)
        elif pdu[2] == 0x40:
            self.process.stopped.discard(self.index)
        elif pdu[2] not in (0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x12):
            return bytes([_UMAS, pdu[1], _UMAS_ERROR, 0x80])
        return bytes([_UMAS, pdu[1], _UMAS_OK])


def pack_bits(values: list[int]) -> bytes:
    """Bits as coils travel: the first in the lowest bit of the first byte."""
    return sum(bit << i for i, bit in enumerate(values)).to_bytes((len(values) + 7) // 8, "little")


def pack_words(values: list[int]) -> bytes:
    """Registers as they travel: big-endian."""
    return b"".join(value.to_bytes(2, "big") for value in values)


def parse_write(pdu: bytes) -> tuple[int, list[int]] | None:
    """Address and values of a write request, None where it contradicts itself."""
    func, addr = pdu[0], int.from_bytes(pdu[1:3], "big")
    if func in (5, 6):
        if len(pdu) != 5 or (func == 5 and pdu[3:] not in (b"\xff\x00", b"\x00\x00")):
            return None
        value = int.from_bytes(pdu[3:5], "big")
        return addr, [int(value == 0xFF00) if func == 5 else value]
    count = int.from_bytes(pdu[3:5], "big")
    data = pdu[6:]
    expected = (count + 7) // 8 if func == 15 else 2 * count
    if len(pdu) < 6 or not 1 <= count <= (1968 if func == 15 else 123) or not pdu[5] == len(data) == expected:
        return None
    if func == 15:
        bits = int.from_bytes(data, "little")
        return addr, [bits >> i & 1 for i in range(count)]
    return addr, [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


def _exception(pdu: bytes, code: int) -> bytes:
    return bytes([pdu[0] & 0x7F | 0x80, code])
