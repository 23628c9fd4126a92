"""Codec name → decoder of one track, encoder of one audio track."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""shape (n, channels), interleaved, -1.0 to 1.0"""


class AudioDecoder(Protocol):
    """Of one track; packets and gaps in order."""

    rate: int
    """Hz of what comes out"""
    channels: int

    def decode(self, packet: bytes) -> Samples:
        """Decode one packet. `MediaError` when it is none of this codec."""
        ...

    def conceal(self, count: int) -> Samples:
        """Make up `count` samples for a packet that did not come."""
        ...

    def recover(self, following: bytes, count: int) -> Samples:
        """Make up `count` samples, by what the packet that follows the missing one tells of it."""
        ...


class AudioEncoder(Protocol):
    """Of one track."""

    rate: int
    channels: int

    def encode(self, samples: Samples) -> bytes:
        """Encode one block of a length that the codec has. `ValueError` when it has not."""
        ...
