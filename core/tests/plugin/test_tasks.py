"""Tasks belong to the plugin whose hook made them; those left behind are named and ended."""

import asyncio
import logging
from typing import Any

import pytest

from roomful.plugin import Plugin, hookimpl
from roomful.plugin.tasks import TaskLedger

from .conftest import Manage

SERVER: Any = object()


class Leaking(Plugin):
    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[asyncio.Task[bool]] = []

    @hookimpl
    async def on_event(self) -> None:
        self.tasks.append(asyncio.ensure_future(self.forever()))  # type: ignore[arg-type]

    @hookimpl
    def find_api_secret(self) -> None:
        self.tasks.append(asyncio.ensure_future(self.forever()))  # type: ignore[arg-type]

    async def forever(self) -> bool:
        return await asyncio.Event().wait()


async def test_left_tasks_are_named_counted_and_ended(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "roomful.plugin.tasks")
    plugin = Leaking()
    manager = manage(acme=plugin)
    await manager.startup(SERVER)

    for _ in range(3):
        manager.publish(SERVER)
    await manager.shutdown(SERVER)

    assert all(task.cancelled() for task in plugin.tasks)
    assert manager.counters.leaked_tasks == {"acme": 3}
    (record,) = caplog.records
    assert vars(record)["plugin"] == "acme"
    assert vars(record)["where"] == "on_event"
    assert vars(record)["coroutine"] == "Leaking.forever"
    assert vars(record)["tasks"] == 3


async def test_growing_number_of_tasks_is_told_at_every_doubling(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "roomful.plugin.tasks")
    manager = manage(acme=Leaking())

    async with TaskLedger(manager, many=4) as ledger:
        for _ in range(20):
            await manager.find_api_secret("k")
        told = [vars(record)["tasks"] for record in caplog.records]
        counts = ledger.counts()

    assert told == [4, 8, 16]
    assert counts == {"acme": 20}


async def test_finished_tasks_are_forgotten(manage: Manage) -> None:
    class Brief(Plugin):
        @hookimpl
        async def find_api_secret(self) -> None:
            await asyncio.ensure_future(asyncio.sleep(0))

    manager = manage(acme=Brief())

    async with TaskLedger(manager) as ledger:
        await manager.find_api_secret("k")
        await asyncio.sleep(0)
        assert ledger.counts() == {}

    assert not manager.counters.leaked_tasks


async def test_tasks_of_the_program_around_are_left_alone(manage: Manage) -> None:
    async with TaskLedger(manage()):
        task = asyncio.ensure_future(asyncio.Event().wait())

    assert not task.done()
    task.cancel()


async def test_factory_of_the_loop_is_used_and_put_back(manage: Manage) -> None:
    loop = asyncio.get_running_loop()
    made: list[object] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    async with TaskLedger(manage()):
        await asyncio.ensure_future(asyncio.sleep(0))

    assert len(made) == 1
    assert loop.get_task_factory() is factory
    loop.set_task_factory(None)
