"""Encoding presets in numbers, and how layers fit a source. Bitrates in bit/s.

A layer's bitrate follows its area: the top one's × (area ratio)^0.75.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roomful.model.enums import VideoQuality
from roomful_ingress.encoding import AudioOptions, LayerOptions, VideoOptions

EXPONENT = 0.75
REFERENCE_AREA, REFERENCE_BITRATE, REFERENCE_FPS = 1920 * 1080, 3_500_000, 30.0
"""from which a layer without a bitrate gets its own"""
DEFAULT_TOP = (1280, 720, 1_700_000)
"""width, height, bitrate of three layers where numbers are asked for and none is named"""


@dataclass(frozen=True, slots=True)
class VideoTarget:
    """How to encode a video track."""

    frame_rate: float
    layers: tuple[LayerOptions, ...]
    """lowest first; sizes are boxes that the source is fitted into"""
    codec: str = "h264"
    """`h264` or `vp8`"""


@dataclass(frozen=True, slots=True)
class AudioTarget:
    """How to encode an audio track: Opus, 48 kHz, frames of 20 ms."""

    channels: int = 2
    bitrate: int = 96_000
    dtx: bool = True


_L, _M, _H = VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH
_THREE, _TWO, _ONE = (_H, _M, _L), (_H, _L), (_H,)
_VIDEO: dict[int, tuple[int, int, int, float, tuple[VideoQuality, ...]]] = {
    0: (1280, 720, 1_900_000, 30.0, _THREE),
    1: (1920, 1080, 3_500_000, 30.0, _THREE),
    2: (960, 540, 1_000_000, 25.0, _TWO),
    3: (1280, 720, 1_900_000, 30.0, _ONE),
    4: (1920, 1080, 3_500_000, 30.0, _ONE),
    5: (1280, 720, 2_500_000, 30.0, _THREE),
    6: (1920, 1080, 4_500_000, 30.0, _THREE),
    7: (960, 540, 1_300_000, 25.0, _TWO),
    8: (1280, 720, 2_500_000, 30.0, _ONE),
    9: (1920, 1080, 4_500_000, 30.0, _ONE),
}
"""number of livekit.IngressVideoEncodingPreset → width, height, top bitrate, fps, qualities"""
_AUDIO = {0: AudioTarget(2, 96_000), 1: AudioTarget(1, 64_000)}
"""number of livekit.IngressAudioEncodingPreset → target"""
VIDEO_PRESETS, AUDIO_PRESETS = frozenset(_VIDEO), frozenset(_AUDIO)
_VP8 = 4


def video_target(options: VideoOptions | None) -> VideoTarget:
    """Return how a definition wants its video encoded; nothing said: preset 0."""
    if options is None or options.encoding is None:
        width, height, bitrate, fps, names = _VIDEO[options.preset or 0 if options else 0]
        return VideoTarget(fps, tuple(ladder(width, height, bitrate, names)))
    asked = options.encoding
    fps = asked.frame_rate or REFERENCE_FPS
    layers = asked.layers or tuple(ladder(*DEFAULT_TOP, _THREE))
    filled = tuple(
        LayerOptions(la.quality, la.width, la.height, la.bitrate or usual_bitrate(la, fps))
        for la in sorted(layers, key=lambda layer: layer.quality)
    )
    return VideoTarget(fps, filled, "vp8" if asked.codec == _VP8 else "h264")


def audio_target(options: AudioOptions | None) -> AudioTarget:
    """Return how a definition wants its audio encoded; nothing said: preset 0."""
    if options is None or options.encoding is None:
        return _AUDIO[options.preset or 0 if options else 0]
    asked = options.encoding
    channels = asked.channels or 2
    usual = 64_000 if channels == 1 else 96_000
    return AudioTarget(channels, asked.bitrate or usual, not asked.disable_dtx)


def ladder(
    width: int, height: int, bitrate: int, qualities: Sequence[VideoQuality]
) -> Iterator[LayerOptions]:
    """Yield layers lowest first; each has half the width and height of the one above."""
    for steps, quality in reversed(list(enumerate(qualities))):
        share = 0.25**steps
        yield LayerOptions(
            quality, width >> steps, height >> steps, round(bitrate * share**EXPONENT)
        )


def usual_bitrate(layer: LayerOptions, fps: float) -> int:
    """Return the bitrate of a layer that names none."""
    area = layer.width * layer.height / REFERENCE_AREA
    return round(REFERENCE_BITRATE * (fps / REFERENCE_FPS * area) ** EXPONENT)


def fitted(layers: Sequence[LayerOptions], width: int, height: int) -> tuple[LayerOptions, ...]:
    """Fit a source of this size into the boxes of `layers`, lowest first.

    The aspect is kept, nothing is enlarged, sizes are rounded up to even; once a layer reaches the
    source's size the higher ones are left out. The last one that is left counts as the highest.
    """
    made: list[LayerOptions] = []
    for layer in layers:
        scale = min(1.0, layer.width / width, layer.height / height)
        size = (_even(width * scale), _even(height * scale))
        made.append(LayerOptions(layer.quality, *size, layer.bitrate))
        if scale == 1.0:
            break
    return tuple(made)


def _even(pixels: float) -> int:
    return -(-round(pixels) // 2) * 2
