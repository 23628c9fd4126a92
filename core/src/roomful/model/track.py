"""Tracks and publications: what is offered in a room, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomful.model.enums import Encryption, TrackKind, TrackSource, VideoQuality
from roomful.model.media import MediaSource


@dataclass(frozen=True, slots=True)
class VideoLayer:
    """One simulcast or spatial layer as the publisher announced it."""

    quality: VideoQuality
    width: int
    height: int
    bitrate: int = 0
    ssrc: int = 0
    rid: str = ""
    spatial_layer: int = 0


@dataclass(frozen=True, slots=True)
class TrackCodec:
    """One codec that a track is published in (a second one is a backup codec)."""

    mime_type: str
    mid: str = ""
    cid: str = ""
    sdp_cid: str = ""
    layers: tuple[VideoLayer, ...] = ()
    svc: bool = False
    """all spatial layers in one stream, instead of one stream a layer"""


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """Everything the room knows about a track; replaced as a whole when something changes."""

    sid: str
    kind: TrackKind
    source: TrackSource = TrackSource.UNKNOWN
    name: str = ""
    mime_type: str = ""
    """as on the wire: `video/VP8`, `audio/opus`; empty until known"""
    mid: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    simulcast: bool = False
    stereo: bool = False
    disable_dtx: bool = False
    disable_red: bool = False
    stream: str = ""
    layers: tuple[VideoLayer, ...] = ()
    codecs: tuple[TrackCodec, ...] = ()
    encryption: Encryption = Encryption.NONE
    audio_features: tuple[int, ...] = ()
    backup_codec_policy: int = 0


@dataclass(slots=True, eq=False)
class Publication:
    """A track offered in a room, and the source its media comes from."""

    publisher_identity: str
    publisher_sid: str
    info: TrackInfo
    source: MediaSource | None = None
    subscribers: set[str] = field(default_factory=set[str])
    """identities whose subscription is active; bounded by the room's participants"""
    was_subscribed: bool = False

    @property
    def sid(self) -> str:
        return self.info.sid
