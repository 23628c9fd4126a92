"""FLV files: their tags (FLV 10.1, Annex E), for clips that are pushed as they were made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from roomful.errors import RemoteProtocolError

AUDIO, VIDEO, SCRIPT = 8, 9, 18
_FILE_HEADER, _TAG_HEADER, _LENGTH = 9, 11, 4


@dataclass(frozen=True, slots=True)
class FlvTag:
    """One tag; `body` is the payload of an RTMP message."""

    type: int
    timestamp: int
    """ms"""
    body: bytes = field(repr=False)


def read_flv(data: bytes) -> Iterator[FlvTag]:
    """Yield the tags of a file; a last one that is cut off is left out.

    Raises:
        RemoteProtocolError: it is no FLV file.
    """
    if data[:3] != b"FLV" or len(data) < _FILE_HEADER:
        raise RemoteProtocolError("no FLV file")
    at = int.from_bytes(data[5:9], "big") + _LENGTH
    while at + _TAG_HEADER <= len(data):
        kind, size = data[at] & 0x1F, int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        body = data[at + _TAG_HEADER : at + _TAG_HEADER + size]
        if len(body) < size:
            return
        yield FlvTag(kind, stamp, body)
        at += _TAG_HEADER + size + _LENGTH
