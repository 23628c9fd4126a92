"""The door of the API: routes, encodings, tokens, bodies, errors."""

import asyncio
import gzip
import io
import json
import logging
import re
import time

import aiohttp
import jwt
import pytest
from livekit.protocol import models
from livekit.protocol import room as proto

from roomful.api import twirp
from roomful.api.service import RpcMethod, RpcService
from roomful.auth.check import API_RULES
from roomful.plugin.manager import Offers
from roomful.plugin.service import Offer

from .conftest import ADMIN, KEY, NO_OFFERS, SECRET, publish, signed

R = "/twirp/livekit.RoomService/"


async def test_json_takes_both_spellings_and_ignores_what_it_does_not_know(api):
    camel = await api.call("CreateRoom", {"name": "a", "emptyTimeout": 5, "new": {"x": 1}})
    snake = await api.call("CreateRoom", {"name": "b", "empty_timeout": 6})

    assert (camel[0], camel[1]["empty_timeout"]) == (200, 5)
    assert (snake[0], snake[1]["empty_timeout"]) == (200, 6)


async def test_json_answer_has_snake_names_and_empty_fields(api):
    _, room = await api.call("CreateRoom", {"name": "main"})

    assert room["num_participants"] == 0
    assert room["metadata"] == ""
    assert re.fullmatch(r"\d+", room["creation_time_ms"])


async def test_protobuf_is_answered_in_protobuf(api):
    request = proto.CreateRoomRequest(name="main", max_participants=3).SerializeToString()
    headers = {
        "Authorization": f"Bearer {signed(ADMIN)}",
        "Content-Type": "application/protobuf",
    }

    async with api.session.post(
        api.url + R + "CreateRoom", data=request, headers=headers
    ) as answer:
        assert answer.content_type == "application/protobuf"
        room = models.Room.FromString(await answer.read())

    assert (room.name, room.max_participants) == ("main", 3)


async def test_token_in_the_query_is_as_good(api):
    status, _ = await api.call("ListRooms?access_token=" + signed(ADMIN), token=None)

    assert status == 200


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, "permissions denied"),
        ("garbage", "invalid token: it is no JSON web token"),
        (signed(ADMIN, iss="nokey"), "invalid API key: 'nokey' is not known here"),
        (signed(ADMIN, exp=int(time.time()) - 90), "invalid token: it has expired"),
        (
            jwt.encode({"iss": KEY, "exp": 2e9, "video": ADMIN}, "w" * 40),
            "invalid token: its signature does not match the key",
        ),
    ],
)
async def test_wrong_token_is_401_with_the_reason(api, token, message):
    status, error = await api.call("ListRooms", token=token)

    assert status == 401
    assert error == {"code": "unauthenticated", "msg": message}


async def test_header_of_another_scheme_is_refused(api):
    status, error = await api.call("ListRooms", token=None, Authorization="Basic abc")

    assert status == 401
    assert "Bearer" in error["msg"]


ROOM_SERVICE = {
    "CreateRoom": ("create_room", {"name": "main"}),
    "ListRooms": ("list_rooms", {}),
    "DeleteRoom": ("delete_room", {"room": "main"}),
    "ListParticipants": ("list_participants", {"room": "main"}),
    "GetParticipant": ("get_participant", {"room": "main", "identity": "alice"}),
    "RemoveParticipant": ("remove_participant", {"room": "main", "identity": "alice"}),
    "MutePublishedTrack": (
        "mute_track",
        {"room": "main", "identity": "alice", "track_sid": "TR_AM1", "muted": True},
    ),
    "UpdateParticipant": ("update_participant", {"room": "main", "identity": "alice"}),
    "UpdateSubscriptions": ("update_subscriptions", {"room": "main", "identity": "alice"}),
    "SendData": ("send_data_by_api", {"room": "main", "data": "aGk="}),
    "UpdateRoomMetadata": ("update_room_metadata", {"room": "main", "metadata": "m"}),
    "ForwardParticipant": (
        "forward_participant",
        {"room": "main", "identity": "alice", "destination_room": "other"},
    ),
    "MoveParticipant": (
        "move_participant",
        {"room": "main", "identity": "alice", "destination_room": "other"},
    ),
    "PerformRpc": (
        "perform_rpc",
        {"room": "main", "destination_identity": "gone", "method": "m"},
    ),
}
CLAIMS = {
    "room_create": "roomCreate",
    "room_list": "roomList",
    "room_admin": "roomAdmin",
}


