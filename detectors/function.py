"""Function: unseen and dangerous operations with their outcome; PDUs that break their protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.base import Attack, FindingType
from detectors.columns import Columns, records
from detectors.existence import Existence, addresses, baseline_columns
from detectors.kernels import function as kernel
from detectors.kernels import seen
from detectors.kernels import slots as k
from detectors.lifecycle import SECOND_NS, Learning
from schemas.codes import DANGEROUS, WRITING, Anomaly, Kind, Match, Op, Protocol, Severity, Transport

_COMMAND = Attack("TA0106", "T0855", "Unauthorized Command Message")
_CONFIG = Attack("TA0102", "T0888", "Remote System Information Discovery")
_MODE = Attack("TA0104", "T0858", "Change Operating Mode")
_DOWNLOAD = Attack("TA0109", "T0843", "Program Download")
_RESTART = Attack("TA0107", "T0816", "Device Restart/Shutdown")
_DENIAL = Attack("TA0107", "T0814", "Denial of Service")
_PORT = Attack("TA0101", "T0885", "Commonly Used Port")
_STANDARD = Attack("TA0101", "T0869", "Standard Application Layer Protocol")
_SPOOF = Attack("TA0103", "T0856", "Spoof Reporting Message")
_MIDDLE = Attack("TA0100", "T0830", "Adversary-in-the-Middle")

_CRITICAL = (Op.STOP, Op.PROGRAM_DOWNLOAD, Op.FIRMWARE, Op.MEMORY_RESET, Op.LISTEN_ONLY)
_MILD = (Op.PROGRAM_UPLOAD, Op.RESERVE, Op.CLEAR_COUNTERS)
_QUIET = (Op.READ, Op.REPORT, Op.CONFIRM, Op.SESSION)

PARAMETERS = {
    0: "function",
    1: "malformed request",
    2: "malformed answer",
    3: "not the protocol",
    4: "conflicting answer",
    5: "unasked answer",
}
"""Name in a baseline of each subject of `detectors.kernels.function`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """`[detectors.function]`."""

    window_s: float = 600.0
    """How long the use of an unseen function is counted as evidence, from the first."""
    rearm_s: float = 86_400.0
    """After how long an unseen function that was reported is reported again.  Dangerous operations always are."""
    max_keys: int = 16_384
    """Uses of functions remembered for each of the 1024 device buckets; beyond it the oldest strangers go."""
    trusted_answers: int = 20
    """Matched answers after which a conversation's unasked answer is reported: before, the capture may be one-sided."""


