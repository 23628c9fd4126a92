"""Calls of participants' methods by the server (PerformRpc).

The server stands in the room as an identity of its own, without a participant: the call's id. What
is addressed to it is taken by a tap. A call ends when the answer comes, when the far side has not
said within 7 s that it got the call, when the time is over, or when the participant leaves.
"""

from __future__ import annotations

import asyncio
import uuid

from google.protobuf.message import DecodeError
from livekit.protocol import models

from roomful.api.rpc_errors import (
    CONNECTION_TIMEOUT,
    RECIPIENT_DISCONNECTED,
    REQUEST_PAYLOAD_TOO_LARGE,
    RESPONSE_TIMEOUT,
    RpcFailed,
)
from roomful.bounds import RPC_PAYLOAD_BYTES
from roomful.errors import ResourceExhausted
from roomful.model.events import DataMessage
from roomful.model.participant import Participant
from roomful.room.session import RoomSession

ACK_S = 7.0
DEFAULT_S, LONGEST_S = 10.0, 300.0
PRESENCE_S = 0.5
"""how often it is looked whether the participant is still there"""
MAX_PENDING = 1_000


class ServerRpc:
    """Pending calls of one server."""

    def __init__(self) -> None:
        self._pending = 0

    async def perform(
        self, session: RoomSession, identity: str, method: str, payload: str, timeout_s: float
    ) -> str:
        """Return the answer's payload; `timeout_s` 0 means 10 s.

        Raises `NotFound` for an identity that is not there, `RpcFailed` with the reason.
        """
        if len(payload.encode()) > RPC_PAYLOAD_BYTES:
            raise RpcFailed(REQUEST_PAYLOAD_TOO_LARGE)
        if self._pending >= MAX_PENDING:
            raise ResourceExhausted(f"more than {MAX_PENDING} calls are pending")
        call = _Call(session, session.participant(identity))
        self._pending += 1
        try:
            return await call.run(method, payload, min(timeout_s or DEFAULT_S, LONGEST_S))
        finally:
            self._pending -= 1


class _Call:
    """One call, from its request to its answer."""

    def __init__(self, session: RoomSession, callee: Participant) -> None:
        self._session, self._callee = session, callee
        self._id = str(uuid.uuid4())
        self._acked = False
        self._news = asyncio.Event()
        self._response: models.RpcResponse | None = None

    async def run(self, method: str, payload: str, timeout_s: float) -> str:
        self._session.taps[self._id] = self._take
        try:
            self._session.relay(self._request(method, payload, timeout_s))
            response = await self._wait(timeout_s)
        finally:
            self._session.taps.pop(self._id, None)
        if response.HasField("error"):
            raise RpcFailed.of(response.error)
        return response.payload

    def _take(self, message: DataMessage) -> None:
        """Take a packet that is addressed to this call; anybody but the callee is not heard."""
        if message.sender_identity != self._callee.identity:
            return
        try:
            packet = models.DataPacket.FromString(message.payload)
        except DecodeError:
            return
        if packet.rpc_ack.request_id == self._id:
            self._acked = True
        if packet.rpc_response.request_id == self._id:
            self._response = packet.rpc_response
        self._news.set()

    async def _wait(self, timeout_s: float) -> models.RpcResponse:
        now = self._session.clock.monotonic()
        ack_until, until = now + min(ACK_S, timeout_s), now + timeout_s
        while self._response is None:
            now = self._session.clock.monotonic()
            if now >= until:
                raise RpcFailed(RESPONSE_TIMEOUT)
            if not self._acked and now >= ack_until:
                raise RpcFailed(CONNECTION_TIMEOUT)
            if not self._session.is_live(self._callee):
                raise RpcFailed(RECIPIENT_DISCONNECTED)
            self._news.clear()
            await _until(self._news, min(PRESENCE_S, until - now))
        return self._response

    def _request(self, method: str, payload: str, timeout_s: float) -> DataMessage:
        packet = models.DataPacket(
            kind=models.DataPacket.RELIABLE,
            participant_identity=self._id,
            destination_identities=[self._callee.identity],
            rpc_request=models.RpcRequest(
                id=self._id,
                method=method,
                payload=payload,
                response_timeout_ms=int(timeout_s * 1000),
                version=1,
            ),
        )
        return DataMessage(
            payload=packet.SerializeToString(),
            reliable=True,
            sender_identity=self._id,
            destinations=frozenset({self._callee.identity}),
        )


async def _until(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for an event, for so long at most."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
