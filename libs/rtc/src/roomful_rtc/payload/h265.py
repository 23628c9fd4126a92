"""H.265 payloads (RFC 7798 section 4.4): which packet begins a key frame, temporal layer."""

from __future__ import annotations

from roomful_rtc.payload import UNKNOWN, Look

_AGGREGATION, _FRAGMENT = 48, 49
_KEY = frozenset({*range(16, 22), 32, 33, 34})
"""IRAP pictures and parameter sets."""


def inspect(payload: bytes) -> Look:
    """Look at NAL unit headers only; several packets of one key frame may say `key`."""
    if len(payload) < 3:
        return UNKNOWN
    kind = payload[0] >> 1 & 0x3F
    if kind == _FRAGMENT:
        key = bool(payload[2] & 0x80) and payload[2] & 0x3F in _KEY
    elif kind == _AGGREGATION:
        key = _aggregates_key(payload)
    else:
        key = kind in _KEY
    return Look(key=key, begins=key, tid=max(0, (payload[1] & 0x07) - 1))


def _aggregates_key(payload: bytes) -> bool:
    at, size = 2, len(payload)
    while at + 2 < size:
        if payload[at + 2] >> 1 & 0x3F in _KEY:
            return True
        at += 2 + (payload[at] << 8 | payload[at + 1])
    return False