class FunctionDetector(Existence):
    """What each client asks of each unit; the dangerous is reported always, unless a baseline holds that very use."""

    name = "function"
    version = "1"
    findings = (
        FindingType(
            code=kernel.TYPE_UNSEEN,
            uid="function.unseen",
            title="Function never used here before",
            text="{client} uses {function} ({op}) on {device} unit {unit} for the first time; {outcome}",
            types=("policy", "protocol"),
            analytic_type=4,
            attacks=(_COMMAND, _CONFIG),
            fits=(
                ("attack", "a tool that asks what no client of the site asks"),
                ("misoperation", "a program was changed, or used otherwise"),
            ),
            confidence=70,
        ),
        FindingType(
            code=kernel.TYPE_DANGEROUS,
            uid="function.dangerous",
            title="Dangerous operation",
            text="{client} asks {device} unit {unit} for {op} ({function}); {outcome}",
            types=("policy",),
            analytic_type=1,
            attacks=(_MODE, _DOWNLOAD, _RESTART, _DENIAL),
            fits=(
                ("misoperation", "work of an engineer"),
                ("attack", "the device is stopped, changed or taken over"),
            ),
            confidence=90,
        ),
        FindingType(
            code=kernel.TYPE_MALFORMED,
            uid="function.malformed",
            title="Malformed message",
            text="a message between {client} and {device} unit {unit} breaks the form of its protocol ({function})",
            types=("protocol",),
            analytic_type=1,
            attacks=(_DENIAL,),
            fits=(
                ("fault", "a broken device, line or program"),
                ("attack", "a device's parser is tried with broken messages"),
            ),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_NOT_PROTOCOL,
            uid="function.not_protocol",
            title="Another protocol on this port",
            text="what {client} and {device} exchange is not the protocol of its port",
            types=("protocol",),
            analytic_type=1,
            attacks=(_PORT, _STANDARD),
            fits=(
                ("misoperation", "another program uses the port"),
                ("attack", "a tunnel through a port that is let through"),
            ),
            confidence=60,
        ),
        FindingType(
            code=kernel.TYPE_CONFLICT,
            uid="function.conflicting_response",
            title="Answer that does not fit its request, or contradicts another",
            text="an answer of {device} unit {unit} to {client} differs from what was asked, or from another answer in "
            "its place ({function})",
            types=("protocol",),
            analytic_type=1,
            attacks=(_SPOOF, _MIDDLE),
            fits=(
                ("attack", "an answer was forged"),
                ("fault", "a device or gateway mixes up answers"),
            ),
            confidence=80,
        ),
        FindingType(
            code=kernel.TYPE_UNASKED,
            uid="function.unasked_response",
            title="Answer that nobody asked for",
            text="{device} unit {unit} answers {client} unasked, or twice ({function})",
            types=("protocol",),
            analytic_type=2,
            attacks=(_SPOOF, _MIDDLE),
            fits=(
                ("fault", "a device answers too late or twice, or the capture misses requests"),
                ("attack", "answers are forged or repeated"),
            ),
            confidence=50,
        ),
    )

    def __init__(self, params: Params, learning: Learning) -> None:
        super().__init__(learning, params.window_s, params.rearm_s, params.max_keys, kernel.MOST_KEYS)
        self._trust = params.trusted_answers
        self._dangers = np.zeros(256, np.int64)
        self._severities = np.full(256, int(Severity.MEDIUM), np.int64)
        for op in Op:
            if op in DANGEROUS:
                self._dangers[op] = Severity.HIGH
            if op in WRITING or op == Op.VENDOR:
                self._severities[op] = Severity.HIGH
        self._severities[list(_QUIET)] = Severity.LOW
        self._dangers[list(_CRITICAL)] = Severity.CRITICAL
        self._dangers[list(_MILD)] = Severity.MEDIUM

    def _scan(self, start: int, wire: seen.Wire) -> int:
        slots = self.slots
        at: int = kernel.functions(
            start,
            wire,
            self._dangers,
            self._severities,
            self._trust,
            slots.table,
            slots.held["seen"],
            self._rules,
            self._evidence,
        )
        return at

    def learned(self) -> Mapping[str, NDArray[Any]]:
        """Known uses and known breaches (`code`: protocol << 56 | function << 32 | sub-function or faults)."""
        keys, rows = self.slots.keys, self.slots.rows("seen")
        keep = (keys[:, k.STATUS] & k.KNOWN) != 0
        keys, rows = keys[keep], rows[keep]
        subject = (keys[:, 3] >> np.uint64(40)).astype(np.int64)
        protocol = keys[:, 3] >> np.uint64(32) & np.uint64(0xFF)
        return baseline_columns(
            device=keys[:, 0],
            peer=keys[:, 1:3],
            unit=(keys[:, 3] & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            parameter=np.array([PARAMETERS[int(s)] for s in subject], "U24"),
            code=protocol << np.uint64(56) | keys[:, 4],
            n=rows["n"].astype(np.uint64),
            first=rows["first"],
            last=rows["last"],
        )

    def adopt(self, baseline: Mapping[str, NDArray[Any]]) -> None:
        """Its uses and breaches are normal, dangerous ones too; every other alarms from the first record."""
        self.slots.adopt_everywhere()
        subjects = {name: subject for subject, name in PARAMETERS.items()}
        code = np.asarray(baseline["code"], np.uint64)
        words = np.zeros((len(code), k.WORDS), np.uint64)
        words[:, 0] = baseline["device"]
        words[:, 1:3] = addresses(baseline["peer"])
        subject = np.array([subjects[str(name)] for name in baseline["parameter"]], np.uint64)
        unit = np.asarray(baseline["unit"]).astype(np.uint64)
        words[:, 3] = unit | code >> np.uint64(56) << np.uint64(32) | subject << np.uint64(40)
        words[:, 4] = code & np.uint64((1 << 56) - 1)
        self._enter(words, baseline)


def example(rng: np.random.Generator) -> list[Columns]:
    """A client that reads; just after learning it writes; a stop, a fault, a foreign byte and an unasked answer."""
    start = 1_700_000_000 * SECOND_NS
    devices = [int(d) for d in rng.integers(1, 1 << 63, 3)]
    rows: list[dict[str, Any]] = []

    def put(second: float, device: int, asks: bool, **more: Any) -> None:
        client, server = bytes(10) + b"\xff\xff\x0a\x00\x00\x01", bytes(15) + bytes([100 + device])
        rows.append(
            {
                "ts": int(start + second * SECOND_NS),
                "seq": len(rows),
                "device": devices[device],
                "protocol": Protocol.MODBUS,
                "transport": Transport.TCP,
                "unit": 1,
                "src_ip": client if asks else server,
                "dst_ip": server if asks else client,
                "src_port": 40_000 if asks else 502,
                "dst_port": 502 if asks else 40_000,
                "client_is_src": int(asks),
                "kind": Kind.REQUEST if asks else Kind.RESPONSE,
                "match": Match.PENDING if asks else Match.MATCHED,
            }
            | more
        )

    def call(second: float, device: int, func: int, op: Op, subfunc: int = 0, status: int = 0) -> None:
        put(second, device, True, func=func, op=op, subfunc=subfunc)
        put(second + 0.001, device, False, func=func, op=op, subfunc=subfunc, status=status)

    for second in range(0, 300, 10):
        for device in range(3):
            call(second + device / 10, device, 3, Op.READ)
    call(150.0, 2, 8, Op.LISTEN_ONLY, subfunc=4, status=1)
    call(299.9, 0, 16, Op.WRITE)
    call(300.0, 1, 16, Op.WRITE)
    call(300.1, 0, 16, Op.WRITE)
    for second in range(301, 305):
        call(second, 0, 90, Op.VENDOR, subfunc=int(rng.integers(0, 4)), status=1)
    put(306.0, 1, True, func=8, op=Op.RESTART, subfunc=1)
    put(311.0, 1, True, func=8, op=Op.RESTART, subfunc=1, kind=Kind.TIMEOUT, match=Match.NONE)
    put(312.0, 2, True, func=3, op=Op.READ, anomaly=int(Anomaly.LENGTH_MISMATCH))
    put(313.0, 2, True, kind=Kind.FOREIGN, anomaly=int(Anomaly.NOT_PROTOCOL))
    put(314.0, 2, False, func=3, op=Op.READ, anomaly=int(Anomaly.CONFLICTING_RESPONSE))
    put(315.0, 2, False, func=3, op=Op.READ, match=Match.UNMATCHED)
    put(316.0, 2, False, func=3, op=Op.READ, match=Match.UNMATCHED, anomaly=int(Anomaly.GAP_BEFORE))
    return [records(rows[at : at + 17]) for at in range(0, len(rows), 17)]
