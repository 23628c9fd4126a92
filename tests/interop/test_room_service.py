"""`livekit-api` drives the RoomService methods; each effect is seen at a client.

PerformRpc, which that package has no method for, is called in `test_room_service_answers.py`.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from livekit import api, rtc

from .guest import guest
from .media import until
from .server import RoomServer


@pytest.fixture
async def control(room_server: RoomServer) -> AsyncIterator[api.LiveKitAPI]:
    """The published client of the HTTP API."""
    async with room_server.api() as client:
        yield client


async def test_made_room_is_listed_keeps_its_options_and_is_gone_when_deleted(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    request = api.CreateRoomRequest(name=room_name, metadata="m", max_participants=1)
    made = await control.room.create_room(request)
    again = await control.room.create_room(api.CreateRoomRequest(name=room_name))
    listed = await control.room.list_rooms(api.ListRoomsRequest(names=[room_name, "nowhere"]))
    everything = await control.room.list_rooms(api.ListRoomsRequest())

    assert made.sid == again.sid == listed.rooms[0].sid
    assert [room.name for room in listed.rooms] == [room_name]
    assert room_name in [room.name for room in everything.rooms]
    async with guest(room_server, "first", room_name) as first:
        assert first.room.metadata == "m"
        assert await first.room.sid == made.sid
        with pytest.raises(rtc.ConnectError):
            async with guest(room_server, "second", room_name):
                pass

    await control.room.delete_room(api.DeleteRoomRequest(room=room_name))
    listed = await control.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
    assert not listed.rooms


async def test_departure_timeout_ends_the_room(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    request = api.CreateRoomRequest(name=room_name, empty_timeout=60, departure_timeout=1)
    await control.room.create_room(request)
    async with guest(room_server, "someone", room_name):
        pass

    async def gone() -> bool:
        listed = await control.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
        return not listed.rooms

    for _ in range(80):
        if await gone():
            return
        await asyncio.sleep(0.1)
    pytest.fail("the room is still there")


async def test_participants_are_listed_with_their_tracks(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
        guest(room_server, "ghost", room_name, hidden=True),
    ):
        microphone = await talker.speak(440)
        await (await listener.ear("talker")).hears_tone(440)

        listed = await control.room.list_participants(api.ListParticipantsRequest(room=room_name))
        identity = api.RoomParticipantIdentity(room=room_name, identity="talker")
        got = await control.room.get_participant(identity)

        assert {"talker", "listener"} <= {someone.identity for someone in listed.participants}
        assert (got.sid, got.state) == (talker.local.sid, api.ParticipantInfo.State.ACTIVE)
        assert got.is_publisher
        [track] = got.tracks
        assert (track.sid, track.source, track.type) == (
            microphone.sid,
            api.TrackSource.MICROPHONE,
            api.TrackType.AUDIO,
        )


async def test_removed_participant_is_told_and_seen_leaving(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with (
        guest(room_server, "witness", room_name) as witness,
        guest(room_server, "someone", room_name) as someone,
    ):
        await witness.meets("someone")
        identity = api.RoomParticipantIdentity(room=room_name, identity="someone")
        await control.room.remove_participant(identity)

        gone = await someone.hears_of("disconnected")
        assert gone.about[0] == rtc.DisconnectReason.PARTICIPANT_REMOVED
        await witness.hears_of("participant_disconnected")
        with pytest.raises(api.TwirpError) as failure:
            await control.room.get_participant(identity)
        assert failure.value.code == api.TwirpErrorCode.NOT_FOUND


async def test_muted_track_is_muted_for_all(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        microphone = await talker.speak(440)
        await (await listener.ear("talker")).hears_tone(440)
        request = api.MuteRoomTrackRequest(
            room=room_name, identity="talker", track_sid=microphone.sid, muted=True
        )
        answer = await control.room.mute_published_track(request)

        assert (answer.track.sid, answer.track.muted) == (microphone.sid, True)
        await talker.hears_of("track_muted")
        await listener.hears_of("track_muted")
        request.muted = False
        with pytest.raises(api.TwirpError) as failure:
            await control.room.mute_published_track(request)
        assert failure.value.code == api.TwirpErrorCode.FAILED_PRECONDITION


async def test_updated_participant_is_seen_so_by_all(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with (
        guest(room_server, "subject", room_name) as subject,
        guest(room_server, "witness", room_name) as witness,
    ):
        seen = await witness.meets("subject")
        request = api.UpdateParticipantRequest(
            room=room_name,
            identity="subject",
            name="Renamed",
            metadata="about",
            attributes={"a": "1", "b": "2"},
        )
        answer = await control.room.update_participant(request)
        assert (answer.name, answer.metadata, dict(answer.attributes)) == (
            "Renamed",
            "about",
            {"a": "1", "b": "2"},
        )
        for who in (seen, subject.local):
            await until(lambda who=who: who.name == "Renamed", what="name")
            await until(lambda who=who: who.metadata == "about", what="metadata")
            await until(lambda who=who: who.attributes == {"a": "1", "b": "2"}, what="attributes")

        taken = api.UpdateParticipantRequest(
            room=room_name, identity="subject", attributes={"a": ""}
        )
        await control.room.update_participant(taken)
        await until(lambda: seen.attributes == {"b": "2"}, what="attribute removed")


async def test_hidden_by_permission_is_seen_no_more(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with (
        guest(room_server, "subject", room_name),
        guest(room_server, "witness", room_name) as witness,
    ):
        await witness.meets("subject")
        permission = api.ParticipantPermission(can_subscribe=True, hidden=True)
        request = api.UpdateParticipantRequest(
            room=room_name, identity="subject", permission=permission
        )
        answer = await control.room.update_participant(request)
        assert answer.permission.hidden
        async with guest(room_server, "late", room_name) as late:
            await late.meets("witness")
            assert "subject" not in late.room.remote_participants


async def test_subscriptions_are_taken_and_given(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    def request(subscribe: bool, sid: str) -> api.UpdateSubscriptionsRequest:
        return api.UpdateSubscriptionsRequest(
            room=room_name, identity="listener", track_sids=[sid], subscribe=subscribe
        )

    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        microphone = await talker.speak(440)
        ear = await listener.ear("talker")
        await ear.hears_tone(440)

        await control.room.update_subscriptions(request(False, microphone.sid))
        await ear.hears_nothing()
        await control.room.update_subscriptions(request(True, microphone.sid))
        await ear.hears_tone(440)


async def test_data_reaches_all_or_the_named(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with (
        guest(room_server, "one", room_name) as one,
        guest(room_server, "other", room_name) as other,
    ):

        async def send(data: bytes, **more: object) -> None:
            request = api.SendDataRequest(
                room=room_name,
                data=data,
                kind=rtc.DataPacketKind.KIND_RELIABLE,
                topic="t",
                **more,  # pyright: ignore[reportArgumentType]
            )
            await control.room.send_data(request)

        await send(b"named", destination_identities=["one"])
        await send(b"all")
        await send(b"last")
        await until(lambda: len(one.data) >= 3 and len(other.data) >= 2, what="data")

        assert [packet.data for packet in one.data] == [b"named", b"all", b"last"]
        assert [packet.data for packet in other.data] == [b"all", b"last"]
        assert one.data[0].topic == "t"
        assert one.data[0].participant is None


async def test_updated_room_metadata_reaches_all(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with guest(room_server, "someone", room_name) as someone:
        request = api.UpdateRoomMetadataRequest(room=room_name, metadata="new")
        answer = await control.room.update_room_metadata(request)

        assert answer.metadata == "new"
        await someone.hears_of("room_metadata_changed")
        assert someone.room.metadata == "new"


async def test_deleted_room_sends_everybody_away(
    room_server: RoomServer, control: api.LiveKitAPI, room_name: str
) -> None:
    async with (
        guest(room_server, "one", room_name) as one,
        guest(room_server, "other", room_name) as other,
    ):
        await control.room.delete_room(api.DeleteRoomRequest(room=room_name))
        for someone in (one, other):
            gone = await someone.hears_of("disconnected")
            assert gone.about[0] == rtc.DisconnectReason.ROOM_DELETED
