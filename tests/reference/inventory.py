"""Plain-Python twin of `pipeline.inventory.kernels`."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.columns import Columns
from pipeline.inventory.groups import Group
from schemas.codes import Kind


@dataclass
class count:  # noqa: N801 (reads as the verb it is)
    """Counts records into groups, one by one."""

    left_out: int = 0
    _groups: dict[tuple[object, ...], dict[str, object]] = field(default_factory=dict)

    def add(self, batch: Columns, limit: int) -> None:
        for i in range(len(batch)):
            if batch.kind[i] == Kind.ANNOUNCE:
                continue
            near, far = ("src", "dst") if batch.client_is_src[i] else ("dst", "src")
            link = {
                "client": getattr(batch, f"{near}_ip")[i].tobytes(),
                "client_mac": int(getattr(batch, f"{near}_mac")[i]),
                "server_mac": int(getattr(batch, f"{far}_mac")[i]),
                "port": int(getattr(batch, f"{far}_port")[i]),
            }
            link |= {k: int(getattr(batch, k)[i]) for k in ("device", "protocol", "op", "func", "unit", "vlan")}
            key = tuple(link.values())
            if key not in self._groups and len(self._groups) >= limit:
                self.left_out += 1
                continue
            server = getattr(batch, f"{far}_ip")[i].tobytes()
            group = self._groups.setdefault(key, link | {"server": server, "rows": []})
            rows = group["rows"]
            assert isinstance(rows, list)
            rows.append((int(batch.ts[i]), int(batch.kind[i]), int(batch.status[i])))

    def groups(self) -> list[Group]:
        """In no order but by first time; ties are settled as the kernel's reader does, by the words of the key."""
        found = []
        for link in self._groups.values():
            fields = dict(link)
            rows = fields.pop("rows")
            assert isinstance(rows, list)
            found.append(
                Group(
                    **fields,  # type: ignore[arg-type]
                    first_ns=min(ts for ts, _, _ in rows),
                    last_ns=max(ts for ts, _, _ in rows),
                    requests=sum(kind == Kind.REQUEST for _, kind, _ in rows),
                    responses=sum(kind == Kind.RESPONSE for _, kind, _ in rows),
                    errors=sum(kind == Kind.RESPONSE and status != 0 for _, kind, status in rows),
                    timeouts=sum(kind == Kind.TIMEOUT for _, kind, _ in rows),
                    records=len(rows),
                )
            )
        return sorted(found, key=_order)


def _order(g: Group) -> tuple[int, ...]:
    client = [int.from_bytes(g.client[i : i + 8], "little") for i in (0, 8)]
    numbers = g.protocol | g.op << 8 | g.func << 16 | g.port << 32
    words = [*client, g.device, g.client_mac, g.server_mac, numbers, g.unit | g.vlan << 32]
    return (g.first_ns, *reversed(words))
