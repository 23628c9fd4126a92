"""So many handshakes at once: each costs milliseconds of CPU, and joins come in crowds."""

from __future__ import annotations

import asyncio
from collections import deque

HANDSHAKES_AT_ONCE = 8


class HandshakeGate:
    """At most so many handshakes work at once; the others wait in the order in which they came."""

    def __init__(self, places: int = HANDSHAKES_AT_ONCE) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        """bounded by the number of peers"""

    @property
    def free(self) -> int:
        """Places nobody holds."""
        return self._free

    async def enter(self) -> None:
        """Wait for a place."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            else:
                self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        """Give a place up: the next in the row gets it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
