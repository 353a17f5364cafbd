"""Filters: which rows of a result a person asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches

import polars as pl

from pipeline.errors import ConfigError
from pipeline.names import function_text, op_text, protocol_text
from schemas.codes import Protocol, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """As given on the command line; None lets everything pass."""

    severity: str | None = None
    detector: str | None = None
    device: str | None = None
    client: str | None = None
    protocol: str | None = None
    function: str | None = None
    since: str | None = None
    until: str | None = None

    def refuse_others(self, allowed: Sequence[str], what: str) -> None:
        """A filter that means nothing for this table is an error, not silence.

        Raises:
            ConfigError: one outside of `allowed` was given.
        """
        given = [name for name in Filters.__dataclass_fields__ if getattr(self, name) is not None]
        for name in given:
            if name not in allowed:
                takes = ", ".join(f"--{a}" for a in allowed) or "none"
                raise ConfigError(f"--{name}: {what} has no such filter; it takes {takes}")


def time_ns(text: str, option: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time; without a zone it is UTC.

    Raises:
        ConfigError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{option}: expected a time such as 2026-03-02T09:00, found {text!r}") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def span(filters: Filters, first: str, last: str) -> list[pl.Expr]:
    """Rows whose [first, last] columns of time meet [since, until)."""
    found = []
    if filters.since is not None:
        found.append(pl.col(last).cast(pl.Int64) >= time_ns(filters.since, "--since"))
    if filters.until is not None:
        found.append(pl.col(first).cast(pl.Int64) < time_ns(filters.until, "--until"))
    return found


def severity_of(text: str) -> int:
    """The Severity of this name."""
    return int(Severity[text.upper()])


def protocol_of(text: str) -> int:
    """The Protocol of this name, however it is written.

    Raises:
        ConfigError: there is none.
    """
    known = {_bare(protocol_text(p)): int(p) for p in Protocol} | {_bare(p.name): int(p) for p in Protocol}
    code = known.get(_bare(text))
    if code is None:
        near = get_close_matches(_bare(text), known, 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"--protocol: no protocol {text!r}{hint}")
    return code


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def functions(rows: pl.LazyFrame, text: str) -> pl.Expr:
    """Rows whose function has this number, or whose function's or operation's name has this part."""
    if text.isdecimal():
        return pl.col("func") == int(text)
    kinds = rows.select("protocol", "func", "subfunc", "op").unique().collect()
    wanted = text.lower()
    hits = [
        row
        for row in kinds.iter_rows(named=True)
        if wanted in f"{function_text(row['protocol'], row['func'], row['subfunc'])} {op_text(row['op'])}".lower()
    ]
    return pl.any_horizontal(
        *(
            (pl.col("protocol") == r["protocol"]) & (pl.col("func") == r["func"]) & (pl.col("subfunc") == r["subfunc"])
            & (pl.col("op") == r["op"])
            for r in hits
        ),
        pl.lit(value=False),
    )  # fmt: skip


def devices(names: Mapping[int, str], addresses: Mapping[int, str], text: str) -> list[int]:
    """Ids of devices with this address, id (decimal or 0x…) or name, or a part of the name."""
    wanted = text.lower()
    found = [d for d, name in names.items() if wanted in name.lower()]
    found += [d for d, address in addresses.items() if address == wanted]
    with suppress(ValueError):
        found.append(int(text, 0))
    return [d for d in found if 0 <= d < 1 << 64]
