"""RoomService: what each method answers and what it does in the room."""

import base64

import pytest
from livekit.protocol import models

from roomful.model.enums import DisconnectReason, TrackSource
from roomful.model.events import (
    DataReceived,
    MuteRequested,
    ParticipantChanged,
    PermissionChanged,
    RoomChanged,
    RoomOptions,
    SubscriptionEnded,
    SubscriptionStarted,
    TrackRemoved,
)

from .conftest import ADMIN, publish, signed


def told(connection, kind):
    return [notice for notice in connection.told if isinstance(notice, kind)]


class TestRooms:
    async def test_create_states_the_options_and_the_servers_defaults(self, api):
        status, room = await api.call(
            "CreateRoom",
            {"name": "main", "departure_timeout": 5, "max_participants": 3, "metadata": "m",
             "tags": {"a": "b"}},
        )  # fmt: skip

        assert status == 200
        assert room["sid"].startswith("RM_")
        assert (room["name"], room["metadata"]) == ("main", "m")
        assert (room["empty_timeout"], room["departure_timeout"]) == (77, 5)
        assert room["max_participants"] == 3
        assert api.server.rooms.find("main").info.options == RoomOptions(
            empty_timeout_s=77, departure_timeout_s=5, max_participants=3, metadata="m",
            tags={"a": "b"},
        )  # fmt: skip

    async def test_create_again_returns_the_room_as_it_is(self, api):
        _, first = await api.call("CreateRoom", {"name": "main", "metadata": "first"})
        status, second = await api.call("CreateRoom", {"name": "main", "metadata": "second"})

        assert (status, second) == (200, first)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "room name cannot be empty"),
            ({"name": "n" * 257}, "room name length exceeds limits: max length 256"),
            ({"name": "ä" * 129}, "room name length exceeds limits: max length 256"),
            ({"name": "x", "metadata": "m" * 524_289}, "metadata size exceeds limits 524288"),
        ],
    )
    async def test_create_refuses_what_no_room_can_have(self, api, body, message):
        status, error = await api.call("CreateRoom", body)

        assert (status, error["code"], error["msg"]) == (400, "invalid_argument", message)
        assert api.server.rooms.sessions() == []

    async def test_list_gives_all_or_those_named(self, api):
        for name in ("a", "b", "c"):
            await api.call("CreateRoom", {"name": name})

        _, every = await api.call("ListRooms")
        _, some = await api.call("ListRooms", {"names": ["c", "zz", "a"]})

        assert {room["name"] for room in every["rooms"]} == {"a", "b", "c"}
        assert {room["name"] for room in some["rooms"]} == {"a", "c"}

    async def test_list_counts_participants_and_publishers(self, api):
        session, _ = await api.server.enter("main", "alice")
        await api.server.enter("main", "bob")
        publish(session, "alice")

        _, rooms = await api.call("ListRooms")

        assert rooms["rooms"][0]["num_participants"] == 2
        assert rooms["rooms"][0]["num_publishers"] == 1

    async def test_delete_sends_everybody_away(self, api):
        _, alice = await api.server.enter("main", "alice")

        status, answer = await api.call("DeleteRoom", {"room": "main"})

        assert (status, answer) == (200, {})
        assert alice.closed == [DisconnectReason.ROOM_DELETED]
        assert api.server.rooms.find("main") is None
        status, error = await api.call("DeleteRoom", {"room": "main"})
        assert (status, error["msg"]) == (404, "requested room does not exist")

    async def test_metadata_is_told_to_everybody(self, api):
        _, alice = await api.server.enter("main", "alice")

        status, room = await api.call("UpdateRoomMetadata", {"room": "main", "metadata": "new"})

        assert (status, room["metadata"]) == (200, "new")
        assert told(alice, RoomChanged)[-1].room.metadata == "new"

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"room": "gone", "metadata": "m"}, 404, "not_found"),
            ({"room": "main", "metadata": "m" * 524_289}, 400, "invalid_argument"),
        ],
    )
    async def test_metadata_is_refused(self, api, body, status, code):
        token = signed(ADMIN | {"room": body["room"]})

        answer = await api.call("UpdateRoomMetadata", body, token)

        assert (answer[0], answer[1]["code"]) == (status, code)


