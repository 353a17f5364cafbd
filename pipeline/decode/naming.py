"""Names that a PDU carries: symbols, files, objects.  A name's id is the hash of its canonical bytes.

A protocol names its record with S_NAME_ID and its points with N_NAME_ID; `add_name` gives the id and notes where the
text is, for the emitter to keep.  A name that does not lie on the wire as it is said, such as a path of several
parts, is put together with `put_text` and added with `add_built`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.jit import i64, kernel
from detectors.kernels.mix import mix
from pipeline.decode import counters as n
from pipeline.decode import layout as c
from pipeline.decode.bytes import Bytes, u8
from pipeline.decode.emit import name_id, remember_name
from pipeline.decode.state import Memory

Row = NDArray[np.int64]

_WIRE, _BUILT = 0, 1


@kernel()
def _note(w: Row, at: int, size: int, source: int) -> int:
    k = w[c.S_NAMES]
    if k >= c.PDU_NAMES:
        w[n.N_NAMES_LOST] += 1
        return -1
    w[c.S_NAMES] = k + 1
    w[c.NAMES_AT + 3 * k] = at
    w[c.NAMES_AT + 3 * k + 1] = size
    w[c.NAMES_AT + 3 * k + 2] = source
    return 0


@kernel()
def add_name(data: Bytes, at: int, size: int, w: Row) -> int:
    """Id of the name data[at:at + size], 0 for an empty one; its text is kept."""
    if size <= 0:
        return 0
    _note(w, at, size, _WIRE)
    return int(name_id(data, at, size))


@kernel()
def put_text(w: Row, used: int, data: Bytes, at: int, size: int) -> int:
    """Append data[at:at + size] to the text being put together, of which `used` bytes are taken; bytes taken then.

    What goes beyond layout.TEXT is cut off.
    """
    size = min(size, c.TEXT - used)
    for i in range(size):
        w[c.TEXT_AT + used + i] = u8(data, at + i)
    return used + max(size, 0)


@kernel()
def put_byte(w: Row, used: int, byte: int) -> int:
    """Append one byte to the text being put together; bytes taken then."""
    if used >= c.TEXT:
        return used
    w[c.TEXT_AT + used] = byte & 0xFF
    return used + 1


@kernel()
def put_number(w: Row, used: int, number: int) -> int:
    """Append a number that is not negative in decimal digits; bytes taken then."""
    power = i64(1)
    while number // power >= 10:
        power *= 10
    while power > 0:
        used = put_byte(w, used, 48 + (number // power) % 10)
        power //= 10
    return used


@kernel()
def add_built(w: Row, start: int, used: int) -> int:
    """Id of the text that was put together from `start` on, the same as `add_name` gives for these bytes."""
    size = used - start
    if size <= 0:
        return 0
    _note(w, start, size, _BUILT)
    h = np.uint64(size)
    word = np.uint64(0)
    for i in range(size):
        word = (word << np.uint64(8)) | np.uint64(w[c.TEXT_AT + start + i])
        if i % 8 == 7:
            h = mix(h, word)
            word = np.uint64(0)
    h = mix(h, word)
    return i64(h) if h != np.uint64(0) else 1


@kernel()
def remember_names(data: Bytes, m: Memory, w: Row) -> int:
    """Keep the texts of the names that the PDU added."""
    for k in range(w[c.S_NAMES]):
        at, size = w[c.NAMES_AT + 3 * k], w[c.NAMES_AT + 3 * k + 1]
        if w[c.NAMES_AT + 3 * k + 2] == _BUILT:
            for i in range(size):
                m.text[i] = w[c.TEXT_AT + at + i]
            remember_name(m.text, 0, size, m.name_ids, m.name_where, m.name_text, w)
        else:
            remember_name(data, at, size, m.name_ids, m.name_where, m.name_text, w)
    return 0
