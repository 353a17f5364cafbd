"""The words of a finding: values in engineering units, names of the site, one line a person can act on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from detectors.base import ATTACK, MAC, MISOPERATION, NAME, FindingType
from pipeline import names as readable
from pipeline.findings.said import Said, mac_of
from pipeline.findings.window import Activities, Subject
from pipeline.site import Site, SiteDevice, SiteTag

FIELDS = frozenset(
    {"client", "device", "unit", "tag", "function", "op", "observed", "expected", "outcome", "protocol", "count"}
    | {"client_mac", "device_mac"}
)
"""What the text of a finding type may speak of."""
STRANGER = "stranger"
"""What a client is called that the site file does not know."""


def check(kind: FindingType) -> None:
    """Refuse a finding type whose text has a field that does not exist.

    Raises:
        ValueError: it has one, or is no format string.
    """
    unknown = {name for _, name, _, _ in Formatter().parse(kind.text) if name is not None} - FIELDS
    if unknown:
        raise ValueError(f"text of {kind.uid} speaks of {', '.join(sorted(map(repr, unknown)))}")


def number_text(value: float) -> str:
    """A number as people write it: whole ones in full, large ones with two places, others with six digits."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    if 1e5 <= abs(value) < 1e15:
        return f"{value:.2f}"
    return f"{value:.6g}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change while a finding is open.

    Attributes:
        client_ip, client_name, client: address; name or address; both, as the line says it.
        server_ip, device_name: the device's.
        tag: the tag's name from the site file, else its address in words.
        tag_place: address in words and name, as the line says it.
        scaling: the site's tag, where values of it can be scaled.
        device: the site's device.
        client_role: the client's role in the site file, STRANGER where others have names and it has none, else empty.
    """

    client_ip: str
    client_name: str
    client: str
    server_ip: str
    device_name: str
    tag: str
    tag_place: str
    scaling: SiteTag | None
    device: SiteDevice | None
    client_role: str = ""


def facts_of(subject: Subject, site: Site, names: Mapping[int, str]) -> Facts:
    """Names and addresses of a finding's subject."""
    client_ip, server_ip = readable.address_text(subject.client), readable.address_text(subject.server)
    client_mac, server_mac = readable.mac_text(subject.client_mac), readable.mac_text(subject.server_mac)
    client = site.device_of(client_ip, client_mac, subject.vlan)
    device = site.device_of(server_ip, server_mac, subject.vlan)
    address = client_ip or client_mac
    known = client.name if client else STRANGER if site.devices and address else ""
    tag, place, scaling = _tag(subject, device, site, names)
    return Facts(
        client_ip=client_ip,
        client_name=readable.visible(client.name) if client else address,
        client=f"{address} ({readable.visible(known)})" if known else address,
        server_ip=server_ip,
        device_name=readable.visible(device.name) if device else server_ip or server_mac,
        tag=tag,
        tag_place=place,
        scaling=scaling,
        device=device,
        client_role=client.role if client else known,
    )


def _tag(
    subject: Subject, device: SiteDevice | None, site: Site, names: Mapping[int, str]
) -> tuple[str, str, SiteTag | None]:
    """The tag's name, its place as a line says it, and the site's tag where its value is judged as a whole.

    Detectors see the value of two words at the first of them.
    """
    place = readable.tag_text(
        subject.protocol,
        subject.space,
        subject.addr,
        subject.addr_sub,
        subject.name_id,
        names,
        site.register_base,
    )
    if device is None:
        return place, place, None
    if subject.name_id:
        known = site.symbol_in(device, subject.unit, place)
    else:
        known = site.tag_in(device, subject.unit, subject.space, subject.addr, subject.addr_sub)
    if known is None:
        return place, place, None
    name = readable.visible(known.name)
    if known.symbol or subject.addr == known.addr:
        return name, f"{place} '{name}'", known
    return name, f"{place} '{name}' (word {subject.addr - known.addr + 1} of {known.width})", None


