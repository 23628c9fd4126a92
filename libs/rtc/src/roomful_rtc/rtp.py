"""RTP packets: bounds-checked header parsing and building (RFC 3550 section 5.1), sans-IO.

Sequence numbers here are the 16 bits of the wire; `Unwrapper` makes extended ones of them.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = struct.Struct("!BBHII")
"""first byte, marker and payload type, sequence number, timestamp, SSRC"""

HEADER_SIZE = 12
SEQ_MASK, TS_MASK = 0xFFFF, 0xFFFFFFFF
ONE_BYTE, TWO_BYTE, TWO_BYTE_MASK = 0xBEDE, 0x1000, 0xFFF0
"""Profile of the extension block (RFC 8285): one-byte form, two-byte form and its mask."""

_EXTENSION = struct.Struct("!HH")
_CSRC = 4


class RtpPacket(NamedTuple):
    """One plain packet. `payload` is without padding, `extension` is the block's body."""

    marker: bool
    pt: int
    seq16: int
    ts: int
    ssrc: int
    payload: bytes
    csrcs: tuple[int, ...] = ()
    profile: int = 0
    extension: bytes = b""


def layout(data: bytes | memoryview) -> tuple[int, int, int, int, int]:
    """Check a plain packet and say where its parts are, as offsets into it.

    Returns where the payload begins and, without padding, ends; the profile of the extension
    block, 0 when there is none; where its body begins and ends. A bare tuple: every packet that
    comes in makes one. Raises `ValueError` when the version is not 2 or when CSRCs, extension or
    padding do not fit.
    """
    size = len(data)
    if size < HEADER_SIZE:
        raise ValueError("shorter than an RTP header")
    first = data[0]
    if first >> 6 != 2:
        raise ValueError("not RTP version 2")
    start = HEADER_SIZE + _CSRC * (first & 0x0F)
    profile = extension_start = extension_end = 0
    if first & 0x10:
        extension_start = start + 4
        if extension_start > size:
            raise ValueError("the extension header does not fit")
        profile, words = _EXTENSION.unpack_from(data, start)
        start = extension_end = extension_start + 4 * words
    if start > size:
        raise ValueError("CSRCs or the extension do not fit")
    end = size
    if first & 0x20:
        padding = data[size - 1]
        if not 0 < padding <= size - start:
            raise ValueError("the padding does not fit")
        end -= padding
    return start, end, profile, extension_start, extension_end


def parse(data: bytes) -> RtpPacket:
    """Take one plain packet apart; `ValueError` when it is malformed."""
    start, end, profile, block_start, block_end = layout(data)
    first, second, seq16, ts, ssrc = HEADER.unpack_from(data)
    csrcs = struct.unpack_from(f"!{first & 0x0F}I", data, HEADER_SIZE)
    return RtpPacket(
        marker=second > 127,
        pt=second & 0x7F,
        seq16=seq16,
        ts=ts,
        ssrc=ssrc,
        payload=data[start:end],
        csrcs=csrcs,
        profile=profile,
        extension=data[block_start:block_end],
    )


def build(packet: RtpPacket) -> bytes:
    """Serialise without padding; `ValueError` when a field is out of range."""
    if len(packet.csrcs) > 15 or len(packet.extension) % 4:
        raise ValueError("too many CSRCs, or the extension is not a multiple of 4 bytes")
    first = 0x80 | len(packet.csrcs) | (0x10 if packet.profile else 0)
    try:
        parts = [
            HEADER.pack(
                first,
                (0x80 if packet.marker else 0) | packet.pt,
                packet.seq16,
                packet.ts,
                packet.ssrc,
            ),
            struct.pack(f"!{len(packet.csrcs)}I", *packet.csrcs),
        ]
        if packet.profile:
            parts += (_EXTENSION.pack(packet.profile, len(packet.extension) // 4), packet.extension)
    except struct.error as error:
        raise ValueError(f"a field is out of range: {error}") from None
    return b"".join((*parts, packet.payload))


def unwrap(value: int, near: int, bits: int = 16) -> int:
    """Return the number closest to `near` whose low `bits` bits are `value`."""
    half = 1 << (bits - 1)
    return near + (((value - near) + half) & ((1 << bits) - 1)) - half
