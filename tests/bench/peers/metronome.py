"""Calls the publishers of a process when they are due and lets its links read in turns."""

from __future__ import annotations

import asyncio

from .link import Link
from .sending import Publisher

TURN_S = 0.01
SHORTEST_S = 0.001


class Metronome:
    """Runs until `stop`; made inside a running loop."""

    def __init__(self) -> None:
        self._publishers: list[Publisher] = []
        self._links: list[Link] = []
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add_publisher(self, publisher: Publisher) -> None:
        """Call this one from now on."""
        self._publishers.append(publisher)

    def add_link(self, link: Link) -> None:
        """Read this one in turns."""
        self._links.append(link)

    def remove(self, link: Link, publishers: list[Publisher]) -> None:
        """Forget a participant."""
        self._links = [other for other in self._links if other is not link]
        self._publishers = [p for p in self._publishers if p not in publishers]

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        turn_at = loop.time()
        while True:
            now = loop.time()
            next_due = turn_at
            for publisher in self._publishers:
                if publisher.due <= now:
                    publisher.send(now)
                next_due = min(next_due, publisher.due)
            if now >= turn_at:
                turn_at = now + TURN_S
                for link in self._links:
                    link.drain()
            await asyncio.sleep(max(SHORTEST_S, next_due - loop.time()))

    def stop(self) -> None:
        """End."""
        self._task.cancel()
