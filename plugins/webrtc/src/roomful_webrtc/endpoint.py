"""HTTP: `/rtc` and `/rtc/v1`, where clients knock, and their validate twins."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from aiohttp import web

from roomful.api.source import source_of
from roomful.auth.grants import Grants
from roomful.errors import (
    InvalidArgument,
    NotFound,
    RemoteProtocolError,
    RequestError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from roomful.model.enums import DisconnectReason
from roomful.room.factories import JoinRequest
from roomful_webrtc import requests
from roomful_webrtc.client_join import ClientJoin
from roomful_webrtc.connection import WebRtcConnection, leave_request
from roomful_webrtc.factory import TRANSPORT, Knock
from roomful_webrtc.join_rate import JoinRate
from roomful_webrtc.pace import Pace
from roomful_webrtc.services import Services
from roomful_webrtc.socket import MAX_MESSAGE, PING_EVERY_S, SignalSocket, decode
from roomful_webrtc.turns import Turns

log = logging.getLogger(__name__)

_STATUS = (
    (Unauthenticated, 401),
    (InvalidArgument, 400),
    (NotFound, 404),
    (ResourceExhausted, 503),
    (Unavailable, 503),
    (Unimplemented, 503),
)
# clients take a 404 of v1 for "no such service" unless the body holds this phrase
_NO_ROOM = "requested room does not exist"


class Endpoint:
    """The signalling endpoints of one server."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._joins = JoinRate(services.server.settings.limits.joins_per_s)
        self._turns = Turns()

    def routes(self) -> Iterable[web.RouteDef]:
        for path, v1 in (("/rtc", False), ("/rtc/v1", True)):
            yield web.get(path, self._socket_v1 if v1 else self._socket_v0)
            yield web.get(f"{path}/validate", self._validate_v1 if v1 else self._validate_v0)

    async def _validate_v0(self, request: web.Request) -> web.Response:
        return await self._validate(request, v1=False)

    async def _validate_v1(self, request: web.Request) -> web.Response:
        return await self._validate(request, v1=True)

    async def _socket_v0(self, request: web.Request) -> web.StreamResponse:
        return await self._socket(request, v1=False)

    async def _socket_v1(self, request: web.Request) -> web.StreamResponse:
        return await self._socket(request, v1=True)

    # --- knocking ----------------------------------------------------------------------------

    async def _validate(self, request: web.Request, *, v1: bool) -> web.Response:
        try:
            self._admit(request)
            grants = await self._grants(request)
            join = ClientJoin.from_query(request.query, v1=v1)
            await self._services.server.check_join(join_request(grants, join))
        except RequestError as error:
            return refusal(error)
        return web.Response(text="success", headers=_CORS)

    async def _socket(self, request: web.Request, *, v1: bool) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=404, text="404 page not found\n", headers=_CORS)
        server = self._services.server
        try:
            self._admit(request)
            grants = await self._grants(request)
            join = ClientJoin.from_query(request.query, v1=v1)
            if not join.reconnect:
                await server.check_join(join_request(grants, join))
        except RequestError as error:
            return refusal(error)
        websocket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE, compress=False, heartbeat=PING_EVERY_S, autoping=False
        )
        await websocket.prepare(request)
        socket = SignalSocket(websocket, request.transport, self._services.clock.monotonic)
        try:
            connection = await self._connect(grants, join, socket)
            if connection is not None:
                await self._serve(connection, socket)
        finally:
            await socket.close()
        return websocket

    def _admit(self, request: web.Request) -> None:
        source = source_of(request, self._services.server.settings.trusted_proxies)
        self._joins.admit(source, self._services.clock.monotonic())

    async def _grants(self, request: web.Request) -> Grants:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            token = request.query.get("access_token", "")
        if not token:
            raise Unauthenticated("permissions denied: no access token")
        return await self._services.server.tokens.verify(token)

    # --- coming in ---------------------------------------------------------------------------

    async def _connect(
        self, grants: Grants, join: ClientJoin, socket: SignalSocket
    ) -> WebRtcConnection | None:
        if join.reconnect:
            return await self._resume(grants, join, socket)
        request = join_request(grants, join, Knock(socket, join))
        await self._turns.wait()
        try:
            connection = await self._services.server.join(request)
        except (RequestError, RemoteProtocolError) as error:
            log.info("join refused", extra={"problem": error.message})
            socket.send(leave=leave_request(DisconnectReason.JOIN_FAILURE))
            return None
        assert isinstance(connection, WebRtcConnection)
        return connection

    async def _resume(
        self, grants: Grants, join: ClientJoin, socket: SignalSocket
    ) -> WebRtcConnection | None:
        session = self._services.server.rooms.find(grants.room)
        there = session.connections.get(grants.identity) if session else None
        sid = join.participant_sid
        if not isinstance(there, WebRtcConnection) or (sid and there.participant.sid != sid):
            socket.send(leave=leave_request(DisconnectReason.STATE_MISMATCH))
            return None
        await there.resume(socket, join)
        return there

    # --- being there -------------------------------------------------------------------------

    async def _serve(self, connection: WebRtcConnection, socket: SignalSocket) -> None:
        """Read requests until the socket ends. A client too fast is read more slowly."""
        pace = Pace(self._services.clock.monotonic)
        try:
            while (frame := await socket.receive()) is not None:
                if not connection.session.is_live(connection.participant):
                    break
                await pace.message(len(frame))
                request = decode(frame)
                await pace.request(request.WhichOneof("message") or "")
                if socket is connection.socket:
                    await requests.handle(connection, request)
        except RemoteProtocolError as error:
            connection.fail(error.message)
        except Exception:  # one client's failure is contained here
            log.exception("signalling failed", extra={"participant": connection.participant.sid})
            connection.fail("internal error")
        finally:
            connection.socket_lost(socket)


def join_request(grants: Grants, join: ClientJoin, context: object = None) -> JoinRequest:
    """A client's wish as the request that all transports make."""
    return JoinRequest(
        transport=TRANSPORT,
        room=grants.room,
        identity=grants.identity,
        grants=grants,
        metadata=join.metadata,
        attributes=join.attributes,
        auto_subscribe=join.auto_subscribe,
        adaptive_stream=join.adaptive_stream,
        client_protocol=join.client_protocol,
        capabilities=join.capabilities,
        context=context,
    )


def refusal(error: RequestError) -> web.Response:
    """The answer to a client that may not come in: status and reason in plain text."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 401)
    text = error.message
    if status == 404 and _NO_ROOM not in text:
        text = f"{_NO_ROOM}: {text}"
    return web.Response(status=status, text=text, headers=_CORS)


_CORS = {"Access-Control-Allow-Origin": "*"}

