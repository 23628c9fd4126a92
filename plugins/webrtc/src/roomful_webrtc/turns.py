"""One at a time, and between two of them everybody else: for work of milliseconds that comes in
crowds, as joins do."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Lets one waiting task go on in each turn of the loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()  # bounded by the open connections
        self._going = False

    async def wait(self) -> None:
        """Wait for a turn of the loop that nobody else here has."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._going:
            self._going = True
            loop.call_soon(self._go)
        await turn

    def _go(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                asyncio.get_running_loop().call_soon(self._go)
                return
        self._going = False
