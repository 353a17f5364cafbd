"""Breaks: why the reading of a file ended before the file did, in one line."""

from __future__ import annotations

from detectors.columns import I64
from pipeline.capture import kernels as walk

_PACKETS = (walk.ENHANCED_PACKET, walk.OLD_PACKET, walk.SIMPLE_PACKET)
_NAMES = {walk.SECTION: "a section header", walk.INTERFACE: "an interface description"}


def truncated(state: I64, packets: int, at: int, there: int) -> str:
    """The bytes ended inside a record.

    Args:
        state: of the walk.
        packets: whole packets of this file before it.
        at: byte of the capture, decompressed, at which the walk stands.
        there: bytes from `at` to the end.
    """
    wanted = int(state[walk.NEED])
    if state[walk.SKIP] > 0:
        wanted = int(state[walk.TOTAL])
        passed = wanted - int(state[walk.SKIP])
        at, there = at - passed, there + passed
    kind = int(state[walk.KIND])
    is_packet = state[walk.HEADER] > 0 or (kind in _PACKETS and state[walk.SKIP] == 0)
    return f"truncated {_place(kind, is_packet, packets)} at byte {at:,}: {there:,} of {wanted:,} bytes there"


def broken(reason: int, state: I64, packets: int, at: int) -> str:
    """The bytes at `at` cannot be what the format asks for; the rest of the file is not guessed."""
    if state[walk.SKIP] > 0:
        at -= int(state[walk.TOTAL]) - int(state[walk.SKIP])
    kind = int(state[walk.KIND])
    is_packet = state[walk.HEADER] > 0 or (kind in _PACKETS and state[walk.SKIP] == 0)
    return f"broken {_place(kind, is_packet, packets)} at byte {at:,}: {_what(reason, state)}"


def _place(kind: int, is_packet: bool, packets: int) -> str:
    if is_packet:
        return f"in packet {packets + 1:,}"
    if kind:
        return f"in {_NAMES.get(kind, f'a block of type {kind:#x}')} after packet {packets:,}"
    return f"after packet {packets:,}"


def _what(reason: int, state: I64) -> str:
    found, bound = int(state[walk.FOUND]), int(state[walk.BOUND])
    texts = {
        walk.BAD_CAPTURED: f"captured length {found:,}, at most {bound:,} is possible",
        walk.ZEROS: "nothing but zeros",
        walk.BAD_LENGTH: f"block length {found:,}, must be a multiple of 4 and at least {bound:,}",
        walk.LENGTHS_DIFFER: f"block length {bound:,} at its start, {found:,} at its end",
        walk.NO_INTERFACE: f"interface {found:,} of {bound:,}",
        walk.TOO_MANY_INTERFACES: f"interface {found:,}, at most {bound:,} are read",
        walk.BAD_ORDER: f"byte-order magic {found:08x}",
        walk.BAD_VERSION: f"pcapng of version {found}.{bound}: only version 1 is known",
        walk.NO_SECTION: "no section header",
    }
    return texts[reason]
