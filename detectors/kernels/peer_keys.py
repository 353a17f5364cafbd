"""What the keys of the peer detector are, the flags of what is held for them, and its finding types."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TYPE_CLIENT = 101
TYPE_SERVICE = 103
TYPE_DEVICE = 104
TYPE_ANSWERING = 105
TYPE_ASKING = 106
TYPE_EXTERNAL = 107
TYPE_CLAIM = 108
TYPE_DUPLICATE = 109
TYPE_IDENTITY = 110

SERVICE = np.uint64(1)
PAIR = np.uint64(2)
DEVICE = np.uint64(3)
LINK = np.uint64(4)
CLAIM = np.uint64(5)
SAID = np.uint64(6)
"""What a key is, in the low byte of its fourth word.

A LINK is the MAC address that somebody speaks from (none for the device itself), a CLAIM one that is announced for an
address in a VLAN, a SAID something that a device said of itself; with 0 in the last word each says that one is held.
"""

TRUSTED = 1
"""Flag of a LINK, CLAIM or SAID: first sight of what was known without any."""
CROWD = 2
"""Flag of a strange CLAIM or SAID: one too many for a finding of its own."""
MOST_STRANGERS = 8
"""Strange claims of an address, or values of a role, that are findings of their own: each can be taught as normal, and
who makes up thousands is one finding more."""


class Known(NamedTuple):
    """What the baseline knows of the whole site.

    Attributes:
        clients: uint64 (n, 2) sorted, addresses of clients.
        cards: uint64 (n, 3) sorted, the same with the MAC addresses that they ask from.
        routers: uint64 (n,) sorted, MAC addresses that speak for several addresses.
    """

    clients: NDArray[np.uint64]
    cards: NDArray[np.uint64]
    routers: NDArray[np.uint64]
