"""The room locator: finds rooms, makes them, ends them; today all of them live here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from roomful.auth.grants import Grants
from roomful.clock import Clock
from roomful.errors import InvalidArgument, NotFound, ResourceExhausted, Unavailable
from roomful.ids import ROOM, new_sid
from roomful.model.enums import DisconnectReason
from roomful.model.events import LifeCycleEvent, RoomFinished, RoomOptions, RoomStarted
from roomful.model.room import Room
from roomful.room.session import RoomSession

log = logging.getLogger(__name__)

SPEAKER_TICK_S = 0.4
_QUALITY_TICKS = 12
"""every 4.8 s"""
MAX_NAME = 256

PrepareRoom = Callable[[str, RoomOptions, "Grants | None"], Awaitable[RoomOptions]]
"""(name, options, grants) → the options to use; raises a `RequestError` to refuse the room"""


class RoomManager:
    """All live rooms of this process, by name."""

    def __init__(
        self,
        clock: Clock,
        defaults: RoomOptions,
        record: Callable[[LifeCycleEvent], None],
        prepare: PrepareRoom,
        max_rooms: int = 0,
    ) -> None:
        self._clock = clock
        self._defaults = defaults
        self._record = record
        self._prepare = prepare
        self._max_rooms = max_rooms
        self._sessions: dict[str, RoomSession] = {}
        self._making: dict[str, asyncio.Lock] = {}
        self._vacancy: dict[str, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.draining = False

    @property
    def defaults(self) -> RoomOptions:
        return self._defaults

    def sessions(self) -> list[RoomSession]:
        return list(self._sessions.values())

    def find(self, name: str) -> RoomSession | None:
        return self._sessions.get(name)

    def of(self, name: str) -> RoomSession:
        """Raises `NotFound`."""
        session = self._sessions.get(name)
        if session is None:
            raise NotFound("requested room does not exist")
        return session

    async def get_or_create(
        self, name: str, options: RoomOptions | None = None, grants: Grants | None = None
    ) -> RoomSession:
        """Return the room of this name, made with `options` if it is not there."""
        if session := self._sessions.get(name):
            return session
        check_room_name(name)
        lock = self._making.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                return self._sessions.get(name) or await self._make(name, options, grants)
        finally:
            if not lock.locked():
                self._making.pop(name, None)

    async def delete(self, name: str, reason: DisconnectReason = DisconnectReason.ROOM_DELETED) -> None:
        """End a room for everybody in it. Raises `NotFound`."""
        await self._end(self.of(name), reason)

    def keep_open(self, session: RoomSession) -> None:
        """Somebody is in: the room no longer waits to be closed."""
        if timer := self._vacancy.pop(session.room.sid, None):
            timer.cancel()

    async def close(self, reason: DisconnectReason) -> None:
        """End all rooms."""
        self.draining = True
        await asyncio.gather(*(self._end(session, reason) for session in self.sessions()))

    async def run_status(self) -> None:
        """Tell every room its speakers and connection qualities; runs until cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(SPEAKER_TICK_S)
            tick += 1
            for session in self.sessions():
                session.tell_speakers()
                if tick % _QUALITY_TICKS == 0:
                    session.tell_quality()

    # --- inside ------------------------------------------------------------------------------

    async def _make(
        self, name: str, options: RoomOptions | None, grants: Grants | None
    ) -> RoomSession:
        if self.draining:
            raise Unavailable("the server is shutting down")
        if self._max_rooms and len(self._sessions) >= self._max_rooms:
            raise ResourceExhausted(f"[limits] rooms is {self._max_rooms} and all are in use")
        options = await self._prepare(name, options or self._defaults, grants)
        room = Room(new_sid(ROOM), name, options, self._clock.wall_ms())
        session = RoomSession(room, self._clock, self._record, self._on_vacant)
        self._sessions[name] = session
        self._record(RoomStarted(room.info))
        self._wait_vacant(session, options.empty_timeout_s)
        return session

    def _on_vacant(self, session: RoomSession) -> None:
        if not session.finished:
            self._wait_vacant(session, session.room.options.departure_timeout_s)

    def _wait_vacant(self, session: RoomSession, timeout_s: float) -> None:
        self.keep_open(session)
        self._vacancy[session.room.sid] = asyncio.get_running_loop().call_later(
            timeout_s, self._end_if_vacant, session
        )

    def _end_if_vacant(self, session: RoomSession) -> None:
        self._vacancy.pop(session.room.sid, None)
        if not session.room.holds_open and not session.finished:
            task = asyncio.get_running_loop().create_task(
                self._end(session, DisconnectReason.ROOM_CLOSED)
            )
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _end(self, session: RoomSession, reason: DisconnectReason) -> None:
        if session.finished:
            return
        if self._sessions.get(session.name) is session:
            del self._sessions[session.name]
        self.keep_open(session)
        await session.finish(reason)
        self._record(RoomFinished(session.room.info, reason))


def check_room_name(name: str) -> None:
    """Raises `InvalidArgument` for an empty, over-long or unprintable room name."""
    if not name:
        raise InvalidArgument("room name cannot be empty")
    if len(name.encode()) > MAX_NAME:
        raise InvalidArgument(f"room name length exceeds limits of {MAX_NAME} bytes")
