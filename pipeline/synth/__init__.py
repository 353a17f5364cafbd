"""The simulated plant: process, controllers, clients, attacks, and the captures they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ATTACKS: tuple[str, ...] = (
    "setpoint_jump",
    "stranger_write",
    "unusual_function",
    "scan",
    "forged_response",
    "replay",
    "stuck_sensor",
    "slow_ramp",
    "flood",
    "iec104_stranger_command",
    "iec104_reset_process",
    "iec104_false_values",
    "iec104_setpoint_jump",
    "iec104_direct_command",
    "s7_stranger_write",
    "s7_stop",
    "s7_false_values",
    "s7_setpoint_jump",
    "s7_download",
    "dnp3_stranger_operate",
    "dnp3_cold_restart",
    "dnp3_false_values",
    "dnp3_setpoint_jump",
    "dnp3_disable_unsolicited",
    "bacnet_stranger_write",
    "bacnet_reinitialize",
    "bacnet_false_values",
    "bacnet_setpoint_jump",
    "bacnet_override",
    "cip_stranger_write",
    "cip_stop",
    "cip_false_values",
    "cip_setpoint_jump",
    "cip_reset",
)
"""Attacks that :func:`simulate` can stage, each recorded in `attacks.parquet`."""

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""When a capture begins unless told otherwise: a fixed date, so that the same seed gives the same bytes."""


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What :func:`simulate` wrote.

    Attributes:
        capture, site, attacks: the files `plant.pcap`, `site.toml` and `attacks.parquet`.
        packets, size: packets and bytes of the capture.
        transactions: requests that clients sent, the attackers' included.
        staged: names of the attacks staged, in the order asked for.
    """

    capture: Path
    site: Path
    attacks: Path
    packets: int
    size: int
    transactions: int
    staged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What :func:`bulk` wrote.

    Attributes:
        path: the capture.
        packets, size: packets and bytes of the capture.
        points: values that its packets carry.
        flows, devices: TCP connections and server addresses in it.
        first_ts_ns, last_ts_ns: times of the first and last packet, nanoseconds since 1970 UTC.
    """

    path: Path
    packets: int
    size: int
    points: int
    flows: int
    devices: int
    first_ts_ns: int
    last_ts_ns: int


def simulate(
    out: Path,
    *,
    minutes: float,
    seed: int = 1,
    attacks: Sequence[str] = (),
    scale: int = 1,
    start: datetime = START,
    progress: Callable[[float], None] | None = None,
) -> SimulationReport:
    """Run the plant for `minutes` and write its mirror-port capture, site file and ground truth into folder `out`.

    Clean traffic depends on `seed` alone, apart from what an attack changes in the process or on the wire.

    Args:
        out: folder to write into; created where absent.
        minutes: length of the capture in simulated minutes.
        seed: the same seed gives the same bytes.
        attacks: names out of `ATTACKS`, or "all"; staged after the first tenth of the run, those on the process one
            after the other, and beside them those on each of the devices that speak other protocols.
        scale: number of plants side by side, each in its own /16.
        start: time of the first packet; naive times are taken as UTC.
        progress: told the fraction done, 0 to 1, now and then.

    Raises:
        ConfigError: an unknown attack, or a run too short for the attacks asked for.
        OutputError: `out` cannot be written.
    """
    from pipeline.synth.scenario import run

    return run(out, minutes=minutes, seed=seed, attacks=attacks, scale=scale, start=start, progress=progress)


def bulk(
    path: Path, *, packets: int, registers: int = 10, flows: int = 20, seed: int = 1, kind: str = "read"
) -> BulkReport:
    """Write a benchmark capture: polls of `registers` registers over `flows` connections, every packet a PDU.

    Connections are in mid-stream (no SYN, no bare ACK).  For "read" a request carries no value and a response
    `registers`; for "write" it is the request that carries them.  IP checksums are valid, TCP checksums 0 as a
    network card that computes them leaves them.

    Args:
        path: file to write; replaced only when complete.
        packets: how many; an odd number ends in a request without an answer.
        registers: 1 to 125 for "read", 1 to 123 for "write".
        flows: 1 to 1,000,000 connections, each with its own client address and port.
        seed: the same seed gives the same bytes.
        kind: "read" (function 3) or "write" (function 16).

    Raises:
        ConfigError: an argument out of its range.
        OutputError: `path` cannot be written.
    """
    from pipeline.synth.tiled import write

    return write(path, packets=packets, registers=registers, flows=flows, seed=seed, kind=kind)
