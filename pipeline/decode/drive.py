"""The driver: walks the packets of a block and emits the records they complete, resumable at every PDU.

Each turn puts bytes at hand where there are none (a held segment's, those of a segment that was set aside, or the
next packet's), then takes one PDU from them.  Only one place emits, so that the emitter is compiled once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode import pairing
from pipeline.decode.emit import remember_name, write_rare, write_record, write_run, write_sparse
from pipeline.decode.holes import next_bytes
from pipeline.decode.intake import next_packet, take_up
from pipeline.decode.naming import remember_names
from pipeline.decode.pdu import next_pdu
from pipeline.decode.state import Memory, Output, Packets
from pipeline.decode.values import write_coded
from schemas.codes import FAULTS, Kind, Match

Row = NDArray[np.int64]
Rows = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_REQUEST, _RESPONSE, _TIMEOUT = int(Kind.REQUEST), int(Kind.RESPONSE), int(Kind.TIMEOUT)
_UNSOLICITED, _CONFIRM = int(Kind.UNSOLICITED), int(Kind.CONFIRM)
_PENDING = int(Match.PENDING)
_FAULTS = int(FAULTS)


@kernel(inline=True)
def emit(data: Bytes, m: Memory, out: Output, w: Row) -> int:
    """Write the record in the scratch, its points and its pairing."""
    row, seq = w[c.C_RECORDS] & c.INDEX, w[c.C_SEQ]
    k, q, kind = w[c.C_FLOW] & c.INDEX, w[c.C_ASKED], w[c.S_KIND]
    asks = w[c.S_ASKS] != 0 and kind in (_REQUEST, _UNSOLICITED)
    if asks:
        w[c.S_MATCH] = _PENDING
    out.rec64[c.R_SEQ * c.REC + row] = seq
    out.rec64[c.R_FLOW * c.REC + row] = m.pend[q & c.INDEX, c.Q_FLOW_HASH] if kind == _TIMEOUT else m.flow[k, c.F_HASH]
    out.rec64[c.R_DEVICE * c.REC + row] = m.flow[k, c.F_DEVICE]
    out.rec8[c.R_CLIENT_IS_SRC * c.REC + row] = 1 if m.flow[k, c.F_CLIENT] == w[c.C_DIR] else 0
    out.rec8[c.R_PROTOCOL * c.REC + row] = max(m.flow[k, c.F_PROTOCOL], 0)
    if w[c.S_NAMES] > 0:
        remember_names(data, m, w)
    if write_record(out.rec64, out.rec32, out.rec16, out.rec8, row, w):
        write_rare(out.rec64, out.rec32, row, w)
    first = w[c.C_POINTS] & c.INDEX
    p = emit_points(data, m, out, w, first)
    out.rec32[c.R_OFFSET * c.REC + row] = first
    out.rec32[c.R_N_POINTS * c.REC + row] = p - first
    w[n.N_POINTS] += p - first
    w[n.N_RECORDS] += 1
    if w[c.S_ANOMALY] & _FAULTS:
        w[n.N_FAULTS] += 1
    w[c.C_POINTS] = p
    w[c.C_RECORDS] = row + 1
    w[c.C_SEQ] = seq + 1
    if asks:
        pairing.add(m.pend, m.flow, w, k, seq)
    elif kind in (_RESPONSE, _CONFIRM):
        m.flow[k, c.F_LAST_TXN] = w[c.C_ANSWER]
        m.flow[k, c.F_LAST_SEQ] = seq
        if q >= 0:
            if w[c.S_KEEP]:
                m.pend[q & c.INDEX, c.Q_ANSWERED] = 1
            else:
                pairing.remove(m.pend, m.flow, w, q & c.INDEX)
    return 0


@kernel(inline=True)
def emit_points(data: Bytes, m: Memory, out: Output, w: Row, first: int) -> int:
    """Write the points of all runs from place `first` on; the place behind the last."""
    p = first
    w[n.N_POINTS_LOST] += w[c.S_LOST]
    for r in range(w[c.S_RUNS] & c.INDEX):
        run = c.RUNS_AT + r * c.RUN
        count = min(w[run + c.N_COUNT], c.POINTS_PER_PDU - (p - first)) & c.INDEX
        w[n.N_POINTS_LOST] += w[run + c.N_COUNT] - count
        if w[run + c.N_ENCODING] >= c.ENC_CODED:
            write_coded(data, w, run, out.pt64, out.pt32, out.value, out.pt16, out.pt8, p, count)
        elif write_run(data, w, run, out.pt64, out.value, out.pt16, out.pt8, p, count):
            raw = i64(0)
            if w[run + c.N_LENGTH] > 0:
                raw = remember_name(data, w[run + c.N_OFFSET], w[run + c.N_LENGTH], m.name_ids, m.name_where, m.name_text, w)  # fmt: skip # noqa: E501
            write_sparse(w, run, out.pt64, out.pt32, out.pt16, p, count, raw)
        p = (p + count) & c.INDEX
    return p


@kernel()
def drive(packets: Packets, m: Memory, out: Output) -> int:
    """Walk the packets from C_NEXT on.

    Returns:
        DONE: the block is walked; FULL: take the batch and call again; GROW_FLOWS, GROW_PENDING: enlarge and call
        again; NEW_EPOCH: time ran backwards, forget all flows and call again; LOAD_PROTOCOL: load the protocol in
        C_NEED and call again.
    """
    w, block, datagram, stream = m.w, packets.data, m.datagram, m.stream
    while True:
        if w[c.C_RECORDS] >= c.RECORDS:
            return c.FULL
        if w[c.C_FREE_PENDING] < 0:
            return c.GROW_PENDING
        data = block
        step = i64(c.AGAIN)
        if w[c.C_WORK] == c.WORK_NONE:
            stage = w[c.C_ASIDE]
            step = i64(c.TAKEN)
            if stage:
                w[c.C_ASIDE] = 0
                for i in range(c.SEGMENT):
                    w[c.SEGMENT_AT + i] = w[c.ASIDE_AT + i]
            else:
                step = next_packet(packets, m, w)
            if step == c.TAKEN:
                if w[c.G_BUF] == c.BUF_DATAGRAM:
                    data = datagram
                step = take_up(data, m, w, stage)
        elif w[c.C_WORK] == c.WORK_HELD:
            step = next_bytes(w, m.flow, m.held, m.chunks, m.links, m.holes, stream)
        if step == c.AGAIN and w[c.C_WORK] == c.WORK_BYTES:
            data = block
            if w[c.C_BUF] == c.BUF_DATAGRAM:
                data = datagram
            elif w[c.C_BUF] == c.BUF_STREAM:
                data = stream
            step = next_pdu(data, m, w)
        if step == c.EMIT:
            if w[c.C_JOINED]:
                data = m.joined
            emit(data, m, out, w)
        elif step >= 0:
            return step
