"""Calls the players of a process when they are due and lets its transports read in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from roomful_testing.peer.player import Player
from roomful_testing.peer.transport import Transport

TURN_S = 0.01
SHORTEST_S = 0.001


class Metronome:
    """Made inside a running loop; runs while it has somebody to call, until `stop`."""

    def __init__(self, turn_s: float = TURN_S, early_s: float = 0.0) -> None:
        """Wait for the first to call.

        Args:
            turn_s: from one reading to the next.
            early_s: by how much reading may come before its turn, where the process is awake anyway.
        """
        self._turn_s, self._early_s = turn_s, early_s
        self._players: list[Player] = []
        self._transports: list[Transport] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._turn_at = 0.0

    def add_player(self, player: Player) -> None:
        """Call this one from now on."""
        self._players.append(player)
        self._begin()

    def add_transport(self, transport: Transport) -> None:
        """Read this one in turns."""
        transport.watch(False)
        self._transports.append(transport)
        self._begin()

    def remove(self, transport: Transport, players: Iterable[Player]) -> None:
        """Forget a participant."""
        gone = set(map(id, players))
        self._transports = [other for other in self._transports if other is not transport]
        self._players = [player for player in self._players if id(player) not in gone]

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time()
        for player in self._players:
            if player.due - player.early_s <= now:
                player.send(now)
        if self._transports and now >= self._turn_at - self._early_s:
            self._turn_at = now + self._turn_s
            for transport in self._transports:
                transport.intake.drain()
        dues = [player.due for player in self._players]
        if self._transports:
            dues.append(self._turn_at)
        if dues:
            at = max(min(dues), self._loop.time() + SHORTEST_S)
            self._timer = self._loop.call_at(at, self._run)
