"""Mutated packets through the whole decode path with bounds checks on.

    python tests/fuzz/campaign.py --inputs 200000 --seed 1

Prints a summary as JSON and exits with 0; a failed check, or an index out of bounds, ends it with a traceback that
names the block, which the same seed makes again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["NUMBA_BOUNDSCHECK"] = "1"  # before numba is imported, and part of the key of its cache
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import argparse
import json
import tempfile
import time
from itertools import islice
from typing import Any

import numpy as np

from detectors.columns import Columns
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.decoder import Decoder, DecodeSettings
from schemas.codes import Kind, Match
from tests.decode.reading import blocks
from tests.fuzz.mutation import seeds, stream

BLOCK = 2000
LIFE = 25
"""Blocks that one Decoder is given."""


def check_batch(batch: Columns, last_seq: int) -> int:
    """A batch must be what the schema promises, whatever was on the wire; the last seq of it."""
    batch.to_batch().validate(full=True)
    counts = np.diff(batch.offsets)
    assert (counts == batch.n_points).all(), "offsets and n_points differ"
    assert batch.offsets[0] == 0
    assert batch.offsets[-1] == len(batch.points)
    assert (np.diff(batch.seq.astype(np.int64)) == 1).all(), "seq does not run"
    assert int(batch.seq[0]) == last_seq + 1, "seq jumps between batches"
    assert (batch.peer_seq < batch.seq).all(), "a record points forward"
    assert np.isin(batch.kind, [int(k) for k in Kind if k]).all()
    assert np.isin(batch.match, [int(m) for m in Match]).all()
    paired = np.isin(batch.match, (int(Match.MATCHED), int(Match.LATE)))
    assert (batch.peer_seq[paired] > 0).all()
    assert (batch.rtt_us[paired] >= 0).all()
    assert (batch.rtt_us[~paired] == -1).all()
    assert (batch.packet > 0).all()
    return int(batch.seq[-1])


def check_counters(decoder: Decoder, packets: int, records: int) -> None:
    """Nothing is dropped in silence: what was counted adds up."""
    w, traffic = decoder._memory.w, decoder._memory.traffic
    assert w[n.N_PACKETS] == packets
    assert w[n.N_RECORDS] == records
    assert (w[c.COUNTERS_AT : c.COUNTERS_AT + len(n.NAMES)] >= 0).all()
    whole = w[n.N_PACKETS] - waiting_fragments(decoder)
    assert traffic.sum() == whole, f"{traffic.sum()} packets by protocol, {whole} in all"


def waiting_fragments(decoder: Decoder) -> int:
    """Fragments that completed no datagram."""
    w = decoder._memory.w
    return int(w[n.N_FRAGMENT] - w[n.N_JOINED])


def check_memory(decoder: Decoder) -> None:
    """Every chunk and every row is either free or held once: no leak, no double use."""
    m = decoder._memory
    w, links, held, flow = m.w, m.links.tolist(), m.held.tolist(), m.flow
    chunk_seen, row_seen = bytearray(len(links)), bytearray(len(held))

    def walk(first: int, following: object, seen: bytearray) -> int:
        count = 0
        while first >= 0:
            assert not seen[first], "used twice"
            seen[first] = 1
            count += 1
            first = following(first)  # type: ignore[operator]
        return count

    free = walk(int(w[c.C_FREE_CHUNK]), links.__getitem__, chunk_seen)
    assert free == w[c.C_FREE_CHUNK_COUNT]
    walk(int(w[c.C_FREE_HELD]), lambda k: held[k][c.H_NEXT], row_seen)
    first_rows = [int(m.fragments[e, c.K_HELD]) for e in np.flatnonzero(m.fragments[:, c.K_USED])]
    for direction in range(2):
        base = c.F_DIR + direction * c.DIRECTION
        live = flow[: w[c.C_FLOWS]]
        for k in np.flatnonzero(live[:, base + c.D_LEFT] >= 0):
            size = -(-int(live[k, base + c.D_LEFT_LEN]) // c.CHUNK)
            assert walk(int(live[k, base + c.D_LEFT]), links.__getitem__, chunk_seen) == size
        first_rows += [int(v) for v in live[:, base + c.D_HELD] if v >= 0]
    for e in np.flatnonzero(m.joins[:, c.T_LENGTH]):
        size = -(-int(m.joins[e, c.T_LENGTH]) // c.CHUNK)
        assert walk(int(m.joins[e, c.T_CHAIN]), links.__getitem__, chunk_seen) == size
    assert w[c.C_JOINS] == np.count_nonzero(m.joins[:, c.T_USED])
    for row in first_rows:
        at = row
        while at >= 0:
            walk(held[at][c.H_CHUNK], links.__getitem__, chunk_seen)
            at = held[at][c.H_NEXT]
        walk(row, lambda k: held[k][c.H_NEXT], row_seen)
    assert all(chunk_seen), f"{len(links) - sum(chunk_seen)} chunks are lost"
    assert all(row_seen), f"{len(held) - sum(row_seen)} rows are lost"


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    return 0


class Life:
    """One Decoder and what has been seen of it."""

    def __init__(self, number: int, shrink: str) -> None:
        flows = 1024 if number % 3 == 2 else 1 << 16
        self.decoder = Decoder(
            DecodeSettings(
                max_flows=flows, vlan_tells_devices_apart=number % 2 == 1, request_timeout_s=(5.0, 0.01)[number % 2]
            )
        )
        if shrink:
            memory = self.decoder._memory
            self.decoder._memory = memory._replace(**{shrink: getattr(memory, shrink)[:16].copy()})
        self.packets = self.records = self.points = self.last_seq = 0

    def take(self, batch: Columns) -> None:
        self.last_seq = check_batch(batch, self.last_seq)
        self.records += len(batch)
        self.points += len(batch.points)


def run(inputs: int, seed: int, shrink: str = "", protocol: str = "") -> dict[str, Any]:
    """Feed `inputs` mutated packets, of one protocol where its name is given; the summary."""
    with tempfile.TemporaryDirectory() as folder:
        source = stream(seed, seeds(Path(folder), protocol))
    total = {"inputs": 0.0, "records": 0.0, "points": 0.0, "faults": 0.0, "decoders": 0.0, "early_peak_mb": 0.0}
    reached = np.zeros(len(n.NAMES), np.int64)
    started = time.perf_counter()
    while total["inputs"] < inputs:
        life = Life(int(total["decoders"]), shrink)
        while total["inputs"] < inputs and life.packets < LIFE * BLOCK:
            packets = list(islice(source, int(min(BLOCK, inputs - total["inputs"]))))
            for block in blocks(packets):
                for batch in life.decoder.feed(block):
                    life.take(batch)
            life.packets += len(packets)
            total["inputs"] += len(packets)
        check_memory(life.decoder)
        for batch in life.decoder.finish():
            life.take(batch)
        check_counters(life.decoder, life.packets, life.records)
        check_memory(life.decoder)
        reached += life.decoder._memory.w[c.COUNTERS_AT : c.COUNTERS_AT + len(n.NAMES)]
        total["decoders"] += 1
        total["records"] += life.records
        total["points"] += life.points
        total["faults"] += float(life.decoder._memory.w[n.N_FAULTS])
        total["early_peak_mb"] = total["early_peak_mb"] or peak_bytes() / 1e6
    total["peak_mb"] = peak_bytes() / 1e6
    total["seconds"] = time.perf_counter() - started
    rounded = {name: round(value, 1) for name, value in total.items()}
    return rounded | {"never": [" ".join(n.NAMES[i]) for i in np.flatnonzero(reached == 0)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shrink", default="", help="plant a fault: make this array of the state too small")
    parser.add_argument("--protocol", default="", help="sessions of one protocol only, such as dnp3")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.inputs, arguments.seed, arguments.shrink, arguments.protocol)))


if __name__ == "__main__":
    main()
