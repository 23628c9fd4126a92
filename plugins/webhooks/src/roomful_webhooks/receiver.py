"""One receiver: reads the log from its own place, sends in order per room, tries again.

Each event is delivered at least once, with the same id and the same body however often. Rooms are
independent of each other within a batch; the place in the log moves over what is done without a
gap, so that a server that is killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from roomful.errors import TransportError
from roomful.eventlog import Cursor, EventRecord
from roomful_webhooks.config import WebhooksConfig
from roomful_webhooks.rendering import render

if TYPE_CHECKING:
    from roomful.server import RoomServer

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/webhook+json"
TOKEN_TTL_S = 300
BATCH = 100
ROOMS_AT_ONCE = 8
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 300.0
_TRY_AGAIN = frozenset({408, 425, 429})


def cursor_name(url: str) -> str:
    """The receiver's place in the log; URLs may hold secrets, so it names their hash."""
    return f"{CURSORS}{hashlib.sha256(url.encode()).hexdigest()[:24]}"


CURSORS = "webhooks."


class Receiver:
    """A service (`roomful.plugin.Service`): delivers to one URL until it is cancelled."""

    def __init__(self, server: RoomServer, config: WebhooksConfig, url: str, key: str) -> None:
        self._server, self._config = server, config
        self._url, self._key = url, key
        self._done: set[int] = set()
        self.name = cursor_name(url)
        self.refused = 0
        """events that the receiver answered with an error that trying again does not mend"""

    async def run(self, ready: Callable[[], None]) -> None:
        """Deliver what is in the log and what comes."""
        cursor = await self._server.events.cursor(self.name)
        ready()
        while True:
            batch = await self._server.events.read(cursor.position, BATCH)
            if not batch:
                await self._server.events.wait(cursor.position)
                continue
            await self._deliver(batch, cursor)

    async def _deliver(self, batch: list[EventRecord], cursor: Cursor) -> None:
        by_room: dict[str, list[EventRecord]] = {}
        for record in batch:
            by_room.setdefault(record.room, []).append(record)
        gate = asyncio.Semaphore(ROOMS_AT_ONCE)
        first = batch[0].seq

        async def room(records: list[EventRecord]) -> None:
            for record in records:
                if record.name and self._config.wants(record.name):
                    await self._send(record, gate)
                await self._note_done(record.seq, first, cursor)

        self._done.clear()
        async with asyncio.TaskGroup() as group:
            for records in by_room.values():
                group.create_task(room(records))
        await cursor.advance(batch[-1].seq)

    async def _note_done(self, seq: int, first: int, cursor: Cursor) -> None:
        """Move the place in the log over everything done without a gap."""
        self._done.add(seq)
        at = max(cursor.position, first - 1)
        while at + 1 in self._done:
            at += 1
            self._done.discard(at)
        await cursor.advance(at)

    async def _send(self, record: EventRecord, gate: asyncio.Semaphore) -> None:
        """Send one event until the receiver took it, or said that it never will."""
        body = render(record)
        pause = FIRST_PAUSE_S
        while True:
            async with gate:
                problem = await self._attempt(body)
            if problem is None:
                return
            log.warning(
                "webhook not delivered",
                extra={"event": record.name, "event_id": record.id, "problem": problem,
                       "again_in_s": pause},
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_S)

    async def _attempt(self, body: bytes) -> str | None:
        """Return why it is worth trying again, None when it is over."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        token = await self._server.tokens.issue(self._key, {"sha256": digest}, ttl_s=TOKEN_TTL_S)
        try:
            answer = await self._server.outbound.request(
                "POST", self._url, operator=True, body=body,
                headers={"Content-Type": CONTENT_TYPE, "Authorization": token},
            )
        except TransportError as error:
            return error.message
        if answer.status >= 500 or answer.status in _TRY_AGAIN:
            return f"status {answer.status}"
        if answer.status >= 300:
            self.refused += 1
            log.error("webhook refused", extra={"status": answer.status})
        return None
