"""One publication's incoming streams on one peer: layers, key frames, feedback to the publisher.

A `WireSource` is bound to a mid. Its streams (one per simulcast layer; a single one for audio, SVC
and plain video) become known by announced SSRC or by the MID and RID header extensions of the first
packets; each then is a row of the engine (`up`). Sinks read `layers` and are told of changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from roomful.model.enums import VideoQuality
from roomful.model.track import VideoLayer
from roomful_rtc.engine import Codec
from roomful_rtc.offer_answer.negotiated import AnnouncedSsrc
from roomful_rtc.sdp import RtpFormat

if TYPE_CHECKING:
    from roomful_rtc.sink import WireSink

QUALITY_OF_RID = {
    "q": VideoQuality.LOW,
    "h": VideoQuality.MEDIUM,
    "f": VideoQuality.HIGH,
}
"""Clients differ in the order of rids, never in their meaning (`livekit-wire.md` 7.3)."""


@dataclass(frozen=True, slots=True)
class ReceiveParameters:
    """What the negotiation and AddTrack say about one section that the peer publishes in."""

    kind: str
    """`audio` or `video`"""
    codecs: Mapping[int, Codec]
    """payload type → codec, rtx included, preferred first"""
    extensions: Mapping[str, int] = field(default_factory=dict[str, int])
    """kind as in `Engine.set_extensions` → id"""
    formats: tuple[RtpFormat, ...] = ()
    """the same payload types with their parameters, to find a subscriber's that means the same"""
    rids: tuple[str, ...] = ()
    """accepted simulcast layers in the offer's order (which means nothing)"""
    announced: tuple[AnnouncedSsrc, ...] = ()
    """streams named in the description; of several, the first is the lowest layer"""
    layers: tuple[VideoLayer, ...] = ()
    """sizes, bitrates and qualities as the publisher announced them"""
    remb: bool = False
    """`goog-remb` is negotiated; used where the transport-wide extension is not"""


@dataclass(frozen=True, slots=True)
class Layer:
    """One stream of a source as it is now."""

    spatial: int
    """0 is the lowest"""
    quality: VideoQuality
    rid: str
    ssrc: int
    up: int
    """the engine's handle"""
    width: int = 0
    height: int = 0
    """as announced, else of the last key frame; 0 while unknown"""
    bitrate: int = 0
    """measured over the last second, bit/s"""
    live: bool = True
    """packets came within the last 2 s"""


class Source(Protocol):
    """What a sink needs of a source; a local source answers to it as well."""

    @property
    def kind(self) -> str: ...

    @property
    def codec(self) -> str: ...

    @property
    def layers(self) -> tuple[Layer, ...]: ...

    def attach(self, sink: WireSink) -> None:
        """Tell this sink of changes and sender reports from now on."""
        ...

    def detach(self, sink: WireSink) -> None: ...

    def request_key_frame(self, spatial: int | None = None) -> None: ...


class WireSource:
    """Media that one peer publishes in one section. Made by `WirePeer.receive`."""

    on_level: Callable[[int, float], None] | None
    """Audio, each 100 ms in which packets came: (loudest dBov 0…-127, share of packets ≥ -35)."""

    @property
    def mid(self) -> str:
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """`audio` or `video`."""
        raise NotImplementedError

    @property
    def codec(self) -> str:
        """Name as in `Engine.set_codecs` (`vp8`, `opus`), empty before the first packet."""
        raise NotImplementedError

    @property
    def mime_type(self) -> str:
        """`video/VP8`, `audio/opus`; empty before the first packet."""
        raise NotImplementedError

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Known streams, lowest first; empty before the first packet."""
        raise NotImplementedError

    @property
    def parameters(self) -> ReceiveParameters:
        raise NotImplementedError

    def request_key_frame(self, spatial: int | None = None) -> None:
        """Ask the publisher for a key frame of one layer, or of all that are live.

        At most one PLI per 0.5 s (lowest layer) … 1 s (highest) goes out per stream, whoever asks;
        one asked for meanwhile follows when the time is up, unless a key frame came by then.
        """
        raise NotImplementedError

    def set_muted(self, muted: bool) -> None:
        """The publisher muted the track: sinks stop, the streams' silence means nothing.

        On unmute a key frame is asked for.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free the rows. Sinks fall silent and stay until they are closed. Idempotent."""
        raise NotImplementedError
