"""The numbers that stand for names on the wire between stages and in Parquet.

Every enumeration is append-only: a number, once published, never changes its meaning, and 0 is always
"unknown" or "none".  Readable names come from :mod:`pipeline.names`, never from the data.
"""

from __future__ import annotations

from enum import IntEnum

from schemas.flags import Anomaly as Anomaly
from schemas.flags import BacnetFlag as BacnetFlag
from schemas.flags import CipFlag as CipFlag
from schemas.flags import Dnp3Flag as Dnp3Flag
from schemas.flags import Iec104Flag as Iec104Flag
from schemas.flags import Quality as Quality
from schemas.flags import RecordFlag as RecordFlag
from schemas.flags import S7Flag as S7Flag


class Protocol(IntEnum):
    """What a packet speaks.  1 to 31 industrial, 64 and above the rest of the network, counted by name."""

    UNKNOWN = 0
    MODBUS = 1
    DNP3 = 2
    S7COMM = 3
    ENIP = 4
    IEC104 = 5
    BACNET = 6
    MODBUS_TLS = 7
    S7COMM_PLUS = 8
    OPCUA = 9
    GOOSE = 10
    SAMPLED_VALUES = 11
    PROFINET = 12
    MMS = 13
    HART_IP = 14
    FINS = 15
    GE_SRTP = 16
    ETHERCAT = 17
    SYNCHROPHASOR = 18
    MELSEC = 19
    CODESYS = 20
    ISO_TSAP = 21
    ARP = 64
    ICMP = 65
    DNS = 66
    DHCP = 67
    HTTP = 68
    TLS = 69
    SSH = 70
    TELNET = 71
    FTP = 72
    SMB = 73
    NETBIOS = 74
    NTP = 75
    PTP = 76
    SNMP = 77
    SYSLOG = 78
    RPC = 79
    RDP = 80
    LLDP = 81
    STP = 82
    IGMP = 83
    MDNS = 84
    MQTT = 85
    KERBEROS = 86
    LDAP = 87
    MSSQL = 88
    SSDP = 89
    VNC = 90
    TFTP = 91
    BROWSER = 92
    LLMNR = 93


class Transport(IntEnum):
    """What carries the PDU."""

    NONE = 0
    TCP = 1
    UDP = 2
    ETHERNET = 3


class Kind(IntEnum):
    """Which half of an exchange a record is."""

    UNKNOWN = 0
    REQUEST = 1
    RESPONSE = 2
    UNSOLICITED = 3
    CONFIRM = 4
    TIMEOUT = 5
    """A request that nobody answered in time; carries the request's columns."""
    CONTROL = 6
    """A frame of the protocol's own housekeeping, such as an IEC-104 U frame."""
    DATA = 7
    """Cyclic data without a request, such as CIP class 1 I/O."""
    FOREIGN = 8
    """Bytes on a protocol's port that are not that protocol."""
    ANNOUNCE = 9
    """An address that the sender says is its own, on the link itself (ARP); nobody is asked for anything."""


class Op(IntEnum):
    """The protocol-neutral verb of a record; policies and detectors speak it."""

    UNKNOWN = 0
    READ = 1
    WRITE = 2
    READ_WRITE = 3
    CONTROL = 4
    SELECT = 5
    REPORT = 6
    CONFIRM = 7
    IDENTIFY = 8
    DISCOVER = 9
    DIAGNOSE = 10
    SESSION = 11
    TIME = 12
    FILE_READ = 13
    FILE_WRITE = 14
    FILE_DELETE = 15
    PROGRAM_UPLOAD = 16
    PROGRAM_DOWNLOAD = 17
    START = 18
    STOP = 19
    RESTART = 20
    MODE = 21
    CONFIGURE = 22
    FIRMWARE = 23
    FORCE = 24
    MEMORY_RESET = 25
    LISTEN_ONLY = 26
    DISABLE_REPORTING = 27
    ENABLE_REPORTING = 28
    FREEZE = 29
    CLEAR_COUNTERS = 30
    RESERVE = 31
    """Take or release exclusive engineering access."""
    AUTHENTICATE = 32
    ALARM = 33
    VENDOR = 34
    """A code that the protocol leaves to vendors or users, or reserves."""


