"""Keeps account of the tasks that plugins make, and names those they leave behind.

A task made while a hook or a service runs belongs to its plugin (`attribution`). A hook is over
when it returns, so tasks it leaves running are few or a leak: from 100 on it is logged, and at
every doubling. What still runs when the server has shut down is logged, counted and cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from roomful.plugin.attribution import Blame, running
from roomful.plugin.registry import PluginRegistry

log = logging.getLogger(__name__)

MANY = 100
END_LIMIT_S = 2.0


class TaskLedger:
    """Keeps account on the loop it is entered on: `async with TaskLedger(registry):`."""

    def __init__(self, registry: PluginRegistry, many: int = MANY) -> None:
        self._registry = registry
        self._tasks: WeakKeyDictionary[asyncio.Task[Any], Blame] = WeakKeyDictionary()
        self._live: Counter[Blame] = Counter()
        self._many = many
        self._told: dict[Blame, int] = {}
        self._factory_before: Any = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._factory_before = loop.get_task_factory()
        loop.set_task_factory(self._make)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().set_task_factory(self._factory_before)
        await self.end_leftovers()

    def counts(self) -> dict[str, int]:
        """Return plugin → tasks it made that still run."""
        found: Counter[str] = Counter()
        for blame, count in self._live.items():
            found[blame.plugin] += count
        return dict(found)

    async def end_leftovers(self) -> None:
        """Name, count and cancel what plugins left running."""
        current = asyncio.current_task()
        leftovers = [
            (task, blame)
            for task, blame in list(self._tasks.items())
            if not task.done() and task is not current
        ]
        for task, blame in leftovers:
            self._registry.counters.leaked_tasks[blame.plugin] += 1
            task.cancel()
        for blame, count in Counter(blame for _, blame in leftovers).items():
            example = next(task for task, other in leftovers if other == blame)
            log.warning("plugin left tasks running", extra=self._fields(blame, example, count))
        if leftovers:
            await asyncio.wait([task for task, _ in leftovers], timeout=END_LIMIT_S)

    def _make(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any] | Generator[Any, Any, Any],
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        if context is not None:
            options["context"] = context
        if self._factory_before is not None:
            task = self._factory_before(loop, coroutine, **options)
        else:
            task = asyncio.Task(coroutine, loop=loop, **options)
        blame = running.get() if context is None else context.get(running)
        if blame is not None:
            self._note(task, blame)
        return task

    def _note(self, task: asyncio.Task[Any], blame: Blame) -> None:
        self._tasks[task] = blame
        self._live[blame] += 1
        task.add_done_callback(lambda _: self._forget(blame))
        if not blame.where.startswith("service") and self._live[blame] >= self._told.get(
            blame, self._many
        ):
            self._told[blame] = 2 * self._live[blame]
            log.warning(
                "plugin keeps tasks that its hook started",
                extra=self._fields(blame, task, self._live[blame]),
            )

    def _forget(self, blame: Blame) -> None:
        self._live[blame] -= 1
        if not self._live[blame]:
            del self._live[blame]

    def _fields(self, blame: Blame, example: asyncio.Task[Any], count: int) -> dict[str, object]:
        record = self._registry.records.get(blame.plugin)
        coroutine = example.get_coro()
        return {
            "plugin": blame.plugin,
            "distribution": record.label if record else "",
            "where": blame.where,
            "tasks": count,
            "coroutine": getattr(coroutine, "__qualname__", str(coroutine)),
        }
