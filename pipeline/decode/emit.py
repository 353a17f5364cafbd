"""The one emitter: scratch and runs of points become rows of columns.

It is inlined at one place of the driver.  Columns that are zero in most batches (of records `write_rare`, of points
`write_sparse`) lie in zeroed memory and are written only where a row needs them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import LANES, i64, kernel
from detectors.kernels.mix import mix
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, be16, u8
from pipeline.decode.wide import fill, ramp, widen
from schemas.codes import PointType

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
A32 = NDArray[np.int32]
A16 = NDArray[np.int16]
A8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

_U16 = int(PointType.U16)
_TYPES = tuple(
    int(t)
    for t in (
        PointType.BOOL,
        PointType.U8,
        PointType.U16,
        PointType.UNKNOWN,
        PointType.BOOL,
        PointType.TEXT,
        PointType.BYTES,
        PointType.UNKNOWN,
    )
)
"""Type of the values of each encoding, in the order of `layout.ENC_…`."""


@kernel()
def name_id(data: Bytes, at: int, size: int) -> int:
    """64-bit id of data[at:at + size], never 0, as int64 bits."""
    h = np.uint64(size)
    word = np.uint64(0)
    for i in range(size):
        word = (word << np.uint64(8)) | np.uint64(data[at + i])
        if i % 8 == 7:
            h = mix(h, word)
            word = np.uint64(0)
    h = mix(h, word)
    return i64(h) if h != np.uint64(0) else 1


@kernel()
def remember_name(data: Bytes, at: int, size: int, ids: Row, where: Rows, text: Bytes, w: Row) -> int:
    """The id of a name, noted with its bytes when it is new and there is room."""
    name = name_id(data, at, size)
    mask = ids.size - 1
    place = name & mask
    while ids[place] != 0:
        if ids[place] == name:
            return int(name)
        place = (place + 1) & mask
    if w[c.C_NAMES] >= c.NAMES or w[c.C_NAME_BYTES] + size > text.size:
        w[n.N_NAMES_LOST] += 1
        return int(name)
    ids[place] = name
    k = w[c.C_NAMES]
    where[k, 0] = name
    where[k, 1] = w[c.C_NAME_BYTES]
    where[k, 2] = size
    for i in range(size):
        text[w[c.C_NAME_BYTES] + i] = data[at + i]
    w[c.C_NAME_BYTES] += size
    w[c.C_NAMES] = k + 1
    return int(name)


@kernel(inline=True)
def count_points(w: Row) -> int:
    """Points that the runs of a PDU make."""
    total = i64(0)
    for k in range(w[c.S_RUNS]):
        total += w[c.RUNS_AT + k * c.RUN + c.N_COUNT]
    return int(total)


@kernel(inline=True)
def write_record(rec64: Row, rec32: A32, rec16: A16, rec8: A8, row: int, w: Row) -> bool:
    """One row of the columns that every record needs; whether it needs the rare ones too.

    Flow, device and client are written by the driver; shard and boot, which are constant, by the batch.
    """
    rec64[c.R_TS * c.REC + row] = w[c.G_TS]
    rec64[c.R_PACKET * c.REC + row] = w[c.G_PACKET]
    rec64[c.R_SRC_MAC * c.REC + row] = w[c.G_SMAC]
    rec64[c.R_DST_MAC * c.REC + row] = w[c.G_DMAC]
    rec64[c.R_PEER_SEQ * c.REC + row] = w[c.S_PEER_SEQ]
    rec64[c.R_ADDR * c.REC + row] = w[c.S_ADDR]
    rec64[c.R_SRC_IP * c.REC + 2 * row] = w[c.G_SRC_HI]
    rec64[c.R_SRC_IP * c.REC + 2 * row + 1] = w[c.G_SRC_LO]
    rec64[c.R_DST_IP * c.REC + 2 * row] = w[c.G_DST_HI]
    rec64[c.R_DST_IP * c.REC + 2 * row + 1] = w[c.G_DST_LO]
    rec32[c.R_UNIT * c.REC + row] = w[c.S_UNIT]
    rec32[c.R_TXN * c.REC + row] = w[c.S_TXN]
    rec32[c.R_RTT * c.REC + row] = w[c.S_RTT]
    rec32[c.R_COUNT * c.REC + row] = w[c.S_COUNT]
    rec32[c.R_LENGTH * c.REC + row] = w[c.S_LENGTH]
    rec16[c.R_SRC_PORT * c.REC + row] = w[c.G_SPORT]
    rec16[c.R_DST_PORT * c.REC + row] = w[c.G_DPORT]
    rec16[c.R_FUNC * c.REC + row] = w[c.S_FUNC]
    rec16[c.R_SPACE * c.REC + row] = w[c.S_SPACE]
    rec8[c.R_TRANSPORT * c.REC + row] = w[c.G_TRANSPORT]
    rec8[c.R_KIND * c.REC + row] = w[c.S_KIND]
    rec8[c.R_OP * c.REC + row] = w[c.S_OP]
    rec8[c.R_MATCH * c.REC + row] = w[c.S_MATCH]
    numbers = w[c.S_PEER_UNIT] | w[c.S_SUBFUNC] | w[c.S_ADDR_SUB] | w[c.S_NAME_ID] | w[c.S_STATUS] | w[c.S_FLAGS]
    return bool(numbers | w[c.S_ANOMALY] | w[c.G_VLAN] | w[c.C_GAP])


@kernel()
def write_rare(rec64: Row, rec32: A32, row: int, w: Row) -> int:
    """One row of the record columns that are zero in nearly all records."""
    w[c.C_RARE] = 1
    rec64[c.R_NAME_ID * c.REC + row] = w[c.S_NAME_ID]
    rec64[c.R_ANOMALY * c.REC + row] = w[c.S_ANOMALY]
    rec32[c.R_VLAN * c.REC + row] = w[c.G_VLAN]
    rec32[c.R_PEER_UNIT * c.REC + row] = w[c.S_PEER_UNIT]
    rec32[c.R_SUBFUNC * c.REC + row] = w[c.S_SUBFUNC]
    rec32[c.R_ADDR_SUB * c.REC + row] = w[c.S_ADDR_SUB]
    rec32[c.R_STATUS * c.REC + row] = w[c.S_STATUS]
    rec32[c.R_FLAGS * c.REC + row] = w[c.S_FLAGS]
    rec32[c.R_GAP * c.REC + row] = w[c.C_GAP]
    return 0


@kernel(inline=True)
def write_keys(w: Row, run: int, pt64: Row, pt16: A16, pt8: A8, p: int, count: int, kind: int) -> int:
    """Address, space, direction and type of the points of a run, eight at a time."""
    addr, step = w[run + c.N_ADDR], w[run + c.N_STEP]
    space, direction = w[run + c.N_SPACE], w[run + c.N_DIRECTION]
    for i in range(0, count, LANES):
        ramp(pt64, c.P_ADDR * c.PT + p + i, addr + i * step, step)
        fill(pt16, c.P_SPACE * c.PT + p + i, space)
        fill(pt8, c.P_DIRECTION * c.PT + p + i, direction)
        fill(pt8, c.P_TYPE * c.PT + p + i, kind)
    return 0


@kernel(inline=True)
def write_registers(data: Bytes, at: int, value: F64, p: int, count: int) -> int:
    """Values of a run of 16-bit registers, the daily bread: eight at a time where as many bytes are there to read."""
    if at + 2 * (count + LANES) <= data.size:
        for i in range(0, count, LANES):
            widen(data, at + 2 * i, value, p + i)
    else:
        for i in range(count):
            value[p + i] = np.float64(be16(data, at + 2 * i))
    return 0


@kernel()
def write_others(data: Bytes, at: int, value: F64, p: int, count: int, encoding: int) -> int:
    """Values of a run in any other encoding."""
    for i in range(count):
        if encoding == c.ENC_BIT:
            value[p + i] = np.float64((u8(data, at + (i >> 3)) >> (i & 7)) & 1)
        elif encoding == c.ENC_U8:
            value[p + i] = np.float64(u8(data, at + i))
        elif encoding == c.ENC_BOOL_FF00:
            value[p + i] = 1.0 if u8(data, at) != 0 else 0.0
        else:
            value[p + i] = np.nan
    return 0


@kernel(inline=True)
def write_run(data: Bytes, w: Row, run: int, pt64: Row, value: F64, pt16: A16, pt8: A8, p: int, count: int) -> bool:
    """The points of the run at w[run:]; whether it needs the sparse columns too."""
    encoding, at = w[run + c.N_ENCODING], w[run + c.N_OFFSET]
    if encoding == c.ENC_U16BE:
        write_keys(w, run, pt64, pt16, pt8, p, count, _U16)
        write_registers(data, at, value, p, count)
    else:
        write_keys(w, run, pt64, pt16, pt8, p, count, _TYPES[encoding & 7])
        write_others(data, at, value, p, count, encoding)
    sparse = w[run + c.N_ADDR_SUB] | w[run + c.N_NAME_ID] | w[run + c.N_LENGTH] | w[run + c.N_SOURCE_TS]
    return bool(sparse | w[run + c.N_QUALITY])


@kernel()
def write_sparse(w: Row, run: int, pt64: Row, pt32: A32, pt16: A16, p: int, count: int, raw: int) -> int:
    """Sub-address, name, exact integer, source time and quality of the run at w[run:]."""
    w[c.C_SPARSE] = 1
    for i in range(count):
        pt32[p + i] = w[run + c.N_ADDR_SUB]
        pt64[c.P_NAME_ID * c.PT + p + i] = w[run + c.N_NAME_ID]
        pt64[c.P_RAW * c.PT + p + i] = raw
        pt64[c.P_SOURCE_TS * c.PT + p + i] = w[run + c.N_SOURCE_TS]
        pt16[c.P_QUALITY * c.PT + p + i] = w[run + c.N_QUALITY]
    return 0
