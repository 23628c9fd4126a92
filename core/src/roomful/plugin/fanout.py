"""Events to plugins, through a queue and a task each.

`publish` never waits and never raises. Order is kept per plugin; a stuck one delays nobody. A full
queue drops that plugin's newest event and counts it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from roomful.plugin.attribution import on_behalf_of

if TYPE_CHECKING:
    from roomful.model.events import LifeCycleEvent
    from roomful.plugin.counters import PluginCounters
    from roomful.plugin.registry import Implementation

log = logging.getLogger(__name__)

QUEUE_LIMIT = 1024
EVENT_LIMIT_S = 30.0


class EventFanout:
    """The event queues of one server."""

    def __init__(
        self,
        listeners: Iterable[Implementation],
        counters: PluginCounters,
        queue_limit: int = QUEUE_LIMIT,
        event_limit_s: float = EVENT_LIMIT_S,
    ) -> None:
        self._listeners = [_Listener(i, counters, queue_limit, event_limit_s) for i in listeners]

    def start(self) -> None:
        """Start one task per plugin; call it on the loop."""
        for listener in self._listeners:
            listener.start()

    def publish(self, event: LifeCycleEvent) -> None:
        """Put the event into every queue."""
        for listener in self._listeners:
            listener.put(event)

    async def drain(self, limit_s: float) -> None:
        """Wait until every queue is empty, at most `limit_s`, then end the tasks; once."""
        joins = [listener.drained() for listener in self._listeners]
        if joins:
            await asyncio.wait([asyncio.ensure_future(join) for join in joins], timeout=limit_s)
        for listener in self._listeners:
            await listener.stop()
        self._listeners.clear()


class _Listener:
    """One plugin's queue."""

    def __init__(
        self,
        implementation: Implementation,
        counters: PluginCounters,
        queue_limit: int,
        event_limit_s: float,
    ) -> None:
        self._implementation, self._counters = implementation, counters
        self._event_limit_s = event_limit_s
        self._queue: asyncio.Queue[LifeCycleEvent] = asyncio.Queue(queue_limit)
        self._task: asyncio.Task[None] | None = None
        self._dropping = False

    @property
    def plugin(self) -> str:
        return self._implementation.plugin

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"events:{self.plugin}")

    def put(self, event: LifeCycleEvent) -> None:
        try:
            self._queue.put_nowait(event)
            self._dropping = False
        except asyncio.QueueFull:
            self._counters.dropped[self.plugin] += 1
            if not self._dropping:
                log.warning("plugin too slow for events, dropping", extra=self._fields())
            self._dropping = True

    async def drained(self) -> None:
        await self._queue.join()

    async def stop(self) -> None:
        if self._task is None:
            return
        if self._queue.qsize():
            self._counters.dropped[self.plugin] += self._queue.qsize()
            log.warning("plugin did not take its last events", extra=self._fields())
        self._task.cancel()
        await asyncio.wait([self._task], timeout=self._event_limit_s)

    async def _run(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._tell(event)
            except Exception:
                self._counters.failures[self.plugin, self._implementation.hook] += 1
                log.exception("plugin failed", extra=self._fields())
            finally:
                self._queue.task_done()

    async def _tell(self, event: LifeCycleEvent) -> None:
        answer = self._implementation.call({"event": event})
        if inspect.isawaitable(answer):
            with on_behalf_of(self.plugin, self._implementation.hook):
                async with asyncio.timeout(self._event_limit_s):
                    await answer

    def _fields(self) -> dict[str, object]:
        return {
            "plugin": self.plugin,
            "distribution": self._implementation.record.label,
            "hook": self._implementation.hook,
            "waiting": self._queue.qsize(),
        }
