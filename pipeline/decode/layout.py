"""Where things lie in the arrays that decode's kernels share.

Kernels hand each other rows of int64: a segment, a flow, a pending request, the scratch of a record, a run of
points.  The names below are the columns of those rows.  Output columns lie in one array per width, each column at a
fixed offset that the compiler folds into the address; the strides are no power of two, so that the columns of one
row fall into different cache sets.
"""

from __future__ import annotations

# --- batch capacity
RECORDS = 8192
"""Records of a batch at most: more columns than fit the second-level cache double the cost of writing a record."""
POINTS = 1 << 16
"""Points of a batch at most; one PDU carries at most POINTS_PER_PDU of them."""
POINTS_PER_PDU = 1 << 15
REC = RECORDS + 40
PT = POINTS + 40

# --- record columns, by width (offset of a column is its number * REC)
(R_TS, R_SEQ, R_PACKET, R_SRC_MAC, R_DST_MAC, R_FLOW, R_DEVICE, R_PEER_SEQ, R_ADDR, R_NAME_ID, R_ANOMALY) = range(11)
R_SRC_IP = 11
R_DST_IP = 13
REC64 = 15
(R_BOOT, R_VLAN, R_UNIT, R_PEER_UNIT, R_TXN, R_RTT, R_SUBFUNC, R_COUNT, R_ADDR_SUB, R_STATUS, R_FLAGS, R_GAP,
 R_LENGTH, R_N_POINTS, R_OFFSET) = range(15)  # fmt: skip
REC32 = 15
(R_SHARD, R_SRC_PORT, R_DST_PORT, R_FUNC, R_SPACE, R_LABEL) = range(6)
REC16 = 6
(R_TRANSPORT, R_CLIENT_IS_SRC, R_PROTOCOL, R_KIND, R_OP, R_MATCH) = range(6)
REC8 = 6
# --- point columns
(P_ADDR, P_NAME_ID, P_RAW, P_SOURCE_TS) = range(4)
PT64 = 4
PT32 = 1
(P_SPACE, P_QUALITY) = range(2)
PT16 = 2
(P_TYPE, P_DIRECTION) = range(2)
PT8 = 2

# --- the work row: one int64 array that all kernels share, so that few arguments go from kernel to kernel
COUNTERS_AT = 48
SEGMENT_AT = 128
S_AT = 160
ASKED_AT = 200
ASKED = ASKED_AT - S_AT
"""Added to a scratch column: the same column of the request that a response answers."""
CONTEXT_AT = 240
ASIDE_AT = 248
FRAMES_AT = 288
HEADS_AT = 296
BODIES_AT = 304
"""Addresses of the kernels of each protocol."""
RUNS_AT = 312

# --- segment: one packet's transport payload and what surrounds it
(G_TS, G_PACKET, G_OFF, G_LEN, G_BUF, G_SRC_HI, G_SRC_LO, G_DST_HI, G_DST_LO, G_SPORT, G_DPORT, G_TRANSPORT, G_SEQ,
 G_ACK, G_TCP, G_SMAC, G_DMAC, G_VLAN, G_ANOMALY, G_IPID, G_MISSING, G_FLOW, G_DIR, G_FRAG, G_MORE, G_L4,
 G_L4_OFF, G_L4_END, G_NAME) = range(SEGMENT_AT, SEGMENT_AT + 29)  # fmt: skip
SEGMENT = 32
BUF_BLOCK, BUF_DATAGRAM, BUF_STREAM = 0, 1, 2

# --- flow: both directions of a 5-tuple; "a" is the lesser endpoint
(F_A_HI, F_A_LO, F_B_HI, F_B_LO, F_PORTS, F_HASH, F_CONNECTION, F_LAST_TS, F_PROTOCOL, F_CLIENT, F_CLIENT_HOW,
 F_DEVICE, F_PENDING, F_N_PENDING, F_FLAGS, F_STATE, F_LAST_TXN, F_LAST_SEQ, F_VLAN, F_NAME) = range(20)  # fmt: skip
