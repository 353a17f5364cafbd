"""Where the captures and logs that others made lie, and which tshark reads them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

DATA = Path(os.environ.get("FIELDTAP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))

ICSNPP = "parsing/icsnpp-modbus/testing"
ZEEK = "parsing/zeek-modbus"

CAPTURES: dict[str, str] = {
    "icsnpp": f"{ICSNPP}/traces/modbus_example.pcap",
    "ipal": "parsing/ipal/modbus.pcap",
    "4sics": f"{ZEEK}/traces/4SICS-GeekLounge-151022-min.pcap",
    "fuzz-72": f"{ZEEK}/traces/fuzz-72.pcap",
    "fuzz-1011": f"{ZEEK}/traces/fuzz-1011.pcap",
    "non-modbus": f"{ZEEK}/traces/modbus-and-non-modbus-p502.pcap",
    "eit": f"{ZEEK}/traces/modbus-eit.pcap",
    "coils": f"{ZEEK}/traces/modbusSmall.pcap",
    "modbus_test": "parsing/mixed/modbus/modbus_test.pcap",
    "ModbusTCP": "parsing/mixed/modbus/ModbusTCP.pcap",
    "lemay-6rtu": "detection/lemay-modbus/characterization_modbus_6RTU_with_operate.pcap",
    "lemay-fake": "detection/lemay-modbus/send_a_fake_command_modbus_6RTU_with_operate.pcap",
    "channel": "throughput/channel_4d_12s.pcap",
}
"""Short name and place of every capture that holds Modbus."""


def capture(name: str) -> Path:
    """The capture of that short name."""
    return DATA / CAPTURES[name]


@cache
def tshark_version() -> str:
    """Version of the tshark on the path, empty for none."""
    program = shutil.which("tshark")
    if program is None:
        return ""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+\.\d+\.\d+)", shown)
    return found.group(1) if found else ""
