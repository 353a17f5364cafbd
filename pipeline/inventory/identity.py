"""Identity: what devices say they are, from the identity objects that they gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detectors.columns import Columns
from pipeline.names import identity_text
from schemas.codes import Identity, Kind, PointType, Quality, RecordFlag, Space

_MODEL_NAME = 256
"""Key of a Modbus model name (object 5), which goes before the product name (4), among the identities of a device."""
_OF_MODBUS: dict[int, int] = {
    0: Identity.VENDOR,
    1: Identity.PRODUCT_CODE,
    2: Identity.FIRMWARE,
    4: Identity.MODEL,
    5: _MODEL_NAME,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a device says of itself, empty where it said nothing."""

    vendor: str
    model: str
    firmware: str
    serial: str
    name: str


class Identities:
    """The last identity that each device gave, for up to `limit` devices.

    Attributes:
        left_out: identity objects of devices beyond the limit.
    """

    def __init__(self, limit: int = 65_536) -> None:
        self.left_out = 0
        self._limit = limit
        self._objects: dict[int, dict[int, tuple[int, int, float]]] = {}

    def add(self, batch: Columns) -> None:
        """Note the identity objects of `batch`; a batch without any costs one look at `space` and `flags`."""
        of_modbus = (batch.space == Space.DEVICE_ID) & (batch.kind == Kind.RESPONSE)
        says = of_modbus | ((batch.flags & np.uint32(RecordFlag.IDENTITY)) != 0)
        rows = np.flatnonzero(says & (batch.n_points > 0))
        if not len(rows):
            return
        found = batch.take(rows)
        points = found.points
        device = np.repeat(found.device, found.n_points)
        protocol = np.repeat(found.protocol, found.n_points)
        neutral = (points.space == Space.IDENTITY) & (points.addr < _MODEL_NAME)
        modbus = (
            (points.space == Space.DEVICE_ID) & (points.type == PointType.TEXT) & np.isin(points.addr, list(_OF_MODBUS))
        )
        wanted = (neutral | modbus) & ((points.quality & Quality.ADDRESS_UNKNOWN) == 0)
        columns = (device, protocol, points.space, points.addr, points.type, points.raw, points.value)
        for fact in dict.fromkeys(zip(*(column[wanted].tolist() for column in columns), strict=True)):
            self._note(*fact)

    def _note(self, owner: int, protocol: int, space: int, addr: int, kind: int, raw: int, value: float) -> None:
        if owner not in self._objects and len(self._objects) >= self._limit:
            self.left_out += 1
            return
        role = addr if space == Space.IDENTITY else _OF_MODBUS[addr]
        is_text = kind in (PointType.TEXT, PointType.BYTES)
        name_id = raw & 0xFFFF_FFFF_FFFF_FFFF if is_text else 0
        self._objects.setdefault(owner, {})[role] = (protocol, name_id, value)

    def of(self, device: int, names: Mapping[int, str]) -> Said:
        """What `device` said of itself."""
        texts = {
            role: names.get(name_id, "") if name_id else identity_text(protocol, role, value)
            for role, (protocol, name_id, value) in self._objects.get(device, {}).items()
        }
        model = texts.get(_MODEL_NAME) or texts.get(Identity.MODEL) or texts.get(Identity.PRODUCT_CODE) or ""
        return Said(
            vendor=texts.get(Identity.VENDOR, ""),
            model=model,
            firmware=texts.get(Identity.FIRMWARE, ""),
            serial=texts.get(Identity.SERIAL, ""),
            name=texts.get(Identity.NAME, ""),
        )
