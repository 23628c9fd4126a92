"""Records of the model as messages of the wire (livekit_models.proto), and back.

Used by everything that speaks protobuf: the API, webhooks, signalling. `…_to_wire` never fails for a
valid record; `…_from_wire` raises `InvalidArgument` for numbers that no word stands for, since
protobuf lets a peer put any integer into an enum field.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypeVar, cast

from livekit.protocol import models, room

from roomful.auth.room_config import options_of
from roomful.errors import InvalidArgument
from roomful.model.enums import Encryption, TrackKind, TrackSource, VideoQuality
from roomful.model.events import RoomInfo, RoomOptions
from roomful.model.participant import ParticipantInfo
from roomful.model.permission import Permission
from roomful.model.track import TrackCodec, TrackInfo, VideoLayer

_E = TypeVar("_E", bound=IntEnum)

ENABLED_CODECS = (
    "audio/PCMU",
    "audio/PCMA",
    "audio/opus",
    "audio/red",
    "video/VP8",
    "video/H264",
    "video/VP9",
    "video/AV1",
    "video/rtx",
)
"""MIME types that rooms accept, in the order they are told to clients."""


def room_to_wire(info: RoomInfo, codecs: Iterable[str] = ENABLED_CODECS) -> models.Room:
    """Return the room as clients, the API and webhooks see it."""
    return models.Room(
        sid=info.sid,
        name=info.name,
        empty_timeout=info.options.empty_timeout_s,
        departure_timeout=info.options.departure_timeout_s,
        max_participants=info.options.max_participants,
        creation_time=info.created_at_ms // 1000,
        creation_time_ms=info.created_at_ms,
        enabled_codecs=[models.Codec(mime=mime) for mime in codecs],
        metadata=info.metadata,
        num_participants=info.num_participants,
        num_publishers=info.num_publishers,
        active_recording=info.active_recording,
    )


def participant_to_wire(info: ParticipantInfo) -> models.ParticipantInfo:
    """Return the participant with all its tracks."""
    return models.ParticipantInfo(
        sid=info.sid,
        identity=info.identity,
        name=info.name,
        state=cast(Any, int(info.state)),
        kind=cast(Any, int(info.kind)),
        metadata=info.metadata,
        attributes=dict(info.attributes),
        permission=permission_to_wire(info.permission),
        joined_at=info.joined_at_ms // 1000,
        joined_at_ms=info.joined_at_ms,
        version=info.version,
        is_publisher=info.is_publisher,
        tracks=[track_to_wire(track) for track in info.tracks],
        client_protocol=info.client_protocol,
        capabilities=cast(Any, list(info.capabilities)),
        disconnect_reason=cast(Any, int(info.disconnect_reason)),
    )


def permission_to_wire(permission: Permission) -> models.ParticipantPermission:
    """Return the permission with every field."""
    return models.ParticipantPermission(
        can_subscribe=permission.can_subscribe,
        can_publish=permission.can_publish,
        can_publish_data=permission.can_publish_data,
        can_publish_sources=cast(Any, [int(s) for s in permission.can_publish_sources]),
        can_update_metadata=permission.can_update_metadata,
        can_subscribe_metrics=permission.can_subscribe_metrics,
        hidden=permission.hidden,
        recorder=permission.recorder,
        agent=permission.agent,
    )


def permission_from_wire(message: models.ParticipantPermission) -> Permission:
    """Return the permission exactly as the message states it: absent means no."""
    return Permission(
        can_subscribe=message.can_subscribe,
        can_publish=message.can_publish,
        can_publish_data=message.can_publish_data,
        can_publish_sources=tuple(
            word_from_wire(TrackSource, number) for number in message.can_publish_sources
        ),
        can_update_metadata=message.can_update_metadata,
        can_subscribe_metrics=message.can_subscribe_metrics,
        hidden=message.hidden,
        recorder=message.recorder,
        agent=message.agent,
    )


def track_to_wire(info: TrackInfo) -> models.TrackInfo:
    """Return the track with its layers and codecs."""
    return models.TrackInfo(
        sid=info.sid,
        type=cast(Any, int(info.kind)),
        source=cast(Any, int(info.source)),
        name=info.name,
        mime_type=info.mime_type,
        mid=info.mid,
        muted=info.muted,
        width=info.width,
        height=info.height,
        simulcast=info.simulcast,
        stereo=info.stereo,
        disable_dtx=info.disable_dtx,
        disable_red=info.disable_red,
        stream=info.stream,
        layers=[layer_to_wire(layer) for layer in info.layers],
        codecs=[codec_to_wire(codec) for codec in info.codecs],
        encryption=cast(Any, int(info.encryption)),
        audio_features=cast(Any, list(info.audio_features)),
        backup_codec_policy=cast(Any, info.backup_codec_policy),
    )


def track_from_wire(message: models.TrackInfo) -> TrackInfo:
    """Return the record of a track message (resume hands them back to the server)."""
    return TrackInfo(
        sid=message.sid,
        kind=word_from_wire(TrackKind, message.type),
        source=word_from_wire(TrackSource, message.source),
        name=message.name,
        mime_type=message.mime_type,
        mid=message.mid,
        muted=message.muted,
        width=message.width,
        height=message.height,
        simulcast=message.simulcast,
        stereo=message.stereo,
        disable_dtx=message.disable_dtx,
        disable_red=message.disable_red,
        stream=message.stream,
        layers=tuple(layer_from_wire(layer) for layer in message.layers),
        codecs=tuple(codec_from_wire(codec) for codec in message.codecs),
        encryption=word_from_wire(Encryption, message.encryption),
        audio_features=tuple(int(feature) for feature in message.audio_features),
        backup_codec_policy=int(message.backup_codec_policy),
    )


def layer_to_wire(layer: VideoLayer) -> models.VideoLayer:
    """Return one simulcast or spatial layer."""
    return models.VideoLayer(
        quality=cast(Any, int(layer.quality)),
        width=layer.width,
        height=layer.height,
        bitrate=layer.bitrate,
        ssrc=layer.ssrc,
        rid=layer.rid,
        spatial_layer=layer.spatial_layer,
    )


def layer_from_wire(message: models.VideoLayer) -> VideoLayer:
    """Return the record of one layer as a publisher announced it."""
    return VideoLayer(
        quality=word_from_wire(VideoQuality, message.quality),
        width=message.width,
        height=message.height,
        bitrate=message.bitrate,
        ssrc=message.ssrc,
        rid=message.rid,
        spatial_layer=message.spatial_layer,
    )


def codec_to_wire(codec: TrackCodec) -> models.SimulcastCodecInfo:
    """Return one codec of a track; audio counts as one layer a stream, as in the reference."""
    return models.SimulcastCodecInfo(
        mime_type=codec.mime_type,
        mid=codec.mid,
        cid=codec.cid,
        sdp_cid=codec.sdp_cid,
        layers=[layer_to_wire(layer) for layer in codec.layers],
        video_layer_mode=(
            models.VideoLayer.MULTIPLE_SPATIAL_LAYERS_PER_STREAM
            if codec.svc
            else models.VideoLayer.ONE_SPATIAL_LAYER_PER_STREAM
        ),
    )


def codec_from_wire(message: models.SimulcastCodecInfo) -> TrackCodec:
    """Return the record of one codec of a track."""
    return TrackCodec(
        mime_type=message.mime_type,
        mid=message.mid,
        cid=message.cid,
        sdp_cid=message.sdp_cid,
        layers=tuple(layer_from_wire(layer) for layer in message.layers),
        svc=message.video_layer_mode == models.VideoLayer.MULTIPLE_SPATIAL_LAYERS_PER_STREAM,
    )


def options_from_wire(
    message: room.CreateRoomRequest | room.RoomConfiguration, defaults: RoomOptions | None = None
) -> RoomOptions:
    """Return the options that a request states; numbers that are 0 take the defaults."""
    return options_of(message, defaults or RoomOptions())


def word_from_wire(word: type[_E], number: int) -> _E:
    """Return the enum member for a number; raise `InvalidArgument` for one without a meaning."""
    try:
        return word(number)
    except ValueError as error:
        raise InvalidArgument(f"{number} is no {word.__name__}") from error
