"""H.264 payloads (RFC 6184 section 5): which packet begins a key frame."""

from __future__ import annotations

from roomful_rtc.payload import UNKNOWN, Look

_IDR, _SPS = 5, 7
_STAP_A, _FU_A = 24, 28
_KEY = frozenset({_IDR, _SPS})
_KEY_LOOK = Look(key=True, begins=True)


def inspect(payload: bytes) -> Look:
    """Look at NAL unit headers only; several packets of one key frame may say `key`."""
    if not payload:
        return UNKNOWN
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        key = len(payload) > 1 and payload[1] & 0x80 and payload[1] & 0x1F in _KEY
    elif kind == _STAP_A:
        key = _aggregates_key(payload)
    else:
        key = kind in _KEY
    return _KEY_LOOK if key else UNKNOWN


def _aggregates_key(payload: bytes) -> bool:
    at, size = 1, len(payload)
    while at + 2 < size:
        if payload[at + 2] & 0x1F in _KEY:
            return True
        at += 2 + (payload[at] << 8 | payload[at + 1])
    return False
