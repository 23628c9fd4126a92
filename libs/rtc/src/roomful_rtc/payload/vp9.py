"""VP9 payload descriptor (RFC 9628 section 4.2)."""

from __future__ import annotations

from roomful_rtc.payload import UNKNOWN, Look

_MAX_REFERENCES = 3


def inspect(payload: bytes) -> Look:
    """Read ids, the layer and, where the scalability structure tells it, the largest size.

    A key frame begins where a picture is not predicted, in its lowest spatial layer.
    """
    try:
        return _inspect(payload)
    except IndexError:
        return UNKNOWN


def _inspect(payload: bytes) -> Look:
    first = payload[0]
    at = 1
    pid = pid_at = tl0 = tl0_at = -1
    pid_bits, tid, sid, sync = 15, 0, 0, False
    if first & 0x80:
        pid_at = at
        if payload[at] & 0x80:
            pid = (payload[at] & 0x7F) << 8 | payload[at + 1]
            at += 2
        else:
            pid, pid_bits = payload[at], 7
            at += 1
    if first & 0x20:
        tid, sid, sync = payload[at] >> 5, payload[at] >> 1 & 7, bool(payload[at] & 0x10)
        at += 1
        if not first & 0x10:
            tl0, tl0_at = payload[at], at
            at += 1
    at = _after_references(payload, at, first)
    width, height = _largest(payload, at) if first & 0x02 else (0, 0)
    begins = bool(first & 0x08)
    key = begins and not first & 0x40 and not sid
    if at >= len(payload):
        return UNKNOWN
    return Look(key, begins, tid, sync, sid, pid, pid_at, pid_bits, tl0, tl0_at, width, height)


def _after_references(payload: bytes, at: int, first: int) -> int:
    """Skip the reference list of the flexible mode."""
    if first & 0x10 and first & 0x40:
        for _ in range(_MAX_REFERENCES):
            at += 1
            if not payload[at - 1] & 1:
                break
    return at


def _largest(payload: bytes, at: int) -> tuple[int, int]:
    """Return the size of the highest spatial layer of the scalability structure, or zeros."""
    head = payload[at]
    if not head & 0x10:
        return 0, 0
    last = at + 1 + 4 * (head >> 5)
    if last + 4 > len(payload):
        return 0, 0
    return int.from_bytes(payload[last : last + 2]), int.from_bytes(payload[last + 2 : last + 4])
