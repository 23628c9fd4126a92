"""The queue of one signalling socket, and what its frames are."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiohttp import WebSocketError, WSMessage, WSMsgType
from livekit.protocol import rtc

from roomful.errors import RemoteProtocolError
from roomful_webrtc.socket import (
    CONTROLS_BURST,
    MAX_BURST,
    MAX_QUEUED,
    SLOW_S,
    SignalSocket,
    decode,
)


class Transport(asyncio.WriteTransport):
    """Notes that it was cut."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


class FakeWebSocket:
    """Sends nothing until it is let go."""

    closed = False

    def __init__(self, *messages: WSMessage) -> None:
        self.sent: list[bytes] = []
        self.may_send = asyncio.Event()
        self._messages = list(messages)

    async def send_bytes(self, data: bytes) -> None:
        await self.may_send.wait()
        self.sent.append(data)

    async def receive(self) -> WSMessage:
        return self._messages.pop(0)

    async def pong(self, data: bytes) -> None:
        self.sent.append(b"pong " + data)

    async def close(self, **_: object) -> None:
        self.closed = True


class Time:
    """Monotonic seconds."""

    now = 100.0


def signal_socket(*messages: WSMessage) -> tuple[SignalSocket, FakeWebSocket, Transport]:
    websocket, transport = FakeWebSocket(*messages), Transport()
    return SignalSocket(cast(Any, websocket), transport, lambda: Time.now), websocket, transport


async def test_a_waiting_state_is_replaced_by_a_newer_one_of_its_subject() -> None:
    socket, websocket, _ = signal_socket()
    socket.send_encoded(b"first")
    await asyncio.sleep(0)
    for number in range(1000):
        socket.send_encoded(b"state of a %d" % number, "a")
        socket.send_encoded(b"state of b %d" % number, "b")
    socket.send_encoded(b"last")
    websocket.may_send.set()
    await socket.close()

    assert websocket.sent == [b"first", b"state of a 999", b"state of b 999", b"last"]


async def test_a_reader_that_stays_behind_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    socket, _, transport = signal_socket()
    await asyncio.sleep(0)
    for _ in range(3):
        socket.send_encoded(bytes(MAX_QUEUED // 2))
    assert not transport.aborted
    monkeypatch.setattr(Time, "now", Time.now + SLOW_S + 0.1)
    socket.send_encoded(b"one more")

    assert transport.aborted
    assert socket.closed


async def test_nobody_gets_more_than_a_burst_ahead() -> None:
    socket, _, transport = signal_socket()
    await asyncio.sleep(0)
    for _ in range(5):
        socket.send_encoded(bytes(MAX_BURST // 4))

    assert transport.aborted


async def test_a_single_message_of_any_size_is_sent() -> None:
    socket, websocket, _ = signal_socket()
    socket.send_encoded(bytes(MAX_BURST + 1))
    websocket.may_send.set()
    await socket.close()

    assert len(websocket.sent[0]) == MAX_BURST + 1


async def test_states_of_one_subject_do_not_add_up() -> None:
    socket, websocket, transport = signal_socket()
    for _ in range(100):
        socket.send_encoded(bytes(MAX_QUEUED // 2), "room")
    websocket.may_send.set()
    await socket.close()

    assert not transport.aborted


@pytest.mark.parametrize(
    "message",
    [
        WSMessage(WSMsgType.TEXT, "{}", None),
        WSMessage(WSMsgType.ERROR, WebSocketError(1009, "too big"), None),
    ],
    ids=["text", "too large"],
)
async def test_frames_that_are_no_request_break_the_protocol(message: WSMessage) -> None:
    socket, _, _ = signal_socket(message)
    with pytest.raises(RemoteProtocolError):
        await socket.receive()
    await socket.close()


async def test_pings_are_answered_and_too_many_break_the_protocol() -> None:
    ping = WSMessage(WSMsgType.PING, b"p", None)
    socket, websocket, _ = signal_socket(*[ping] * (CONTROLS_BURST + 1))
    with pytest.raises(RemoteProtocolError):
        await socket.receive()

    assert websocket.sent == [b"pong p"] * CONTROLS_BURST
    await socket.close()


async def test_the_end_of_the_connection_is_no_error() -> None:
    socket, _, _ = signal_socket(WSMessage(WSMsgType.CLOSED, None, None))

    assert await socket.receive() is None
    await socket.close()


def test_garbage_is_no_request() -> None:
    assert decode(rtc.SignalRequest(ping=1).SerializeToString()).ping == 1
    with pytest.raises(RemoteProtocolError):
        decode(b"\xff\xff")
