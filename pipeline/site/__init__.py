"""The site file: what people call the devices and tags of a plant, how values are scaled, when it is maintained."""

from __future__ import annotations

from pipeline.site.model import ROLES, TYPES, WORD_ORDERS, Maintenance, Site, SiteDevice, SiteTag

__all__ = ["ROLES", "TYPES", "WORD_ORDERS", "Maintenance", "Site", "SiteDevice", "SiteTag"]