class TestParticipants:
    async def test_list_gives_everybody_also_the_hidden(self, api):
        await api.server.enter("main", "alice")
        from roomful.model.permission import Permission

        await api.server.enter("main", "recorder", Permission(hidden=True))

        _, answer = await api.call("ListParticipants", {"room": "main"})

        assert {p["identity"] for p in answer["participants"]} == {"alice", "recorder"}
        assert {p["state"] for p in answer["participants"]} == {"ACTIVE"}

    async def test_room_that_does_not_exist_has_nobody_in_it(self, api):
        token = signed(ADMIN | {"room": "gone"})

        assert await api.call("ListParticipants", {"room": "gone"}, token) == (
            200,
            {"participants": []},
        )

    async def test_get_gives_one_with_its_tracks(self, api):
        session, _ = await api.server.enter("main", "alice")
        publish(session, "alice")

        _, participant = await api.call("GetParticipant", {"room": "main", "identity": "alice"})

        assert participant["tracks"][0]["sid"] == "TR_AM1"
        assert participant["tracks"][0]["source"] == "MICROPHONE"
        assert participant["permission"]["can_publish"]
        assert participant["is_publisher"]

    @pytest.mark.parametrize(
        ("method", "more"),
        [
            ("GetParticipant", {}),
            ("RemoveParticipant", {}),
            ("MutePublishedTrack", {"track_sid": "TR_AM1", "muted": True}),
            ("UpdateParticipant", {"name": "x"}),
            ("UpdateSubscriptions", {"track_sids": ["TR_AM1"]}),
            ("PerformRpc", {"destination_identity": "nobody", "method": "m"}),
        ],
    )
    @pytest.mark.parametrize("room", ["main", "gone"])
    async def test_participant_that_is_not_there(self, api, method, more, room):
        await api.server.enter("main", "alice")
        token = signed(ADMIN | {"room": room})

        status, error = await api.call(method, {"room": room, "identity": "nobody", **more}, token)

        assert (status, error["code"]) == (404, "not_found")
        assert error["msg"] == "participant does not exist"

    async def test_remove_sends_away(self, api):
        _, alice = await api.server.enter("main", "alice")

        answer = await api.call("RemoveParticipant", {"room": "main", "identity": "alice"})

        assert answer == (200, {})
        assert alice.closed == [DisconnectReason.PARTICIPANT_REMOVED]

    async def test_update_changes_what_is_given_and_tells(self, api):
        _, alice = await api.server.enter("main", "alice")
        call = {"room": "main", "identity": "alice"}

        await api.call(
            "UpdateParticipant", {**call, "name": "Al", "metadata": "m",
                                  "attributes": {"a": "1", "b": "2", "lk.x": "3"}},
        )  # fmt: skip
        status, participant = await api.call("UpdateParticipant", {**call, "attributes": {"a": ""}})

        assert status == 200
        assert (participant["name"], participant["metadata"]) == ("Al", "m")
        assert participant["attributes"] == {"b": "2", "lk.x": "3"}
        assert told(alice, ParticipantChanged)[-1].participant.attributes == {"b": "2", "lk.x": "3"}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"metadata": "m" * 524_289}, "metadata size exceeds limits 524288"),
            ({"name": "n" * 257}, "name length exceeds limits 256"),
            ({"attributes": {"a": "m" * 65_537}}, "attribute size exceeds limits 65536"),
            ({"attributes": {"a": "m" * 40_000}}, "attribute size exceeds limits 65536"),
        ],
    )
    async def test_update_refuses_what_is_too_long(self, api, change, message):
        call = {"room": "main", "identity": "alice"}
        await api.server.enter("main", "alice")
        await api.call("UpdateParticipant", {**call, "attributes": {"there": "x" * 40_000}})

        status, error = await api.call("UpdateParticipant", {**call, **change})

        assert (status, error["code"], error["msg"]) == (400, "invalid_argument", message)
        assert error["meta"]["argument"] + " " in message

    async def test_update_refuses_attributes_of_the_sip_transport(self, api):
        await api.server.enter("main", "alice")

        status, error = await api.call(
            "UpdateParticipant",
            {"room": "main", "identity": "alice", "attributes": {"sip.phoneNumber": "1"}},
        )

        assert (status, error["code"]) == (403, "permission_denied")

    async def test_permission_that_is_taken_ends_what_it_allowed(self, api):
        session, alice = await api.server.enter("main", "alice")
        _, bob = await api.server.enter("main", "bob")
        publish(session, "alice")

        status, participant = await api.call(
            "UpdateParticipant",
            {"room": "main", "identity": "alice",
             "permission": {"can_subscribe": True, "can_publish_sources": ["CAMERA"]}},
        )  # fmt: skip

        assert status == 200
        assert participant["tracks"] == []
        assert participant["permission"]["can_publish_sources"] == ["CAMERA"]
        assert not participant["permission"]["can_publish_data"]
        assert told(alice, TrackRemoved)[0].track_sid == "TR_AM1"
        assert told(alice, PermissionChanged)[0].participant.permission.may_publish(
            TrackSource.CAMERA
        )
        assert told(bob, SubscriptionEnded)

    async def test_permission_with_a_source_that_is_none_is_refused(self, api):
        await api.server.enter("main", "alice")

        status, error = await api.call(
            "UpdateParticipant",
            {"room": "main", "identity": "alice", "permission": {"can_publish_sources": [99]}},
        )

        assert (status, error["code"]) == (400, "invalid_argument")


