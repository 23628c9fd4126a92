"""Publishers: who is let in, the order of states, and what is told."""

import pytest
from livekit import api
from livekit.protocol import ingress

from roomful.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
)
from roomful.model.enums import DisconnectReason, ParticipantKind

from .conftest import Encoder, open_house

INACTIVE, BUFFERING, PUBLISHING, ERROR = (
    ingress.IngressState.ENDPOINT_INACTIVE,
    ingress.IngressState.ENDPOINT_BUFFERING,
    ingress.IngressState.ENDPOINT_PUBLISHING,
    ingress.IngressState.ENDPOINT_ERROR,
)


async def test_hook_ingress_inputs_lets_a_third_partys_publisher_in(house):
    made = await house.define(participant_name="Camera 1", participant_metadata="m")

    encoder = await house.encoder(made.stream_key)

    participant = encoder.participant
    assert participant.kind is ParticipantKind.INGRESS
    assert (participant.identity, participant.name) == ("camera", "Camera 1")
    assert participant.metadata == "m"
    assert participant.attributes == {
        "ingress.ingressID": made.ingress_id,
        "ingress.resourceID": encoder.session.resource_id,
    }
    permission = participant.permission
    assert permission.can_publish and permission.can_update_metadata
    assert not permission.can_subscribe


async def test_states_come_in_order_and_webhooks_tell_start_and_end(house):
    made = await house.define()

    encoder = await house.encoder(made.stream_key, publish=False)
    before = (await house.look(made.ingress_id)).state
    encoder.session.note_video("video/H264", 1280, 720, framerate=30.0, bitrate=2_500_000)
    encoder.session.note_audio("audio/opus", channels=2, sample_rate=48_000)
    await encoder.publish()
    during = (await house.look(made.ingress_id)).state
    await encoder.session.end()
    after = (await house.look(made.ingress_id)).state
    started, ended = await house.webhooks()

    assert (before.status, during.status, after.status) == (BUFFERING, PUBLISHING, INACTIVE)
    assert before.started_at == during.started_at == after.started_at > 10**18
    assert before.resource_id == during.resource_id and during.resource_id.startswith("RTMP_")
    assert during.room_id.startswith("RM_") and not before.room_id
    assert [t.sid for t in during.tracks] == [f"TR_{during.resource_id}"]
    assert (during.video.mime_type, during.video.width, during.video.height) == (
        "video/H264", 1280, 720,
    )  # fmt: skip
    assert (during.video.framerate, during.video.average_bitrate) == (30.0, 2_500_000)
    assert (during.audio.channels, during.audio.sample_rate) == (2, 48_000)
    assert after.ended_at >= after.started_at and not after.tracks
    assert encoder.closed == [DisconnectReason.CLIENT_INITIATED]
    assert (started.name, ended.name) == ("ingress_started", "ingress_ended")
    assert started.webhook["ingressInfo"]["ingressId"] == made.ingress_id
    assert started.room.name == "studio"
    assert made.stream_key not in str(started.webhook) + str(ended.webhook)


async def test_an_error_is_kept_until_the_definition_is_updated(house):
    made = await house.define()
    encoder = await house.encoder(made.stream_key)

    await encoder.session.end("no media received")
    state = (await house.look(made.ingress_id)).state
    async with house.client as client:
        again = await client.ingress.update_ingress(
            api.UpdateIngressRequest(ingress_id=made.ingress_id, name="again")
        )

    assert (state.status, state.error) == (ERROR, "no media received")
    assert (again.state.status, again.state.error) == (INACTIVE, "")
    assert encoder.closed == [DisconnectReason.MEDIA_FAILURE]


async def test_a_session_that_never_published_tells_nothing(house):
    made = await house.define()
    encoder = await house.encoder(made.stream_key, publish=False)

    await encoder.session.end("no media received")

    assert await house.webhooks() == []
    assert house.server.rooms.find("studio").room.participants == {}


async def test_who_has_no_key_that_counts_is_refused_and_nothing_joins(house):
    disabled = await house.define(enabled=False)
    nowhere = await house.define(room_name="")

    for key, kind, error in (
        ("nonsense", 0, NotFound),
        ("", 0, NotFound),
        ("k" * 5000, 0, NotFound),
        (disabled.stream_key, 1, NotFound),
        (disabled.stream_key, 0, PermissionDenied),
        (nowhere.stream_key, 0, FailedPrecondition),
    ):
        with pytest.raises(error) as caught:
            await house.third.sessions.open(key, kind, Encoder(house.server), 0.01)
        assert not key or key not in caught.value.message
    assert house.server.rooms.sessions() == []
    assert (await house.look(disabled.ingress_id)).state.started_at == 0


async def test_a_busy_key_is_refused_and_the_first_publisher_notices_nothing(house):
    made = await house.define()
    first = await house.encoder(made.stream_key)

    with pytest.raises(AlreadyExists, match="already publishing"):
        await house.encoder(made.stream_key)

    assert (first.stopped, first.closed) == ([], [])
    assert (await house.look(made.ingress_id)).state.status == PUBLISHING


