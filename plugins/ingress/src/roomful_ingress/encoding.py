"""What a definition says about its tracks: names, sources and how they are to be encoded."""

from __future__ import annotations

from dataclasses import dataclass

from roomful.model.enums import TrackSource, VideoQuality


@dataclass(frozen=True, slots=True)
class LayerOptions:
    """The box one simulcast layer fits into, and its bitrate (bit/s, 0: by its area)."""

    quality: VideoQuality
    width: int
    height: int
    bitrate: int = 0


@dataclass(frozen=True, slots=True)
class VideoEncoding:
    """Encoding asked for in numbers instead of by a preset."""

    codec: int = 0
    """number of livekit.VideoCodec; 0: what the input chooses"""
    frame_rate: float = 0.0
    """0: 30"""
    layers: tuple[LayerOptions, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioEncoding:
    """Encoding asked for in numbers instead of by a preset."""

    codec: int = 0
    """number of livekit.AudioCodec; 0: Opus"""
    bitrate: int = 0
    """bit/s; 0: by the number of channels"""
    disable_dtx: bool = False
    channels: int = 0
    """0: 2"""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How the video track is called and encoded; at most one of `preset` and `encoding`."""

    name: str = ""
    source: TrackSource = TrackSource.UNKNOWN
    preset: int | None = None
    encoding: VideoEncoding | None = None

    @property
    def asks_for_encoding(self) -> bool:
        """Whether it says how to encode."""
        return self.preset is not None or self.encoding is not None


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """How the audio track is called and encoded; at most one of `preset` and `encoding`."""

    name: str = ""
    source: TrackSource = TrackSource.UNKNOWN
    preset: int | None = None
    encoding: AudioEncoding | None = None

    @property
    def asks_for_encoding(self) -> bool:
        """Whether it says how to encode."""
        return self.preset is not None or self.encoding is not None
