"""Packets for a peer that takes none while its ICE restarts on our offer.

    answer with new credentials ─▶ held ─▶ first check that uses ours, or 1 s, or 512 packets ─▶ sent

A client that forgot its pairs with its answer (as pion does) throws away what comes before its
next check, some 200 ms of media. What is held goes out already protected, in order, so it only
comes later.
"""

from __future__ import annotations

import asyncio

from roomful_rtc.engine import Engine

LONGEST_S = 1.0
MOST_PACKETS = 512


class RestartHold:
    """Between the engine and one peer's address; made inside a running loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._peer = 0
        self._packets: list[bytes] = []
        self._release: asyncio.Handle | None = None

    @property
    def holds(self) -> bool:
        """Whether packets wait."""
        return self._peer != 0

    def begin(self, peer: int) -> None:
        """Hold this engine peer's packets from now on."""
        if not self._peer:
            self._peer = peer
            self._engine.set_tcp(peer, self._take)
            self._release = asyncio.get_running_loop().call_later(LONGEST_S, self.end)

    def end_soon(self) -> None:
        """Send everything once the answer to the check is on its way."""
        if self._peer:
            self._cancel()
            self._release = asyncio.get_running_loop().call_soon(self.end)

    def end(self) -> None:
        """Send everything, and what comes as it comes."""
        peer, self._peer = self._peer, 0
        self._cancel()
        packets, self._packets = self._packets, []
        if peer:
            self._engine.set_tcp(peer, None)
            for packet in packets:
                self._engine.send(peer, packet)

    def drop(self) -> None:
        """Forget everything: the peer is gone, or goes another way."""
        self._peer, self._packets = 0, []
        self._cancel()

    def _take(self, packet: bytes) -> None:
        if len(self._packets) < MOST_PACKETS:  # a full hold is about to end
            self._packets.append(packet)
        if len(self._packets) == MOST_PACKETS:
            self.end_soon()

    def _cancel(self) -> None:
        if self._release is not None:
            self._release.cancel()
            self._release = None
