"""The arrays that decode works on: a block of packets, the state between blocks, the columns being filled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class Packets(NamedTuple):
    """The arrays of a PacketBlock."""

    data: Bytes
    offset: Row
    captured: Row
    original: Row
    ts: Row
    link: Row


class Memory(NamedTuple):
    """All state of decode between blocks."""

    w: Row
    traffic: Row
    ports: NDArray[np.uint8]
    flow: Rows
    places: Row
    pend: Rows
    held: Rows
    chunks: NDArray[np.uint8]
    links: Row
    holes: Rows
    said: Rows
    fresh: Row
    fragments: Rows
    datagram: Bytes
    stream: Bytes
    name_ids: Row
    name_where: Rows
    name_text: Bytes
    joins: Rows
    joined: Bytes
    text: Bytes
    claims: Rows


class Output(NamedTuple):
    """The columns being filled."""

    rec64: Row
    rec32: NDArray[np.int32]
    rec16: NDArray[np.int16]
    rec8: NDArray[np.uint8]
    pt64: Row
    value: NDArray[np.float64]
    pt32: NDArray[np.int32]
    pt16: NDArray[np.int16]
    pt8: NDArray[np.uint8]
