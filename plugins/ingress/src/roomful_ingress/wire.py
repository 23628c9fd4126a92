"""Definitions and states as messages of livekit_ingress.proto, and back."""

from __future__ import annotations

from typing import Any, cast

from livekit.protocol import ingress

from roomful.api.wire import track_to_wire, word_from_wire
from roomful.errors import InvalidArgument
from roomful.model.enums import TrackSource, VideoQuality
from roomful.model.track import TrackInfo
from roomful_ingress.definition import Definition, InputType
from roomful_ingress.encoding import (
    AudioEncoding,
    AudioOptions,
    LayerOptions,
    VideoEncoding,
    VideoOptions,
)
from roomful_ingress.state import State

MAX_LAYERS = 3


def input_type_from_wire(number: int) -> InputType:
    """Raises `InvalidArgument`."""
    try:
        return InputType(number)
    except ValueError as error:
        raise InvalidArgument(f"invalid ingress type {number}") from error


def audio_from_wire(message: ingress.IngressAudioOptions) -> AudioOptions:
    """Raises `InvalidArgument`."""
    asked = message.options
    return AudioOptions(
        name=message.name,
        source=word_from_wire(TrackSource, message.source),
        preset=int(message.preset) if message.HasField("preset") else None,
        encoding=AudioEncoding(
            int(asked.audio_codec), asked.bitrate, asked.disable_dtx, asked.channels
        )
        if message.HasField("options")
        else None,
    )


def video_from_wire(message: ingress.IngressVideoOptions) -> VideoOptions:
    """Raises `InvalidArgument`."""
    asked = message.options
    if len(asked.layers) > MAX_LAYERS:
        raise InvalidArgument(f"video: {len(asked.layers)} layers, at most {MAX_LAYERS}")
    return VideoOptions(
        name=message.name,
        source=word_from_wire(TrackSource, message.source),
        preset=int(message.preset) if message.HasField("preset") else None,
        encoding=VideoEncoding(
            int(asked.video_codec),
            asked.frame_rate,
            tuple(
                LayerOptions(
                    word_from_wire(VideoQuality, la.quality), la.width, la.height, la.bitrate
                )
                for la in asked.layers
            ),
        )
        if message.HasField("options")
        else None,
    )


def info_to_wire(
    definition: Definition, state: State, url: str, tracks: tuple[TrackInfo, ...] = ()
) -> ingress.IngressInfo:
    """Return what API clients see, the stream key included."""
    info = ingress.IngressInfo(
        ingress_id=definition.ingress_id,
        name=definition.name,
        stream_key=definition.stream_key,
        url=url,
        input_type=cast(Any, int(definition.input_type)),
        bypass_transcoding=not definition.transcodes,
        enable_transcoding=definition.transcodes,
        room_name=definition.room_name,
        participant_identity=definition.participant_identity,
        participant_name=definition.participant_name,
        participant_metadata=definition.participant_metadata,
        reusable=True,
        state=state_to_wire(state, tracks),
    )
    if definition.enabled is not None:
        info.enabled = definition.enabled
    if definition.audio is not None:
        info.audio.CopyFrom(_audio_to_wire(definition.audio))
    if definition.video is not None:
        info.video.CopyFrom(_video_to_wire(definition.video))
    return info


def state_to_wire(state: State, tracks: tuple[TrackInfo, ...] = ()) -> ingress.IngressState:
    """Return a state with the tracks that are in the room now."""
    message = ingress.IngressState(
        status=cast(Any, int(state.status)),
        error=state.error,
        room_id=state.room_id,
        started_at=state.started_at_ns,
        ended_at=state.ended_at_ns,
        updated_at=state.updated_at_ns,
        resource_id=state.resource_id,
        tracks=[track_to_wire(track) for track in tracks],
    )
    if (video := state.video) is not None:
        message.video.CopyFrom(
            ingress.InputVideoState(
                mime_type=video.mime_type, average_bitrate=video.average_bitrate,
                width=video.width, height=video.height, framerate=video.framerate,
            )
        )  # fmt: skip
    if (audio := state.audio) is not None:
        message.audio.CopyFrom(
            ingress.InputAudioState(
                mime_type=audio.mime_type, average_bitrate=audio.average_bitrate,
                channels=audio.channels, sample_rate=audio.sample_rate,
            )
        )  # fmt: skip
    return message


def _audio_to_wire(audio: AudioOptions) -> ingress.IngressAudioOptions:
    message = ingress.IngressAudioOptions(name=audio.name, source=cast(Any, int(audio.source)))
    if audio.preset is not None:
        message.preset = cast(Any, audio.preset)
    elif (asked := audio.encoding) is not None:
        message.options.CopyFrom(
            ingress.IngressAudioEncodingOptions(
                audio_codec=cast(Any, asked.codec), bitrate=asked.bitrate,
                disable_dtx=asked.disable_dtx, channels=asked.channels,
            )
        )  # fmt: skip
    return message


def _video_to_wire(video: VideoOptions) -> ingress.IngressVideoOptions:
    message = ingress.IngressVideoOptions(name=video.name, source=cast(Any, int(video.source)))
    if video.preset is not None:
        message.preset = cast(Any, video.preset)
    elif (asked := video.encoding) is not None:
        message.options.video_codec = cast(Any, asked.codec)
        message.options.frame_rate = asked.frame_rate
        for layer in asked.layers:
            message.options.layers.add(
                quality=cast(Any, int(layer.quality)),
                width=layer.width, height=layer.height, bitrate=layer.bitrate,
            )  # fmt: skip
        message.options.SetInParent()
    return message
