"""Model records and wire messages: what goes out comes back."""

import pytest
from livekit.protocol import models, room

from roomful.api.wire import (
    options_from_wire,
    participant_to_wire,
    permission_from_wire,
    permission_to_wire,
    room_to_wire,
    track_from_wire,
    track_to_wire,
    word_from_wire,
)
from roomful.errors import InvalidArgument
from roomful.model.enums import (
    DisconnectReason,
    Encryption,
    ParticipantKind,
    ParticipantState,
    TrackKind,
    TrackSource,
    VideoQuality,
)
from roomful.model.events import RoomInfo, RoomOptions
from roomful.model.participant import ParticipantInfo
from roomful.model.permission import Permission
from roomful.model.track import TrackCodec, TrackInfo, VideoLayer

CAMERA = TrackInfo(
    sid="TR_VCx",
    kind=TrackKind.VIDEO,
    source=TrackSource.CAMERA,
    name="camera",
    mime_type="video/VP8",
    mid="7",
    muted=True,
    width=1280,
    height=720,
    simulcast=True,
    stream="camera",
    layers=(VideoLayer(VideoQuality.LOW, 320, 180, bitrate=100_000, ssrc=5, rid="q"),),
    codecs=(
        TrackCodec("video/VP8", "7", "cid", layers=(VideoLayer(VideoQuality.HIGH, 1280, 720),)),
        TrackCodec("video/VP9", svc=True),
    ),
    encryption=Encryption.GCM,
    backup_codec_policy=1,
)


def test_track_survives_the_way_out_and_back():
    assert track_from_wire(track_to_wire(CAMERA)) == CAMERA


def test_layer_mode_tells_simulcast_from_svc():
    video = track_to_wire(CAMERA)
    audio = track_to_wire(TrackInfo("TR_AM", TrackKind.AUDIO, codecs=(TrackCodec("audio/opus"),)))

    modes = [codec.video_layer_mode for codec in (*video.codecs, *audio.codecs)]

    assert modes == [
        models.VideoLayer.ONE_SPATIAL_LAYER_PER_STREAM,
        models.VideoLayer.MULTIPLE_SPATIAL_LAYERS_PER_STREAM,
        models.VideoLayer.ONE_SPATIAL_LAYER_PER_STREAM,
    ]


@pytest.mark.parametrize("on", [True, False])
def test_permission_survives_the_way_out_and_back(on: bool):
    permission = Permission(
        can_subscribe=on,
        can_publish=not on,
        can_publish_data=on,
        can_publish_sources=(TrackSource.CAMERA, TrackSource.SCREEN_SHARE),
        can_update_metadata=on,
        can_subscribe_metrics=not on,
        hidden=on,
        recorder=not on,
        agent=on,
    )

    assert permission_from_wire(permission_to_wire(permission)) == permission


def test_participant_states_everything_clients_read():
    info = ParticipantInfo(
        sid="PA_1",
        identity="alice",
        name="Alice",
        kind=ParticipantKind.SIP,
        state=ParticipantState.DISCONNECTED,
        metadata="m",
        attributes={"a": "b"},
        permission=Permission(hidden=True),
        joined_at_ms=1_700_000_000_123,
        version=4,
        tracks=(CAMERA,),
        client_protocol=1,
        capabilities=(1,),
        disconnect_reason=DisconnectReason.ROOM_DELETED,
    )

    message = participant_to_wire(info)

    assert (message.sid, message.identity, message.name) == ("PA_1", "alice", "Alice")
    assert (message.kind, message.state) == (models.ParticipantInfo.SIP, info.state)
    assert (message.joined_at, message.joined_at_ms) == (1_700_000_000, 1_700_000_000_123)
    assert dict(message.attributes) == {"a": "b"}
    assert message.permission.hidden
    assert message.is_publisher
    assert track_from_wire(message.tracks[0]) == CAMERA
    assert list(message.capabilities) == [1]
    assert message.disconnect_reason == models.ROOM_DELETED


def test_room_states_options_counts_and_codecs():
    info = RoomInfo(
        "RM_1", "main", RoomOptions(max_participants=3), "meta", 1_700_000_000_123, 2, 1, True
    )

    message = room_to_wire(info, codecs=("audio/opus",))

    assert (message.empty_timeout, message.departure_timeout) == (300, 20)
    assert (message.max_participants, message.metadata) == (3, "meta")
    assert (message.creation_time, message.creation_time_ms) == (1_700_000_000, 1_700_000_000_123)
    assert (message.num_participants, message.num_publishers) == (2, 1)
    assert message.active_recording
    assert [codec.mime for codec in message.enabled_codecs] == ["audio/opus"]


def test_unstated_timeouts_take_the_defaults():
    options = options_from_wire(room.CreateRoomRequest(name="main", max_participants=2))

    assert options == RoomOptions(max_participants=2)


def test_agents_and_egress_of_a_request_are_kept_as_json():
    request = room.CreateRoomRequest(
        name="main",
        agents=[{"agent_name": "helper"}],
        egress={"room": {"layout": "grid"}},
        tags={"team": "a"},
    )

    options = options_from_wire(request)

    assert options.agents == ({"agentName": "helper"},)
    assert options.egress == {"room": {"layout": "grid"}}
    assert options.tags == {"team": "a"}


def test_number_without_a_word_is_refused():
    with pytest.raises(InvalidArgument, match="99 is no TrackSource"):
        word_from_wire(TrackSource, 99)
