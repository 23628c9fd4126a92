"""HTTP: `/agent`, where workers come in."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import web
from livekit.protocol import agent

from roomful.auth.check import check
from roomful.auth.grants import Grants
from roomful.errors import RemoteProtocolError, RequestError, ResourceExhausted, Unauthenticated
from roomful_agents.pool import Pool
from roomful_agents.socket import MAX_MESSAGE, PING_EVERY_S, POLICY_VIOLATION, WorkerSocket
from roomful_agents.wire import (
    AGENT_PROTOCOL,
    answer_from_wire,
    job_status_from_wire,
    registration_from_wire,
    server_info,
    status_from_wire,
)

if TYPE_CHECKING:
    from roomful.server import RoomServer

log = logging.getLogger(__name__)

REGISTER_S = 10.0
MAX_WAITING = 200
"""connections that have not registered"""
TRY_AGAIN_LATER = 1013
INTERNAL_ERROR = 1011


class Endpoint:
    """The workers' door of one server."""

    def __init__(self, server: RoomServer, pool: Pool) -> None:
        self._server, self._pool = server, pool
        self._waiting = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/agent", self._socket)]

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=404, text="404 page not found\n")
        try:
            grants = await self._grants(request)
        except RequestError as error:
            status = 401 if isinstance(error, Unauthenticated) else 503
            return web.Response(status=status, text=error.message)
        websocket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE, compress=False, heartbeat=PING_EVERY_S, autoping=False
        )
        await websocket.prepare(request)
        socket = WorkerSocket(websocket, request.transport, self._server.clock.monotonic)
        try:
            check_protocol(request.query.get("protocol", ""))
            await self._serve(grants, socket)
        except RemoteProtocolError as error:
            log.warning("worker ended", extra={"problem": error.message})
            socket.close_soon(POLICY_VIOLATION, error.message)
        except ResourceExhausted as error:
            socket.close_soon(TRY_AGAIN_LATER, error.message)
        except Exception:  # one worker's failure is contained here
            log.exception("worker failed")
            socket.close_soon(INTERNAL_ERROR, "internal error")
        finally:
            socket.close_soon(1000, "")
            await socket.closed()
        return websocket

    async def _grants(self, request: web.Request) -> Grants:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            token = request.query.get("access_token", "")
        if not token:
            raise Unauthenticated("permissions denied: no access token")
        grants = await self._server.tokens.verify(token)
        check(grants, "agent_worker")
        return grants

    async def _serve(self, grants: Grants, socket: WorkerSocket) -> None:
        if self._waiting >= MAX_WAITING:
            raise ResourceExhausted(f"{MAX_WAITING} workers are registering; try again")
        self._waiting += 1
        try:
            async with asyncio.timeout(REGISTER_S):
                worker_id = await self._register(grants, socket)
        except TimeoutError as error:
            raise RemoteProtocolError(f"no register within {REGISTER_S:g} s") from error
        finally:
            self._waiting -= 1
        if not worker_id:
            return
        try:
            while (message := await socket.receive()) is not None:
                self._take(worker_id, message, socket)
                self._pool.act()
        finally:
            self._pool.gone(worker_id)

    async def _register(self, grants: Grants, socket: WorkerSocket) -> str:
        """Return the worker's id, empty when it left before. Only pings may come before."""
        while (message := await socket.receive()) is not None:
            match message.WhichOneof("message"):
                case "ping":
                    socket.send(self._pong(message.ping))
                case "register":
                    registration = registration_from_wire(message.register, grants)
                    worker_id = self._pool.register(registration, socket)
                    socket.send(
                        agent.ServerMessage(
                            register=agent.RegisterWorkerResponse(
                                worker_id=worker_id, server_info=server_info(self._server.node_id)
                            )
                        )
                    )
                    return worker_id
                case other:
                    raise RemoteProtocolError(f"{other} came before register")
        return ""

    def _take(self, worker_id: str, message: agent.WorkerMessage, socket: WorkerSocket) -> None:
        dispatcher, at = self._pool.dispatcher, self._pool.now()
        match message.WhichOneof("message"):
            case "ping":
                socket.send(self._pong(message.ping))
            case "update_worker":
                dispatcher.update_worker(worker_id, *status_from_wire(message.update_worker))
            case "availability":
                answer = answer_from_wire(message.availability)
                dispatcher.answer(worker_id, message.availability.job_id, answer, at)
            case "update_job":
                status, error = job_status_from_wire(message.update_job)
                dispatcher.update_job(worker_id, message.update_job.job_id, status, error, at)
            case "migrate_job":
                dispatcher.adopt(worker_id, message.migrate_job.job_ids, at)
            case "register":
                raise RemoteProtocolError("register came a second time")
            case other:
                raise RemoteProtocolError(f"{other} is not offered here")

    def _pong(self, ping: agent.WorkerPing) -> agent.ServerMessage:
        pong = agent.WorkerPong(
            last_timestamp=ping.timestamp, timestamp=self._server.clock.wall_ms()
        )
        return agent.ServerMessage(pong=pong)


def check_protocol(stated: str) -> None:
    """Raise `RemoteProtocolError` for a version of the worker protocol that is not known."""
    if stated and stated not in [str(known) for known in range(AGENT_PROTOCOL + 1)]:
        raise RemoteProtocolError(
            f"worker protocol {stated[:16]!r} is not known: {AGENT_PROTOCOL} is spoken here"
        )
