"""Readable names of what the data holds as numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from detectors.columns import records
from pipeline import names
from schemas.codes import Anomaly, Kind, Op, Outcome, Protocol, Severity, Space
from tests.pipeline.scripted import ip


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (ip("10.0.0.1"), "10.0.0.1"),
        (ip("0.0.0.0"), "0.0.0.0"),
        (bytes(16), ""),
        (bytes.fromhex("fe80000000000000021d9cfffec7b070"), "fe80::21d:9cff:fec7:b070"),
        (bytes(15) + b"\x01", "::1"),
    ],
)
def test_an_address_reads_the_same_from_bytes_and_from_columns(raw: bytes, text: str) -> None:
    assert names.address_text(raw) == text
    assert names.address_text(records([{"src_ip": raw}]).src_ip[0]) == text


def test_an_address_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="4"):
        names.address_text(b"\x0a\x00\x00\x01")


def test_macs() -> None:
    assert names.mac_text(0x001D9CC7B070) == "00:1d:9c:c7:b0:70"
    assert names.mac_text(0) == ""


@pytest.mark.parametrize(
    ("func", "subfunc", "text"),
    [
        (6, 0, "write single register (6)"),
        (90, 0x41, "UMAS: stop PLC (90/65)"),
        (8, 0, "diagnostics: return query data (8/0)"),
        (90, 0xAB, "UMAS (90/171)"),
        (99, 0, "function 99"),
        (99, 3, "function 99/3"),
    ],
)
def test_functions_carry_their_number(func: int, subfunc: int, text: str) -> None:
    assert names.function_text(Protocol.MODBUS, func, subfunc) == text


@pytest.mark.parametrize("protocol", [Protocol.UNKNOWN, Protocol.OPCUA, 250])
def test_a_protocol_without_tables_still_names_its_numbers(protocol: int) -> None:
    assert names.function_text(protocol, 6) == "function 6"
    assert names.status_text(protocol, 4) == "status 4"
    assert names.tag_text(protocol, Space.ANALOG_INPUT, 7) == "analog-input:7"
    assert names.tag_text(protocol, 60000, 7, 2) == "space-60000:2.7"


def test_words_for_codes() -> None:
    assert names.op_text(Op.PROGRAM_DOWNLOAD) == "program download"
    assert names.op_text(200) == "operation 200"
    assert names.protocol_text(Protocol.ENIP) == "EtherNet/IP"
    assert names.protocol_text(Protocol.DNP3) == "DNP3"
    assert names.protocol_text(222) == "protocol 222"
    assert names.severity_text(Severity.CRITICAL) == "critical"
    assert names.outcome_text(Outcome.NO_ANSWER) == "no answer"
    assert names.outcome_text(0) == "outcome unknown"
    assert names.kind_text(Kind.UNSOLICITED) == "unsolicited"
    assert names.status_text(Protocol.MODBUS, 0) == "ok"
    assert names.status_text(Protocol.MODBUS, 2) == "illegal data address (2)"
    assert names.status_text(Protocol.MODBUS, 77) == "status 77"
    assert names.anomaly_texts(Anomaly.MALFORMED | Anomaly.MIDSTREAM | 1 << 63) == ("malformed", "midstream", "bit 63")


def test_every_protocol_has_a_name_of_its_own() -> None:
    texts = [names.protocol_text(p) for p in Protocol]
    assert len(set(texts)) == len(texts)


def test_tags() -> None:
    assert names.tag_text(Protocol.MODBUS, Space.HOLDING_REGISTER, 10) == "hr:40011"
    assert names.tag_text(Protocol.MODBUS, Space.HOLDING_REGISTER, 10, register_base=0) == "hr:10"
    assert names.tag_text(Protocol.MODBUS, Space.DEVICE_ID, 0) == "vendor name"
    assert names.tag_text(Protocol.MODBUS, Space.NONE, 0) == ""
    assert names.tag_text(Protocol.ENIP, Space.CIP_SYMBOL, 0, name_id=5, names={5: "Tank.Level"}) == "Tank.Level"
    assert names.tag_text(Protocol.ENIP, Space.CIP_SYMBOL, 0, name_id=255) == "name:00000000000000ff"


@pytest.mark.parametrize(
    ("wire", "shown"),
    [
        ("plain, with ünïcode", "plain, with ünïcode"),
        ("a\nb\tc\x1b[31m", "a\\x0ab\\x09c\\x1b[31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800\U000e0041", "\\ud800\\U000e0041"),
        ("x" * 300, "x" * 255 + "…"),
    ],
)
def test_text_of_the_wire_is_made_visible(wire: str, shown: str) -> None:
    assert names.visible(wire) == shown
    assert names.visible(wire).isprintable()


@pytest.mark.parametrize("module", ["pipeline.names", "pipeline.site", "pipeline.baseline"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    heavy = ["numba", "polars", "pyarrow.parquet", "dpkt", "rich"]
    script = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
