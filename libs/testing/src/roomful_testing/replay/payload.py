"""Encoded pictures cut into RTP payloads, and put together again; sans-IO.

VP8: RFC 7741, with a descriptor of four bytes that has room for the picture id. H.264: RFC 6184,
packetization mode 1: what is small and belongs together in a STAP-A, what is large in FU-A.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from roomful_testing.clip import Picture

PIECE_BYTES = 1100
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
_STAP_A, _FU_A = 24, 28
_SLICES = range(1, 6)
_BEGINS, _CONTINUES = b"\x90\x80\x80\x00", b"\x80\x80\x80\x00"


def cut(codec: str, picture: bytes) -> Picture:
    """Return the payloads of a picture as the encoder gave it (H.264: with start codes)."""
    return _cut_vp8(picture) if codec == "vp8" else tuple(_cut_h264(picture))


def joined(codec: str, payloads: Iterable[bytes]) -> bytes:
    """Return the picture in the payloads of one timestamp, in order, for a decoder.

    `ValueError` for payloads of another kind, or that do not belong together.
    """
    try:
        if codec == "vp8":
            return b"".join(map(_without_descriptor, payloads))
        return b"".join(b"\x00\x00\x00\x01" + unit for unit in _units(payloads))
    except IndexError:
        raise ValueError("a payload is too short") from None


def pieces(data: bytes, limit: int = PIECE_BYTES) -> list[bytes]:
    """Return data in pieces of about one size."""
    count = -(-len(data) // limit)
    size = -(-len(data) // count)
    return [data[at : at + size] for at in range(0, len(data), size)]


def _cut_vp8(picture: bytes) -> Picture:
    return tuple(
        (_CONTINUES if number else _BEGINS) + piece for number, piece in enumerate(pieces(picture))
    )


def _without_descriptor(payload: bytes) -> bytes:
    at = 1
    if payload[0] & 0x80:
        flags = payload[1]
        at = 2
        if flags & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        at += bool(flags & 0x40) + bool(flags & 0x30)
    return payload[at:]


def _cut_h264(picture: bytes) -> Iterator[bytes]:
    units = [unit for unit in _START_CODE.split(picture) if unit]
    heads = [unit for unit in units if unit[0] & 0x1F not in _SLICES]
    if heads:
        importance = max(unit[0] & 0x60 for unit in heads)
        sized = b"".join(len(unit).to_bytes(2, "big") + unit for unit in heads)
        yield bytes((importance | _STAP_A,)) + sized
    for unit in units:
        if unit[0] & 0x1F in _SLICES:
            yield from _fragments(unit)


def _fragments(unit: bytes) -> Iterator[bytes]:
    if len(unit) <= PIECE_BYTES:
        yield unit
        return
    indicator, kind = unit[0] & 0x60 | _FU_A, unit[0] & 0x1F
    parts = pieces(unit[1:])
    for number, part in enumerate(parts):
        first, last = number == 0, number == len(parts) - 1
        yield bytes((indicator, first << 7 | last << 6 | kind)) + part


def _units(payloads: Iterable[bytes]) -> Iterator[bytes]:
    open_unit = b""
    for payload in payloads:
        kind = payload[0] & 0x1F
        if kind == _FU_A:
            begins, ends = payload[1] & 0x80, payload[1] & 0x40
            if begins == bool(open_unit) * 0x80:
                raise ValueError("fragments of two units are mixed")
            open_unit = open_unit or bytes((payload[0] & 0x60 | payload[1] & 0x1F,))
            open_unit += payload[2:]
            if ends:
                yield open_unit
                open_unit = b""
        elif kind == _STAP_A:
            yield from _aggregated(payload)
        else:
            yield payload
    if open_unit:
        raise ValueError("the end of a unit is missing")


def _aggregated(payload: bytes) -> Iterator[bytes]:
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        yield payload[at + 2 : at + 2 + size]
        at += 2 + size