def exactly(action: str, room: str = "main") -> dict[str, object]:
    """The video claims that the table asks for, and no others."""
    rule = API_RULES[action]
    video: dict[str, object] = {CLAIMS[need]: True for need in rule.needs}
    if rule.room:
        video["room"] = room
    if rule.destination:
        video["destinationRoom"] = "other"
    return video


@pytest.mark.parametrize("method", ROOM_SERVICE)
async def test_every_method_asks_for_exactly_its_grants(api, method):
    session, _ = await api.server.enter("main", "alice")
    publish(session, "alice")
    action, body = ROOM_SERVICE[method]
    enough = exactly(action)
    refused = [await api.call(method, body, None), await api.call(method, body, signed({}))]
    for claim in enough:
        video = {name: value for name, value in enough.items() if name != claim}
        refused.append(await api.call(method, body, signed(video)))
    if API_RULES[action].room:
        refused.append(await api.call(method, body, signed(exactly(action, "elsewhere"))))

    assert {status for status, _ in refused} == {401}
    assert {error["msg"] for _, error in refused} == {"permissions denied"}
    status, answer = await api.call(method, body, signed(enough))
    assert status in (200, 404, 501), answer
    assert answer.get("code") != "unauthenticated"


def test_every_method_of_the_service_is_in_the_table_above():
    described = proto.DESCRIPTOR.services_by_name["RoomService"].methods_by_name

    assert set(ROOM_SERVICE) == set(described)


async def test_missing_grant_is_named_in_the_errors_meta(api):
    _, error = await api.call("ListRooms", token=signed({"roomCreate": True}))

    assert error["meta"] == {"needs": "video.roomList"}


async def test_unknown_method_is_a_bad_route(api):
    status, error = await api.call("Nope")

    assert (status, error["code"]) == (404, "bad_route")
    assert error["meta"] == {"twirp_invalid_route": f"POST {R}Nope"}


@pytest.mark.parametrize(
    ("service", "extra"),
    [
        ("Egress/ListEgress", "roomful[file]"),
        ("Ingress/CreateIngress", "roomful[whip]"),
        ("SIP/ListSIPTrunk", "roomful[sip]"),
        ("AgentDispatchService/ListDispatch", "roomful[agents]"),
    ],
)
async def test_service_of_a_plugin_that_is_not_there_names_the_extra(api, service, extra):
    status, error = await api.call("", path=f"/twirp/livekit.{service}")

    assert (status, error["code"]) == (501, "unimplemented")
    assert extra in error["msg"]


async def test_unknown_service_is_a_bad_route(api):
    for path in ("/twirp/livekit.Nope/Nope", "/twirp/livekit.CloudAgent/ListAgents"):
        status, error = await api.call("", path=path)
        assert (status, error["code"]) == (404, "bad_route")


async def test_get_and_other_types_are_bad_routes(api):
    async with api.session.get(api.url + R + "ListRooms") as answer:
        assert answer.status == 404
        assert (await answer.json())["msg"].startswith('unsupported method "GET"')
    status, error = await api.call("ListRooms", **{"Content-Type": "text/plain"})
    assert (status, error["code"]) == (404, "bad_route")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"names": 5}', "application/json"),
        (b'{"names": ["\xed\xa0\x80"]}', "application/json"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "application/json"),
        (b'{"a": ' + b"1" * 5000 + b"}", "application/json"),
        (b"\xff\xff\xff", "application/protobuf"),
        (b"\x0a\x02\xff\xff", "application/protobuf"),
    ],
)
async def test_body_that_is_none_is_malformed(api, body, kind):
    status, error = await api.call("ListRooms", body, **{"Content-Type": kind})

    assert (status, error["code"]) == (400, "malformed")


