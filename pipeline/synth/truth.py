"""Ground truth: one row per attack that was staged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.synth.wire import Host, Tap
from schemas.codes import Space

_TIME = pa.timestamp("ns", "UTC")

ATTACK_SCHEMA = pa.schema(
    [
        pa.field("attack_id", pa.uint32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("start", _TIME, nullable=False),
        pa.field("end", _TIME, nullable=False),
        pa.field("settled", _TIME, nullable=False),
        pa.field("attacker_ip", pa.string(), nullable=False),
        pa.field("attacker_mac", pa.string(), nullable=False),
        pa.field("client_ip", pa.string(), nullable=False),
        pa.field("device_ip", pa.string(), nullable=False),
        pa.field("unit", pa.uint32(), nullable=False),
        pa.field("space", pa.uint16(), nullable=False),
        pa.field("addr", pa.uint64(), nullable=False),
        pa.field("description", pa.string(), nullable=False),
        pa.field("first_packet", pa.uint64(), nullable=False),
        pa.field("last_packet", pa.uint64(), nullable=False),
        pa.field("packets", pa.uint64(), nullable=False),
        pa.field("technique_uid", pa.string(), nullable=False),
    ]
)
"""Columns of `attacks.parquet`.

`settled` is when the process is back to normal after what was done to it: what is found between `end` and `settled` is
the attack's aftermath.  `attacker_ip` is the address that the attack's packets carry on the wire: of an intruder, of a
legitimate host that acts for one, or of the device in whose name false values come.  `client_ip` is whose view or
connection is concerned.  `space` 0 with `unit` and `addr` 0 means that no single tag is concerned, an empty `device_ip`
that no single device is.  `first_packet` and `last_packet` number packets as Wireshark does; of that range `packets`
belong to the attack.
"""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one attack; `attacker` gives the address on the wire and the MAC address that sent it."""

    attack_id: int
    name: str
    start: float
    end: float
    settled: float
    attacker: tuple[str, bytes]
    client: Host | None
    device: Host | None
    unit: int
    space: Space
    addr: int
    description: str
    technique_uid: str

    def row(self, tap: Tap, start_us: int) -> dict[str, object]:
        """The row of `attacks.parquet`; the packets are those that `tap` has written."""

        def moment(seconds: float) -> int:
            return (start_us + int(seconds * 1e6)) * 1000

        first, last, count = tap.marks.get(self.attack_id, (0, 0, 0))
        return {
            "attack_id": self.attack_id,
            "name": self.name,
            "start": moment(self.start),
            "end": moment(self.end),
            "settled": moment(self.settled),
            "attacker_ip": self.attacker[0],
            "attacker_mac": self.attacker[1].hex(":"),
            "client_ip": self.client.address if self.client else "",
            "device_ip": self.device.address if self.device else "",
            "unit": self.unit,
            "space": int(self.space),
            "addr": self.addr,
            "description": self.description,
            "first_packet": first,
            "last_packet": last,
            "packets": count,
            "technique_uid": self.technique_uid,
        }


def write_truth(path: Path, truths: Iterable[Truth], tap: Tap, start_us: int) -> None:
    """Write `attacks.parquet`."""
    rows = [truth.row(tap, start_us) for truth in truths]
    pq.write_table(pa.Table.from_pylist(rows, schema=ATTACK_SCHEMA), path)
