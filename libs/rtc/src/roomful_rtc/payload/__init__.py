"""What the first bytes of a payload tell: key frames, layer ids, rewritable fields.

Inspectors never index beyond the payload and never raise: what does not parse, as an encrypted
payload may not, is `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Look(NamedTuple):
    """What one payload shows. Offsets count from the payload's first byte, -1 is absent."""

    key: bool = False
    """this packet begins a key frame (or, for audio, anything)"""
    begins: bool = False
    """this packet begins a frame, as far as the codec tells"""
    tid: int = 0
    """temporal layer"""
    sync: bool = False
    """from this frame on its temporal layer can be followed"""
    sid: int = 0
    """spatial layer"""
    pid: int = -1
    """picture id"""
    pid_at: int = -1
    pid_bits: int = 15
    tl0: int = -1
    """TL0PICIDX"""
    tl0_at: int = -1
    width: int = 0
    height: int = 0


UNKNOWN = Look()
ALWAYS_KEY = Look(key=True, begins=True)

Inspector = Callable[[bytes], Look]
