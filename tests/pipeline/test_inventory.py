"""Assets and conversations: counted by a kernel, bounded, and the same as a plain count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from detectors.columns import Columns, records
from pipeline.inventory import Inventory
from pipeline.inventory.groups import Groups
from pipeline.site import Site
from schemas.asset import ASSET, CONVERSATION
from schemas.codes import Kind, Op, PointType, Protocol, Quality, Space
from tests.reference.inventory import count


def ip(text: str) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes(int(part) for part in text.split("."))


HMI, HISTORIAN, PLC, GATEWAY = (ip(f"10.0.0.{n}") for n in (1, 2, 11, 12))
NAMES = {1: "Acme", 2: "PLC 9", 3: "v2"}


def exchange(ts: int, client: bytes, server: bytes, **more: Any) -> list[dict[str, Any]]:
    """A request and its response."""
    base = {"device": server[-1], "protocol": Protocol.MODBUS, "unit": 1, "func": 3, "op": Op.READ} | more
    points = base.pop("points", [])
    status = base.pop("status", 0)
    request = {"src_ip": client, "dst_ip": server, "src_port": 40_000 + ts % 1000, "dst_port": 502, "client_is_src": 1}
    answer = {"src_ip": server, "dst_ip": client, "src_port": 502, "dst_port": 40_000 + ts % 1000}
    macs = {"src_mac": 0xA0 + client[-1], "dst_mac": 0xA0 + server[-1]}
    back = {"src_mac": macs["dst_mac"], "dst_mac": macs["src_mac"]}
    return [
        base | request | macs | {"ts": ts, "kind": Kind.REQUEST},
        base | answer | back | {"ts": ts + 1, "kind": Kind.RESPONSE, "status": status, "points": points},
    ]


def identity(ts: int, texts: dict[int, int], **more: Any) -> list[dict[str, Any]]:
    points = [
        {"space": Space.DEVICE_ID, "addr": a, "raw": n, "type": PointType.TEXT, "value": float("nan")} | more
        for a, n in texts.items()
    ]
    return exchange(ts, HMI, PLC, func=43, subfunc=14, op=Op.IDENTIFY, space=Space.DEVICE_ID, points=points)


def seen(*rows: list[dict[str, Any]], limit: int = 1000) -> Inventory:
    inventory = Inventory(limit)
    inventory.add(records([row for part in rows for row in part]))
    return inventory


def rows(table: pa.Table) -> list[dict[str, Any]]:
    for name in ("first_seen", "last_seen"):
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(pa.int64()))
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def assets(inventory: Inventory, site: Site | None = None) -> dict[str, dict[str, Any]]:
    table = inventory.assets(NAMES, site or Site.empty())
    assert table.schema.equals(ASSET)
    return {row["ip"]: row for row in rows(table)}


def test_a_client_and_a_device_are_told_apart() -> None:
    found = assets(
        seen(
            exchange(100, HMI, PLC),
            exchange(200, HMI, PLC, func=6, op=Op.WRITE, status=2),
            exchange(300, HISTORIAN, PLC, unit=7, vlan=5),
        )
    )
    assert list(found) == ["10.0.0.1", "10.0.0.2", "10.0.0.11"]
    plc, hmi = found["10.0.0.11"], found["10.0.0.1"]
    assert (plc["is_server"], plc["is_client"], plc["device"], plc["ports"]) == (1, 0, 11, [502])
    assert (plc["units"], plc["vlans"], plc["macs"]) == ([1, 7], [5], ["00:00:00:00:00:ab"])
    assert (plc["records"], plc["writes"], plc["errors"]) == (6, 1, 1)
    assert (plc["first_seen"], plc["last_seen"]) == (100, 301)
    assert (hmi["is_server"], hmi["is_client"], hmi["device"], hmi["ports"]) == (0, 1, 0, [])
    assert (hmi["records"], hmi["writes"], hmi["errors"]) == (4, 1, 1)


def test_an_address_that_is_announced_is_no_asset() -> None:
    said = exchange(100, HMI, GATEWAY)[1] | {"kind": Kind.ANNOUNCE, "protocol": Protocol.ARP}
    inventory = seen(exchange(100, HMI, PLC), [said])
    assert set(assets(inventory)) == {"10.0.0.1", "10.0.0.11"}
    assert inventory.conversations().num_rows == 1


def test_one_that_serves_and_asks_is_one_asset() -> None:
    found = assets(seen(exchange(100, HMI, GATEWAY), exchange(200, GATEWAY, PLC)))
    assert (found["10.0.0.12"]["is_server"], found["10.0.0.12"]["is_client"]) == (1, 1)
    assert found["10.0.0.12"]["records"] == 4


def test_identity_objects_name_the_device() -> None:
    inventory = seen(identity(100, {0: 1, 1: 2, 2: 3, 3: 9}))
    plc = assets(inventory)["10.0.0.11"]
    assert (plc["vendor"], plc["model"], plc["firmware"]) == ("Acme", "PLC 9", "v2")
    assert assets(inventory)["10.0.0.1"]["vendor"] == ""


def test_the_model_name_goes_before_the_product_code() -> None:
    assert assets(seen(identity(100, {1: 3, 5: 2})))["10.0.0.11"]["model"] == "PLC 9"


@pytest.mark.parametrize("wrong", [{"quality": Quality.ADDRESS_UNKNOWN}, {"type": PointType.U16}])
def test_what_may_not_be_an_identity_is_none(wrong: dict[str, Any]) -> None:
    assert assets(seen(identity(100, {0: 1}, **wrong)))["10.0.0.11"]["vendor"] == ""


def test_conversations_gather_functions_and_outcomes() -> None:
    late = exchange(500, HMI, PLC)[0] | {"kind": Kind.TIMEOUT}
    inventory = seen(
        exchange(300, HISTORIAN, PLC),
        exchange(100, HMI, PLC),
        exchange(200, HMI, PLC, func=16, op=Op.WRITE, status=1),
        [late],
        exchange(400, HMI, PLC, unit=2),
    )
    table = inventory.conversations()
    assert table.schema.equals(CONVERSATION)
    found = rows(table)
    assert [(r["client_ip"], r["unit"]) for r in found] == [("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1)]
    first = found[0]
    assert (first["functions"], first["ops"], first["server_port"]) == ([3, 16], [Op.READ, Op.WRITE], 502)
    assert (first["requests"], first["responses"], first["errors"], first["timeouts"]) == (2, 2, 1, 1)
    assert (first["first_seen"], first["last_seen"]) == (100, 500)


def test_what_finds_no_room_is_counted() -> None:
    rows_of_scan = [row for n in range(50) for row in exchange(n, HMI, ip(f"10.0.1.{n}"))]
    inventory = seen(rows_of_scan, limit=10)
    health = {(counter, reason): n for _, counter, reason, n in inventory.health()}
    assert health["groups", ""] == 10
    assert health["left out", "records of further groups"] == 80
    assert inventory.conversations().num_rows == 10


def traffic(n: int, seed: int) -> Columns:
    rng = np.random.default_rng(seed)
    out: list[dict[str, Any]] = []
    for _ in range(n):
        client, server = (ip(f"10.0.{k}.{rng.integers(1, 6)}") for k in (1, 2))
        func, status = int(rng.integers(3, 7)), int(rng.integers(0, 2))
        more = {"unit": int(rng.integers(0, 3)), "vlan": int(rng.integers(0, 2)) << 16, "func": func, "status": status}
        out += exchange(int(rng.integers(0, 10_000)), client, server, **more)[: int(rng.integers(1, 3))]
    return records(out)


@pytest.mark.parametrize("limit", [10_000, 20, 1])
def test_groups_agree_with_a_plain_count(limit: int) -> None:
    groups, plain = Groups(limit), count()
    for seed in range(3):
        batch = traffic(200, seed)
        groups.add(batch)
        plain.add(batch, limit)
    assert list(groups) == plain.groups()
    assert groups.left_out == plain.left_out
    assert (groups.left_out > 0) == (limit < 100)


def test_how_the_records_are_cut_does_not_matter() -> None:
    batch = traffic(200, 7)
    whole, parts = Inventory(), Inventory()
    whole.add(batch)
    for start in range(0, len(batch), 17):
        parts.add(batch.slice(start, min(start + 17, len(batch))))
    assert parts.conversations().equals(whole.conversations())
    assert parts.assets({}, Site.empty()).equals(whole.assets({}, Site.empty()))
