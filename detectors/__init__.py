"""Columns in, alerts out: deterministic functions of the records of a device bucket."""
