"""AV1 payloads (AV1 RTP specification 1.0, section 4.4): the aggregation header."""

from __future__ import annotations

from roomful_rtc.payload import UNKNOWN, Look

_CONTINUES, _NEW_SEQUENCE = 0x80, 0x08
_KEY_LOOK = Look(key=True, begins=True)


def inspect(payload: bytes) -> Look:
    """A key frame begins where a new coded video sequence does (N bit)."""
    if payload and payload[0] & _NEW_SEQUENCE and not payload[0] & _CONTINUES:
        return _KEY_LOOK
    return UNKNOWN
