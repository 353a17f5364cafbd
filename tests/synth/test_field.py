"""Devices that speak other protocols than Modbus, and attacks on them: what records, tshark and the site file say."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.capture.files import Captures
from pipeline.decode.decoder import Decoder, DecodeSettings
from pipeline.site import Site
from pipeline.synth import ATTACKS, SimulationReport, simulate
from pipeline.synth.attacks import FIELD
from schemas.codes import Anomaly, Direction, Iec104Flag, Match, Op, Protocol, RecordFlag, Space

ON_FIELD = [name for name in ATTACKS if name.partition("_")[0] in FIELD]
FAULTS = int(
    Anomaly.MALFORMED | Anomaly.BAD_CHECKSUM | Anomaly.SEQUENCE_ERROR | Anomaly.RESERVED_CODE | Anomaly.NOT_PROTOCOL
    | Anomaly.CONFLICTING_RESPONSE | Anomaly.MIDSTREAM | Anomaly.GAP_BEFORE | Anomaly.OUT_OF_ORDER
)  # fmt: skip
PROTOCOLS = {
    "iec104": Protocol.IEC104,
    "s7": Protocol.S7COMM,
    "dnp3": Protocol.DNP3,
    "bacnet": Protocol.BACNET,
    "cip": Protocol.ENIP,
}
READINGS = (Direction.READ, Direction.REPORT)
Row = dict[str, Any]


def decoded(path: Path) -> list[Row]:
    """The records of a capture but for Modbus and ARP; `at` is in seconds, `src` and `dst` are addresses as text."""
    decoder = Decoder(DecodeSettings())
    found = [batch.to_batch() for block in Captures([path]) for batch in decoder.feed(block)]
    found += [batch.to_batch() for batch in decoder.finish()]
    table = pa.Table.from_batches(found)
    others = pc.is_in(table["protocol"], pa.array([Protocol.MODBUS, Protocol.ARP], pa.uint8()))
    rows = table.filter(pc.invert(others)).to_pylist()
    for row in rows:
        row["at"] = row["ts"].timestamp()
        row["src"], row["dst"] = (".".join(map(str, row[name][12:])) for name in ("src_ip", "dst_ip"))
    return rows


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> SimulationReport:
    return simulate(tmp_path_factory.mktemp("field"), minutes=20, seed=2, attacks=ON_FIELD)


@pytest.fixture(scope="module")
def records(staged: SimulationReport) -> list[Row]:
    return decoded(staged.capture)


@pytest.fixture(scope="module")
def truths(staged: SimulationReport) -> dict[str, Row]:
    return {row["name"]: row for row in pq.read_table(staged.attacks).to_pylist()}


def test_every_protocol_is_spoken_without_a_fault(records: list[Row]) -> None:
    assert {row["protocol"] for row in records} == set(PROTOCOLS.values())
    assert [(row["packet"], row["anomaly"]) for row in records if row["anomaly"] & FAULTS] == []
    answers = [row for row in records if row["match"] in (Match.UNMATCHED, Match.LATE, Match.DUPLICATE)]
    assert answers == []


def test_every_named_value_is_shown_and_moves_as_it_should(staged: SimulationReport, records: list[Row]) -> None:
    site = Site.load(staged.site)
    named, shown = set(), {}
    for device in site.devices:
        named |= {(device.ip, tag.unit_id, tag.space, tag.addr, tag.addr_sub) for tag in device.tags}
    for row in records:
        device = row["dst"] if row["client_is_src"] else row["src"]
        for point in row["points"]:
            key = (device, row["unit"], point["space"], point["addr"], point["addr_sub"])
            shown.setdefault(key, []).append(point["value"])
    field = {key for key in named if key[2] >= Space.BINARY_INPUT}
    assert field - set(shown) == set()
    oil = shown[("10.10.1.17", 7, Space.IEC_MEASURED, 1005, 0)]
    assert 42 < min(oil) < max(oil) < 90
    assert len(set(shown[("10.10.1.16", 2, Space.S7_DATA_BLOCK, 0, 10 | 4 << 16)])) > 100
    totals = shown[("10.10.1.15", 10, Space.COUNTER, 1, 0)]
    assert totals == sorted(totals)
    assert totals[-1] > totals[0]


Wanted = Callable[[Row], bool]


def written(space: Space, addr: int, value: float) -> Wanted:
    """A value that a client asks for."""
    return lambda row: any(
        (p["space"], p["addr"], p["direction"]) == (space, addr, Direction.WRITTEN) and abs(p["value"] - value) < 1e-5
        for p in row["points"]
    )


def read(space: Space, addr: int, low: float, high: float) -> Wanted:
    """A value that a device shows."""
    return lambda row: any(
        (p["space"], p["addr"]) == (space, addr) and p["direction"] in READINGS and low < p["value"] < high
        for p in row["points"]
    )


def asked(op: Op, func: int, flags: int = 0, without: int = 0) -> Wanted:
    """A request of this operation and function."""
    return lambda row: (
        (row["op"], row["func"], row["client_is_src"]) == (op, func, 1)
        and row["flags"] & flags == flags
        and not row["flags"] & without
    )


PRESENT, VALVE, ROOM, FAN, GAS = Space.BACNET_PROPERTY, 1 << 22 | 1, 2 << 22 | 1, 4 << 22 | 1, 4
UNSELECTED = int(RecordFlag.SELECTED | Iec104Flag.SELECT)
ELSEWHERE = True
SHOWS: dict[str, list[tuple[Wanted, int] | tuple[Wanted, int, bool]]] = {
    "iec104_stranger_command": [(asked(Op.READ, 100), 1, ELSEWHERE), (asked(Op.CONTROL, 46, without=UNSELECTED), 2)],
    "iec104_reset_process": [(asked(Op.RESTART, 105), 3)],
    "iec104_false_values": [(read(Space.IEC_MEASURED, 1005, 75, 90), 6)],
    "iec104_setpoint_jump": [(written(Space.IEC_SETPOINT, 6201, 11.4), 2)],
    "iec104_direct_command": [(asked(Op.CONTROL, 46, without=UNSELECTED), 6)],
    "s7_stranger_write": [(written(Space.S7_DATA_BLOCK, 0, 7.5), 4)],
    "s7_stop": [(asked(Op.STOP, 0x29), 1), (asked(Op.START, 0x28), 1)],
    "s7_false_values": [(read(Space.S7_DATA_BLOCK, 128, 1.6, 1.8), 15)],
    "s7_setpoint_jump": [(written(Space.S7_DATA_BLOCK, 0, 7.5), 1)],
    "s7_download": [(asked(Op.PROGRAM_DOWNLOAD, 0x1A), 1), (asked(Op.PROGRAM_DOWNLOAD, 0x28), 1)],
    "dnp3_stranger_operate": [(asked(Op.CONTROL, 5), 10, ELSEWHERE), (written(Space.BINARY_OUTPUT, 0, 4), 4)],
    "dnp3_cold_restart": [(asked(Op.RESTART, 13), 3)],
    "dnp3_false_values": [(read(Space.ANALOG_INPUT, 3, 4.5, 7), 1)],
    "dnp3_setpoint_jump": [(written(Space.ANALOG_OUTPUT, 0, 2.6), 1)],
    "dnp3_disable_unsolicited": [(asked(Op.DISABLE_REPORTING, 21), 1), (asked(Op.ENABLE_REPORTING, 20), 1, ELSEWHERE)],
    "bacnet_stranger_write": [(written(PRESENT, FAN, 0), 4, ELSEWHERE), (written(PRESENT, ROOM, 32), 4)],
    "bacnet_reinitialize": [(asked(Op.RESTART, 20), 1), (asked(Op.DISABLE_REPORTING, 17), 1)],
    "bacnet_false_values": [(read(PRESENT, GAS, 2, 4), 2)],
    "bacnet_setpoint_jump": [(written(PRESENT, ROOM, 32), 1)],
    "bacnet_override": [(asked(Op.FORCE, 15), 2), (written(PRESENT, VALVE, 100), 1)],
    "cip_stranger_write": [(written(Space.CIP_SYMBOL, 0, 9.5), 4)],
    "cip_stop": [(asked(Op.STOP, 7), 1), (asked(Op.START, 6), 1)],
    "cip_false_values": [(read(Space.CIP_SYMBOL, 0, 85, 100), 6)],
    "cip_setpoint_jump": [(written(Space.CIP_SYMBOL, 0, 9.5), 1)],
    "cip_reset": [(asked(Op.RESTART, 5), 2)],
}
"""What records an attack must show within its packets, at least how often, and whether the plant does so too."""


@pytest.mark.parametrize("name", ON_FIELD)
def test_an_attack_is_in_the_records_within_its_packets_and_nowhere_else(
    records: list[Row], truths: dict[str, Row], name: str
) -> None:
    truth = truths[name]
    others = [t for t in truths.values() if t["device_ip"] == truth["device_ip"]]
    about = [row for row in records if truth["device_ip"] in (row["src"], row["dst"])]
    inside = [row for row in about if truth["first_packet"] <= row["packet"] <= truth["last_packet"]]
    outside = [
        row for row in about if not any(t["first_packet"] <= row["packet"] <= t["last_packet"] + 1 for t in others)
    ]
    assert {row["protocol"] for row in about} == {PROTOCOLS[name.partition("_")[0]]}
    for wanted, count, *elsewhere in SHOWS[name]:
        assert sum(map(wanted, inside)) >= count
        assert any(map(wanted, outside)) == bool(elsewhere)
    by_attacker = [row for row in inside if row["src"] == truth["attacker_ip"]]
    assert by_attacker
    assert all(row["src"] != truth["attacker_ip"] for row in outside) or "stranger" not in name


def test_a_restarted_device_says_so(records: list[Row], truths: dict[str, Row]) -> None:
    def seen(name: str, wanted: Wanted) -> bool:
        truth = truths[name]
        span = truth["start"].timestamp(), truth["settled"].timestamp()
        return any(wanted(row) for row in records if span[0] < row["at"] < span[1])

    assert seen("iec104_reset_process", lambda row: row["protocol"] == Protocol.IEC104 and row["func"] == 70)
    assert seen("dnp3_cold_restart", asked(Op.WRITE, 2))
    assert seen("bacnet_reinitialize", lambda row: row["protocol"] == Protocol.BACNET and row["op"] == Op.DISCOVER)


def test_commands_of_the_plant_are_selected_first(records: list[Row], truths: dict[str, Row]) -> None:
    attackers = {truths[name]["attacker_ip"] for name in ON_FIELD if "stranger" in name}
    attacked = range(
        truths["iec104_direct_command"]["first_packet"], truths["iec104_direct_command"]["last_packet"] + 1
    )
    ours = [row for row in records if row["src"] not in attackers and row["packet"] not in attacked]
    executed = [row for row in ours if asked(Op.CONTROL, 46)(row) or asked(Op.CONTROL, 4)(row)]
    assert len(executed) > 5
    assert all(row["flags"] & RecordFlag.SELECTED for row in executed)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_every_message_and_warns_of_none(staged: SimulationReport) -> None:
    ports = "tcp.port in {102, 2404, 20000, 44818} or udp.port == 47808"
    wrong = "_ws.malformed or _ws.expert.severity >= 0x600000 or tcp.analysis.flags"
    assert tshark(staged.capture, f"({ports}) and ({wrong})") == []
    payload, spoken = "tcp.len > 0 or udp.length > 8", "s7comm or iec60870_104 or dnp3 or bacapp or cotp or enip"
    assert tshark(staged.capture, f"({ports}) and ({payload}) and not ({spoken})") == []
    for protocol in ("s7comm", "iec60870_asdu", "dnp3", "bacapp", "cip"):
        assert len(tshark(staged.capture, protocol)) > 200


CIP_SHOWS = {
    "cip_stranger_write": [('cip.service == 0x4d and cip.symbol contains "BeltSpeedSP"', 5)],
    "cip_stop": [("cip.service == 0x07 and cip.class == 0x8e", 1), ("cip.service == 0x06 and cip.class == 0x8e", 1)],
    "cip_false_values": [("cip.service == 0x8a", 5)],
    "cip_setpoint_jump": [('cip.service == 0x4d and cip.symbol contains "BeltSpeedSP"', 2)],
    "cip_reset": [("cip.service == 0x05 and cip.class == 0x01", 2)],
}
"""What tshark must find of an attack within its packets, and how often at least."""


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("name", [name for name in ON_FIELD if name.startswith("cip_")])
def test_an_attack_by_cip_is_read_by_tshark(staged: SimulationReport, truths: dict[str, Row], name: str) -> None:
    truth = truths[name]
    within = f"frame.number in {{{truth['first_packet']}..{truth['last_packet']}}} and ip.addr == {truth['device_ip']}"
    for keep, count in CIP_SHOWS[name]:
        assert len(tshark(staged.capture, f"{within} and {keep}")) >= count


def tshark(path: Path, keep: str) -> list[str]:
    done = subprocess.run(["tshark", "-n", "-r", str(path), "-Y", keep], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
