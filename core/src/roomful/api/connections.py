"""The door of the HTTP port: connections that have proved nothing are few and short.

A connection's first request head is complete within 10 s of accepting it, counted from the start.
One source (address) has at most 100 connections that no token has vouched for. Both hold before
anything of a request is looked at.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from aiohttp import web

from roomful.api.metrics import HttpCounts
from roomful.api.source import Network, is_trusted, normalised
from roomful.bounds import HEAD_S, UNPROVED_CONNECTIONS

_END = b"\r\n\r\n"


class GuardedRunner(web.AppRunner):
    """An `AppRunner` whose listeners put every connection behind a `Door`."""

    def __init__(self, app: web.Application, door: Door, **options: Any) -> None:
        super().__init__(app, **options)
        self._door = door

    @property
    def server(self) -> Any:
        """What listeners call for the protocol of a new connection."""
        inner = super().server
        return None if inner is None else _Guarded(inner, self._door)


class Door:
    """Counts connections by source until a token vouches for them."""

    def __init__(self, counts: HttpCounts, trusted_proxies: Sequence[Network] = ()) -> None:
        self._counts, self._trusted = counts, trusted_proxies
        self._unproved: Counter[str] = Counter()
        self._sources: dict[asyncio.BaseTransport, str] = {}

    def admit(self, transport: asyncio.BaseTransport) -> bool:
        """Count a new connection; False: this source has too many that proved nothing."""
        peer = transport.get_extra_info("peername")
        source = normalised(str(peer[0])) if peer else ""
        if is_trusted(source, self._trusted):
            return True  # it carries many clients; it counts them itself
        if self._unproved[source] >= UNPROVED_CONNECTIONS:
            self.refuse("connections")
            return False
        self._unproved[source] += 1
        self._sources[transport] = source
        return True

    def proved(self, transport: asyncio.BaseTransport | None) -> None:
        """A valid token came by this connection, or it is gone: it does not count any more."""
        source = self._sources.pop(transport, None) if transport else None
        if source is None:
            return
        self._unproved[source] -= 1
        if not self._unproved[source]:
            del self._unproved[source]

    async def note_upgrade(self, request: web.Request, response: web.StreamResponse) -> None:
        """A handler that makes a WebSocket of a connection has checked who comes by it.

        Signal `on_response_prepare`.
        """
        if response.status == 101:
            self.proved(request.transport)

    def refuse(self, reason: str) -> None:
        """Count a refusal."""
        self._counts.refused[reason] += 1


class _Guarded:
    """Stands where aiohttp's server does: makes protocols, and is it for all else."""

    def __init__(self, inner: web.Server, door: Door) -> None:
        self._inner, self._door = inner, door

    def __call__(self) -> asyncio.Protocol:
        make = cast("Callable[[], asyncio.Protocol]", self._inner)
        return GuardedConnection(make(), self._door)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class GuardedConnection(asyncio.Protocol):
    """Hands everything through to aiohttp's protocol, once it is let in."""

    def __init__(self, inner: asyncio.Protocol, door: Door) -> None:
        self._inner, self._door = inner, door
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._tail = b""
        self._let_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection and give its head a deadline."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._door.admit(transport):
            self._transport.abort()
            return
        self._let_in = True
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(HEAD_S, self._too_slow)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand data on; the first complete head ends the deadline."""
        if self._deadline is not None:
            if _END in self._tail + data:
                self._stop_deadline()
            self._tail = (self._tail + data)[-3:]
        if self._let_in:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._let_in else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_deadline()
        self._door.proved(self._transport)
        if self._let_in:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._tail = b""

    def _too_slow(self) -> None:
        self._deadline = None
        self._door.refuse("head")
        if self._transport is not None:
            self._transport.abort()
