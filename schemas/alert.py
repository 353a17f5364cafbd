"""ALERT: one row per activity of a finding, with the names of OCSF 1.9 Detection Finding (class 2004), flattened.

A finding is CREATEd at its first evidence, UPDATEd at counts of 10, 100 and so on or when its severity rises, and
CLOSEd at the end of its window.  Rows of one finding share `finding_info_uid`; a reader keeps the last of each.
`finding_info_uid` is a hash of (finding type, what it is about, window start): never of partition or offset.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.field import Column, schema_of

VERSION = 2
CATEGORY_UID = 2
CLASS_UID = 2004

_TIME = pa.timestamp("ns", "UTC")

ATTACK = pa.struct(
    [
        pa.field("tactic_uid", pa.string(), nullable=False),
        pa.field("technique_uid", pa.string(), nullable=False),
        pa.field("technique_name", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
    ]
)
EVIDENCE = pa.struct(
    [
        pa.field("shard", pa.uint16(), nullable=False),
        pa.field("boot", pa.uint32(), nullable=False),
        pa.field("seq", pa.uint64(), nullable=False),
        pa.field("packet", pa.uint64(), nullable=False),
        pa.field("ts", _TIME, nullable=False),
    ]
)
EVIDENCE_LIMIT = 16
"""How many evidence pointers one row carries: the first ones seen."""

ALERT_COLUMNS: tuple[Column, ...] = (
    Column("time", _TIME, "record time of this activity"),
    Column("activity_id", pa.uint8(), "Activity: 1 create, 2 update, 3 close"),
    Column("category_uid", pa.uint8(), "2, Findings", CATEGORY_UID),
    Column("class_uid", pa.uint16(), "2004, Detection Finding", CLASS_UID),
    Column("type_uid", pa.uint32(), "class_uid * 100 + activity_id"),
    Column("severity_id", pa.uint8(), "Severity: 1 informational to 5 critical"),
    Column("confidence_score", pa.uint8(), "0 to 100"),
    Column("risk_score", pa.uint8(), "0 to 100: severity weighed by confidence and by the impact of the device"),
    Column("status_id", pa.uint8(), "1 new, 4 resolved (closed)"),
    Column("is_alert", pa.uint8(), "1 when a person should look", 1),
    Column("finding_info_uid", pa.uint64(), "id of the finding, the same in every replay"),
    Column("parent_uid", pa.uint64(), "finding under which this one is rolled up, 0 for none"),
    Column("finding_info_title", pa.string(), "what happened, in a few words", ""),
    Column("finding_info_desc", pa.string(), "one line a person can act on", ""),
    Column(
        "finding_info_types", pa.list_(pa.field("item", pa.string(), nullable=False)), "policy, protocol, value …", []
    ),
    Column("analytic_uid", pa.string(), "detector and finding type, such as value.range", ""),
    Column("analytic_version", pa.string(), "version of the detector", ""),
    Column("analytic_type_id", pa.uint8(), "OCSF: 1 rule, 2 behavioural, 3 statistical, 4 learning"),
    Column("attacks", pa.list_(pa.field("item", ATTACK, nullable=False)), "ATT&CK for ICS techniques", []),
    Column("start_time", _TIME, "start of the window, the first evidence"),
    Column("end_time", _TIME, "end of the window"),
    Column("first_seen_time", _TIME, "first evidence so far"),
    Column("last_seen_time", _TIME, "last evidence so far"),
    Column("count", pa.uint64(), "pieces of evidence so far"),
    Column("device", pa.uint64(), "device concerned (RECORD.device)"),
    Column("device_name", pa.string(), "its name from the site file, else its address", ""),
    Column("unit", pa.uint32(), "unit behind the device"),
    Column("client_ip", pa.string(), "the client's address, empty where none is concerned", ""),
    Column("client_name", pa.string(), "its name from the site file, else its address", ""),
    Column("server_ip", pa.string(), "the server's address", ""),
    Column("protocol", pa.uint8(), "Protocol"),
    Column("op", pa.uint8(), "Op of the first evidence"),
    Column("func", pa.uint16(), "function of the first evidence"),
    Column("subfunc", pa.uint32(), "sub-function of the first evidence"),
    Column(
        "functions", pa.list_(pa.field("item", pa.uint16(), nullable=False)), "distinct functions seen, up to 32", []
    ),
    Column("space", pa.uint16(), "kind of point concerned"),
    Column("addr", pa.uint64(), "address concerned"),
    Column("addr_sub", pa.uint32(), "second part of the address"),
    Column("name_id", pa.uint64(), "name concerned, 0 for none"),
    Column("tag", pa.string(), "the tag's name from the site file, else its address in words", ""),
    Column("expected", pa.string(), "what was normal", ""),
    Column("observed", pa.string(), "what was seen", ""),
    Column("expected_low", pa.float64(), "lower bound of normal, NaN where none", float("nan")),
    Column("expected_high", pa.float64(), "upper bound of normal, NaN where none", float("nan")),
    Column("observed_value", pa.float64(), "the value seen, the most extreme so far; NaN where none", float("nan")),
    Column("outcome", pa.uint8(), "what became of the operation (Outcome)"),
    Column("evidences", pa.list_(pa.field("item", EVIDENCE, nullable=False)), "pointers to the first records", []),
    Column("hint", pa.string(), "attack, fault or misoperation, the likelier first, and why", ""),
    Column("subject_key", pa.uint64(), "what it is about beside device and type, as a hash: by it a finding is taught"),
    Column("baseline_uid", pa.string(), "digest of the baseline that judged, empty for none", ""),
)

ALERT = schema_of(ALERT_COLUMNS, version=VERSION, name="alert")
