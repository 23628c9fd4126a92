"""One receiver: reads the log from its own place and sends what its outbox says is due.

Each event is delivered at least once, with the same id and the same body however often.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roomful.errors import TransportError
from roomful_webhooks.config import WebhooksConfig
from roomful_webhooks.outbox import Outbox, Pending
from roomful_webhooks.rendering import render

if TYPE_CHECKING:
    from roomful.server import RoomServer

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/webhook+json"
TOKEN_TTL_S = 300
CURSORS = "webhooks."
_ABOUT_THE_EVENT = frozenset({400, 410, 413, 415, 422})
"""answers that say the event itself is unwelcome; any other error may be mended and is retried"""


def cursor_name(url: str) -> str:
    """The receiver's place in the log; URLs may hold secrets, so it names their hash."""
    return f"{CURSORS}{hashlib.sha256(url.encode()).hexdigest()[:24]}"


class Receiver:
    """A service (`roomful.plugin.Service`): delivers to one URL until it is cancelled."""

    def __init__(self, server: RoomServer, config: WebhooksConfig, url: str, key: str) -> None:
        self._server, self._config = server, config
        self._url, self._key = url, key
        self._changed = asyncio.Event()
        self._was_down = False
        self.name = cursor_name(url)

    async def run(self, ready: Callable[[], None]) -> None:
        """Deliver what is in the log and what comes."""
        cursor = await self._server.events.cursor(self.name)
        outbox = Outbox(cursor.position)
        ready()
        async with asyncio.TaskGroup() as deliveries:
            while True:
                self._changed.clear()
                await self._fill(outbox)
                for pending in self._due(outbox):
                    deliveries.create_task(self._deliver(pending, outbox))
                await cursor.advance(outbox.position)
                await self._pause(outbox)

    async def _fill(self, outbox: Outbox) -> None:
        """Take from the log what there is room for."""
        while outbox.room and outbox.read < self._server.events.last_seq:
            records = await self._server.events.read(outbox.read, outbox.room)
            if not records:
                return
            outbox.offer(records, self._config.wants, self._server.clock.monotonic())

    def _due(self, outbox: Outbox) -> list[Pending]:
        clock = self._server.clock
        before = outbox.dropped
        due = outbox.due(clock.monotonic(), clock.wall_ms())
        if outbox.dropped > before:
            log.error(
                "webhooks given up after a day",
                extra={"receiver": self.name, "events": outbox.dropped - before},
            )
        return due

    async def _pause(self, outbox: Outbox) -> None:
        """Wait until a delivery ended, something is due, or the log has more."""
        due = outbox.next_due()
        timeout = None if due is None else max(0.0, due - self._server.clock.monotonic())
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._changed.wait())]
        if outbox.room:
            waits.append(asyncio.ensure_future(self._server.events.wait(outbox.read)))
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _deliver(self, pending: Pending, outbox: Outbox) -> None:
        """Make one attempt and tell the outbox."""
        status, problem = await self._attempt(render(pending.record))
        if status is not None and 200 <= status < 300:
            outbox.delivered(pending, self._server.clock.monotonic())
        elif status in _ABOUT_THE_EVENT:
            outbox.refused(pending)
            self._tell(logging.ERROR, "webhook refused", pending, problem)
        else:
            outbox.failed(pending, self._server.clock.monotonic())
            self._tell(logging.DEBUG, "webhook not delivered", pending, problem)
        self._tell_change(outbox, problem)
        self._changed.set()

    async def _attempt(self, body: bytes) -> tuple[int | None, str]:
        """Send once; return the status, None where there was none, and what was wrong."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        token = await self._server.tokens.issue(self._key, {"sha256": digest}, ttl_s=TOKEN_TTL_S)
        try:
            answer = await self._server.outbound.request(
                "POST",
                self._url,
                operator=True,
                body=body,
                headers={"Content-Type": CONTENT_TYPE, "Authorization": token},
            )
        except TransportError as error:
            return None, error.message
        return answer.status, f"status {answer.status}"

    def _tell(self, level: int, message: str, pending: Pending, problem: str) -> None:
        record = pending.record
        log.log(
            level,
            message,
            extra={
                "receiver": self.name,
                "event": record.name,
                "event_id": record.id,
                "problem": problem,
                "attempts": pending.attempts,
            },
        )

    def _tell_change(self, outbox: Outbox, problem: str) -> None:
        """One line when a receiver goes down and one when it is back, not one an attempt."""
        if outbox.is_down == self._was_down:
            return
        self._was_down = outbox.is_down
        extra = {"receiver": self.name, "problem": problem}
        if outbox.is_down:
            log.warning("webhook receiver is down, events wait in the log", extra=extra)
        else:
            log.info("webhook receiver is back", extra=extra)