class TestTracks:
    MUTE = {"room": "main", "identity": "alice", "track_sid": "TR_AM1"}  # noqa: RUF012

    async def test_mute_tells_the_publisher_and_returns_the_track(self, api):
        session, alice = await api.server.enter("main", "alice")
        publish(session, "alice")

        status, answer = await api.call("MutePublishedTrack", {**self.MUTE, "muted": True})

        assert (status, answer["track"]["muted"]) == (200, True)
        assert told(alice, MuteRequested) == [MuteRequested("TR_AM1", True, to="alice")]

    async def test_unmute_is_refused_unless_the_operator_allows_it(self, make_api):
        for allowed, expected in ((False, 412), (True, 200)):
            api = await make_api(room={"remote_unmute": allowed})
            session, _ = await api.server.enter("main", "alice")
            publish(session, "alice")
            await api.call("MutePublishedTrack", {**self.MUTE, "muted": True})

            status, answer = await api.call("MutePublishedTrack", {**self.MUTE, "muted": False})

            assert status == expected
            assert allowed or answer["msg"] == "remote unmute not enabled"

    async def test_track_that_is_not_there(self, api):
        await api.server.enter("main", "alice")

        status, error = await api.call("MutePublishedTrack", {**self.MUTE, "muted": True})

        assert (status, error["code"]) == (404, "not_found")

    async def test_subscriptions_follow_the_call(self, api):
        session, _ = await api.server.enter("main", "alice")
        _, bob = await api.server.enter("main", "bob")
        publish(session, "alice")
        call = {"room": "main", "identity": "bob"}
        tracks = {"participant_tracks": [{"participant_sid": "x", "track_sids": ["TR_AM1"]}]}

        off = await api.call("UpdateSubscriptions", {**call, "track_sids": ["TR_AM1"]})
        gone = session.participant("bob").subscriptions.copy()
        on = await api.call("UpdateSubscriptions", {**call, **tracks, "subscribe": True})

        assert (off, gone, on) == ((200, {}), {}, (200, {}))
        assert "TR_AM1" in session.participant("bob").subscriptions
        assert len(told(bob, SubscriptionStarted)) == 2


class TestData:
    async def received(self, api, **call) -> dict[str, list[models.DataPacket]]:
        connections = {name: (await api.server.enter("main", name))[1] for name in ("alice", "bob")}
        body = {"room": "main", "data": base64.b64encode(b"hi").decode(), **call}
        status, answer = await api.call("SendData", body)
        assert (status, answer) == (200, {})
        return {
            name: [
                models.DataPacket.FromString(notice.message.payload)
                for notice in told(connection, DataReceived)
            ]
            for name, connection in connections.items()
        }

    async def test_everybody_gets_it_from_nobody(self, api):
        got = await self.received(api, topic="t", kind="LOSSY", nonce="MDEyMzQ1Njc4OWFiY2RlZg==")

        (packet,) = got["alice"]
        assert got["bob"] == [packet]
        assert packet.kind == models.DataPacket.LOSSY
        assert (packet.user.payload, packet.user.topic) == (b"hi", "t")
        assert packet.user.nonce == b"0123456789abcdef"
        assert (packet.participant_identity, packet.participant_sid) == ("", "")

    async def test_those_named_get_it(self, api):
        got = await self.received(api, destination_identities=["bob", "gone"])

        assert (len(got["alice"]), len(got["bob"])) == (0, 1)

    async def test_those_named_by_sid_get_it(self, api):
        session, _ = await api.server.enter("main", "carol")
        sid = session.participant("carol").sid

        got = await self.received(api, destination_sids=[sid])

        assert got == {"alice": [], "bob": []}
        assert told(session.connections["carol"], DataReceived)

    @pytest.mark.parametrize(
        "named", [{"destination_identities": ["gone"]}, {"destination_sids": ["PA_gone"]}]
    )
    async def test_those_who_are_not_there_are_not_everybody(self, api, named):
        assert await self.received(api, **named) == {"alice": [], "bob": []}

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            ({"nonce": "MDEy"}, "nonce should be 16-bytes or not present, got: 3 bytes"),
            ({"data": base64.b64encode(bytes(64_001)).decode()}, "data exceeds 64000 bytes"),
            ({"destination_identities": ["x"] * 1001}, "more than 1000 destinations"),
        ],
    )
    async def test_what_is_too_much_is_refused(self, api, call, message):
        await api.server.enter("main", "alice")

        status, error = await api.call("SendData", {"room": "main", **call})

        assert (status, error["msg"]) == (400, message)

    async def test_room_that_does_not_exist(self, api):
        token = signed(ADMIN | {"room": "gone"})

        status, error = await api.call("SendData", {"room": "gone"}, token)

        assert (status, error["msg"]) == (404, "requested room does not exist")


@pytest.mark.parametrize("method", ["MoveParticipant", "ForwardParticipant"])
async def test_moving_between_rooms_is_not_offered(api, method):
    token = signed(ADMIN | {"destinationRoom": "other"})
    body = {"room": "main", "identity": "alice", "destination_room": "other"}

    status, error = await api.call(method, body, token)

    assert (status, error["code"]) == (501, "unimplemented")
    assert "not offered" in error["msg"]
