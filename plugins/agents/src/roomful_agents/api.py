"""`livekit.AgentDispatchService`: dispatches from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import agent_dispatch

from roomful.api.service import RpcMethod, RpcService
from roomful.auth.grants import Grants
from roomful.errors import InvalidArgument
from roomful.room.session import RoomSession
from roomful_agents.pool import Pool
from roomful_agents.validation import spec_of
from roomful_agents.wire import dispatch_to_wire

if TYPE_CHECKING:
    from roomful.server import RoomServer

ACTION = "dispatch_agent"


class DispatchService:
    """Handlers, one a method; the token was checked before."""

    def __init__(self, server: RoomServer, pool: Pool) -> None:
        self._server, self._pool = server, pool

    def service(self) -> RpcService:
        """All methods by name."""
        wire = agent_dispatch
        one = wire.AgentDispatch
        return RpcService(
            "livekit.AgentDispatchService",
            {
                "CreateDispatch": RpcMethod(
                    wire.CreateAgentDispatchRequest, one, ACTION, self.create
                ),
                "DeleteDispatch": RpcMethod(
                    wire.DeleteAgentDispatchRequest, one, ACTION, self.delete
                ),
                "ListDispatch": RpcMethod(
                    wire.ListAgentDispatchRequest,
                    wire.ListAgentDispatchResponse,
                    ACTION,
                    self.list_dispatches,
                ),
            },
        )

    async def create(
        self, request: agent_dispatch.CreateAgentDispatchRequest, grants: Grants
    ) -> agent_dispatch.AgentDispatch:
        """Send an agent to a room, which is made where rooms come by themselves."""
        spec = spec_of(request)
        if self._server.settings.room.auto_create:
            session = await self._server.rooms.get_or_create(request.room)
        else:
            session = self._server.rooms.of(request.room)
        self._pool.adopt(session)
        dispatch = self._pool.dispatcher.create_dispatch(session.room.sid, spec, self._pool.now())
        self._pool.act()
        return dispatch_to_wire(dispatch)

    async def delete(
        self, request: agent_dispatch.DeleteAgentDispatchRequest, grants: Grants
    ) -> agent_dispatch.AgentDispatch:
        """End a dispatch and its jobs."""
        if not request.dispatch_id:
            raise InvalidArgument("dispatch_id cannot be empty")
        dispatch = self._pool.dispatcher.delete_dispatch(
            self._room(request.room).room.sid, request.dispatch_id, self._pool.now()
        )
        self._pool.act()
        return dispatch_to_wire(dispatch)

    async def list_dispatches(
        self, request: agent_dispatch.ListAgentDispatchRequest, grants: Grants
    ) -> agent_dispatch.ListAgentDispatchResponse:
        """All dispatches of a room, or one."""
        room = self._pool.dispatcher.rooms[self._room(request.room).room.sid]
        return agent_dispatch.ListAgentDispatchResponse(
            agent_dispatches=[
                dispatch_to_wire(dispatch)
                for dispatch in room.dispatches.values()
                if request.dispatch_id in ("", dispatch.dispatch_id)
            ]
        )

    def _room(self, name: str) -> RoomSession:
        session = self._server.rooms.of(name)
        self._pool.adopt(session)
        return session
