"""Which port means which protocol: those that are decoded, and names for those merely counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.decode.layout import PROTOCOLS
from pipeline.decode.protocols import DECODERS
from schemas.codes import Protocol

INDUSTRIAL: dict[Protocol, tuple[tuple[int, ...], tuple[int, ...]]] = {
    Protocol.MODBUS: ((502,), (502,)),
    Protocol.DNP3: ((20000,), (20000,)),
    Protocol.S7COMM: ((102,), ()),
    Protocol.ENIP: ((44818,), (44818, 2222)),
    Protocol.IEC104: ((2404,), ()),
    Protocol.BACNET: ((), (47808,)),
    Protocol.MODBUS_TLS: ((802,), ()),
    Protocol.OPCUA: ((4840,), ()),
    Protocol.HART_IP: ((5094,), (5094,)),
    Protocol.FINS: ((9600,), (9600,)),
    Protocol.GE_SRTP: ((18245, 18246), ()),
    Protocol.SYNCHROPHASOR: ((4712,), (4713,)),
    Protocol.MELSEC: ((5006, 5007), (5006, 5007)),
    Protocol.CODESYS: ((1217, 2455), (1740,)),
    Protocol.PROFINET: ((), (34964,)),
}
"""TCP and UDP ports of industrial protocols."""

_BEGINS: dict[Protocol, tuple[int, int]] = {
    Protocol.DNP3: (0xFFFF, 0x0564),
    Protocol.S7COMM: (0xFFFF, 0x0300),
    Protocol.ENIP: (0xE0FF, 0x6000),  # of the commands by which it is told, below 256 with the least byte first
    Protocol.IEC104: (0xFF00, 0x6800),
    Protocol.BACNET: (0xFF00, 0x8100),
}
"""(mask, value) of the first two bytes by which a protocol is told on any port; one that is not here may begin with
anything."""

BEGINNINGS: NDArray[np.int64] = np.zeros((PROTOCOLS, 2), np.int64)
BEGINNINGS[[int(p) for p in _BEGINS]] = list(_BEGINS.values())

OTHER: dict[Protocol, tuple[tuple[int, ...], tuple[int, ...]]] = {
    Protocol.DNS: ((53,), (53,)),
    Protocol.DHCP: ((), (67, 68, 546, 547)),
    Protocol.HTTP: ((80, 8080, 8000), ()),
    Protocol.TLS: ((443, 8443), (443,)),
    Protocol.SSH: ((22,), ()),
    Protocol.TELNET: ((23,), ()),
    Protocol.FTP: ((20, 21), ()),
    Protocol.SMB: ((445,), ()),
    Protocol.NETBIOS: ((137, 138, 139), (137, 138)),
    Protocol.NTP: ((), (123,)),
    Protocol.PTP: ((), (319, 320)),
    Protocol.SNMP: ((161, 162), (161, 162)),
    Protocol.SYSLOG: ((514,), (514,)),
    Protocol.RPC: ((135,), ()),
    Protocol.RDP: ((3389,), (3389,)),
    Protocol.MDNS: ((), (5353,)),
    Protocol.MQTT: ((1883, 8883), ()),
    Protocol.KERBEROS: ((88,), (88,)),
    Protocol.LDAP: ((389, 636), (389,)),
    Protocol.MSSQL: ((1433, 1434), (1434,)),
    Protocol.SSDP: ((), (1900,)),
    Protocol.VNC: ((5900,), ()),
    Protocol.TFTP: ((), (69,)),
    Protocol.LLMNR: ((), (5355,)),
}
"""TCP and UDP ports of what else runs in plants, as registered with IANA."""


def port_table() -> NDArray[np.uint8]:
    """Four rows of 65,536: protocols decoded by TCP and by UDP port, then names by TCP and by UDP port."""
    table = np.zeros((4, 65536), np.uint8)
    for protocol, (tcp, udp) in (OTHER | INDUSTRIAL).items():
        table[2, list(tcp)] = protocol
        table[3, list(udp)] = protocol
        if protocol in DECODERS:
            table[0, list(tcp)] = protocol
            table[1, list(udp)] = protocol
    return table
