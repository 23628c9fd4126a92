"""How many copies of data packets the server sends: each costs CPU that all rooms share.

One packet of one client goes to everybody in its room, so it is readers that are counted, not
packets. No room gets more than half of what the server sends, and whatever is to be sent at once
is sent in small parts, between which the loop does its other work: media does not wait for data.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

from roomful.model.events import DataMessage
from roomful.room.session import RoomSession

COPIES_PER_S, COPIES_BURST = 5000, 2500
ROOM_SHARE = 0.5
COPIES_PER_TURN = 16
"""of the loop; a packet for more readers has a turn of its own"""


class Budget:
    """So much a second, so much at once. What is taken beyond that is a debt that time pays.

    Time is an argument: monotonic seconds.
    """

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left = burst
        self._at: float | None = None

    def debt_s(self, now: float) -> float:
        """Return the seconds until there is no debt, 0 when there is none."""
        if self._at is None:
            self._at = now
        if now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
        return max(0.0, -self._left / self._rate)

    def take(self, cost: float) -> None:
        """Take `cost`, whether it is there or not."""
        self._left -= cost


class FanOut:
    """The budget of the server and those of its rooms, and what waits for its turn."""

    def __init__(self) -> None:
        # bounded by the senders: each has few waiting and takes nothing in while it does
        self._waiting: deque[tuple[RoomSession, DataMessage, int, Callable[[], None]]] = deque()
        self._working = False
        self._all = Budget(COPIES_PER_S, COPIES_BURST)
        self._rooms: WeakKeyDictionary[RoomSession, Budget] = WeakKeyDictionary()

    def debt_s(self, session: RoomSession, now: float) -> float:
        """Return the seconds until this room may send again, 0 when it may."""
        return max(self._room(session).debt_s(now), self._all.debt_s(now))

    def relay(self, session: RoomSession, message: DataMessage, done: Callable[[], None]) -> None:
        """Send a packet to its readers, soon and in order; then call `done`."""
        readers = len(message.destinations) or len(session.connections)
        self._room(session).take(readers)
        self._all.take(readers)
        self._waiting.append((session, message, readers, done))
        if not self._working:
            self._working = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        copies = 0
        while self._waiting and copies < COPIES_PER_TURN:
            session, message, readers, done = self._waiting.popleft()
            session.relay(message)
            done()
            copies += readers
        self._working = bool(self._waiting)
        if self._working:
            asyncio.get_running_loop().call_soon(self._work)

    def _room(self, session: RoomSession) -> Budget:
        room = self._rooms.get(session)
        if room is None:
            room = Budget(COPIES_PER_S * ROOM_SHARE, COPIES_BURST * ROOM_SHARE)
            self._rooms[session] = room
        return room
