"""The tags of the plant's controllers: where each value lies, how it is encoded, and which quantity it shows."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from schemas.codes import Space

COIL, DISCRETE = Space.COIL, Space.DISCRETE_INPUT
HOLDING, INPUT = Space.HOLDING_REGISTER, Space.INPUT_REGISTER

_LIMITS = {"u16": (0, 0xFFFF), "i16": (-0x8000, 0x7FFF), "u32": (0, 0xFFFFFFFF), "i32": (-(1 << 31), (1 << 31) - 1)}
_BYTES_AT = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}


@dataclass(frozen=True, slots=True)
class Tag:
    """One value of a controller.

    Attributes:
        name: as operators call it.
        unit_id, space, addr: where it lies; `addr` as on the wire.
        source: attribute of the process that it shows, and sets where `writable`.
        type, word_order, scale, offset, unit: as in the site file; engineering = raw * scale + offset.
    """

    name: str
    unit_id: int
    space: Space
    addr: int
    source: str
    type: str = "u16"
    scale: float = 1.0
    unit: str = ""
    word_order: str = "ABCD"
    offset: float = 0.0
    writable: bool = False

    @property
    def width(self) -> int:
        """Registers or bits that it takes."""
        return 2 if self.type in ("u32", "i32", "f32") else 1

    def encode(self, value: float) -> list[int]:
        """The registers, or the bit, that carry engineering value `value`."""
        if self.type == "bool":
            return [int(bool(value))]
        raw = (value - self.offset) / self.scale
        if self.type == "f32":
            packed = struct.pack(">f", raw)
        else:
            low, high = _LIMITS[self.type]
            whole = min(max(round(raw), low), high)
            if self.width == 1:
                return [whole & 0xFFFF]
            packed = (whole & 0xFFFFFFFF).to_bytes(4, "big")
        moved = bytes(packed[i] for i in _BYTES_AT[self.word_order])
        return [moved[0] << 8 | moved[1], moved[2] << 8 | moved[3]]

    def decode(self, words: list[int]) -> float:
        """The engineering value that `words` carry."""
        if self.width == 1:
            raw = words[0]
            if self.type == "i16" and raw > 0x7FFF:
                raw -= 0x10000
            return raw * self.scale + self.offset
        moved = words[0].to_bytes(2, "big") + words[1].to_bytes(2, "big")
        packed = bytes(moved[i] for i in _BYTES_AT[self.word_order])
        form = {"f32": ">f", "u32": ">I", "i32": ">i"}[self.type]
        number: float = struct.unpack(form, packed)[0]
        return number * self.scale + self.offset


def _bits(unit_id: int, space: Space, *named: tuple[str, str], writable: bool = False) -> tuple[Tag, ...]:
    return tuple(Tag(n, unit_id, space, i, source, "bool", writable=writable) for i, (n, source) in enumerate(named))


INTAKE: tuple[Tag, ...] = (
    Tag("LT-101 raw water level", 1, INPUT, 0, "lt101", "u16", 0.001, "m"),
    Tag("FT-101 inflow", 1, INPUT, 1, "ft101", "u16", 0.1, "m3/h"),
    Tag("TT-101 raw water temperature", 1, INPUT, 2, "tt101", "i16", 0.01, "degC"),
    Tag("TT-102 ambient temperature", 1, INPUT, 3, "tt102", "i16", 0.1, "degC"),
    Tag("ZT-101 inlet valve position", 1, INPUT, 4, "zt101", "u16", 0.1, "%"),
    Tag("FQ-101 inflow total", 1, INPUT, 5, "fq101", "u32", 0.1, "m3"),
    Tag("AT-101 raw turbidity", 1, INPUT, 7, "at101", "u16", 0.01, "NTU"),
    Tag("YS-101 intake status", 1, INPUT, 8, "ys101"),
    Tag("PT-101 supply pressure", 1, INPUT, 9, "pt101", "u16", 0.001, "bar"),
    Tag("LSP-101 high level setpoint", 1, HOLDING, 0, "sp_raw_high", "u16", 0.01, "m", writable=True),
    Tag("LSP-102 low level setpoint", 1, HOLDING, 1, "sp_raw_low", "u16", 0.01, "m", writable=True),
    Tag("HS-101 intake mode", 1, HOLDING, 2, "intake_mode", writable=True),
    Tag("LAH-101 high level alarm limit", 1, HOLDING, 3, "alarm_raw_high", "u16", 0.01, "m", writable=True),
    Tag("LAL-101 low level alarm limit", 1, HOLDING, 4, "alarm_raw_low", "u16", 0.01, "m", writable=True),
    *_bits(
        1,
        COIL,
        ("HV-101 manual", "inlet_manual"),
        ("HV-101 open command", "inlet_command"),
        ("HA-101 acknowledge", "intake_acknowledge"),
        writable=True,
    ),
    *_bits(
        1,
        DISCRETE,
        ("ZSH-101 inlet open", "inlet_open"),
        ("ZSL-101 inlet closed", "inlet_closed"),
        ("LAH-101 level high", "raw_is_high"),
        ("LAL-101 level low", "raw_is_low"),
        ("JS-101 power", "powered"),
    ),
)
"""PLC-1, intake: raw water tank and its inlet valve."""

FILTRATION: tuple[Tag, ...] = (
    Tag("FT-201 filter flow", 1, INPUT, 0, "ft201", "u16", 0.1, "m3/h"),
    Tag("PDT-201 filter 1 differential pressure", 1, INPUT, 1, "pdt201", "u16", 0.01, "kPa"),
    Tag("PDT-202 filter 2 differential pressure", 1, INPUT, 2, "pdt202", "u16", 0.01, "kPa"),
    Tag("ZT-201 backwash valve 1", 1, INPUT, 3, "zt201", "u16", 0.1, "%"),
    Tag("ZT-202 backwash valve 2", 1, INPUT, 4, "zt202", "u16", 0.1, "%"),
    Tag("KQ-201 pump 1 running time", 1, INPUT, 5, "kq201", "u32", 0.01, "h"),
    Tag("KQ-202 pump 2 running time", 1, INPUT, 7, "kq202", "u32", 0.01, "h"),
    Tag("IT-201 pump 1 current", 1, INPUT, 9, "it201", "u16", 0.01, "A"),
    Tag("IT-202 pump 2 current", 1, INPUT, 10, "it202", "u16", 0.01, "A"),
    Tag("YS-201 filtration status", 1, INPUT, 11, "ys201"),
    Tag("HS-201 filtration mode", 1, INPUT, 12, "filtration_mode"),
    Tag("PT-201 header pressure", 1, INPUT, 13, "pt201", "u16", 0.001, "bar"),
    Tag("KSP-201 backwash duration", 1, HOLDING, 0, "backwash_s", "u16", 1.0, "s", writable=True),
    Tag("PDSP-201 backwash limit", 1, HOLDING, 1, "sp_fouling", "u16", 0.01, writable=True),
    Tag("LSP-201 pump start level", 1, HOLDING, 2, "sp_clear_low", "u16", 0.01, "m", writable=True),
    Tag("LSP-202 pump stop level", 1, HOLDING, 3, "sp_clear_high", "u16", 0.01, "m", writable=True),
    Tag("HS-202 duty pump", 1, HOLDING, 4, "duty_pump"),
    *_bits(
        1,
        COIL,
        ("HS-203 pump 2 start", "start_p202"),
        ("HS-204 pump 1 start", "start_p201"),
        ("HS-205 backwash request", "backwash_request"),
        ("HA-201 acknowledge pump 1", "acknowledge_p201"),
        ("HA-202 acknowledge pump 2", "acknowledge_p202"),
        ("HA-203 acknowledge filter 1", "acknowledge_f1"),
        ("HA-204 acknowledge filter 2", "acknowledge_f2"),
        writable=True,
    ),
    *_bits(
        1,
        DISCRETE,
        ("YI-201 pump 1 running", "p201_running"),
        ("YI-202 pump 2 running", "p202_running"),
        ("YI-203 filter 1 in backwash", "f1_in_backwash"),
        ("YI-204 filter 2 in backwash", "f2_in_backwash"),
        ("JS-201 power", "powered"),
    ),
)
"""PLC-2, filtration: two pumps and two filters with backwash."""

DISTRIBUTION: tuple[Tag, ...] = (
    Tag("LT-301 clear water level", 1, INPUT, 0, "lt301", "u16", 0.001, "m"),
    Tag("PT-301 network pressure", 1, INPUT, 1, "pt301", "u16", 0.001, "bar"),
    Tag("FT-301 network flow", 1, INPUT, 2, "ft301", "f32", 1.0, "m3/h", "CDAB"),
    Tag("FQ-301 network total", 1, INPUT, 4, "fq301", "u32", 0.1, "m3", "CDAB"),
    Tag("ST-301 pump speed", 1, INPUT, 6, "st301", "u16", 0.01, "Hz"),
    Tag("AT-301 residual chlorine", 1, INPUT, 7, "at301", "u16", 0.001, "mg/l"),
    Tag("FC-301 dosing rate", 1, INPUT, 8, "dosing", "u16", 0.1, "%"),
    Tag("YS-301 distribution status", 1, INPUT, 9, "ys301"),
    Tag("PDI-301 pressure error", 1, HOLDING, 0, "pressure_error", "i16", 0.001, "bar"),
    Tag("PC-301 pressure controller output", 1, HOLDING, 1, "speed_command", "u16", 0.01, "Hz"),
    Tag("ZT-301 zone valve position", 1, HOLDING, 2, "zt301", "u16", 0.1, "%"),
    Tag("PSP-301 pressure setpoint", 1, HOLDING, 10, "sp_pressure", "u16", 0.01, "bar", writable=True),
    Tag("PAH-301 high pressure limit", 1, HOLDING, 11, "alarm_pressure", "u16", 0.01, "bar", writable=True),
    Tag("ASP-301 chlorine setpoint", 1, HOLDING, 12, "sp_chlorine", "f32", 1.0, "mg/l", "CDAB", writable=True),
    Tag("KS-301 HMI heartbeat", 1, HOLDING, 14, "heartbeat", writable=True),
    Tag("HS-301 distribution mode", 1, HOLDING, 15, "distribution_mode", writable=True),
    *_bits(
        1, COIL, ("HV-301 zone valve open command", "zone_command"), ("HS-302 dosing", "dosing_enabled"), writable=True
    ),
    *_bits(
        1,
        DISCRETE,
        ("YI-301 booster running", "booster_running"),
        ("PAH-301 pressure high", "pressure_is_high"),
        ("ZSH-301 zone valve open", "zone_open"),
        ("JS-301 power", "powered"),
    ),
)
"""PLC-3, distribution: clear water tank, booster pump with pressure control, chlorine dosing, zone valve."""

SERIAL: tuple[Tag, ...] = (
    Tag("AT-401 outlet chlorine", 11, INPUT, 0, "at401", "u16", 0.001, "mg/l"),
    Tag("AT-402 outlet pH", 11, INPUT, 1, "at402", "u16", 0.01),
    Tag("TT-401 outlet temperature", 11, INPUT, 2, "tt401", "i16", 0.01, "degC"),
    Tag("YS-401 analyser state", 11, INPUT, 3, "analyser_state"),
    Tag("JT-401 power", 12, HOLDING, 0, "jt401", "f32", 1.0, "kW"),
    Tag("JQ-401 energy", 12, HOLDING, 2, "jq401", "u32", 0.1, "kWh"),
    Tag("ET-401 voltage", 12, HOLDING, 4, "et401", "u16", 0.1, "V"),
    Tag("IT-401 current", 12, HOLDING, 5, "it401", "u16", 0.01, "A"),
    Tag("XT-401 power factor", 12, HOLDING, 6, "xt401", "i16", 0.001),
    Tag("ST-401 mains frequency", 12, HOLDING, 7, "st401", "u16", 0.01, "Hz"),
    Tag("AT-201 filtered turbidity", 13, INPUT, 0, "at201", "f32", 1.0, "NTU", "CDAB"),
    Tag("YS-402 turbidity meter state", 13, INPUT, 2, "turbidity_state"),
)
"""GW-4, serial gateway: water analyser (unit 11), energy meter (12), turbidity meter (13)."""
