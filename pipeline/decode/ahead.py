"""Kernels of decode compiled ahead of the first packet, in parts that two processes may take."""

from __future__ import annotations

import numpy as np

from detectors.jit import compile_for
from schemas.codes import Protocol


def intake() -> None:
    """What brings a packet's bytes to hand: nearly half of the work."""
    from pipeline.decode import memory
    from pipeline.decode.intake import next_packet, take_up

    m = memory.make("", False, 1, 0, 0)
    compile_for(next_packet, _packets(), m, m.w)
    compile_for(take_up, m.datagram, m, m.w, 0)


def output() -> None:
    """What takes a PDU from the bytes, and writes its record."""
    from pipeline.decode import memory
    from pipeline.decode.arena import Arenas
    from pipeline.decode.drive import emit
    from pipeline.decode.holes import next_bytes
    from pipeline.decode.pdu import next_pdu

    m = memory.make("", False, 1, 0, 0)
    compile_for(emit, m.datagram, m, Arenas(0, 0).take().output, m.w)
    compile_for(next_pdu, m.datagram, m, m.w)
    compile_for(next_bytes, m.w, m.flow, m.held, m.chunks, m.links, m.holes, m.stream)


def driver() -> None:
    """The driver, which calls all others, and the commonest protocol."""
    from pipeline.decode import memory
    from pipeline.decode.arena import Arenas
    from pipeline.decode.drive import drive
    from pipeline.decode.protocols import decoder

    compile_for(drive, _packets(), memory.make("", False, 1, 0, 0), Arenas(0, 0).take().output)
    decoder(Protocol.MODBUS).kernels()


def _packets() -> object:
    from pipeline.decode.state import Packets

    numbers = np.zeros(1, np.int64)
    return Packets(np.zeros(1, np.uint8), numbers, numbers, numbers, numbers, numbers)
