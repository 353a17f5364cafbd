"""A decoder as it is commonly written: dpkt's objects for each packet, struct for Modbus.  The yardstick."""

from __future__ import annotations

import struct
from itertools import islice
from pathlib import Path

import dpkt


def decode(path: Path, packets: int) -> tuple[int, int, float]:
    """(PDUs, values, their sum) of the first `packets` packets: polls of registers and what came back."""
    pdus = values = 0
    total = 0.0
    header = struct.Struct(">HHHBB")
    with path.open("rb") as file:
        for _, frame in islice(dpkt.pcap.Reader(file), packets):
            tcp = dpkt.ethernet.Ethernet(frame).data.data
            _, protocol, _, _, function = header.unpack_from(tcp.data)
            if protocol != 0 or function != 3:
                continue
            pdus += 1
            if tcp.sport == 502:
                registers = struct.unpack_from(f">{tcp.data[8] // 2}H", tcp.data, 9)
                values += len(registers)
                total += sum(registers)
            else:
                struct.unpack_from(">HH", tcp.data, 8)
    return pdus, values, total
