"""Calls of participants' methods by the server (PerformRpc).

The server stands in the room as an identity of its own, without a participant: answers addressed
to it are taken by a tap.
"""

from __future__ import annotations

import asyncio

from livekit.protocol import models

from roomful.errors import FailedPrecondition, ResourceExhausted, RoomfulError, TransportTimeout
from roomful.ids import random_text
from roomful.model.events import DataMessage
from roomful.room.session import RoomSession

ACK_S = 7.0
"""how long the far side may take to say that it got the call"""
MAX_PAYLOAD = 15_360
MAX_PENDING = 1_000


class RpcFailed(RoomfulError):
    """The far side's method answered with an error."""

    code = "unknown"

    def __init__(self, error: models.RpcError) -> None:
        super().__init__(error.message or "the method failed")
        self.meta = {"rpc_code": str(error.code), "rpc_data": error.data}


class ServerRpc:
    """Pending calls of one server."""

    def __init__(self) -> None:
        self._pending = 0

    async def perform(
        self, session: RoomSession, identity: str, method: str, payload: str, timeout_s: float
    ) -> str:
        """Return the answer's payload. Raises `RpcFailed`, `TransportTimeout`."""
        if len(payload.encode()) > MAX_PAYLOAD:
            raise FailedPrecondition(f"payload exceeds {MAX_PAYLOAD} bytes")
        if self._pending >= MAX_PENDING:
            raise ResourceExhausted(f"more than {MAX_PENDING} calls are pending")
        caller, request_id = f"server-{random_text(12)}", random_text(24)
        acked = asyncio.Event()
        answer: asyncio.Future[models.RpcResponse] = asyncio.get_running_loop().create_future()

        def take(message: DataMessage) -> None:
            packet = models.DataPacket.FromString(message.payload)
            if message.sender_identity != identity:
                return
            if packet.HasField("rpc_ack") and packet.rpc_ack.request_id == request_id:
                acked.set()
            elif packet.HasField("rpc_response"):
                response = packet.rpc_response
                if response.request_id == request_id and not answer.done():
                    answer.set_result(response)

        session.taps[caller] = take
        self._pending += 1
        try:
            session.relay(_request(caller, identity, request_id, method, payload, timeout_s))
            response = await _wait(acked, answer, timeout_s)
        finally:
            self._pending -= 1
            session.taps.pop(caller, None)
        if response.HasField("error"):
            raise RpcFailed(response.error)
        return response.payload


def _request(
    caller: str, identity: str, request_id: str, method: str, payload: str, timeout_s: float
) -> DataMessage:
    packet = models.DataPacket(
        kind=models.DataPacket.RELIABLE,
        participant_identity=caller,
        destination_identities=[identity],
        rpc_request=models.RpcRequest(
            id=request_id,
            method=method,
            payload=payload,
            response_timeout_ms=int(timeout_s * 1000),
            version=1,
        ),
    )
    return DataMessage(
        payload=packet.SerializeToString(),
        reliable=True,
        sender_identity=caller,
        destinations=frozenset({identity}),
    )


async def _wait(
    acked: asyncio.Event, answer: asyncio.Future[models.RpcResponse], timeout_s: float
) -> models.RpcResponse:
    try:
        async with asyncio.timeout(min(ACK_S, timeout_s)):
            waiting = asyncio.ensure_future(acked.wait())
            try:
                await asyncio.wait({waiting, answer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
        async with asyncio.timeout(timeout_s):
            return await answer
    except TimeoutError:
        raise TransportTimeout("the participant did not answer the call in time") from None
