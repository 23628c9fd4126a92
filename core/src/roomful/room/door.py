"""The one way in, for participants of every kind.

grants → `check_join` hooks → room (made if missing and allowed) → an older participant of the same
identity leaves → the room lets the new one in → its transport's factory connects it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from roomful.auth.check import GrantMissing, check
from roomful.bounds import ATTRIBUTES_BYTES, IDENTITY_BYTES, METADATA_BYTES
from roomful.clock import Clock
from roomful.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
)
from roomful.ids import PARTICIPANT, new_sid
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.model.participant import Participant
from roomful.room.connection import Connection
from roomful.room.factories import Factories, JoinRequest
from roomful.room.manager import RoomManager, check_room_name
from roomful.room.session import RoomSession

CheckJoin = Callable[[JoinRequest], Awaitable[None]]
"""Raises `PermissionDenied` when a plugin denies."""


class Door:
    """Lets participants in, one road for all."""

    def __init__(
        self,
        rooms: RoomManager,
        factories: Factories,
        clock: Clock,
        check_join: CheckJoin,
        *,
        auto_create: bool,
        max_participants: int = 0,
    ) -> None:
        """`max_participants`: on this server, dependent ones not counted; 0 means no limit."""
        self._rooms = rooms
        self._factories = factories
        self._clock = clock
        self._check_join = check_join
        self._auto_create = auto_create
        self._max_participants = max_participants

    async def check(self, request: JoinRequest) -> None:
        """Raise what `join` would refuse with, as far as it can be known before; enters nobody."""
        grants = request.grants
        try:
            check(grants, "join", room=request.room)
        except GrantMissing as error:
            if grants.room_join and not request.room:
                check_room_name(request.room)
            raise Unauthenticated(f"{error.message}: the token needs {error.needs}") from error
        check_room_name(request.room)
        check_participant(request)
        self._factories.of(request.transport, grants.kind)
        if self._rooms.find(request.room) is None and not (
            self._auto_create or grants.room_create
        ):
            raise NotFound("requested room does not exist")
        if self._full() and not request.grants.internal_grant:
            raise ResourceExhausted(
                f"[limits] max_participants is {self._max_participants} and all are here"
            )
        await self._check_join(request)

    def _full(self) -> bool:
        if not self._max_participants:
            return False
        here = sum(session.counted for session in self._rooms.sessions())
        return here >= self._max_participants

    async def join(self, request: JoinRequest) -> Connection:
        """Let a participant in and return its connection. Raises `RequestError`s."""
        await self.check(request)
        factory = self._factories.of(request.transport, request.grants.kind)
        session = await self._rooms.get_or_create(
            request.room, request.options or request.grants.room_config, request.grants
        )
        async with session.seats:
            if session.finished:
                raise NotFound("requested room does not exist")
            if request.identity in session.room.participants:
                await session.remove(request.identity, DisconnectReason.DUPLICATE_IDENTITY)
            participant = self._participant(request)
            session.enter(participant)
            if session.room.holds_open:
                self._rooms.keep_open(session)
            return await self._connect(factory.create, session, participant, request)

    @staticmethod
    async def _connect(
        create: Callable[[RoomSession, Participant, JoinRequest], Awaitable[Connection]],
        session: RoomSession,
        participant: Participant,
        request: JoinRequest,
    ) -> Connection:
        try:
            connection = await create(session, participant, request)
        except BaseException:
            if session.is_live(participant):
                await session.remove(participant.identity, DisconnectReason.JOIN_FAILURE)
            raise
        if not session.is_live(participant):
            # it left while it was being connected (room deleted, say)
            await connection.close(participant.disconnect_reason)
            raise NotFound("the participant was removed while it joined")
        return connection

    def _participant(self, request: JoinRequest) -> Participant:
        grants = request.grants
        permission = grants.permission
        if grants.kind is ParticipantKind.EGRESS and grants.internal_grant:
            permission = replace(permission, hidden=True, recorder=True)
        return Participant(
            sid=new_sid(PARTICIPANT),
            identity=request.identity,
            kind=grants.kind,
            permission=permission,
            joined_at_ms=self._clock.wall_ms(),
            name=request.name or grants.name,
            metadata=request.metadata or grants.metadata,
            attributes={**grants.attributes, **request.attributes},
            client_protocol=request.client_protocol,
            capabilities=request.capabilities,
            auto_subscribe=request.auto_subscribe,
            adaptive_stream=request.adaptive_stream,
        )


def check_participant(request: JoinRequest) -> None:
    """Check identity, metadata and attributes against their bounds and owners."""
    if not request.identity:
        raise InvalidArgument("identity cannot be empty")
    if len(request.identity.encode()) > IDENTITY_BYTES:
        raise InvalidArgument(f"identity length exceeds limits of {IDENTITY_BYTES} bytes")
    if any(ord(char) < 32 or ord(char) == 127 for char in request.identity):
        raise InvalidArgument("identity holds control characters")
    own = request.metadata or request.attributes
    if own and not request.grants.can_update_own_metadata and not request.grants.internal_grant:
        raise Unauthenticated("permissions denied: the token does not grant canUpdateOwnMetadata")
    if len(request.metadata.encode()) > METADATA_BYTES:
        raise InvalidArgument(f"metadata exceeds limits of {METADATA_BYTES} bytes")
    attributes = {**request.grants.attributes, **request.attributes}
    if sum(len(k.encode()) + len(v.encode()) for k, v in attributes.items()) > ATTRIBUTES_BYTES:
        raise InvalidArgument(f"attributes exceed limits of {ATTRIBUTES_BYTES} bytes")
    check_attribute_names(request)


def check_attribute_names(request: JoinRequest) -> None:
    """`sip.*` is set by the SIP transport alone; `lk.*` comes from tokens, never from clients."""
    sip = any(k.startswith("sip.") for k in (*request.grants.attributes, *request.attributes))
    if sip and request.transport != "sip":
        raise PermissionDenied("attributes sip.* are set by the SIP transport alone")
    lk = any(k.startswith("lk.") for k in request.attributes)
    if lk and request.grants.kind is not ParticipantKind.AGENT:
        raise PermissionDenied("attributes lk.* come from tokens and agents alone")