async def test_oversized_body_is_refused(api):
    body = io.BytesIO(b'{"names": ["' + b"x" * (10 << 20) + b'"]}')
    headers = {"Authorization": f"Bearer {signed(ADMIN)}", "Content-Type": "application/json"}

    async with api.session.post(api.url + R + "ListRooms", data=body, headers=headers) as answer:
        assert answer.status == 413
        assert (await answer.json())["code"] == "resource_exhausted"


async def test_body_in_chunks_counts_too(api):
    async def chunks():
        for _ in range(12):
            yield b"x" * (1 << 20)

    headers = {"Authorization": f"Bearer {signed(ADMIN)}", "Content-Type": "application/json"}
    async with api.session.post(
        api.url + R + "ListRooms", data=chunks(), headers=headers
    ) as answer:
        assert answer.status == 413


async def test_packed_body_is_refused_before_it_is_unpacked(api):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with api.session.post(
        api.url + R + "ListRooms", data=gzip.compress(b"{}"), headers=headers, compress=False
    ) as answer:
        assert answer.status == 415


async def test_body_that_does_not_come_is_given_up(api, monkeypatch):
    monkeypatch.setattr(twirp, "API_BODY_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"POST {R}ListRooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {signed(ADMIN)}\r\nContent-Length: 100\r\n\r\n{{".encode()
    )

    head = await asyncio.wait_for(reader.readline(), 5)

    assert b"408" in head
    writer.close()


async def test_one_key_is_slowed_and_others_are_not(make_api):
    api = await make_api(limits={"api_requests_per_s": 1})
    answers = [(await api.call("ListRooms"))[0] for _ in range(4)]

    assert answers == [200, 200, 429, 429]


def service(handler) -> Offers:
    method = RpcMethod(proto.ListRoomsRequest, proto.ListRoomsResponse, "list_rooms", handler)
    offer = Offer("acme", "acme 1", RpcService("acme.Thing", {"Do": method}))
    return Offers((), (), (), (offer,), ())


async def test_service_of_a_plugin_is_called_with_the_same_rules(make_api):
    seen = []

    async def handler(request, grants):
        seen.append((list(request.names), grants.identity))
        return proto.ListRoomsResponse()

    api = await make_api(service(handler))

    assert (await api.call("Do", {"names": ["x"]}, path="/twirp/acme.Thing/"))[0] == 200
    assert (await api.call("Do", token=signed({}), path="/twirp/acme.Thing/"))[0] == 401
    assert seen == [(["x"], "me")]


async def test_handler_that_breaks_gives_a_number_and_no_trace(make_api, caplog):
    async def handler(request, grants):
        raise RuntimeError("path /etc/secret")

    api = await make_api(service(handler))

    status, error = await api.call("Do", path="/twirp/acme.Thing/")

    assert (status, error["code"]) == (500, "internal")
    assert "secret" not in json.dumps(error)
    (record,) = [r for r in caplog.records if r.message == "call failed"]
    assert record.error_id == error["meta"]["error_id"]
    assert (await api.call("ListRooms"))[0] == 200


async def test_audit_says_who_did_what_without_payloads(api, caplog):
    with caplog.at_level(logging.INFO, "roomful.audit"):
        await api.call("CreateRoom", {"name": "main", "metadata": "hunter2"})
        await api.call("DeleteRoom", {"room": "gone"})

    records = [r for r in caplog.records if r.name == "roomful.audit"]
    assert [(r.method, r.result, r.api_key, r.pii_identity, r.pii_room) for r in records] == [
        ("livekit.RoomService/CreateRoom", "ok", KEY, "me", "main"),
        ("livekit.RoomService/DeleteRoom", "not_found", KEY, "me", "gone"),
    ]
    assert "hunter2" not in str([vars(record) for record in records])


async def test_no_log_shows_a_token(api, caplog):
    token = signed(ADMIN)
    with caplog.at_level(logging.DEBUG):
        await api.call("ListRooms?access_token=" + token, token=None)
        await api.call("ListRooms", token=token + "x")

    text = str([vars(record) for record in caplog.records if record.name.startswith("roomful")])
    assert token not in text
    assert SECRET not in text


async def test_no_offers_is_a_server_too(make_api):
    api = await make_api(NO_OFFERS)

    async with aiohttp.ClientSession() as session, session.get(api.url) as answer:
        assert (answer.status, await answer.text()) == (200, "OK")
