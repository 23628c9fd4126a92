"""VP8 payload descriptor and frame header (RFC 7741 section 4.2, RFC 6386 section 9.1)."""

from __future__ import annotations

from roomful_rtc.payload import UNKNOWN, Look

_START_CODE = b"\x9d\x01\x2a"


def inspect(payload: bytes) -> Look:
    """Read descriptor, key-frame bit and, where a key frame begins in clear, the size."""
    size = len(payload)
    if not size:
        return UNKNOWN
    first = payload[0]
    at = 1
    pid = pid_at = tl0 = tl0_at = -1
    pid_bits, tid, sync = 15, 0, False
    if first & 0x80:
        # Every field of the extended descriptor fits into seven bytes with the frame's first.
        if size < 7 and not _fits(payload):
            return UNKNOWN
        flags = payload[1]
        at = 2
        if flags & 0x80:
            pid_at = at
            if payload[at] & 0x80:
                pid = (payload[at] & 0x7F) << 8 | payload[at + 1]
                at += 2
            else:
                pid, pid_bits = payload[at], 7
                at += 1
        if flags & 0x40:
            tl0, tl0_at = payload[at], at
            at += 1
        if flags & 0x30:
            if flags & 0x20:
                tid, sync = payload[at] >> 6, bool(payload[at] & 0x20)
            at += 1
    if at >= size:
        return UNKNOWN
    begins = first & 0x17 == 0x10
    key = begins and not payload[at] & 1
    width, height = _size(payload, at) if key else (0, 0)
    return Look(key, begins, tid, sync, 0, pid, pid_at, pid_bits, tl0, tl0_at, width, height)


def _fits(payload: bytes) -> bool:
    """Say whether the extended descriptor and one more byte fit."""
    if len(payload) < 3:
        return False
    flags = payload[1]
    need = 2 + bool(flags & 0x40) + bool(flags & 0x30)
    if flags & 0x80:
        need += 2 if payload[2] & 0x80 else 1
    return len(payload) > need


def _size(payload: bytes, at: int) -> tuple[int, int]:
    if payload[at + 3 : at + 6] != _START_CODE or len(payload) < at + 10:
        return 0, 0
    width = int.from_bytes(payload[at + 6 : at + 8], "little") & 0x3FFF
    height = int.from_bytes(payload[at + 8 : at + 10], "little") & 0x3FFF
    return width, height