async def test_a_ghost_gives_way(house):
    made = await house.define()
    ghost = await house.encoder(made.stream_key)
    ghost.media_at = house.server.clock.monotonic() - 2.5

    encoder = await house.encoder(made.stream_key)

    assert ghost.stopped == ["replaced"]
    assert ghost.closed == [DisconnectReason.CLIENT_INITIATED]
    state = (await house.look(made.ingress_id)).state
    assert (state.status, state.resource_id) == (PUBLISHING, encoder.session.resource_id)
    assert [event.name for event in await house.webhooks()] == [
        "ingress_started", "ingress_ended", "ingress_started",
    ]  # fmt: skip


async def test_takeover_ends_the_first_before_the_second_joins(tmp_path):
    async with open_house(tmp_path, on_busy="takeover") as house:
        made = await house.define()
        first = await house.encoder(made.stream_key)

        second = await house.encoder(made.stream_key)

        assert first.stopped == ["replaced"]
        assert first.closed == [DisconnectReason.CLIENT_INITIATED]
        assert house.server.rooms.find("studio").participant("camera") is second.participant


async def test_an_identity_that_is_there_by_another_way_is_not_thrown_out(house):
    one, other = await house.define(), await house.define()
    first = await house.encoder(one.stream_key)

    with pytest.raises(AlreadyExists, match="identity"):
        await house.encoder(other.stream_key)

    assert first.closed == []


async def test_more_sessions_than_the_settings_allow_are_refused(tmp_path):
    async with open_house(tmp_path, max_sessions=1) as house:
        one = await house.define()
        other = await house.define(participant_identity="second")
        first = await house.encoder(one.stream_key)

        with pytest.raises(ResourceExhausted, match="server busy"):
            await house.encoder(other.stream_key)
        await first.session.end()

        assert await house.encoder(other.stream_key)


async def test_admission_is_the_servers(house):
    made = await house.define()
    encoder = Encoder(house.server)

    with pytest.raises(ResourceExhausted, match="server busy"):
        await house.third.sessions.open(made.stream_key, 0, encoder, 100.0)
    assert (await house.look(made.ingress_id)).state.status == INACTIVE
    session = await house.third.sessions.open(made.stream_key, 0, encoder, 0.01)
    assert [lease.kind for lease in house.server.limits.leases()] == ["ingress"]
    await session.end()

    assert house.server.limits.leases() == []


async def test_removing_the_participant_ends_the_session(house):
    made = await house.define()
    encoder = await house.encoder(made.stream_key)

    async with house.client as client:
        await client.room.remove_participant(
            api.RoomParticipantIdentity(room="studio", identity="camera")
        )

    assert encoder.closed == [DisconnectReason.PARTICIPANT_REMOVED]
    assert (await house.look(made.ingress_id)).state.status == INACTIVE
    assert [event.name for event in await house.webhooks()] == ["ingress_started", "ingress_ended"]


async def test_update_reaches_the_participant_that_is_there(house):
    made = await house.define()
    encoder = await house.encoder(made.stream_key)

    async with house.client as client:
        await client.ingress.update_ingress(
            api.UpdateIngressRequest(
                ingress_id=made.ingress_id, participant_name="new", participant_metadata="m2",
                room_name="later", enabled=False,
            )
        )  # fmt: skip

    assert (encoder.participant.name, encoder.participant.metadata) == ("new", "m2")
    assert encoder.closed == []
    assert (await house.look(made.ingress_id)).room_name == "later"


async def test_delete_cuts_the_publisher_off(house):
    made = await house.define()
    encoder = await house.encoder(made.stream_key)

    async with house.client as client:
        gone = await client.ingress.delete_ingress(
            api.DeleteIngressRequest(ingress_id=made.ingress_id)
        )
        left = await client.ingress.list_ingress(api.ListIngressRequest())

    assert gone.state.status == INACTIVE
    assert encoder.stopped == ["the ingress was deleted"]
    assert not left.items
    with pytest.raises(NotFound):
        await house.encoder(made.stream_key)


async def test_definitions_outlive_the_server_and_live_states_are_ended(tmp_path):
    async with open_house(tmp_path) as house:
        made = await house.define()
        encoder = await house.encoder(made.stream_key)
        catalogue = encoder.session._host._catalogue
        live = encoder.session.state
        await encoder.session.end()
        # as a killed server leaves it
        await catalogue._states.put(live)

    async with open_house(tmp_path) as house:
        state = (await house.look(made.ingress_id)).state
        again = await house.encoder(made.stream_key)

    assert state.status == INACTIVE and state.ended_at >= state.started_at > 0
    assert again.participant.identity == "camera"
    assert again.stopped == []


async def test_late_words_of_a_replaced_session_are_refused(house):
    made = await house.define()
    first = await house.encoder(made.stream_key)
    old = first.session.state
    await first.session.end()
    second = await house.encoder(made.stream_key)
    catalogue = second.session._host._catalogue

    await catalogue.put_state(old)

    assert (await catalogue.state(made.ingress_id)).resource_id == second.session.resource_id