def values_of(
    kind: FindingType, told: Activities, facts: Facts, site: Site, subject: Subject, said: Said
) -> tuple[str, str]:
    """What was normal and what was seen, empty for none: of a tag, in engineering units where the site knows them."""
    if kind.measure == MAC:
        return mac_of(told.low), mac_of(told.observed)
    if kind.measure == NAME:
        role = subject.protocol, subject.space, subject.addr
        return said.text(*role, told.low), said.text(*role, told.observed)
    if kind.measure is not None:
        return _texts(told.low, told.high, told.observed, f" {kind.measure}" if kind.measure else "")
    low, high, seen, unit = told.low, told.high, told.observed, ""
    tag = facts.scaling
    if tag is not None and not (tag.type == "i16" and low <= 32767.0 < high):
        # Normal from below to above zero is no interval of unsigned words: then the words are shown.
        low, high, seen = (_engineering(site, tag, v) for v in (low, high, seen))
        if low > high or ((math.isnan(low) or math.isnan(high)) and tag.scale < 0):
            low, high = high, low
        unit = f" {readable.visible(tag.unit)}" if tag.unit else ""
    return _texts(low, high, seen, unit)


def _texts(low: float, high: float, seen: float, unit: str) -> tuple[str, str]:
    return _range_text(low, high, unit), "" if math.isnan(seen) else number_text(seen) + unit


def _engineering(site: Site, tag: SiteTag, value: float) -> float:
    return site.scaled(tag, value) if tag.width == 1 else value * tag.scale + tag.offset


def _range_text(low: float, high: float, unit: str) -> str:
    bottom, top = number_text(low), number_text(high)
    if math.isfinite(low) and math.isfinite(high):
        return (bottom if low == high else f"{bottom} to {top}") + unit
    if math.isfinite(low):
        return f"at least {bottom}{unit}"
    return f"at most {top}{unit}" if math.isfinite(high) else ""


def line(kind: FindingType, subject: Subject, facts: Facts, told: Activities, values: tuple[str, str]) -> str:
    """The finding in one line."""
    expected, observed = values
    return kind.text.format(
        client=facts.client or "an unknown client",
        device=facts.device_name or "an unknown device",
        unit=subject.unit,
        tag=facts.tag_place or "no address",
        function=readable.function_text(subject.protocol, subject.func, subject.subfunc),
        op=readable.op_text(subject.op),
        protocol=readable.protocol_text(subject.protocol),
        observed=observed or "no value",
        expected=expected or "none",
        outcome=readable.outcome_text(told.outcome),
        count=told.count,
        client_mac=readable.mac_text(subject.client_mac),
        device_mac=readable.mac_text(subject.server_mac),
    )


def hint_text(kind: FindingType, facts: Facts, told: Activities) -> str:
    """What may be behind a finding and why, the likelier first; what is known of the client and the device decides."""
    fits, known = list(kind.fits), ""
    if not told.alerting:
        known, why = MISOPERATION, "the device is in maintenance"
    elif "{client}" in kind.text and facts.client_role == STRANGER:
        known, why = ATTACK, "nobody has given the client a name"
    elif "{client}" in kind.text and facts.client_role == "engineering":
        known, why = MISOPERATION, "the client is an engineering station"
    if known:
        others = dict(fits)
        first = (known, f"{why}; {others[known]}" if known in others else why)
        fits = [first, *(fit for fit in fits if fit[0] != known)]
    return ", or ".join(f"{fit} ({why})" for fit, why in fits)


def seen_text(kind: FindingType, subject: Subject, facts: Facts, observed: str) -> str:
    """The value seen, else what the finding type speaks of: the MAC address, the function, or the client."""
    if observed:
        return observed
    for field, mac in (("{device_mac}", subject.server_mac), ("{client_mac}", subject.client_mac)):
        if field in kind.text:
            return readable.mac_text(mac)
    if "{function}" in kind.text:
        return readable.function_text(subject.protocol, subject.func, subject.subfunc)
    return facts.client if "{client}" in kind.text else ""
