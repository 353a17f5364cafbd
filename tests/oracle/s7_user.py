"""What the userdata of S7comm carries, as tshark dissects it: blocks, subscriptions, tables, messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.codes import Space
from tests.oracle import pdml
from tests.oracle.s7_items import Item, data_of, items_of, place, values_of

Value = float | str
Told = tuple[tuple[int, int, int], Value]
"""Space, address and second part of a point, and its value."""
_TABLES = {0: 0x83, 1: 0x81, 2: 0x82, 3: 0x80, 5: 0x1D, 6: 0x1C, 7: 0x84}
"""Area of a read job for the high four bits of one in a table."""
_SIZES = {0: 1, 1: 2, 2: 4, 3: 6}
_SIGNALS = {
    "s7comm.alarm.eventstate": 1, "s7comm.alarm.state": 2, "s7comm.alarm.ack_state.going": 3,
    "s7comm.alarm.ack_state.coming": 4, "s7comm.alarm.event.going": 5, "s7comm.alarm.event.coming": 6,
    "s7comm.alarm.event.lastchanged": 7,
}  # fmt: skip
_INFORMATION = (
    (3, "flags"), (2, "block_lang"), (4, "load_mem_len"), (5, "blocksecurity"), (7, "add_len"), (8, "localdata_len"),
    (9, "mc7_len"), (13, "headerversion"), (14, "checksum"), (6, "ssb_len"),
)  # fmt: skip
_TEXTS = ((10, "author"), (11, "family"), (12, "headername"))
_DIAGNOSIS = ("prioclass", "obnumber", "datid", "info1", "info2")
_RAW = {5: ("h", 2), 6: ("i", 4), 7: ("f", 4)}


@dataclass
class Asked:
    """What the messages before said: items by kind of answer and number, types of blocks by job."""

    items: dict[tuple[str, int, int], list[Item]] = field(default_factory=dict)
    kinds: dict[int, int] = field(default_factory=dict)


def contents(layer: pdml.Layer, txn: int, kind: str, asked: Asked) -> dict[str, Any]:
    """What the data say, in the words of `message.FIELDS`; nothing of what tshark puts together from parts."""
    group, sub = layer.number("s7comm.param.userdata.funcgroup"), _sub(layer)
    if int(layer.first("s7comm.param.userdata.dataunitref", "0"), 0) or sub < 0:
        return {}
    if group == 3:
        return _blocks(layer, txn, sub, kind, asked)
    if group in (1, 2):
        return _variables(layer, group, sub, txn, kind, asked)
    if group == 4 and sub != 1:
        return _messages(layer, sub, kind)
    if group == 0:
        return _told([((Space.S7_MODE, 0, 0), float(layer.number("s7comm.param.modetrans.subfunc")))])
    return {}


def _sub(layer: pdml.Layer) -> int:
    text = layer.first("s7comm.param.userdata.subfunc") or layer.first("s7comm.param.modetrans.subfunc")
    return int(text, 0) if text else -1


def _told(points: list[Told]) -> dict[str, Any]:
    return {"addresses": tuple(place for place, _ in points), "values": tuple(value for _, value in points)}


def _blocks(layer: pdml.Layer, txn: int, sub: int, kind: str, asked: Asked) -> dict[str, Any]:
    kinds = [int(text, 16) for text in layer.all("s7comm.blockinfo.blocktype") if text.isalnum()]
    numbers = [int(text) for text in layer.all("s7comm.blockinfo.block_num")]
    if kind == "request":
        asked.kinds[txn] = kinds[0] if kinds else 0
        if sub == 3:
            return {"reference": (kinds[0] << 16 | int(layer.first("s7comm.data.blockinfo.block_number")), 0)}
        return {}
    if sub == 1:
        counts = [float(text) for text in layer.all("s7comm.blockinfo.block_count")]
        return _told([((Space.S7_BLOCK, k << 16, 1), n) for k, n in zip(kinds, counts, strict=True)])
    if sub == 2:
        first = asked.kinds.get(txn, 0) << 16
        languages = [float(text) for text in layer.all("s7comm.blockinfo.block_lang")]
        return _told([((Space.S7_BLOCK, first | n, 2), x) for n, x in zip(numbers, languages, strict=True)])
    return _information(layer, layer.number("s7comm.blockinfo.subblk_type") << 16 | numbers[0]) if numbers else {}


def _information(layer: pdml.Layer, addr: int) -> dict[str, Any]:
    raw = {name.removeprefix("s7comm.blockinfo."): value for name, _, value in layer.fields}
    raw["flags"] = f"{layer.number('s7comm.param.userdata.blockinfo.flags'):02x}"
    points: list[Told] = [((Space.S7_BLOCK, addr, part), float(int(raw[name], 16))) for part, name in _INFORMATION]
    texts = [(part, bytes.fromhex(raw[name]).rstrip(b"\0 ").decode()) for part, name in _TEXTS]
    points += [((Space.S7_BLOCK, addr, part), text) for part, text in texts if text]
    code, interface = (_block_ms(raw[name]) for name in ("code_timestamp", "interface_timestamp"))
    times = tuple(interface if part == 6 else code for part, _ in _INFORMATION)
    return _told(points) | {"times": times + (0,) * (len(points) - len(times))}


def _block_ms(text: str) -> int:
    ms, days = struct.unpack("!IH", bytes.fromhex(text))
    return int((datetime(1984, 1, 1, tzinfo=UTC) + timedelta(days=days)).timestamp()) * 1000 + int(ms)


def _variables(layer: pdml.Layer, group: int, sub: int, txn: int, kind: str, asked: Asked) -> dict[str, Any]:
    number = layer.number("s7comm.param.userdata.seq_num")
    if group == 2 and sub == 4:
        return _unsubscribed(layer, number, kind, asked)
    if group == 1 and sub == 0x10 and kind == "response":
        return _jobs(layer)
    if (group, sub) not in {(1, 2), (1, 8), (1, 9), (2, 1), (2, 5)}:
        return {}
    if kind == "request":
        items = list(_in_table(layer) if group == 1 else items_of(layer))
        asked.items["job", txn, sub] = items
        return _asked_for(layer, group, sub, items)
    if kind == "response":
        items = asked.items.pop(("job", txn, sub), [])
        asked.items["sent", number, sub] = items
    else:
        items = asked.items.get(("sent", number, sub), [])
    codes = [int(code, 0) for code in layer.all("s7comm.data.returncode")[1:]]
    bad = next((code or 0x100 for code in codes if code != 0xFF and (code or sub in (8, 9))), 0)
    said: dict[str, Any] = {"exception": bad} if bad and not layer.number("s7comm.param.errcod") else {}
    if len(items) != len(codes) or not codes:
        return said
    said["items"] = tuple(place(items[i], 0, 0) for i, code in enumerate(codes) if code == bad and bad and items[i])
    return said | (values_of(items, data_of(layer, 1)) if sub not in (8, 9) else {})


def _unsubscribed(layer: pdml.Layer, number: int, kind: str, asked: Asked) -> dict[str, Any]:
    if kind == "request":
        return {"reference": (layer.number("s7comm.cyclic.job_id"), 0)}
    for sub in (1, 5):
        asked.items.pop(("sent", number, sub), None)
    return {}


def _asked_for(layer: pdml.Layer, group: int, sub: int, items: list[Item]) -> dict[str, Any]:
    """The items of a request; a subscription to one tells it in the record alone, a table has them as points."""
    if group == 1 and sub != 2:
        return values_of(items, data_of(layer, 1))
    return {"items": tuple(place(item, 0, 0) for item in items if item)} if len(items) > 1 or group == 1 else {}


def _jobs(layer: pdml.Layer) -> dict[str, Any]:
    columns = (layer.all(f"s7comm.tis.job.{name}") for name in ("function", "response_seq_num", "reserved"))
    return _told([
        ((Space.S7_JOB, int(function) << 8 | int(number), 0), float(int(state.replace(":", ""), 16)))
        for function, number, state in zip(*columns, strict=True)
    ])  # fmt: skip


def _in_table(layer: pdml.Layer) -> Iterator[Item]:
    area = bit = block = 0
    for name, shown, _ in layer.fields:
        part = name.removeprefix("s7comm.varstat.req.")
        if part == "memory_area":
            area, bit = int(shown, 0), 0
        elif part == "bitpos":
            bit = int(shown)
        elif part == "db_number":
            block = int(shown)
        elif part == "startaddress":
            sort, width = _TABLES.get(area >> 4, 0), area & 15
            numbered = sort in (0x1C, 0x1D)
            if not sort or (width == 4) != numbered or width > 4:
                yield None
            else:
                yield sort, block, int(shown) if numbered else 8 * int(shown) + bit, sort if numbered else _SIZES[width]


def _messages(layer: pdml.Layer, sub: int, kind: str) -> dict[str, Any]:
    if sub == 2:
        user = layer.first("s7comm.cpu.msg.username").rstrip()
        return {"name": user} if kind == "request" and user else {}
    if sub == 3:
        event = layer.number("s7comm.cpu.diag_msg.eventid")
        numbers = [float(layer.number(f"s7comm.cpu.diag_msg.{name}")) for name in _DIAGNOSIS]
        said = _told([((Space.S7_DIAGNOSTIC, event, part), n) for part, n in enumerate(numbers, 1)])
        return said | {"times": (_time_ms(layer),) * len(numbers)}
    if kind == "response" and sub != 0x13:
        bad = next((int(code, 0) for code in layer.all("s7comm.data.returncode")[1:] if int(code, 0) != 0xFF), 0)
        return {"exception": bad or layer.number("s7comm.param.errcod")}
    points = list(_alarms(layer))
    times = {"times": (_time_ms(layer),) * len(points)} if len(layer.all("s7comm.data.ts")) == 1 else {}
    return _told(points) | times if points else {}


def _time_ms(layer: pdml.Layer) -> int:
    digits = next(raw for name, _, raw in layer.fields if name == "s7comm.data.ts")
    if not int(digits):
        return 0
    when = datetime.strptime(f"20{digits[:12]}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return int(when.timestamp()) * 1000 + int(digits[12:15])


def _alarms(layer: pdml.Layer) -> Iterator[Told]:
    """The points of a message's objects in their order; of an answer to a query with the kind of each alarm."""
    event, kind, part, going = 0, None, 16, False
    sort = 0
    for name, shown, raw in layer.fields:
        if name == "s7comm.alarm.query.alarmtype":
            kind = int(shown)
        elif name == "s7comm.alarm.event_id":
            event, part, going = int(shown, 0), 16, False
            if kind is not None:
                yield (Space.S7_ALARM, event, 9), float(kind)
        elif name in _SIGNALS:
            yield (Space.S7_ALARM, event, _SIGNALS[name]), float(int(raw, 16))
        elif name == "s7comm.alarm.timestamp_going":
            part, going = 32, True
        elif name == "s7comm.data.transportsize":
            sort = int(shown, 0)
        elif name == "s7comm.resp.data":
            for k, value in enumerate(_associated(sort, bytes.fromhex(raw))):
                yield (Space.S7_ALARM, event | k << 32, part), value
            part += 0 if going else 1


def _associated(sort: int, data: bytes) -> tuple[float, ...]:
    if sort == 3 and len(data) == 1:
        return (float(data[0] & 1),)
    letter, each = _RAW.get(sort, ("B", 1))
    if len(data) % each:
        letter, each = "B", 1
    return tuple(float(value) for value in struct.unpack(f">{len(data) // each}{letter}", data))
