"""What all calls of `PyEngine` work on."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Sequence
from itertools import count

from roomful_rtc.engine import EngineLimits
from roomful_rtc.py_engine.clockwork import Clockwork
from roomful_rtc.py_engine.extension_set import ExtensionSet
from roomful_rtc.py_engine.forwarder import PACKETS_PER_TURN, Forwarder
from roomful_rtc.py_engine.intake import Intake
from roomful_rtc.py_engine.outbox import Outbox
from roomful_rtc.py_engine.rows import Down, Peer, Up
from roomful_rtc.py_engine.ways import Ways


class EngineState:
    """Tables, sockets and machines; the base of the classes that hold the calls."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: EngineLimits,
        now_us: Callable[[], int],
        below: Callable[[int], int],
    ) -> None:
        self._limits = limits
        self._ways = Ways(sockets)
        self._now_us, self._below = now_us, below
        self._handles = count(1)
        self._peers: dict[int, Peer] = {}
        self._ups: dict[int, Up] = {}
        self._downs: dict[int, Down] = {}
        self._extension_sets: dict[tuple[tuple[str, int], ...], ExtensionSet] = {}
        self._turning = self._woken = self._closed = False
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        for sock in self._ways.sockets:
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._outbox = Outbox(limits.handed_up, self._wake)
        self._forwarder = Forwarder(self._outbox, now_us, limits.datagram)
        self._intake = Intake(self._outbox, self._forwarder, limits)
        self._clockwork = Clockwork(self._outbox, self._intake, self._peers, self._ups, self._downs)

    def _wake(self) -> None:
        """Make the engine's descriptor readable, unless a turn is under way."""
        if not (self._turning or self._woken or self._closed):
            self._woken = True
            os.eventfd_write(self._wakeup, 1)

    def _work(self) -> None:
        """Run the jobs a call has made, within a budget; the rest in the next turn."""
        if self._forwarder.jobs and not self._forwarder.running:
            self._forwarder.budget = PACKETS_PER_TURN
            self._forwarder.run()
            if self._forwarder.jobs:
                self._wake()
