"""Enumerations of bits: quality of a value, anomalies and flags of a record.  Used through `schemas.codes`."""

from __future__ import annotations

from enum import IntFlag


class Quality(IntFlag):
    """Why a value may not mean what it says; 0 is good."""

    GOOD = 0
    ADDRESS_UNKNOWN = 1 << 0
    """The request was not seen, so `addr` counts from 0; detectors skip the point."""
    INVALID = 1 << 1
    OFFLINE = 1 << 2
    RESTART = 1 << 3
    COMM_LOST = 1 << 4
    REMOTE_FORCED = 1 << 5
    LOCAL_FORCED = 1 << 6
    OVERFLOW = 1 << 7
    CHATTER = 1 << 8
    BLOCKED = 1 << 9
    SUBSTITUTED = 1 << 10
    NOT_TOPICAL = 1 << 11
    TRUNCATED = 1 << 12
    DISCONTINUITY = 1 << 13
    """A counter that was reset or set, so that its difference from before says nothing."""
    REFERENCE_ERROR = 1 << 14
    TIME_INVALID = 1 << 15
    """The device itself doubts the time that it gives, or it is no time."""


class Anomaly(IntFlag):
    """What is unusual about the PDU itself.  Bits 0 to 31 are faults, 32 and above circumstances of capture."""

    NONE = 0
    MALFORMED = 1 << 0
    LENGTH_MISMATCH = 1 << 1
    COUNT_OUT_OF_RANGE = 1 << 2
    VALUE_OUT_OF_RANGE = 1 << 3
    BAD_CHECKSUM = 1 << 4
    OVERSIZE = 1 << 5
    RESERVED_CODE = 1 << 6
    BAD_PROTOCOL_ID = 1 << 7
    NOT_PROTOCOL = 1 << 8
    CONFLICTING_RESPONSE = 1 << 9
    """The answer's function, address or echo differs from what was asked."""
    ROLE_CONFLICT = 1 << 10
    TRAILING_BYTES = 1 << 11
    SEQUENCE_ERROR = 1 << 12
    OVERLAP_DIFFERS = 1 << 13
    """The same TCP bytes were sent twice with different content: an evasion, or a broken stack."""
    ADDRESS_OVERFLOW = 1 << 14
    TRUNCATED = 1 << 32
    """The capture kept fewer bytes than were on the wire."""
    SPLIT_PDU = 1 << 33
    PIPELINED = 1 << 34
    OUT_OF_ORDER = 1 << 35
    MIDSTREAM = 1 << 36
    GAP_BEFORE = 1 << 37
    FRAGMENTED = 1 << 38
    RESYNCHRONISED = 1 << 39


class RecordFlag(IntFlag):
    """`flags` of a record: the low 24 bits belong to the protocol (here Modbus), the high 8 to every protocol."""

    NONE = 0
    MODBUS_RTU = 1 << 0
    """RTU framing (unit, function, data, CRC-16) carried over TCP or UDP."""
    MODBUS_MORE_FOLLOWS = 1 << 1
    BROADCAST = 1 << 24
    BY_SHAPE = 1 << 25
    """Found by the shape of its bytes, not by its port."""
    IDENTITY = 1 << 26
    """Carries points of Space.IDENTITY."""
    SELECTED = 1 << 27
    """The second step of a command whose first step, the selection, was accepted shortly before."""


class Dnp3Flag(IntFlag):
    """The low 24 bits of `flags` for DNP3: internal indications of a response (IEEE 1815 4.2.2.6), then header bits."""

    NONE = 0
    BROADCAST_RECEIVED = 1 << 0
    CLASS_1_EVENTS = 1 << 1
    CLASS_2_EVENTS = 1 << 2
    CLASS_3_EVENTS = 1 << 3
    NEED_TIME = 1 << 4
    LOCAL_CONTROL = 1 << 5
    DEVICE_TROUBLE = 1 << 6
    DEVICE_RESTART = 1 << 7
    NO_FUNCTION_CODE_SUPPORT = 1 << 8
    OBJECT_UNKNOWN = 1 << 9
    PARAMETER_ERROR = 1 << 10
    EVENT_BUFFER_OVERFLOW = 1 << 11
    ALREADY_EXECUTING = 1 << 12
    CONFIGURATION_CORRUPT = 1 << 13
    RESERVED_1 = 1 << 14
    RESERVED_2 = 1 << 15
    FIRST = 1 << 16
    FINAL = 1 << 17
    CONFIRM = 1 << 18
    """The sender asks for a confirmation."""
    UNSOLICITED = 1 << 19
    PRIMARY = 1 << 20
    """The link frame comes from the primary station of its exchange."""
    FROM_MASTER = 1 << 21


class BacnetFlag(IntFlag):
    """The low 24 bits of `flags` for BACnet: how the network layer carried it, and what the APDU's header says."""

    NONE = 0
    FORWARDED = 1 << 0
    """A broadcast management device sent it on for another: the sender is not its source (135 J.2.5)."""
    FOREIGN_DEVICE = 1 << 1
    """A foreign device has it broadcast (135 J.2.10)."""
    TO_NETWORK = 1 << 2
    """It names the network that it goes to (DNET)."""
    FROM_NETWORK = 1 << 3
    """It names the network that it comes from (SNET)."""
    EXPECTS_REPLY = 1 << 4
    SEGMENTED = 1 << 5
    NEGATIVE = 1 << 6
    """A segment acknowledgement that asks for segments again."""
    PASSWORD = 1 << 7
    """A password is there, in clear; it is never kept."""
    PARTLY_REFUSED = 1 << 8
    """Some of the properties asked for could not be read."""
    FROM_SERVER = 1 << 9
    """An abort or segment acknowledgement of the side that answers."""


class Iec104Flag(IntFlag):
    """The low 24 bits of `flags` for IEC 60870-5-104; the low 6 are the cause of transmission (5-101, 7.2.3)."""

    NONE = 0
    NEGATIVE = 1 << 6
    TEST = 1 << 7
    SEQUENCE = 1 << 8
    """One address for a sequence of elements (SQ)."""
    SELECT = 1 << 9
    """The command selects (S/E)."""


class S7Flag(IntFlag):
    """The low 24 bits of `flags` for S7comm; the low 3 are the ROSCTR, bits 16 to 23 the number of items."""

    NONE = 0
    PG = 1 << 3
    """The connection was opened by a programming device; with none of PG, OP and BASIC its opening was not seen."""
    OP = 1 << 4
    BASIC = 1 << 5
    """A connection of neither kind, such as of an HMI or between controllers."""
    MORE = 1 << 6
    """More parts follow, of a block or of an answer."""
    PASSWORD = 1 << 7
    """A password is there; it is not kept."""
    PLUS = 1 << 8
    """S7comm-plus: version, opcode and function only."""
    FROM_DEVICE = 1 << 9
    """A job that the controller gives to who downloads to it."""


class CipFlag(IntFlag):
    """The low 24 bits of `flags` for EtherNet/IP: how the message was carried."""

    NONE = 0
    CONNECTED = 1 << 0
    """Over a connection that a Forward Open made."""
    UNCONNECTED_SEND = 1 << 1
    """Wrapped in an Unconnected Send, whose route leads to `unit`."""
    EMBEDDED = 1 << 2
    """One of the messages of a Multiple Service Packet."""
    MORE = 1 << 3
    """An answer whose rest is to be asked for."""
    TO_TARGET = 1 << 4
    """Cyclic data from the originator; with neither this nor TO_ORIGINATOR its connection's opening was not seen."""
    TO_ORIGINATOR = 1 << 5
