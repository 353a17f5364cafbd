"""The tables of `fieldtap show`: which columns, of which rows, in which words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import names as words
from pipeline.errors import OutputError
from pipeline.show import filters as only
from pipeline.show.filters import Filters
from pipeline.site import Site
from schemas.codes import Kind, PointType, Protocol, Space

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A table to print: headings (right-aligned where they end in `>`), rows, and how many rows there are in all."""

    headings: tuple[str, ...]
    rows: Sequence[Row]
    total: int


@dataclass(slots=True)
class Results:
    """A folder of results, and the names in it."""

    folder: Path
    site: Site
    names: dict[int, str] = field(default_factory=dict)
    device_names: dict[int, str] = field(default_factory=dict)
    device_ips: dict[int, str] = field(default_factory=dict)
    client_names: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def open(folder: Path, site: Site) -> Results:
        """Read the small tables.

        Raises:
            OutputError: the folder holds no results.
        """
        if not (folder / "health.parquet").is_file():
            raise OutputError(f"{folder}: holds no results of fieldtap (no health.parquet)")
        results = Results(folder, site)
        for row in results.table("names").collect().iter_rows(named=True):
            results.names[row["name_id"]] = row["text"]
        if (folder / "assets.parquet").is_file():
            columns = ("ip", "macs", "name", "device")
            for row in results.table("assets").select(columns).collect().iter_rows(named=True):
                mac = next(iter(row["macs"]), "")
                name = site.name_of(row["ip"], mac) or row["name"]
                if row["device"]:
                    results.device_ips[row["device"]] = row["ip"] or mac
                    results.device_names[row["device"]] = name
                if row["ip"] and name:
                    results.client_names[row["ip"]] = name
        return results

    def table(self, name: str) -> pl.LazyFrame:
        """One of the small tables."""
        return _scanned(self.folder / f"{name}.parquet", self.folder / f"{name}.parquet")

    def dataset(self, name: str) -> pl.LazyFrame:
        """One of the datasets."""
        return _scanned(self.folder / name, self.folder / name / "part-*.parquet")

    def device(self, device: int) -> str:
        """A device's name, else its address."""
        return self.device_names.get(device) or self.device_ips.get(device) or (f"{device:#x}" if device else "")

    def client(self, ip: str) -> str:
        """A client's name, else its address."""
        return self.client_names.get(ip) or ip


def _scanned(place: Path, pattern: Path) -> pl.LazyFrame:
    if not place.exists():
        raise OutputError(f"{place}: not there; this result was made without it")
    return pl.scan_parquet(pattern)


def _limited(rows: pl.LazyFrame, limit: int) -> tuple[pl.DataFrame, int]:
    """The first `limit` rows (0 for all), and how many there are."""
    total = int(rows.select(pl.len()).collect().item())
    return (rows.head(limit) if limit else rows).collect(), total


def _time(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    try:
        from datetime import UTC, datetime

        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d}"
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns"


