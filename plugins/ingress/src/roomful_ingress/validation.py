"""Every rule a definition must keep. All raise `InvalidArgument` that names what is wrong."""

from __future__ import annotations

from itertools import pairwise

from roomful.bounds import IDENTITY_BYTES, METADATA_BYTES, NAME_BYTES, ROOM_NAME_BYTES
from roomful.errors import InvalidArgument
from roomful.model.enums import TrackSource, VideoQuality
from roomful_ingress.definition import Definition, InputType
from roomful_ingress.encoding import AudioOptions, LayerOptions, VideoEncoding, VideoOptions
from roomful_ingress.presets import AUDIO_PRESETS, VIDEO_PRESETS

VIDEO_SOURCES = (TrackSource.UNKNOWN, TrackSource.CAMERA, TrackSource.SCREEN_SHARE)
AUDIO_SOURCES = (TrackSource.UNKNOWN, TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO)
VIDEO_CODECS = {0: "DEFAULT_VC", 1: "H264_BASELINE", 4: "VP8"}
AUDIO_CODECS = {0: "DEFAULT_AC", 1: "OPUS"}
MAX_SIDE, MAX_FPS, MAX_BITRATE = 8192, 240.0, 100_000_000


def check_definition(definition: Definition) -> None:
    """Check a definition as a whole."""
    if not definition.participant_identity:
        raise InvalidArgument("participant_identity cannot be empty")
    _check_lengths(definition)
    if definition.audio is not None:
        _check_audio(definition.audio)
    if definition.video is not None:
        _check_video(definition.video)
    if not definition.transcodes and definition.input_type is InputType.WHIP:
        _check_nothing_is_encoded(definition)


def _check_lengths(definition: Definition) -> None:
    bounds = (
        ("name", definition.name, NAME_BYTES),
        ("room_name", definition.room_name, ROOM_NAME_BYTES),
        ("participant_identity", definition.participant_identity, IDENTITY_BYTES),
        ("participant_name", definition.participant_name, NAME_BYTES),
        ("participant_metadata", definition.participant_metadata, METADATA_BYTES),
    )
    for name, text, bound in bounds:
        if len(text.encode()) > bound:
            raise InvalidArgument(f"{name} exceeds {bound} bytes")
    if any(ord(char) < 32 or ord(char) == 127 for char in definition.participant_identity):
        raise InvalidArgument("participant_identity holds control characters")


def _check_nothing_is_encoded(definition: Definition) -> None:
    for kind, options in (("audio", definition.audio), ("video", definition.video)):
        if options is not None and options.asks_for_encoding:
            raise InvalidArgument(
                f"{kind}: encoding options are given and enable_transcoding is off"
            )


def _check_audio(audio: AudioOptions) -> None:
    _check_name("audio", audio.name)
    if audio.source not in AUDIO_SOURCES:
        raise InvalidArgument(f"audio: a source cannot be {audio.source.name}")
    if audio.preset is not None and audio.preset not in AUDIO_PRESETS:
        raise InvalidArgument(f"audio: there is no preset {audio.preset}")
    asked = audio.encoding
    if asked is None:
        return
    if asked.codec not in AUDIO_CODECS:
        raise InvalidArgument(f"audio: codec {asked.codec} is none of {_names(AUDIO_CODECS)}")
    if asked.channels > 2:
        raise InvalidArgument(f"audio: {asked.channels} channels, at most 2 are encoded")
    if asked.bitrate > MAX_BITRATE:
        raise InvalidArgument(f"audio: bitrate {asked.bitrate} exceeds {MAX_BITRATE}")


def _check_video(video: VideoOptions) -> None:
    _check_name("video", video.name)
    if video.source not in VIDEO_SOURCES:
        raise InvalidArgument(f"video: a source cannot be {video.source.name}")
    if video.preset is not None and video.preset not in VIDEO_PRESETS:
        raise InvalidArgument(f"video: there is no preset {video.preset}")
    if video.encoding is not None:
        _check_video_encoding(video.encoding)


def _check_video_encoding(asked: VideoEncoding) -> None:
    if asked.codec not in VIDEO_CODECS:
        raise InvalidArgument(f"video: codec {asked.codec} is none of {_names(VIDEO_CODECS)}")
    if not 0 <= asked.frame_rate <= MAX_FPS:
        raise InvalidArgument(
            f"video: frame_rate {asked.frame_rate!r} is not between 0 and {MAX_FPS:.0f}"
        )
    qualities = [layer.quality for layer in asked.layers]
    if len(set(qualities)) < len(qualities):
        raise InvalidArgument("video: two layers have the same quality")
    for layer in asked.layers:
        _check_layer(layer)
    for low, high in pairwise(sorted(asked.layers, key=lambda layer: layer.quality)):
        if high.width < low.width or high.height < low.height:
            raise InvalidArgument(
                f"video: layer {high.quality.name} is smaller than layer {low.quality.name}"
            )


def _check_layer(layer: LayerOptions) -> None:
    name = layer.quality.name
    if layer.quality is VideoQuality.OFF:
        raise InvalidArgument("video: a layer cannot have the quality OFF")
    for side in (layer.width, layer.height):
        if not 0 < side <= MAX_SIDE or side % 2:
            raise InvalidArgument(
                f"video: layer {name} is {layer.width}x{layer.height}; sides are even and "
                f"between 2 and {MAX_SIDE}"
            )
    if layer.bitrate > MAX_BITRATE:
        raise InvalidArgument(f"video: layer {name}: bitrate exceeds {MAX_BITRATE}")


def _check_name(kind: str, name: str) -> None:
    if len(name.encode()) > NAME_BYTES:
        raise InvalidArgument(f"{kind}: name exceeds {NAME_BYTES} bytes")


def _names(codecs: dict[int, str]) -> str:
    return ", ".join(codecs.values())