class Space(IntEnum):
    """The neutral kind of a point: together with the address it names a tag, however the wire encoded it."""

    NONE = 0
    COIL = 1
    DISCRETE_INPUT = 2
    HOLDING_REGISTER = 3
    INPUT_REGISTER = 4
    FILE_RECORD = 5
    FIFO = 6
    EXCEPTION_STATUS = 7
    DIAGNOSTIC = 8
    DEVICE_ID = 9
    SERVER_ID = 10
    COMM_EVENT = 11
    HOLDING_MASK = 12
    """The AND (address sub 0) and OR (1) masks of a Modbus mask write; not a value of the register itself."""
    IDENTITY = 16
    """What a device says it is: the address is an Identity."""
    DEVICE_TIME = 17
    """The device's clock, in seconds since 1970."""
    BINARY_INPUT = 32
    DOUBLE_BIT_INPUT = 33
    BINARY_OUTPUT = 34
    COUNTER = 35
    FROZEN_COUNTER = 36
    ANALOG_INPUT = 37
    FROZEN_ANALOG = 38
    ANALOG_OUTPUT = 39
    OCTET_STRING = 40
    DEVICE_ATTRIBUTE = 41
    DEADBAND = 42
    INTERNAL_INDICATION = 43
    FILE_OBJECT = 44
    VIRTUAL_TERMINAL = 45
    S7_INPUT = 64
    S7_OUTPUT = 65
    S7_FLAG = 66
    S7_DATA_BLOCK = 67
    S7_INSTANCE_BLOCK = 68
    S7_COUNTER = 69
    S7_TIMER = 70
    S7_PERIPHERAL = 71
    S7_LOCAL = 72
    S7_SYSTEM_STATUS = 73
    S7_BLOCK = 74
    """What a controller says of a block: the address is its type above 16 bits of its number."""
    S7_ALARM = 75
    """A message of the program: the address is its event id."""
    S7_DIAGNOSTIC = 76
    """An entry of the diagnostic buffer: the address is its event id."""
    S7_MODE = 77
    S7_JOB = 78
    """A job of the programmer's commands that runs in the controller: function above 8 bits of its number."""
    CIP_SYMBOL = 96
    CIP_ATTRIBUTE = 97
    CIP_ASSEMBLY = 98
    CIP_IO = 99
    PCCC_FILE = 100
    IEC_SINGLE = 128
    IEC_DOUBLE = 129
    IEC_STEP = 130
    IEC_BITSTRING = 131
    IEC_MEASURED = 132
    IEC_TOTAL = 133
    IEC_PROTECTION = 134
    IEC_COMMAND = 135
    IEC_SETPOINT = 136
    IEC_PARAMETER = 137
    IEC_FILE = 138
    BACNET_PROPERTY = 160
    BACNET_EVENT = 161
    """What a notification says beside properties: the address is the object, the second part the parameter."""
    BACNET_LOG = 162
    """What stands in a log beside its values, and where a range of it begins."""
    BACNET_PRIVATE = 163
    """Parameters of a vendor's own service: vendor and service."""
    BACNET_GROUP = 164
    """A value for the channels of a group: group and channel."""


class PointType(IntEnum):
    """How the wire encoded a value.  TEXT and BYTES carry the id of their name in `raw`."""

    UNKNOWN = 0
    BOOL = 1
    U8 = 2
    I8 = 3
    U16 = 4
    I16 = 5
    U32 = 6
    I32 = 7
    U64 = 8
    I64 = 9
    F32 = 10
    F64 = 11
    TEXT = 12
    BYTES = 13
    ENUM = 14
    DOUBLE_BIT = 15
    BITS = 16
    TIME = 17


class Direction(IntEnum):
    """Who asserts a value."""

    UNKNOWN = 0
    READ = 1
    """The device answers a read."""
    WRITTEN = 2
    """A client asks the device to take the value."""
    ECHO = 3
    """The device repeats a written value in its answer."""
    REPORT = 4
    """The device sends the value unasked."""


class Identity(IntEnum):
    """What a point of Space.IDENTITY says of its device."""

    UNKNOWN = 0
    VENDOR = 1
    MODEL = 2
    FIRMWARE = 3
    SERIAL = 4
    NAME = 5
    LOCATION = 6
    PRODUCT_CODE = 7
    HARDWARE = 8


class Match(IntEnum):
    """What became of the pairing of a record."""

    NONE = 0
    PENDING = 1
    """A request whose answer had not been seen when the row was written; rows never change."""
    MATCHED = 2
    UNMATCHED = 3
    LATE = 4
    DUPLICATE = 5


FAULTS = (1 << 32) - 1
"""Mask of the `Anomaly` bits that speak of the sender rather than of the capture."""


class Severity(IntEnum):
    """OCSF `severity_id`."""

    UNKNOWN = 0
    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5
    FATAL = 6


class Activity(IntEnum):
    """OCSF `activity_id` of a finding row."""

    UNKNOWN = 0
    CREATE = 1
    UPDATE = 2
    CLOSE = 3


class Outcome(IntEnum):
    """What became of an operation."""

    UNKNOWN = 0
    ACCEPTED = 1
    REFUSED = 2
    NO_ANSWER = 3


class LearnState(IntEnum):
    """Where a key stands in its learning: LEARN collects, SHADOW calibrates and says nothing, LIVE alarms.

    PROVISIONAL only stands in baselines: learned, so that it is normal, but of so little that a person should approve.
    """

    UNKNOWN = 0
    LEARN = 1
    SHADOW = 2
    LIVE = 3
    PROVISIONAL = 4


class Role(IntEnum):
    """What an address does in a conversation: a client asks, a server answers."""

    UNKNOWN = 0
    CLIENT = 1
    SERVER = 2


class MarkKind(IntEnum):
    """A mark placed in the stream of records by the shard that wrote it."""

    UNKNOWN = 0
    TIME = 1
    GAP = 2
    CONTROL = 3
    END = 4
    START = 5


DANGEROUS = frozenset(
    {
        Op.PROGRAM_UPLOAD,
        Op.PROGRAM_DOWNLOAD,
        Op.START,
        Op.STOP,
        Op.RESTART,
        Op.MODE,
        Op.FIRMWARE,
        Op.FORCE,
        Op.MEMORY_RESET,
        Op.LISTEN_ONLY,
        Op.DISABLE_REPORTING,
        Op.CLEAR_COUNTERS,
        Op.RESERVE,
        Op.FILE_WRITE,
        Op.FILE_DELETE,
        Op.CONFIGURE,
    }
)
"""Operations that are reported whoever asks for them, with their outcome."""

WRITING = frozenset(
    {Op.WRITE, Op.READ_WRITE, Op.CONTROL, Op.SELECT, Op.FILE_WRITE, Op.FILE_DELETE, Op.TIME}
    | DANGEROUS - {Op.PROGRAM_UPLOAD}
)
"""Operations that change something in the device."""

BUCKETS = 1024
"""Device buckets: state, bounds and partitions are per `device % BUCKETS`."""
