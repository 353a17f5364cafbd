"""The site file: strict, and found by address."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.errors import SiteError
from pipeline.site import Site, SiteTag
from schemas.codes import Space

GOOD = """
name = "waterworks"
register_base = 0
[[device]]
name = "PLC-1"
ip = "10.10.1.1"
zone = "control"
role = "controller"
[[device.tag]]
name = "setpoint"
space = "holding_register"
addr = 10
scale = 0.1
offset = -5
unit = "m"
[[device.tag]]
name = "total"
unit_id = 2
addr = 20
type = "f32"
word_order = "CDAB"
[[device.tag]]
name = "pump"
space = "coil"
addr = 0
[[device]]
name = "PLC-1 spare"
ip = "10.10.1.1"
vlan = 7
[[device]]
name = "drive"
mac = "00-1D-9C-C7-B0-70"
[[maintenance]]
start = 2026-03-01T08:00:00+01:00
end = 2026-03-01T09:00:00Z
devices = ["PLC-1"]
reason = "valve"
[[maintenance]]
start = 2026-04-01T00:00:00Z
end = 2026-04-02T00:00:00Z
"""
HOUR = 3600 * 10**9
MARCH = 1772348400 * 10**9
"""2026-03-01T07:00:00Z"""


def load(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "site.toml"
    path.write_text(text)
    return Site.load(path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return load(tmp_path, GOOD)


def test_devices_are_found_by_ip_vlan_and_mac(site: Site) -> None:
    assert (site.name, site.register_base) == ("waterworks", 0)
    assert site.name_of("10.10.1.1") == "PLC-1"
    assert site.name_of("10.10.1.1", vlan=7) == "PLC-1 spare"
    assert site.name_of("10.10.1.1", vlan=(3 << 16) | 7) == "PLC-1 spare"
    assert site.name_of("10.10.1.1", vlan=8) == "PLC-1"
    assert site.name_of("", "00:1d:9c:c7:b0:70") == "drive"
    assert site.name_of("10.10.1.9") == ""
    assert site.zone_of("10.10.1.1") == "control"
    device = site.device_of("10.10.1.1")
    assert device is not None
    assert device.role == "controller"


def test_tags_are_found_by_every_word_they_take(site: Site) -> None:
    def name(unit: int, space: int, addr: int) -> str | None:
        tag = site.tag_of("10.10.1.1", unit, space, addr)
        return tag.name if tag else None

    assert name(1, Space.HOLDING_REGISTER, 10) == "setpoint"
    assert [name(2, Space.HOLDING_REGISTER, a) for a in (19, 20, 21, 22)] == [None, "total", "total", None]
    assert name(1, Space.HOLDING_REGISTER, 20) is None
    assert name(1, Space.COIL, 0) == "pump"
    assert site.tag_of("10.10.1.2", 1, Space.COIL, 0) is None


@pytest.mark.parametrize(
    ("kind", "raw", "scaled"), [("u16", 65535.0, 6548.5), ("i16", 65535.0, -5.1), ("i16", 32767.0, 3271.7)]
)
def test_one_register_values_are_scaled(site: Site, kind: str, raw: float, scaled: float) -> None:
    tag = SiteTag("t", 1, Space.HOLDING_REGISTER, 0, type=kind, scale=0.1, offset=-5)
    assert site.scaled(tag, raw) == pytest.approx(scaled)


def test_a_word_of_two_has_no_value(site: Site) -> None:
    assert math.isnan(site.scaled(SiteTag("t", 1, Space.HOLDING_REGISTER, 0, type="f32"), 1.0))


def test_maintenance_is_for_its_devices_and_its_time(site: Site) -> None:
    def reason(device: str, at: int) -> str | None:
        found = site.maintenance_at(device, at)
        return found.reason if found else None

    assert [reason("PLC-1", MARCH + d) for d in (-1, 0, 2 * HOUR - 1, 2 * HOUR)] == [None, "valve", "valve", None]
    assert reason("drive", MARCH) is None
    assert reason("drive", MARCH + 31 * 24 * HOUR) == ""
    assert len(site.maintenance_of("drive")) == 1


def test_an_empty_site_knows_nothing() -> None:
    site = Site.empty()
    assert (site.name, site.register_base, site.name_of("10.0.0.1")) == ("", 1, "")


def device(extra: str = "", name: str = "a", ip: str = "10.0.0.1") -> str:
    return f'[[device]]\nname = "{name}"\nip = "{ip}"\n{extra}\n'


def tag(extra: str) -> str:
    return f'[[device.tag]]\nname = "t"\n{extra}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (device() + '[[device]]\nnmae = "b"\n', r"device 2: 'nmae': no such setting, did you mean 'name'\?"),
        ("register_bsae = 1", r"'register_bsae': no such setting, did you mean 'register_base'\?"),
        ("register_base = 2", "'register_base' must be a whole number from 0 to 1, not 2"),
        ("device = 3", r"'device' must be written as \[\[device\]\]"),
        (device() + device(name="b"), r"device 2: 'ip': '10.0.0.1' is already device 1 \('a'\)"),
        (device("vlan = 3") + device("vlan = 3", name="b"), "device 2: 'ip': '10.0.0.1' is already device 1"),
        (device() + device(ip="10.0.0.2"), "device 2: 'name': 'a' is already device 1"),
        (device(ip="10.0.0.256"), "device 1: 'ip': '10.0.0.256' is not an IP address"),
        (device('mac = "00:00:00:00:00:01"'), "device 1: give either 'ip' or 'mac', not both"),
        ('[[device]]\nname = "a"\n', "device 1: give either 'ip' or 'mac'"),
        ('[[device]]\nname = "a"\nmac = "1:2"\n', "device 1: 'mac': '1:2' is not a MAC address"),
        ('[[device]]\nip = "10.0.0.1"\n', "device 1: 'name' is missing"),
        (device('role = "hmmi"'), r"device 1: 'role': no such value 'hmmi', did you mean 'hmi'\?"),
        (device("vlan = 5000"), "device 1: 'vlan' must be a whole number from 0 to 4095, not 5000"),
        (device("zone = 3"), "device 1: 'zone' must be text, not 3"),
        (device(tag("")), "device 1: tag 1: 'addr' is missing, or 'symbol'"),
        (device(tag("addr = -1")), "device 1: tag 1: 'addr' must be a whole number"),
        (device(tag("addr = true")), "device 1: tag 1: 'addr' must be a whole number"),
        (
            device(tag('addr = 1\nspace = "holding"')),
            "'space': no such value 'holding', did you mean 'holding_register'",
        ),
        (device(tag('addr = 1\nspace = "coil"\ntype = "u16"')), "tag 1: 'type': a coil is a bool, not 'u16'"),
        (device(tag('addr = 1\ntype = "f32"\nword_order = "BACD"')), "'word_order': no such value 'BACD'"),
        (device(tag('addr = 1\nword_order = "CDAB"')), "'word_order': 'CDAB' needs a two-register type, not 'u16'"),
        (device(tag('symbol = "Level"\naddr = 1')), "tag 1: 'addr': no such setting"),
        (device(tag('symbol = ""')), "tag 1: 'symbol' is missing"),
        (device(tag('symbol = "Level"\nscale = 0')), "'scale' must not be 0"),
        (
            device(tag('symbol = "Level"') + '[[device.tag]]\nname = "s"\nsymbol = "Level"\n'),
            "device 1: tag 2: 'symbol': 'Level' is already tag 1",
        ),
        (device(tag("addr = 1\nscale = 0")), "'scale' must not be 0"),
        (device(tag("addr = 1\nscale = inf")), "'scale' must be a number, not inf"),
        (device(tag("addr = 1") + tag("addr = 2")), "device 1: tag 2: 'name': 't' is already tag 1"),
        (
            device(tag('addr = 1\ntype = "u32"') + '[[device.tag]]\nname = "s"\naddr = 2\n'),
            "device 1: tag 2: 's' overlaps 't' at address 2",
        ),
        ("[[maintenance]]\nstart = 2026-01-01T00:00:00Z\n", "maintenance 1: 'end' must be a date and time"),
        (
            "[[maintenance]]\nstart = 2026-01-01T00:00:00\nend = 2026-01-02T00:00:00Z\n",
            "maintenance 1: 'start' needs a time zone",
        ),
        (
            "[[maintenance]]\nstart = 2026-01-02T00:00:00Z\nend = 2026-01-02T00:00:00Z\n",
            "maintenance 1: 'end' must be after 'start'",
        ),
        (
            device(name="PLC-1")
            + '[[maintenance]]\nstart = 2026-01-01T00:00:00Z\nend = 2026-01-02T00:00:00Z\ndevices = ["PLC1"]\n',
            r"maintenance 1: 'devices': no device 'PLC1' in this file, did you mean 'PLC-1'\?",
        ),
        ("name = 1 2", "not TOML: .*line 1"),
    ],
)
def test_a_wrong_site_file_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SiteError, match=message) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'site.toml'}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"nosuch\.toml: cannot be read: No such file"):
        Site.load(tmp_path / "nosuch.toml")
