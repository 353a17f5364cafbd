"""Across: what detectors of the second stage share, and how they see a pane as a record.

They are given `Columns` like any other detector, one record for each row of PANE, made by `pipeline.second.columns`:

* `device` is the address that the row is about, and so the bucket of its state;
* `kind` is REQUEST where it asked, UNSOLICITED where only answers to it were seen, TIMEOUT where nothing else than
  silence was, RESPONSE where it answered;
* `flow` is the device asked, `op` and `func` are the gravest seen, `count` the number of requests;
* addresses, and what points to the evidence, are those of the first record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detectors.columns import Columns, records
from detectors.lifecycle import SECOND_NS
from schemas.codes import Kind, Op, Protocol

PANE_S = 10.0
START_NS = 1_700_000_000 * SECOND_NS


class Panes:
    """Rows of panes for examples: hosts are numbers of one subnet, in order of time."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._ids = [int(n) for n in rng.integers(1, 1 << 63, 256)]
        self._rows: list[dict[str, Any]] = []

    def asks(self, second: float, client: int, device: int, op: Op = Op.READ) -> None:
        """A pane in which `client` asked `device`."""
        self._add(second, client, Kind.REQUEST, client, device, op)

    def answers(self, second: float, client: int, device: int) -> None:
        """A pane in which `device` answered `client`, among others."""
        self._add(second, device, Kind.RESPONSE, device, client, Op.READ)

    def _add(self, second: float, about: int, kind: Kind, source: int, target: int, op: Op) -> None:
        asked = target if kind is Kind.REQUEST else source
        self._rows.append(
            {
                "ts": int(START_NS + second * SECOND_NS),
                "seq": len(self._rows),
                "packet": len(self._rows) + 1,
                "device": self._ids[about],
                "flow": self._ids[asked],
                "src_ip": bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([source]),
                "dst_ip": bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([target]),
                "client_is_src": int(kind is Kind.REQUEST),
                "kind": kind,
                "op": op,
                "func": 3 if op is Op.READ else 6,
                "unit": 1,
                "protocol": Protocol.MODBUS,
                "count": int(kind is Kind.REQUEST),
            }
        )

    def batches(self, size: int = 17) -> Sequence[Columns]:
        """All of them, in order of time, `size` to a batch."""
        self._rows.sort(key=lambda row: (row["ts"], row["seq"]))
        return [records(self._rows[at : at + size]) for at in range(0, len(self._rows), size)]