def _times(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return frame.with_columns(pl.col(c).cast(pl.Int64) for c in columns)


def number(value: float) -> str:
    """A value as people write it: whole where it is whole, else six digits."""
    return f"{value:.0f}" if value == value and abs(value) < 1e15 and value == int(value) else f"{value:.6g}"


def _device_is(results: Results, text: str) -> pl.Expr:
    return pl.col("device").is_in(only.devices(results.device_names, results.device_ips, text))


def alerts(results: Results, filters: Filters, limit: int, *, hints: bool = False) -> Shown:
    """Findings, the last row of each, worst first; with what may be behind them if `hints` are wanted."""
    rows = results.dataset("alerts")
    rows = rows.group_by("finding_info_uid", maintain_order=True).last()
    rows = rows.filter(*only.span(filters, "first_seen_time", "last_seen_time"))
    if filters.severity is not None:
        rows = rows.filter(pl.col("severity_id") >= only.severity_of(filters.severity))
    if filters.detector is not None:
        wanted = filters.detector
        rows = rows.filter((pl.col("analytic_uid") == wanted) | pl.col("analytic_uid").str.starts_with(f"{wanted}."))
    if filters.protocol is not None:
        rows = rows.filter(pl.col("protocol") == only.protocol_of(filters.protocol))
    if filters.function is not None:
        rows = rows.filter(only.functions(rows, filters.function))
    if filters.device is not None:
        named = pl.col("device_name").str.to_lowercase().str.contains(filters.device.lower(), literal=True)
        rows = rows.filter(named | (pl.col("server_ip") == filters.device) | _device_is(results, filters.device))
    if filters.client is not None:
        named = pl.col("client_name").str.to_lowercase().str.contains(filters.client.lower(), literal=True)
        rows = rows.filter(named | (pl.col("client_ip") == filters.client))
    rows = rows.sort("severity_id", "first_seen_time", "finding_info_uid", descending=[True, False, False])
    frame, total = _limited(rows, limit)
    shown = [
        (
            words.severity_text(r["severity_id"]),
            _time(r["first_seen_time"]),
            f"{r['count']:,}",
            r["analytic_uid"],
            r["finding_info_desc"] or r["finding_info_title"],
            " ".join(a["technique_uid"] for a in r["attacks"]),
            f"{r['finding_info_uid']:016x}"[:8],
            *((r.get("hint", ""),) if hints else ()),
        )
        for r in _times(frame, "first_seen_time").iter_rows(named=True)
    ]
    return Shown(
        ("severity", "first seen (UTC)", "count>", "detector", "what", "ATT&CK", "id", *(("may be",) if hints else ())),
        shown,
        total,
    )


def records(results: Results, filters: Filters, limit: int) -> Shown:
    """Records in order of time."""
    rows = results.dataset("records").filter(*only.span(filters, "ts", "ts"))
    if filters.protocol is not None:
        rows = rows.filter(pl.col("protocol") == only.protocol_of(filters.protocol))
    if filters.function is not None:
        rows = rows.filter(only.functions(rows, filters.function))
    if filters.device is not None:
        rows = rows.filter(_device_is(results, filters.device))
    if filters.client is not None:
        rows = rows.filter(_client_is(results, filters.client))
    frame, total = _limited(rows, limit)
    shown = [_record(results, r) for r in _times(frame, "ts").iter_rows(named=True)]
    headings = ("time (UTC)", "packet>", "client", "", "device", "unit>", "protocol", "function", "what", "values>")
    return Shown((*headings, "remark"), shown, total)


def _client_is(results: Results, text: str) -> pl.Expr:
    """Records whose client has this address, or a name with this part."""
    wanted = {ip for ip, name in results.client_names.items() if text.lower() in name.lower()} | {text}
    packed = [a for a in map(words.packed_address, sorted(wanted)) if a is not None]
    client = pl.when(pl.col("client_is_src") == 1).then("src_ip").otherwise("dst_ip")
    return pl.any_horizontal(*(client.cast(pl.Binary) == pl.lit(a) for a in packed), pl.lit(value=False))


_ARROWS = {Kind.REQUEST: "→", Kind.RESPONSE: "←", Kind.TIMEOUT: "✗", Kind.UNSOLICITED: "←"}


def _record(results: Results, r: Mapping[str, Any]) -> Row:
    client, server = ("src_ip", "dst_ip") if r["client_is_src"] else ("dst_ip", "src_ip")
    base = results.site.register_base
    tag = words.tag_text(r["protocol"], r["space"], r["addr"], r["addr_sub"], r["name_id"], results.names, base)
    many = f" ({r['count']})" if r["count"] > 1 else ""
    remarks = [words.status_text(r["protocol"], r["status"])] if r["status"] else []
    remarks += [words.match_text(r["match"])] if r["match"] > 2 else []
    remarks += ["no answer"] if r["kind"] == Kind.TIMEOUT else []
    remarks += words.anomaly_texts(r["anomaly"])
    remarks += [f"{r['gap_bytes']} bytes missing before"] if r["gap_bytes"] else []
    return (
        _time(r["ts"]),
        str(r["packet"]),
        results.client(words.address_text(r[client])),
        _ARROWS.get(r["kind"], "·"),
        results.device_names.get(r["device"]) or words.address_text(r[server]) or results.device(r["device"]),
        str(r["unit"]),
        words.protocol_text(r["protocol"]),
        words.function_text(r["protocol"], r["func"], r["subfunc"]) if r["func"] else "",
        f"{tag}{many}" if tag else "",
        str(r["n_points"] or ""),
        ", ".join(remarks),
    )


def points(results: Results, filters: Filters, limit: int) -> Shown:
    """Values in order of time."""
    rows = results.dataset("points").filter(*only.span(filters, "ts", "ts"))
    if filters.device is not None:
        rows = rows.filter(_device_is(results, filters.device))
    frame, total = _limited(rows, limit)
    shown = [_point(results, r) for r in _times(frame, "ts").iter_rows(named=True)]
    return Shown(("time (UTC)", "device", "unit>", "tag", "value>", "", "type", "how", "quality"), shown, total)


def _point(results: Results, r: Mapping[str, Any]) -> Row:
    site, ip = results.site, results.device_ips.get(r["device"], "")
    protocol = _MODBUS if r["space"] < _FIRST_OTHER_SPACE else 0
    if Space.CIP_SYMBOL <= r["space"] <= Space.PCCC_FILE:
        protocol = Protocol.ENIP
    text = words.tag_text(
        protocol, r["space"], r["addr"], r["addr_sub"], r["name_id"], results.names, site.register_base
    )
    tag = site.tag_of(ip, r["unit"], r["space"], r["addr"], r["addr_sub"])
    if r["name_id"]:
        device = site.device_of(ip)
        tag = site.symbol_in(device, r["unit"], text) if device else None
    value, unit = r["value"], ""
    if tag is not None and tag.width == 1:
        value, unit = site.scaled(tag, value), tag.unit
    shown = number(value)
    if value != value and (r["raw"] or r["type"] == PointType.TEXT):
        shown = results.names.get(r["raw"] & 0xFFFF_FFFF_FFFF_FFFF, "?") if r["raw"] else ""
    return (
        _time(r["ts"]),
        results.device(r["device"]),
        str(r["unit"]),
        f"{tag.name} ({text})" if tag is not None else text,
        shown,
        unit,
        words.type_text(r["type"]),
        words.direction_text(r["direction"]),
        ", ".join(words.quality_texts(r["quality"])),
    )


_MODBUS = 1
_FIRST_OTHER_SPACE = 32
"""Spaces below are Modbus's own (schemas.codes.Space)."""


def assets(results: Results, filters: Filters, limit: int) -> Shown:
    """Devices and clients in order of address."""
    rows = results.table("assets").filter(*only.span(filters, "first_seen", "last_seen"))
    if filters.protocol is not None:
        rows = rows.filter(pl.col("protocols").list.contains(only.protocol_of(filters.protocol)))
    for text, role in ((filters.device, "is_server"), (filters.client, "is_client")):
        if text is not None:
            named = pl.col("name").str.to_lowercase().str.contains(text.lower(), literal=True)
            rows = rows.filter(pl.col(role) == 1, named | (pl.col("ip") == text) | _device_is(results, text))
    frame, total = _limited(rows, limit)
    shown = [_asset(results, r) for r in _times(frame, "first_seen", "last_seen").iter_rows(named=True)]
    headings = ("address", "MAC", "name", "zone", "role", "protocols", "units", "identity", "records>", "writes>")
    return Shown((*headings, "errors>", "last seen (UTC)"), shown, total)


def _asset(results: Results, r: Mapping[str, Any]) -> Row:
    roles = [word for column, word in (("is_server", "device"), ("is_client", "client")) if r[column]]
    return (
        r["ip"],
        _some(r["macs"], 2),
        results.client_names.get(r["ip"], r["name"]),
        r["zone"],
        " and ".join(roles),
        ", ".join(words.protocol_text(p) for p in r["protocols"]),
        _some(r["units"], 8),
        " ".join(part for part in (r["vendor"], r["model"], r["firmware"], r["serial"]) if part),
        f"{r['records']:,}",
        f"{r['writes']:,}",
        f"{r['errors']:,}",
        _time(r["last_seen"]),
    )


def _some(values: Iterable[Any], limit: int) -> str:
    listed = [str(v) for v in values]
    more = f" +{len(listed) - limit}" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def health(results: Results, _: Filters, limit: int) -> Shown:
    """What every stage counted."""
    frame, total = _limited(results.table("health"), limit)
    rows = [(r["stage"], r["counter"], r["reason"], f"{r['value']:,}") for r in frame.iter_rows(named=True)]
    return Shown(("stage", "counter", "reason", "value>"), rows, total)
