"""What a client asks for after it joined: one small function per kind of request.

A `RemoteProtocolError` raised here ends the client; what the room refuses is answered or ignored,
as the reference does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sized
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from livekit.protocol import models, rtc

from roomful.api.wire import layer_from_wire, word_from_wire
from roomful.bounds import ATTRIBUTES_BYTES, METADATA_BYTES
from roomful.errors import InvalidArgument, NotFound, RemoteProtocolError, RequestError
from roomful.model.enums import DisconnectReason, ParticipantKind, VideoQuality
from roomful.model.subscription import TrackSettings
from roomful_webrtc.connection import MAX_LISTED, WebRtcConnection

log = logging.getLogger(__name__)

MAX_NAME = 256
MAX_ECHO = 16 << 10
"""bytes of a request that its answer repeats"""
MAX_DESCRIPTION = 4 << 10
"""bytes that may describe one track anew: everybody in the room is told"""
_Reason = rtc.RequestResponse
_ANSWERS_REQUESTS = 15
"""client protocol from which a successful request is answered too"""


async def handle(connection: WebRtcConnection, request: rtc.SignalRequest) -> None:
    """Do what one request asks for; unknown kinds are ignored."""
    kind = request.WhichOneof("message") or ""
    try:
        if kind in ("offer", "answer"):
            await _describe(connection, kind, getattr(request, kind))
        elif function := _HANDLERS.get(kind):
            function(connection, getattr(request, kind))
    except (InvalidArgument, NotFound) as error:
        # the client named something that is gone or never was; it is told nothing, as there
        log.debug("request ignored", extra={"kind": kind, "problem": error.message})
    except RequestError as error:
        log.info("request refused", extra={"kind": kind, "problem": error.message})


async def _describe(
    connection: WebRtcConnection, kind: str, message: rtc.SessionDescription
) -> None:
    socket = connection.socket
    description = await connection.services.descriptions.read(message)
    if connection.socket is not socket or not connection.session.is_live(connection.participant):
        return  # it left, or starts anew on another socket, while its description was read
    if kind == "offer":
        connection.pc.on_offer(description)
    else:
        connection.pc.on_answer(description)


def _add_track(connection: WebRtcConnection, message: rtc.AddTrackRequest) -> None:
    connection.add_track(message)


def _mute(connection: WebRtcConnection, message: rtc.MuteTrackRequest) -> None:
    connection.publisher.mute(message.sid, message.muted)


def _ping(connection: WebRtcConnection, _: int) -> None:
    connection.send(pong=connection.services.clock.wall_ms())


def _ping_req(connection: WebRtcConnection, message: rtc.Ping) -> None:
    connection.send(
        pong_resp=rtc.Pong(
            last_ping_timestamp=message.timestamp,
            timestamp=connection.services.clock.wall_ms(),
        )
    )


def _leave(connection: WebRtcConnection, _: rtc.LeaveRequest) -> None:
    connection.leave(DisconnectReason.CLIENT_INITIATED)


def _subscription(connection: WebRtcConnection, message: rtc.UpdateSubscription) -> None:
    sids = [
        *message.track_sids,
        *(sid for tracks in message.participant_tracks for sid in tracks.track_sids),
    ]
    _bounded(sids)
    identity = connection.participant.identity
    if message.subscribe:
        # asking anew also undoes an earlier `disabled`
        for sid in sids:
            if there := connection.participant.subscriptions.get(sid):
                connection.session.set_track_settings(
                    identity, sid, replace(there.settings, disabled=False)
                )
    connection.subscribe(sids, message.subscribe)


def _track_setting(connection: WebRtcConnection, message: rtc.UpdateTrackSettings) -> None:
    settings = TrackSettings(
        disabled=message.disabled,
        quality=word_from_wire(VideoQuality, message.quality),
        width=message.width,
        height=message.height,
        fps=message.fps,
        priority=message.priority,
    )
    _bounded(message.track_sids)
    for sid in message.track_sids:
        connection.session.set_track_settings(connection.participant.identity, sid, settings)


def _subscription_permission(
    connection: WebRtcConnection, message: rtc.SubscriptionPermission
) -> None:
    _bounded(message.track_permissions)
    identities = {p.sid: p.identity for p in connection.session.room.participants.values()}
    allowed: dict[str, frozenset[str] | None] = {}
    for entry in message.track_permissions:
        identity = entry.participant_identity or identities.get(entry.participant_sid, "")
        if identity:
            allowed[identity] = None if entry.all_tracks else frozenset(entry.track_sids)
    connection.session.allow_subscribers(
        connection.participant.identity, message.all_participants, allowed
    )


def _sync_state(connection: WebRtcConnection, message: rtc.SyncState) -> None:
    connection.sync(message)


def _update_metadata(
    connection: WebRtcConnection, message: rtc.UpdateParticipantMetadata
) -> None:
    reason, text = _metadata_refusal(connection, message)
    if reason == _Reason.OK:
        connection.session.update_participant(
            connection.participant.identity,
            name=message.name or None,
            metadata=message.metadata or None,
            attributes=dict(message.attributes),
        )
    echo = message if message.ByteSize() <= MAX_ECHO else None
    if reason or connection.join.protocol >= _ANSWERS_REQUESTS or connection.join.single_pc:
        connection.send(
            request_response=rtc.RequestResponse(
                request_id=message.request_id, reason=reason, message=text,
                update_metadata=echo,
            )
        )


def _metadata_refusal(
    connection: WebRtcConnection, message: rtc.UpdateParticipantMetadata
) -> tuple[Any, str]:
    participant = connection.participant
    if not participant.permission.can_update_metadata:
        return _Reason.NOT_ALLOWED, "does not have permission to update own metadata"
    if any(key.startswith("sip.") for key in message.attributes):
        return _Reason.NOT_ALLOWED, "attributes sip.* are set by the SIP transport alone"
    if participant.kind is not ParticipantKind.AGENT and any(
        key.startswith("lk.") for key in message.attributes
    ):
        return _Reason.NOT_ALLOWED, "attributes lk.* come from tokens and agents alone"
    attributes = {**participant.attributes, **message.attributes}
    if (
        len(message.name.encode()) > MAX_NAME
        or len(message.metadata.encode()) > METADATA_BYTES
        or sum(len(k.encode()) + len(v.encode()) for k, v in attributes.items()) > ATTRIBUTES_BYTES
    ):
        return _Reason.LIMIT_EXCEEDED, "name, metadata or attributes are too large"
    if not connection.may_update(message.ByteSize()):
        return _Reason.LIMIT_EXCEEDED, "too many updates"
    return _Reason.OK, ""


def _update_layers(connection: WebRtcConnection, message: rtc.UpdateVideoLayers) -> None:
    _short(message)
    layers = tuple(layer_from_wire(layer) for layer in message.layers)
    connection.publisher.change(message.track_sid, lambda info: replace(info, layers=layers))


def _update_video_track(connection: WebRtcConnection, message: rtc.UpdateLocalVideoTrack) -> None:
    connection.publisher.change(
        message.track_sid,
        lambda info: replace(info, width=message.width, height=message.height),
    )


def _update_audio_track(connection: WebRtcConnection, message: rtc.UpdateLocalAudioTrack) -> None:
    _short(message)
    features = tuple(int(feature) for feature in message.features)
    connection.publisher.change(
        message.track_sid,
        lambda info: replace(
            info,
            audio_features=features,
            stereo=models.TF_STEREO in features,
            disable_dtx=models.TF_NO_DTX in features,
        ),
    )


def _bounded(listed: Sized) -> None:
    if len(listed) > MAX_LISTED:
        raise InvalidArgument(f"a request names more than {MAX_LISTED} tracks or participants")


def _short(message: Message) -> None:
    if message.ByteSize() > MAX_DESCRIPTION:
        raise InvalidArgument(f"a track is described in more than {MAX_DESCRIPTION} bytes")


def _refuse(field: str) -> Callable[[WebRtcConnection, Any], None]:
    """Answer that a kind of request is not offered here."""

    def refuse(connection: WebRtcConnection, message: Any) -> None:
        echo = {field: message} if field else {}
        connection.send(
            request_response=rtc.RequestResponse(
                reason=_Reason.UNSUPPORTED_TYPE,
                message="data tracks are not offered here",
                **echo,
            )
        )

    return refuse


def _trickle(connection: WebRtcConnection, message: rtc.TrickleRequest) -> None:
    """Candidates of clients are never used: an ICE-lite server answers the checks that come."""
    if len(message.candidateInit) > 4096:
        raise RemoteProtocolError("a candidate is longer than 4096 characters")


_HANDLERS: dict[str, Callable[[WebRtcConnection, Any], None]] = {
    "trickle": _trickle,
    "add_track": _add_track,
    "mute": _mute,
    "subscription": _subscription,
    "track_setting": _track_setting,
    "leave": _leave,
    "update_layers": _update_layers,
    "subscription_permission": _subscription_permission,
    "sync_state": _sync_state,
    "ping": _ping,
    "ping_req": _ping_req,
    "update_metadata": _update_metadata,
    "update_audio_track": _update_audio_track,
    "update_video_track": _update_video_track,
    "publish_data_track_request": _refuse("publish_data_track"),
    "unpublish_data_track_request": _refuse("unpublish_data_track"),
}