F_DIR = 20
"""First column of direction 0; direction 1 follows after DIRECTION columns."""
(D_NEXT, D_LEFT, D_LEFT_TAIL, D_LEFT_LEN, D_NEED, D_HELD, D_N_HELD, D_HELD_BYTES, D_GAP, D_ACKED, D_FLAGS, D_HOLE_TS,
 D_DIGEST, D_DIGEST_TS) = range(14)  # fmt: skip
DIRECTION = 14
FLOW = 48
UNDECIDED, IGNORED = 0, -1
HOW_NONE, HOW_PORT, HOW_MEANING, HOW_SYN, HOW_PROTOCOL, HOW_PEER = range(6)
FLOW_BY_SHAPE, FLOW_FOREIGN_SAID, FLOW_TWO_PORTS = 1, 2, 4
DIR_MIDSTREAM, DIR_REORDERED, DIR_RESYNC, DIR_DIFFERS = 1, 2, 4, 8
GIVEN_UP = -1
"""D_HOLE_TS of a hole that is to be skipped."""

# --- scratch of a record: what head and body say of a PDU
(S_KEY, S_ECHO, S_OP, S_UNIT, S_PEER_UNIT, S_TXN, S_FUNC, S_SUBFUNC, S_SPACE, S_ADDR, S_COUNT, S_ADDR_SUB, S_NAME_ID,
 S_FLAGS, S_ROLE, S_KIND, S_STATUS, S_ANOMALY, S_RUNS, S_HAS_REQUEST, S_ASKS, S_MATCH, S_PEER_SEQ, S_RTT, S_LENGTH,
 S_LOST, S_MORE, S_KEEP, S_NAMES, S_JOIN, S_EXTRA) = range(S_AT, S_AT + 31)  # fmt: skip
HANDED_ON = 14
"""The first columns of the scratch are those that a request hands to its response, then its extras."""
S_EXTRAS = 8
SCRATCH = 31 + S_EXTRAS
ROLE_REQUEST, ROLE_EITHER, ROLE_RESPONSE = 1, 0, -1
SURE_REQUEST, SURE_RESPONSE = 2, -2
"""Roles that the protocol itself tells without doubt; they count more than ports and who opened the connection."""
PEER_REQUEST, PEER_RESPONSE = 3, -3
"""The same where both ends may ask on one flow: the client is that of the exchange at hand."""

# --- pending request: the scratch of the request, and where it came from
(Q_NEXT, Q_BEFORE, Q_AFTER, Q_TS, Q_SEQ, Q_FLOW, Q_PACKET, Q_SMAC, Q_DMAC, Q_VLAN, Q_DIR, Q_LATE,
 Q_FLOW_HASH, Q_CUT, Q_ANSWERED, Q_CLIENT) = range(SCRATCH, SCRATCH + 16)  # fmt: skip
PENDING = SCRATCH + 16

# --- run of points
(N_SPACE, N_ADDR, N_STEP, N_COUNT, N_ENCODING, N_OFFSET, N_QUALITY, N_DIRECTION, N_ADDR_SUB, N_NAME_ID, N_LENGTH,
 N_SOURCE_TS) = range(12)  # fmt: skip
RUN = 12
RUNS = 512
"""Runs of one PDU at most; what a body has more is counted, and the last point says TRUNCATED in its quality."""

# --- segments of messages above the PDU (`joining`): what a head says of the segment that it was given
JOIN_AT = RUNS_AT + RUNS * RUN
(J_KEY, J_FIRST, J_LAST, J_SEQ, J_MODULO, J_AT, J_LENGTH, J_LEAD, J_BLOCK, J_GAP, J_SLOT) = range(JOIN_AT, JOIN_AT + 11)
JOIN = 11
(T_USED, T_FLOW, T_KEY, T_SEQ, T_CHAIN, T_TAIL, T_LENGTH, T_TS) = range(8)
"""Columns of a message that waits for its next segment."""
JOINS = 4096
JOIN_BYTES = 65535
"""Bytes of a joined message at most."""

# --- more context of a protocol within a flow
MORE_AT = JOIN_AT + JOIN
(X_FLOW, X_PART, X_JOINED, C_PART, C_JOINED, C_JOINS, C_ANSWER) = range(MORE_AT, MORE_AT + 7)

