"""What happens to participants of the Python SDK as such: coming, going, permissions, status."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from livekit import api, rtc
from livekit.rtc.participant import PublishTrackError

from .guest import Guest, guest
from .media import until
from .server import RoomServer

Reason = rtc.DisconnectReason


def _left(identity: str, reason: int):
    """Passes the notice of a departure for that reason."""
    return lambda who: who.identity == identity and who.disconnect_reason == reason


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
async def test_participants_see_each_other_come_and_go(
    room_server: RoomServer, room_name: str, single: bool
) -> None:
    options = rtc.RoomOptions(single_peer_connection=single)
    token = (
        room_server.grant("second", room_join=True, room=room_name)
        .with_name("The Second")
        .with_metadata("meta")
        .with_attributes({"from": "token"})
        .to_jwt()
    )
    async with guest(room_server, "first", room_name, options=options) as first:
        async with guest(room_server, "second", room_name, options=options, token=token) as second:
            seen = await first.meets("second")
            assert (seen.name, seen.metadata) == ("The Second", "meta")
            assert seen.attributes == {"from": "token"}
            assert seen.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
            assert seen.sid == second.local.sid
            assert list(second.room.remote_participants) == ["first"]
            await first.hears_of("participant_active")
        await first.hears_of("participant_disconnected", _left("second", Reason.CLIENT_INITIATED))
        assert not first.room.remote_participants


async def test_room_tells_its_name_sid_and_counts(room_server: RoomServer, room_name: str) -> None:
    async with guest(room_server, "first", room_name) as first:
        assert first.room.name == room_name
        assert (await first.room.sid).startswith("RM_")
        async with guest(room_server, "second", room_name):
            await until(lambda: first.room.num_participants == 2, within=12, what="count")


async def test_second_session_of_an_identity_replaces_the_first(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "witness", room_name) as witness,
        guest(room_server, "twin", room_name) as older,
        guest(room_server, "twin", room_name) as newer,
    ):
        gone = await older.hears_of("disconnected")
        assert gone.about[0] == Reason.DUPLICATE_IDENTITY
        seen = await witness.meets("twin")
        await until(lambda: witness.remote("twin").sid == newer.local.sid)
        assert seen.identity == "twin"
        assert newer.room.isconnected()


async def test_hidden_participant_sees_and_is_not_seen(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "ghost", room_name, hidden=True, can_publish=False) as ghost,
    ):
        await talker.speak(440)
        await (await ghost.ear("talker")).hears_tone(440)
        assert not talker.room.remote_participants
        async with guest(room_server, "late", room_name) as late:
            await late.meets("talker")
            assert list(late.room.remote_participants) == ["talker"]
            await ghost.meets("late")


async def test_publishing_without_permission_is_refused(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "listener", room_name, can_publish=False) as listener,
        guest(room_server, "witness", room_name) as witness,
    ):
        await _fails_to_publish(listener.speak())
        assert witness.told("track_published") is None
        assert not witness.remote("listener").permissions or not (
            witness.remote("listener").permissions.can_publish
        )


async def test_publishing_another_source_than_allowed_is_refused(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name, can_publish_sources=["microphone"]) as talker,
        guest(room_server, "witness", room_name) as witness,
    ):
        await talker.speak()
        await witness.hears_of("track_published")
        witness.forget()
        await _fails_to_publish(talker.show())
        assert witness.told("track_published") is None


async def test_subscribing_without_permission_brings_nothing(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "deaf", room_name, can_subscribe=False) as deaf,
        guest(room_server, "witness", room_name) as witness,
    ):
        await talker.speak(440)
        await (await witness.ear("talker")).hears_tone(440)
        assert deaf.told("track_subscribed") is None


async def test_permission_withdrawn_by_the_api_ends_what_was_published(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
        room_server.api() as control,
    ):
        await talker.speak(440)
        await (await listener.ear("talker")).hears_tone(440)

        await _permit(control, room_name, "talker", can_publish=False)
        await listener.hears_of("track_unpublished")
        changed = await talker.hears_of("participant_permissions_changed")
        assert changed.about[1].can_publish is False
        await _fails_to_publish(talker.show())

        await _permit(control, room_name, "talker", can_publish=True)
        listener.forget()
        await until(lambda: talker.local.permissions.can_publish)
        await talker.show()
        await (await listener.eye("talker")).sees_bars()


async def test_permission_to_subscribe_can_be_taken_and_given(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
        room_server.api() as control,
    ):
        await talker.speak(440)
        ear = await listener.ear("talker")
        await ear.hears_tone(440)

        await _permit(control, room_name, "listener", can_subscribe=False)
        await ear.hears_nothing()  # the SDK gives no event for it

        await _permit(control, room_name, "listener", can_subscribe=True)
        await ear.hears_tone(440)


@pytest.mark.parametrize(
    ("action", "reason"),
    [("remove", Reason.PARTICIPANT_REMOVED), ("delete", Reason.ROOM_DELETED)],
)
async def test_being_sent_away_says_why(
    room_server: RoomServer, room_name: str, action: str, reason: int
) -> None:
    async with guest(room_server, "someone", room_name) as someone, room_server.api() as control:
        if action == "remove":
            request = api.RoomParticipantIdentity(room=room_name, identity="someone")
            await control.room.remove_participant(request)
        else:
            await control.room.delete_room(api.DeleteRoomRequest(room=room_name))
        gone = await someone.hears_of("disconnected")
        assert gone.about[0] == reason


async def test_removed_participant_is_seen_leaving_and_may_return(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "witness", room_name) as witness,
        guest(room_server, "someone", room_name),
        room_server.api() as control,
    ):
        await witness.meets("someone")
        request = api.RoomParticipantIdentity(room=room_name, identity="someone")
        await control.room.remove_participant(request)
        await witness.hears_of(
            "participant_disconnected", _left("someone", Reason.PARTICIPANT_REMOVED)
        )
        async with guest(room_server, "someone", room_name):
            await witness.meets("someone")


async def test_speaker_becomes_active_and_inactive(room_server: RoomServer, room_name: str) -> None:
    def speaking(identity: str):
        return lambda speakers: [who.identity for who in speakers] == [identity]

    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        microphone = await talker.speak(440)
        await listener.hears_of("active_speakers_changed", speaking("talker"))
        await talker.hears_of("active_speakers_changed", speaking("talker"))

        listener.forget()
        assert isinstance(microphone.track, rtc.LocalAudioTrack)
        microphone.track.mute()
        await listener.hears_of("active_speakers_changed", lambda speakers: not speakers)


async def test_connection_quality_is_reported(room_server: RoomServer, room_name: str) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        await talker.speak(440)
        notice = await listener.hears_of(
            "connection_quality_changed",
            lambda who, _: who is not None and who.identity == "talker",
            within=15,
        )
        assert notice.about[1] in (
            rtc.ConnectionQuality.QUALITY_GOOD,
            rtc.ConnectionQuality.QUALITY_EXCELLENT,
        )


async def test_token_is_refreshed_after_joining(room_server: RoomServer, room_name: str) -> None:
    async with guest(room_server, "someone", room_name) as someone:
        await someone.hears_of("token_refreshed")


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
async def test_refused_token_is_explained(
    room_server: RoomServer, room_name: str, single: bool
) -> None:
    someone = Guest(room_server, "x", rtc.RoomOptions(single_peer_connection=single))
    forged = api.AccessToken(room_server.key, "w" * 40).with_identity("x")
    forged = forged.with_grants(api.VideoGrants(room_join=True, room=room_name))

    with pytest.raises(rtc.ConnectError, match=r"401|[Uu]nauthorized|invalid"):
        await someone.join(forged.to_jwt())


async def test_agents_and_recorders_are_told_apart(room_server: RoomServer, room_name: str) -> None:
    token = room_server.grant("robot", room_join=True, room=room_name, agent=True)
    async with (
        guest(room_server, "person", room_name) as person,
        guest(room_server, "robot", room_name, token=token.with_kind("agent").to_jwt()),
    ):
        robot = await person.meets("robot")
        assert robot.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


async def test_room_configuration_in_the_token_shapes_the_room(
    room_server: RoomServer, room_name: str
) -> None:
    configuration = api.RoomConfiguration(metadata="set by token", max_participants=1)
    token = room_server.grant("first", room_join=True, room=room_name)
    token = token.with_room_config(configuration).to_jwt()
    async with guest(room_server, "first", room_name, token=token) as first:
        assert first.room.metadata == "set by token"
        with pytest.raises(rtc.ConnectError):
            await Guest(room_server, "second").join(room_server.token("second", room_name))


async def _fails_to_publish(publishing: Coroutine[Any, Any, object]) -> None:
    """Publishing comes to nothing: the SDK does not read the refusal, it waits for 10 s."""
    with pytest.raises((TimeoutError, PublishTrackError)):
        await asyncio.wait_for(publishing, 2)


async def _permit(control: api.LiveKitAPI, room: str, identity: str, **changes: bool) -> None:
    """Replace a participant's permission; what is not named stays allowed."""
    permission = {"can_publish": True, "can_subscribe": True, "can_publish_data": True}
    await control.room.update_participant(
        api.UpdateParticipantRequest(
            room=room,
            identity=identity,
            permission=api.ParticipantPermission(**(permission | changes)),
        )
    )
