"""Modbus polling of six RTUs with labelled packets: how many of all packets are told as the labels tell them.

Learned of the clean packets before the attack of one capture; judged on the rest of it and on all of the other.

A packet is told by one of two rules.  Each piece of evidence, of whatever severity and before it is merged, tells its
own packet.  And evidence that somebody speaks who should not (`peer`, `role`, `scan`) tells the whole connection that
it lies in, both ways, with the packets that open, acknowledge and close it: who reads that a stranger speaks follows
that connection.  Labels are of all packets, also of those that are not Modbus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import dpkt
import numpy as np

from benchmarks.quality.evidence import Address, Judged, judge
from benchmarks.quality.metrics import Flags, Measure, beside, f1
from pipeline.baseline import Baseline
from pipeline.config import Config
from pipeline.run import learn
from schemas.codes import WRITING, Severity

FORGED = "send_a_fake_command_modbus_6RTU_with_operate"
RECONNAISSANCE = "characterization_modbus_6RTU_with_operate"
CLEAN = 4781
"""Packets of FORGED before the first labelled one."""
WHO = ("peer", "role", "scan")
"""Detectors that find who speaks, not what is said."""
Ends = tuple[Address, Address]


def labels(folder: Path, name: str) -> Flags:
    """Whether each packet of a capture is part of the attack."""
    lines = (folder / f"{name}_labeled.csv").read_text().split()
    return np.array([line.endswith(";1") for line in lines if line.endswith((";0", ";1"))], np.bool_)


def cut(capture: Path, out: Path, first: int, last: int) -> Path:
    """Packets `first` to `last` of a capture, counted from 1, as a capture."""
    with capture.open("rb") as source, out.open("wb") as target:
        writer = dpkt.pcap.Writer(target)
        for number, (ts, packet) in enumerate(dpkt.pcap.Reader(source), 1):
            if first <= number <= last:
                writer.writepkt(packet, ts)
    return out


def connections(capture: Path) -> Iterator[Ends | None]:
    """The two ends of each packet's conversation, None for what is neither TCP nor UDP over IPv4."""
    with capture.open("rb") as file:
        for _, packet in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(packet).data
            if not isinstance(ip, dpkt.ip.IP) or not isinstance(ip.data, dpkt.tcp.TCP | dpkt.udp.UDP):
                yield None
                continue
            ends = [
                (bytes(10) + b"\xff\xff" + ip.src, ip.data.sport),
                (bytes(10) + b"\xff\xff" + ip.dst, ip.data.dport),
            ]
            yield min(ends), max(ends)


def told(capture: Path, judged: Judged, least: Severity = Severity.LOW) -> Flags:
    """Whether each packet of a capture is told by evidence of severity `least` and above."""
    pieces = [piece for piece in judged.pieces if piece.severity >= least]
    packets = {piece.packet for piece in pieces}
    followed = {piece.ends for piece in pieces if piece.uid.split(".")[0] in WHO}
    return np.array([n in packets or e in followed for n, e in enumerate(connections(capture), 1)], np.bool_)


def false_findings(judged: Judged, truth: Flags) -> list[str]:
    """Lines of the findings none of whose evidence is labelled."""
    return [
        str(row["finding_info_desc"])
        for row in judged.findings
        if not any(e["packet"] and truth[e["packet"] - 1] for e in row["evidences"])
    ]


def is_write_told(judged: Judged, truth: Flags) -> bool:
    """Whether a labelled write is evidence of more than that a stranger speaks."""
    return any(
        piece.op in WRITING and piece.packet and truth[piece.packet - 1] and piece.uid.split(".")[0] not in WHO
        for piece in judged.pieces
    )


def lemay(data: Path) -> list[Measure]:
    """Six RTUs polled: a forged command, and a reconnaissance."""
    folder, name = data / "lemay-modbus", "Lemay Modbus"
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        learn([cut(folder / f"{FORGED}.pcap", out / "clean.pcap", 1, CLEAN)], out / "baseline.parquet", Config())
        baseline = Baseline.load(out / "baseline.parquet")
        rest = cut(folder / f"{FORGED}.pcap", out / "rest.pcap", CLEAN + 1, 1 << 62)
        truth = [labels(folder, FORGED)[CLEAN:], labels(folder, RECONNAISSANCE)]
        captures = [rest, folder / f"{RECONNAISSANCE}.pcap"]
        judged = [judge(capture, baseline) for capture in captures]
        seen, medium = (
            np.concatenate([told(capture, one, least) for capture, one in zip(captures, judged, strict=True)])
            for least in (Severity.LOW, Severity.MEDIUM)
        )
    false = sum(len(false_findings(one, true)) for one, true in zip(judged, truth, strict=True))
    found = is_write_told(judged[0], truth[0])
    labelled = np.concatenate(truth)
    score, hit = f1(seen, labelled), int((seen & labelled).sum())
    serious = f1(medium, labelled)
    return [
        Measure(name, "F1 by packets", score, "0.99", "0.997", score >= 0.99, **beside(f1, seen, labelled)),
        Measure(name, "F1 by packets, medium and above", serious, "0.99", "0.997", serious >= 0.99),
        Measure(name, "precision by packets", hit / max(int(seen.sum()), 1), positive=float(labelled.mean())),
        Measure(name, "recall by packets", hit / int(labelled.sum()), positive=1.0, random=float(seen.mean())),
        Measure(name, "forged write told", float(found), "1", "1", found),
        Measure(name, "findings outside the attacks", false, "10", "0", false <= 10),
    ]
