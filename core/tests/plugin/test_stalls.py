"""A plugin that blocks the loop is named, with its stack; the time is counted."""

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest

from roomful.plugin import Plugin, hookimpl
from roomful.plugin.manager import PluginManager
from roomful.plugin.stalls import BEAT_S, StallWatch

from .conftest import Manage


class Blocking(Plugin):
    """Waits for a thread while it runs on the loop."""

    def block(self, let_go: threading.Event) -> None:
        let_go.wait(10)


async def block_until_noticed(
    manager: PluginManager, block: Callable[[threading.Event], object]
) -> None:
    """Block the loop until the watching thread has seen it, and wait for the report."""
    let_go = threading.Event()
    async with StallWatch(manager) as watch:
        await asyncio.sleep(2 * BEAT_S)

        def release() -> None:
            while watch.seen is None:
                threading.Event().wait(0.01)
            let_go.set()

        releasing = threading.Thread(target=release)
        releasing.start()
        block(let_go)
        releasing.join()
        while not manager.counters.stalls:
            await asyncio.sleep(BEAT_S)


async def test_block_is_reported_with_plugin_length_and_stack(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "roomful.plugin.stalls")
    plugin = Blocking()
    manager = manage(acme=plugin)

    await block_until_noticed(manager, plugin.block)

    (record,) = [r for r in caplog.records if r.message == "event loop was blocked"]
    assert vars(record)["plugin"] == "acme"
    assert vars(record)["distribution"] == "dist-acme 1.0"
    assert vars(record)["blocked_ms"] > 100
    assert "let_go.wait(10)" in vars(record)["stack"]
    assert manager.counters.stalls == {"acme": 1}
    assert manager.counters.stalled_s["acme"] > 0.1


class BlockingEvent(Blocking):
    """Blocks in a hook."""

    def __init__(self, let_go: threading.Event) -> None:
        super().__init__()
        self.let_go = let_go

    @hookimpl
    def find_api_secret(self) -> None:
        self.block(self.let_go)


async def test_plugins_of_one_package_are_told_apart_by_the_hook_that_was_called(
    manage: Manage,
) -> None:
    let_go = threading.Event()
    manager = manage(one=Blocking(), two=BlockingEvent(let_go), three=Blocking())
    (hook,) = manager.implementations("find_api_secret")

    def block(released: threading.Event) -> None:
        threading.Thread(target=lambda: released.wait(10) and let_go.set()).start()
        hook.call({})

    await block_until_noticed(manager, block)

    assert manager.counters.stalls == {"two": 1}


async def test_block_of_no_plugin_is_the_cores(manage: Manage) -> None:
    manager = manage()

    await block_until_noticed(manager, lambda let_go: let_go.wait(10))

    assert manager.counters.stalls == {"core": 1}


async def test_loop_that_runs_is_not_reported(manage: Manage) -> None:
    manager = manage()

    async with StallWatch(manager):
        await asyncio.sleep(3 * BEAT_S)

    assert not manager.counters.stalls
