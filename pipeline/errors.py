"""What can go wrong at the edges.  Each message says what was being done, where, and what was found."""

from __future__ import annotations


class FieldtapError(Exception):
    """Base of all errors that a person is told in one line."""


class ConfigError(FieldtapError):
    """A setting that does not exist, or has a value that it cannot have."""


class CaptureError(FieldtapError):
    """A capture that cannot be read at all."""


class SiteError(FieldtapError):
    """A site file that contradicts itself or cannot be read."""


class BaselineError(FieldtapError):
    """A baseline of another version, or damaged."""


class OutputError(FieldtapError):
    """A place that cannot be written to, or holds something else."""


class TransportError(FieldtapError):
    """A Kafka that does not answer, refuses, or is not as it must be."""