# --- names that a PDU carries (`naming`): place, size and source of each, and room to put one together
NAMES_AT = MORE_AT + 8
PDU_NAMES = 64
TEXT_AT = NAMES_AT + 3 * PDU_NAMES
TEXT = 512

# --- what protocols remember (`notes`)
NOTES_AT = TEXT_AT + TEXT
NOTES = 1024
NOTE = 5

# --- what more a request hands on than its scratch has room for (`handover`)
HANDED_AT = NOTES_AT + NOTES * NOTE
HANDOVERS = 1024
HANDOVER = 40
"""Numbers of a request at most."""
WORK = HANDED_AT + HANDOVERS * (HANDOVER + 1)

# --- encodings of a run's values
(ENC_BIT, ENC_U8, ENC_U16BE, ENC_CONST, ENC_BOOL_FF00, ENC_TEXT, ENC_BYTES) = range(7)
ENC_CODED = 256
"""Encodings from here on are words of `forms`."""

# --- context of a protocol within a flow
(X_STATE, X_SENDER_IS_CLIENT, X_STRICT, X_TRANSPORT, X_HEADED) = range(CONTEXT_AT, CONTEXT_AT + 5)

# --- held TCP segments and IP fragments
(H_NEXT, H_SEQ, H_LEN, H_CHUNK, H_TS, H_PACKET, H_SMAC, H_DMAC, H_VLAN, H_ANOMALY, H_MISSING) = range(11)
HELD = 12
CHUNK = 256
(K_SRC_HI, K_SRC_LO, K_DST_HI, K_DST_LO, K_ID, K_TS, K_HELD, K_TOTAL, K_BYTES, K_USED) = range(10)
FRAGMENT = 10
FRAGMENTS = 256

# --- control words of the driver
(C_NEXT, C_N, C_WORK, C_BUF, C_POS, C_END, C_FRONT, C_FLOW, C_DIR, C_FINAL, C_ASIDE, C_NOW, C_SEQ, C_RECORDS,
 C_POINTS, C_SPARSE, C_FLOWS, C_FREE_PENDING, C_OLDEST, C_NEWEST, C_LATE_OLDEST, C_LATE_NEWEST, C_FREE_CHUNK,
 C_FREE_CHUNK_COUNT, C_FREE_HELD, C_HOLE_HEAD, C_HOLE_TAIL, C_FIRST_PACKET, C_TIMEOUT, C_VLAN_SCOPE, C_SITE, C_SHARD,
 C_BOOT, C_NEED, C_NAMES, C_NAME_BYTES, C_LOADED,
 C_REGISTERED, C_DEADLINE,
 C_ASKED, C_GAP, C_RARE, C_LAST, C_FRESH, C_HAND, C_KEY, C_CLAIMS_AT, C_CLAIMS) = range(48)  # fmt: skip
CONTROL = 48

# --- what the driver asks of its caller
(DONE, FULL, GROW_FLOWS, GROW_PENDING, NEW_EPOCH, LOAD_PROTOCOL) = range(6)
(AGAIN, EMIT, TAKEN) = range(-1, -4, -1)
"""What a step of the driver says to the next."""
(WORK_NONE, WORK_BYTES, WORK_HELD) = range(3)
(STAGE_NEW, STAGE_TCP, STAGE_ACCEPTED) = range(3)
"""How far a segment that is set aside had come: not looked at, flags followed, payload judged."""
INDEX = 0x3FFFFFFF
"""Masks what is an index anyway: with its sign known, the compiler drops the test for a negative one."""
PROTOCOLS = 8
"""Length of the tables of function pointers: decoded protocols are numbered below it."""

NANOSECONDS = 1_000_000_000
HOLD_BYTES = 65536
"""Bytes held for a flow direction behind a hole, at most."""
STREAM_BYTES = 1 << 18
"""Room for bytes that are put together: a kept beginning and a segment."""
HOLD_NS = NANOSECONDS
MIRROR_NS = 50_000_000
"""What a mirror hands on twice, or late, comes within this time."""
LATE_NS = 60 * NANOSECONDS
"""How long an expired request is remembered, so that its answer can be called late."""
PENDING_PER_FLOW = 64
HOLES = 4096
NAMES = 1 << 16
NAME_BYTES = 4 << 20
