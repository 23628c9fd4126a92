"""Services are waited for, run again after an error, ended; failures are blamed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from roomful.errors import ConfigError, PluginError
from roomful.plugin import Offer, Plugin
from roomful.plugin.registry import PluginRegistry
from roomful.supervisor import Supervisor

Ready = Callable[[], None]


class Scripted:
    """A service whose runs are coroutine functions given in order; the last one is repeated."""

    name = "loop"

    def __init__(self, *runs: Callable[[Ready], Awaitable[None]]) -> None:
        self._runs = list(runs)
        self.begun = 0

    async def run(self, ready: Ready) -> None:
        run = self._runs[min(self.begun, len(self._runs) - 1)]
        self.begun += 1
        await run(ready)


async def well(ready: Ready) -> None:
    ready()
    await asyncio.Event().wait()


async def ends_after_ready(ready: Ready) -> None:
    ready()


async def fails_at_once(ready: Ready) -> None:
    raise ValueError("broken")


async def fails_after_ready(ready: Ready) -> None:
    ready()
    raise ValueError("broken")


async def never_ready(ready: Ready) -> None:
    await asyncio.Event().wait()


async def port_taken(ready: Ready) -> None:
    raise ConfigError("setting 'sip.port': 5060 is in use")


async def ignores_cancelling(ready: Ready) -> None:
    ready()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if ignores_cancelling.give_up:  # type: ignore[attr-defined]
                raise


def registry(*, skip_broken: bool = False) -> PluginRegistry:
    plugins = PluginRegistry(skip_broken=skip_broken)
    plugins.register(Plugin(), "acme", "dist-acme", "1.0")
    return plugins


def offered(service: Any) -> list[Offer[Any]]:
    return [Offer("acme", "dist-acme 1.0", service)]


async def test_start_returns_when_services_are_ready() -> None:
    service = Scripted(well)
    supervisor = Supervisor(registry())

    await supervisor.start(offered(service))

    assert service.begun == 1
    await supervisor.stop()


async def test_service_that_ends_is_done() -> None:
    service = Scripted(ends_after_ready)
    supervisor = Supervisor(registry(), first_pause_s=0)

    await supervisor.start(offered(service))
    await asyncio.sleep(0)

    assert service.begun == 1
    await supervisor.stop()


async def test_failed_service_runs_again_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    again = asyncio.Event()

    async def second(ready: Ready) -> None:
        again.set()
        await well(ready)

    plugins = registry()
    supervisor = Supervisor(plugins, first_pause_s=0)

    await supervisor.start(offered(Scripted(fails_after_ready, second)))
    await again.wait()

    assert plugins.counters.failures == {("acme", "service 'loop'"): 1}
    assert [vars(record)["plugin"] for record in caplog.records] == ["acme"]
    await supervisor.stop()


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (fails_at_once, "service 'loop' failed to start: ValueError: broken"),
        (never_ready, "service 'loop' was not ready within 0.01 s"),
    ],
)
async def test_service_that_does_not_get_ready_is_blamed(run: Any, said: str) -> None:
    supervisor = Supervisor(registry(), ready_limit_s=0.01)

    with pytest.raises(PluginError) as caught:
        await supervisor.start(offered(Scripted(run)))

    assert caught.value.message.startswith("plugin 'acme' of dist-acme 1.0: ")
    assert said in caught.value.message
    await supervisor.stop()


async def test_wrong_setting_of_a_service_keeps_its_own_words() -> None:
    supervisor = Supervisor(registry(skip_broken=True))

    with pytest.raises(ConfigError, match=r"^setting 'sip\.port': 5060 is in use$"):
        await supervisor.start(offered(Scripted(port_taken)))


async def test_plugin_of_a_broken_service_is_taken_out_where_settings_say_so() -> None:
    plugins = registry(skip_broken=True)
    supervisor = Supervisor(plugins)
    sound = Scripted(well)

    await supervisor.start([*offered(Scripted(fails_at_once)), Offer("other", "other 1.0", sound)])

    assert not plugins.has("acme")
    assert sound.begun == 1
    await supervisor.stop()


async def test_service_that_does_not_end_is_named(caplog: pytest.LogCaptureFixture) -> None:
    ignores_cancelling.give_up = False  # type: ignore[attr-defined]
    supervisor = Supervisor(registry(), stop_limit_s=0.01)
    await supervisor.start(offered(Scripted(ignores_cancelling)))

    await supervisor.stop()

    (record,) = caplog.records
    assert vars(record)["service"] == "loop"
    ignores_cancelling.give_up = True  # type: ignore[attr-defined]
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
