"""`PyEngine`: the turns. Its calls are in `*_calls`, its packets in `Intake` and `Forwarder`."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence

from roomful_rtc.engine import Address, Datagram, EngineEvent, EngineLimits, EngineStats
from roomful_rtc.py_engine.down_calls import DownCalls
from roomful_rtc.py_engine.figures import read_stats
from roomful_rtc.py_engine.forwarder import PACKETS_PER_TURN
from roomful_rtc.py_engine.peer_calls import PeerCalls
from roomful_rtc.py_engine.up_calls import UpCalls

DATAGRAMS_PER_TURN = 256


def monotonic_us() -> int:
    """Return CLOCK_MONOTONIC in µs."""
    return time.monotonic_ns() // 1000


class PyEngine(PeerCalls, UpCalls, DownCalls):
    """Implements `roomful_rtc.engine.Engine` on bound UDP sockets, which it owns.

    `now_us` and `below` (a random int below its argument) can be given for repeatable output.
    """

    features = frozenset({"simulcast", "vp8", "rtx", "twcc"})

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: EngineLimits | None = None,
        *,
        now_us: Callable[[], int] = monotonic_us,
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        super().__init__(sockets, limits or EngineLimits(), now_us, below)

    def fileno(self) -> int:
        """Descriptor that is readable when `take` has something."""
        return self._epoll.fileno()

    def take(self, max_items: int = 512) -> tuple[list[Datagram], list[EngineEvent]]:
        """Move packets for one turn; return what Python must handle."""
        self._turning = True
        try:
            if self._woken:
                self._woken = False
                os.eventfd_read(self._wakeup)
            forwarder = self._forwarder
            self._intake.turn += 1
            forwarder.budget = PACKETS_PER_TURN
            forwarder.run()
            if not forwarder.jobs:
                self._drain()
            self._clockwork.run(self._now_us())
            taken = self._outbox.take(max_items)
        finally:
            self._turning = False
        if self._forwarder.jobs or self._outbox:
            self._wake()
        return taken

    def next_turn(self) -> float | None:
        """Seconds after which `take` must be called though nothing is readable, or None."""
        if self._forwarder.jobs or self._outbox:
            return 0.0
        return self._clockwork.next_turn(self._now_us())

    def _drain(self) -> None:
        """Read a bounded number of datagrams, each turn from another socket first; end with the budget."""
        left = DATAGRAMS_PER_TURN
        forwarder, intake, ways, now_us = self._forwarder, self._intake, self._ways, self._now_us
        view = intake.buffer.view
        for sock in ways.in_turn():
            receive, plain = sock.recvfrom_into, sock in ways.plain
            while left > 0 and forwarder.budget > 0:
                try:
                    size, raw = receive(view)
                except BlockingIOError:
                    break
                except OSError:
                    # An ICMP error of an earlier send; it says nothing about what is queued.
                    self._outbox.drops["receive_error"] += 1
                    left -= 1
                    continue
                left -= 1
                addr = raw if plain else ways.normalise(raw)
                if ways.ambiguous:
                    ways.heard(addr, sock)
                intake.datagram(size, addr, now_us())
                if forwarder.jobs:
                    forwarder.run()
                    if forwarder.jobs:
                        return

    def send(self, to: Address | int, data: bytes) -> bool:
        """Send a datagram that is ready for the wire; an address is always served by UDP."""
        if isinstance(to, int):
            return self._forwarder.send(self._peers[to], data)
        try:
            sock, spelled = self._ways.to(to)
            sock.sendto(data, spelled)
        except (OSError, ValueError):
            self._outbox.drops["send_error"] += 1
            return False
        return True

    def receive(self, addr: Address, data: bytes, arrival_us: int) -> None:
        """Take in a datagram that came another way than the engine's sockets."""
        if len(data) > self._limits.datagram:
            self._outbox.drops["size"] += 1
            return
        if len(self._forwarder.jobs) >= self._limits.handed_up:
            self._outbox.drops["turn_full"] += 1
            return
        self._intake.buffer.view[: len(data)] = data
        self._intake.datagram(len(data), addr, arrival_us)
        self._work()

    def close(self) -> None:
        """Free everything, close the sockets."""
        if self._closed:
            return
        self._closed = True
        self._forwarder.jobs.clear()
        for peer in list(self._peers):
            self.remove_peer(peer)
        for down in list(self._downs):
            self.remove_down(down)
        for up in list(self._ups):
            self.remove_up(up)
        self._epoll.close()
        os.close(self._wakeup)
        for sock in self._ways.sockets:
            sock.close()

    def remove_peer(self, peer: int) -> None:
        """Remove it with its ups and downs."""
        row = self._peers[peer]
        for down in list(row.downs):
            self.remove_down(down)
        for up in list(row.ups):
            self.remove_up(up)
        for addr in row.addresses:
            del self._intake.by_addr[addr]
        row.rx = row.tx = row.tx_context = None
        row.held.clear()
        del self._peers[peer]

    def stats(self) -> EngineStats:
        """Return every counter."""
        return read_stats(self._peers, self._ups, self._downs, self._outbox.drops, self._now_us())
