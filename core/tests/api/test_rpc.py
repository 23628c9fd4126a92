"""Calls of participants' methods by the server."""

import asyncio

import pytest
from livekit.protocol import models

from roomful.api import rpc
from roomful.api.data_packet import message_from_client
from roomful.api.rpc_errors import RpcFailed
from roomful.model.enums import DisconnectReason
from roomful.model.events import DataReceived


@pytest.fixture
async def room(api):
    """`alice` in a room; `room.answers` are what she says to each request."""
    session, connection = await api.server.enter("main", "alice")
    _, bob = await api.server.enter("main", "bob")
    return Room(api, session, connection, bob)


class Room:
    def __init__(self, api, session, alice, bob):
        self.api, self.session, self.bob = api, session, bob
        self.requests: list[models.DataPacket] = []
        self.answers = lambda request: [ack(request), answer(request, payload="done")]
        alice.answer = self.hear

    def hear(self, notice):
        if not isinstance(notice, DataReceived):
            return
        packet = models.DataPacket.FromString(notice.message.payload)
        self.requests.append(packet)
        for reply in self.answers(packet):
            self.say("alice", packet.participant_identity, reply)

    def say(self, identity, to, reply):
        reply.destination_identities.append(to)
        sender = self.session.participant(identity)
        message = message_from_client(reply.SerializeToString(), sender, reliable=True)
        asyncio.get_running_loop().call_soon(self.session.relay, message)

    async def call(self, **more):
        body = {"room": "main", "destination_identity": "alice", "method": "greet", **more}
        return await self.api.call("PerformRpc", body)


def ack(packet) -> models.DataPacket:
    return models.DataPacket(rpc_ack=models.RpcAck(request_id=packet.rpc_request.id))


def answer(packet, **fields) -> models.DataPacket:
    request_id = packet.rpc_request.id
    return models.DataPacket(rpc_response=models.RpcResponse(request_id=request_id, **fields))


async def test_answer_of_the_method_is_returned(room):
    assert await room.call(payload="hi") == (200, {"payload": "done"})

    (packet,) = room.requests
    assert (packet.rpc_request.method, packet.rpc_request.payload) == ("greet", "hi")
    assert packet.rpc_request.response_timeout_ms == 10_000
    assert packet.participant_identity == packet.rpc_request.id
    assert not [n for n in room.bob.told if isinstance(n, DataReceived)]
    assert room.session.taps == {}


async def test_answer_without_an_acknowledgement_is_good_too(room):
    room.answers = lambda request: [answer(request, payload="quick")]

    assert await room.call() == (200, {"payload": "quick"})


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        ({"code": 4711, "message": "as asked", "data": "more"}, 500, "internal",
         "RpcError 4711: as asked: more"),
        ({"code": 1400, "message": "Method not supported at destination"}, 400,
         "invalid_argument", "RpcError 1400: Method not supported at destination"),
        ({"code": 1500, "message": "Application error in method handler"}, 500, "internal",
         "RpcError 1500: Application error in method handler"),
        ({"code": 1502, "message": "Response timeout"}, 408, "canceled",
         "RpcError 1502: Response timeout"),
    ],
)  # fmt: skip
async def test_error_of_the_method_is_told_with_its_number(room, error, status, code, message):
    room.answers = lambda request: [answer(request, error=models.RpcError(**error))]

    got, told = await room.call()

    assert (got, told["code"], told["msg"]) == (status, code, message)
    assert told["meta"]["rpc_code"] == str(error["code"])


async def test_method_that_takes_too_long_is_given_up(room):
    room.answers = lambda request: [ack(request)]

    status, error = await room.call(response_timeout_ms=50)

    assert (status, error["msg"]) == (408, "RpcError 1502: Response timeout")
    assert room.requests[0].rpc_request.response_timeout_ms == 50
    assert room.session.taps == {}


async def test_participant_that_does_not_acknowledge_is_given_up_sooner(room, monkeypatch):
    monkeypatch.setattr(rpc, "ACK_S", 0.05)
    room.answers = lambda request: []

    status, error = await room.call(response_timeout_ms=60_000)

    assert (status, error["code"]) == (408, "deadline_exceeded")
    assert error["msg"] == "RpcError 1501: Connection timeout"


async def test_participant_that_leaves_ends_the_call(room, monkeypatch):
    monkeypatch.setattr(rpc, "PRESENCE_S", 0.01)
    room.answers = lambda request: [ack(request)]
    calling = asyncio.ensure_future(room.call())
    while not room.requests:
        await asyncio.sleep(0)

    await room.session.remove("alice", DisconnectReason.CLIENT_INITIATED)

    status, error = await calling
    assert (status, error["msg"]) == (503, "RpcError 1503: Recipient disconnected")


async def test_nobody_else_can_answer(room):
    def forged(request):
        room.say("bob", request.participant_identity, answer(request, payload="forged"))
        return [answer(request, payload="true")]

    room.answers = forged

    assert await room.call() == (200, {"payload": "true"})


async def test_answer_to_another_call_is_not_taken(room):
    def other(request):
        wrong = models.DataPacket(rpc_response=models.RpcResponse(request_id="x", payload="no"))
        return [wrong, answer(request, payload="yes")]

    room.answers = other

    assert await room.call() == (200, {"payload": "yes"})


async def test_payload_that_is_too_large_is_not_sent(room):
    status, error = await room.call(payload="p" * 15_361)

    assert (status, error["msg"]) == (400, "RpcError 1402: Request payload too large")
    assert room.requests == []


async def test_call_needs_somebody_to_call(room):
    status, error = await room.call(destination_identity="")

    assert (status, error["msg"]) == (400, "destination identity is required")


async def test_too_many_pending_calls_are_refused(room, monkeypatch):
    monkeypatch.setattr(rpc, "MAX_PENDING", 0)

    assert (await room.call())[0] == 429


def test_error_without_words_has_some():
    assert RpcFailed(1501).message == "RpcError 1501: Connection timeout"
    assert RpcFailed(99).message == "RpcError 99: the method failed"
