"""Identity: what devices say they are, from the identity objects that they were asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.columns import Columns
from schemas.codes import Kind, PointType, Quality, Space

_VENDOR, _PRODUCT_CODE, _REVISION, _PRODUCT_NAME, _MODEL = 0, 1, 2, 4, 5
_KEPT = (_VENDOR, _PRODUCT_CODE, _REVISION, _PRODUCT_NAME, _MODEL)


class Identities:
    """The last identity that each device gave, for up to `limit` devices.

    Attributes:
        left_out: identity objects of devices beyond the limit.
    """

    def __init__(self, limit: int = 65_536) -> None:
        self.left_out = 0
        self._limit = limit
        self._objects: dict[int, dict[int, int]] = {}

    def add(self, batch: Columns) -> None:
        """Note the identity objects of `batch`; a batch without any costs one look at `space`."""
        rows = np.flatnonzero((batch.space == Space.DEVICE_ID) & (batch.kind == Kind.RESPONSE) & (batch.n_points > 0))
        if not len(rows):
            return
        found = batch.take(rows)
        points = found.points
        device = np.repeat(found.device, found.n_points)
        wanted = (
            (points.space == Space.DEVICE_ID)
            & (points.type == PointType.TEXT)
            & ((points.quality & Quality.ADDRESS_UNKNOWN) == 0)
            & np.isin(points.addr, _KEPT)
        )
        facts = zip(device[wanted].tolist(), points.addr[wanted].tolist(), points.raw[wanted].tolist(), strict=True)
        for owner, addr, raw in dict.fromkeys(facts):
            if owner not in self._objects and len(self._objects) >= self._limit:
                self.left_out += 1
                continue
            self._objects.setdefault(owner, {})[addr] = raw & 0xFFFF_FFFF_FFFF_FFFF

    def of(self, device: int, names: Mapping[int, str]) -> tuple[str, str, str]:
        """(vendor, model, firmware) of `device`, empty where it did not say."""
        ids = self._objects.get(device, {})
        texts = {addr: names.get(name_id, "") for addr, name_id in ids.items()}
        model = texts.get(_MODEL) or texts.get(_PRODUCT_NAME) or texts.get(_PRODUCT_CODE) or ""
        return texts.get(_VENDOR, ""), model, texts.get(_REVISION, "")
