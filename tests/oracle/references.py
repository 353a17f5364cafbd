"""The parsers that are not ours, and what each of them was asked to read."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from tests.oracle import bacnet, dnp3, enip, enip_logs, iec104, ipal, ours, s7, tshark, zeek
from tests.oracle.compare import Agreement, compare
from tests.oracle.data import CAPTURES, DATA, capture, tshark_version
from tests.oracle.message import Message
from tests.protocols.modbus_pdus import EXCHANGES
from tests.protocols.wire import Conversation, mbap

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
OTHERS = dnp3.CAPTURES | iec104.CAPTURES | bacnet.CAPTURES | s7.CAPTURES | enip.CAPTURES
"""Short name and place of the captures of other protocols than Modbus."""
HAND_MADE = "hand-made"
"""Name of the capture of all exchanges that `tests.protocols.modbus_pdus` specifies, each with its own transaction."""


@cache
def _hand_made() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    talk = Conversation()
    for txn, exchange in enumerate(EXCHANGES, 1):
        talk.ask(mbap(bytes.fromhex(exchange.ask), txn=txn)).answer(mbap(bytes.fromhex(exchange.answer), txn=txn))
    return talk.write(folder)


def place_of(name: str) -> Path:
    """The capture of that short name."""
    if name.startswith("golden/"):
        return GOLDEN / name.removeprefix("golden/") / "input.pcap"
    if name in OTHERS:
        return DATA / OTHERS[name]
    return _hand_made() if name == HAND_MADE else capture(name)


@dataclass(frozen=True, slots=True)
class Reference:
    """One parser's word on one capture.

    Attributes:
        parser: who says it.
        capture: short name of the capture, see `data.CAPTURES`, or HAND_MADE.
        read: gives its messages.
        about: which of our messages it speaks of.
        needs_tshark: whether the program must be installed; else logs are read.
        mine: gives our messages, in the words of that protocol.
    """

    parser: str
    capture: str
    read: Callable[[], list[Message]]
    about: Callable[[Message], bool] = lambda _: True
    needs_tshark: bool = False
    mine: Callable[[Path], list[Message]] = ours.messages

    @property
    def missing(self) -> str:
        """Why this cannot be read here; empty where it can."""
        if not place_of(self.capture).is_file():
            return f"no capture {place_of(self.capture)}; FIELDTAP_DATA names the folder of captures"
        return "tshark is not installed" if self.needs_tshark and not tshark_version() else ""

    def agreement(self) -> Agreement:
        """Ours held against theirs."""
        mine = self.mine(place_of(self.capture))
        return compare([message for message in mine if self.about(message)], self.read())


def _speaks_of(*functions: int) -> Callable[[Message], bool]:
    return lambda message: message.said["function"] in functions


def _events(test: str, only_message: bool, file: str = "output", client: str = "") -> Callable[[], list[Message]]:
    def read() -> list[Message]:
        found = zeek.zeek_events(test, file, client)
        return [message for message in found if (message.said["event"] == "message") == only_message]

    return read


def _tshark(name: str) -> Reference:
    return Reference("tshark", name, lambda: tshark.messages(place_of(name)), needs_tshark=True)


def _read(reader: Callable[[Path], list[Message]], name: str) -> Callable[[], list[Message]]:
    return lambda: reader(place_of(name))


REFERENCES: tuple[Reference, ...] = (
    *(_tshark(name) for name in (*CAPTURES, HAND_MADE)),
    Reference("ICSNPP detailed log", "icsnpp", zeek.icsnpp_detailed),
    Reference("ICSNPP mask write log", "icsnpp", zeek.icsnpp_masks, _speaks_of(22)),
    Reference("ICSNPP read/write log", "icsnpp", zeek.icsnpp_read_write, _speaks_of(23)),
    Reference("Zeek log", "fuzz-72", lambda: zeek.zeek_log("exception_handling")),
    Reference("Zeek log", "fuzz-1011", lambda: zeek.zeek_log("register_parsing")),
    Reference("Zeek log", "non-modbus", lambda: zeek.zeek_log("modbus_and_non_modbus_on_port_502")),
    Reference("Zeek message events", "coils", _events("coil_parsing_small", True)),
    Reference("Zeek function events", "coils", _events("coil_parsing_small", False)),
    Reference("Zeek function events", "fuzz-1011", _events("register_parsing", False)),
    Reference("Zeek message events", "eit", _events("events", True, "compressed-output", "192.168.2.42")),
    Reference("Zeek function events", "eit", _events("events", False, "compressed-output", "192.168.2.42")),
    Reference("IPAL transcriber", "ipal", ipal.messages),
    *(
        Reference("tshark", name, _read(iec104.tshark, name), needs_tshark=True, mine=iec104.ours)
        for name in (*iec104.CAPTURES, *(f"golden/{case}" for case in iec104.GOLDEN))
    ),
    Reference("IPAL transcriber", "iec104", iec104.ipal, mine=iec104.ours_in_turn),
    *(
        Reference("tshark", name, _read(dnp3.tshark, name), needs_tshark=True, mine=dnp3.ours)
        for name in (*dnp3.CAPTURES, *(f"golden/{case}" for case in dnp3.GOLDEN))
    ),
    Reference("Suricata events", "dnp3-eve", dnp3.suricata, mine=dnp3.ours_without_confirms),
    Reference("ICSNPP control log", "icsnpp-dnp3", dnp3.icsnpp_controls, mine=dnp3.ours_of_controls),
    Reference("IPAL transcriber", "ipal-dnp3", dnp3.ipal, mine=dnp3.ours_in_turn),
    *(
        Reference("ICSNPP property log", name, partial(bacnet.icsnpp_reads, test), mine=bacnet.ours_of_reads)
        for name, test in bacnet.LOGS.items()
    ),
    *(
        Reference("tshark", name, _read(bacnet.tshark, name), needs_tshark=True, mine=bacnet.ours)
        for name in (*bacnet.CAPTURES, *(f"golden/{case}" for case in bacnet.GOLDEN))
    ),
    *(
        Reference("tshark", name, _read(s7.tshark, name), needs_tshark=True, mine=s7.ours)
        for name in (*s7.CAPTURES, *(f"golden/{case}" for case in s7.GOLDEN))
    ),
    *(
        Reference("tshark, connections", name, _read(s7.openings, name), needs_tshark=True, mine=s7.ours_openings)
        for name in ("s7ident", "s7comm_plus", "golden/s7comm_plus", "golden/s7comm_items")
    ),
    Reference("ICSNPP log", "snap7", partial(s7.icsnpp, "snap7"), mine=s7.ours_anywhere),
    Reference("ICSNPP log", "s7ident", partial(s7.icsnpp, "s7ident"), mine=s7.ours_anywhere),
    Reference("ICSNPP log", "s7comm_plus", partial(s7.icsnpp, "s7comm_plus"), mine=s7.ours_anywhere),
    Reference("ICSNPP S7comm-plus log", "s7comm_plus", s7.icsnpp_plus, mine=s7.ours_plus),
    Reference("IPAL transcriber", "ipal-s7", s7.ipal, mine=s7.ours_in_turn),
    *(
        Reference("tshark", name, _read(enip.tshark, name), needs_tshark=True, mine=enip.ours)
        for name in (*enip.CAPTURES, *(f"golden/{case}" for case in enip.GOLDEN))
    ),
    *(
        Reference(
            "tshark, encapsulation",
            name,
            _read(enip.encapsulated, name),
            needs_tshark=True,
            mine=enip.ours_encapsulated,
        )
        for name in (*enip.CAPTURES, *(f"golden/{case}" for case in enip.GOLDEN), "golden/enip_session")
    ),
    *(
        Reference(
            "tshark, identities", name, _read(enip.identities, name), needs_tshark=True, mine=enip_logs.ours_listed
        )
        for name in ("enip_cip_example", "golden/enip_session", "golden/enip_identity_udp")
    ),
    *(
        Reference("ICSNPP enip log", name, partial(enip_logs.encapsulated, name), mine=enip_logs.ours_encapsulated)
        for name in enip_logs.LOGS
    ),
    *(
        Reference("ICSNPP cip log", name, partial(enip_logs.messages, name), mine=enip_logs.ours)
        for name in enip_logs.LOGS
    ),
    Reference(
        "ICSNPP identity log",
        "enip_cip_example",
        partial(enip_logs.identities, "enip_cip_example"),
        mine=enip_logs.ours_identities,
    ),
    Reference(
        "ICSNPP I/O log", "enip_cip_example", partial(enip_logs.cyclic, "enip_cip_example"), mine=enip_logs.ours_cyclic
    ),
    Reference("IPAL transcriber", "ipal-cip", enip_logs.ipal, mine=enip_logs.ours_of_tags),
    *(
        Reference("tshark, cyclic", name, _read(enip.cyclic, name), needs_tshark=True, mine=enip.ours_cyclic)
        for name in ("enip_cip_example", "golden/enip_connections", "golden/enip_run_idle")
    ),
)
