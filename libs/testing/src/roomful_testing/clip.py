"""Encoded media that is sent over and over, cut into the payloads of packets; sans-IO.

A picture that depends on earlier ones is of no use to who comes late, so a film can be begun at
several places (`Film.entries`): each has pictures of its own, a key frame first, that show what the
film shows from there on. Who asks for a key frame gets it at the next of these places, and picture
and sound stay together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Picture = tuple[bytes, ...]
"""Payloads of the packets of one picture. Of VP8 with a payload descriptor of four bytes, X, I and a
picture id of 15 bits that the sender sets (RFC 7741 section 4.2)."""

STAMP_BYTES = 8
"""a time of eight bytes that decoders ignore, at the end of the payload"""
SOUND_PER_SECOND, SOUND_TICKS = 50, 960
"""packets, and steps of 48 kHz a packet"""
VIDEO_RATE = 90_000


@dataclass(frozen=True, slots=True)
class Sound:
    """Opus, 20 ms a packet."""

    packets: tuple[bytes, ...] = field(repr=False)
    level: int = 20
    """−dBov, for the header extension"""
    stamped: bool = False
    """all packets have room for a time"""


@dataclass(frozen=True, slots=True)
class Film:
    """Pictures of one size. A film as long as `pictures` begins again when it ends."""

    codec: str
    """vp8 or h264"""
    width: int
    height: int
    per_second: int
    bitrate: int
    """about, bit/s"""
    pictures: tuple[Picture, ...] = field(repr=False)
    entries: Mapping[int, tuple[Picture, ...]] = field(repr=False)
    """place in the film → what is sent from there on before the film begins again"""
    stamped: bool = False
    """the last packets of pictures have room for a time"""
