"""Each kind of hook is called in its way and fails in its way; the right plugin is blamed."""

import asyncio
import logging
from collections.abc import Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from roomful.errors import ConfigError, NotFound, PluginError, Unavailable
from roomful.plugin import Denied, Plugin, check, choose, hookimpl, notify, offer
from roomful.plugin.manager import PluginManager
from roomful.plugin.registry import PluginState

from .conftest import Manage

SERVER: Any = SimpleNamespace()
GRANTS: Any = SimpleNamespace()


class Good(Plugin):
    """Answers everything."""

    def __init__(self, name: str = "good") -> None:
        super().__init__()
        self.name = name
        self.heard: list[object] = []
        self.life: list[str] = []

    @hookimpl
    def find_api_secret(self, key: str) -> str:
        return f"{key} of {self.name}"

    @hookimpl
    async def choose_node(self, nodes: tuple[str, ...]) -> str:
        return nodes[-1]

    @hookimpl
    async def choose_room_options(self, name: str) -> str:
        return f"options of {name}"

    @hookimpl
    def check_join(self, room: str) -> Denied | None:
        return Denied("not today") if room == "closed" else None

    @hookimpl
    async def prepare_room(self, room: str) -> None:
        if room == "unknown":
            raise NotFound("no such agent")

    @hookimpl
    async def on_event(self, event: object) -> None:
        self.heard.append(event)

    @hookimpl
    async def startup(self, server: object) -> None:
        assert server is SERVER
        self.life.append("startup")

    @hookimpl
    def shutdown(self) -> None:
        self.life.append("shutdown")

    @hookimpl
    def services(self) -> list[object]:
        return [SimpleNamespace(name=f"{self.name}-service")]

    @hookimpl
    def routes(self) -> Iterable[object]:
        yield f"/{self.name}"

    @hookimpl
    def health_checks(self) -> list[object]:
        return ["check"]

    @hookimpl
    def participant_factories(self) -> list[object]:
        return [SimpleNamespace(transport=self.name)]

    @hookimpl
    def rpc_services(self) -> list[object]:
        return [SimpleNamespace(name=f"livekit.{self.name}")]

    @hookimpl
    def store(self) -> str:
        return f"store of {self.name}"

    @hookimpl
    def message_bus(self) -> str:
        return f"bus of {self.name}"

    @hookimpl
    def media_plane(self) -> str:
        return f"plane of {self.name}"


def raiser(hook: str, error: Exception | None = None) -> Plugin[Any]:
    """Return a plugin whose one hook raises."""

    def raise_it(self: object) -> None:
        raise error or ValueError("broken")

    return type("Raiser", (Plugin,), {hook: hookimpl(raise_it)})()


# --- registration ------------------------------------------------------------------------------


def test_mistyped_hook_stops_the_start(manage: Manage) -> None:
    with pytest.raises(PluginError, match=r"plugin 'acme' of dist-acme 1\.0: there is no hook"):
        manage(acme=raiser("on_evnt"))


def test_unknown_argument_stops_the_start(manage: Manage) -> None:
    class Wrong(Plugin):
        @hookimpl
        def on_event(self, evnt: object) -> None: ...

    with pytest.raises(PluginError, match=r"'acme'.*evnt"):
        manage(acme=Wrong())


def test_wrapper_on_a_decide_hook_is_refused(manage: Manage) -> None:
    class Wrapping(Plugin):
        @hookimpl(wrapper=True)
        def check_join(self) -> Any:
            return (yield)

    with pytest.raises(PluginError, match="takes no wrappers"):
        manage(acme=Wrapping())


def test_async_offer_is_refused(manage: Manage) -> None:
    class Waiting(Plugin):
        @hookimpl
        async def services(self) -> list[object]:
            return []

    with pytest.raises(PluginError, match="cannot be async"):
        manage(acme=Waiting())


def test_plugin_refused_at_registration_can_be_skipped(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    manager = manage(skip_broken=True, acme=raiser("on_evnt"), good=Good())

    record = manager.records["acme"]
    assert record.state is PluginState.ERROR
    assert "on_evnt" in record.problem
    assert [r.name for r in manager.active()] == ["good"]
    assert not manager.has("acme")
    assert [r.plugin for r in caplog.records] == ["acme"]  # type: ignore[attr-defined]


def test_two_managers_share_nothing(manage: Manage) -> None:
    first, second = manage(good=Good()), manage()

    assert first.implementations("on_event")
    assert not second.implementations("on_event")


# --- hooks that plugins bring --------------------------------------------------------------------


def specifications(**functions: Any) -> ModuleType:
    module = ModuleType("specifications")
    vars(module).update(functions)
    return module


def brings(module: ModuleType) -> Plugin[Any]:
    class Bringing(Plugin):
        @hookimpl
        def hookspecs(self) -> list[ModuleType]:
            return [module]

    return Bringing()


async def test_hook_hookspecs(manage: Manage) -> None:
    @choose
    def choose_colour(room: str) -> str | None: ...

    class Painter(Plugin):
        @hookimpl
        def choose_colour(self, room: str) -> str:
            return f"{room} is green"

    manager = manage(bringer=brings(specifications(choose_colour=choose_colour)), painter=Painter())

    assert await manager.first("choose_colour", room="r") == "r is green"


def test_brought_specification_without_a_kind_is_refused(manage: Manage) -> None:
    import pluggy

    @pluggy.HookspecMarker("roomful")
    def choose_colour(room: str) -> None: ...

    with pytest.raises(PluginError, match=r"'bringer'.*has no kind"):
        manage(bringer=brings(specifications(choose_colour=choose_colour)))


def test_implementation_that_misses_a_brought_specification_is_blamed(manage: Manage) -> None:
    @check
    def check_colour(room: str) -> None: ...

    class Painter(Plugin):
        @hookimpl
        def check_colour(self, rom: str) -> None: ...

    with pytest.raises(PluginError, match=r"plugin 'painter'.*rom"):
        manage(bringer=brings(specifications(check_colour=check_colour)), painter=Painter())


# --- offers --------------------------------------------------------------------------------------


def build(manager: PluginManager) -> Any:
    return manager.build(SERVER)


def test_hook_services(manage: Manage) -> None:
    (first, second) = build(manage(b=Good("b"), a=Good("a"))).services

    assert (first.plugin, first.value.name) == ("a", "a-service")
    assert (second.plugin, second.distribution) == ("b", "dist-b 1.0")


def test_hook_routes(manage: Manage) -> None:
    assert build(manage(good=Good())).routes == ("/good",)


def test_hook_health_checks(manage: Manage) -> None:
    (found,) = build(manage(good=Good())).health_checks

    assert (found.plugin, found.value) == ("good", "check")


def test_hook_participant_factories(manage: Manage) -> None:
    (found,) = build(manage(good=Good())).participant_factories

    assert (found.plugin, found.value.transport) == ("good", "good")


def test_two_factories_of_one_transport_name_both(manage: Manage) -> None:
    with pytest.raises(PluginError, match=r"dist-b 1.0 and dist-a 1.0.*transport 'x'"):
        build(manage(a=Good("x"), b=Good("x")))


def test_hook_rpc_services(manage: Manage) -> None:
    (found,) = build(manage(good=Good())).rpc_services

    assert found.value.name == "livekit.good"


def test_hook_store(manage: Manage) -> None:
    assert manage(b=Good("b"), a=Good("a")).store(SERVER) == "store of a"
    assert manage().store(SERVER) is None


def test_hook_message_bus(manage: Manage) -> None:
    assert manage(good=Good()).message_bus(SERVER) == "bus of good"


def test_hook_media_plane(manage: Manage) -> None:
    assert manage(good=Good()).media_plane(SERVER) == "plane of good"


def test_two_media_planes_name_both(manage: Manage) -> None:
    with pytest.raises(PluginError, match=r"'b' and 'a' both offer a media plane"):
        manage(a=Good(), b=Good()).media_plane(SERVER)


def test_hook_commands(manage: Manage) -> None:
    class Commanding(Plugin):
        @hookimpl
        def commands(self, subparsers: list[str]) -> None:
            subparsers.append("demo")

    subparsers: list[str] = []

    manage(acme=Commanding()).offers("commands", subparsers=subparsers)

    assert subparsers == ["demo"]


@pytest.mark.parametrize("hook", ["services", "routes", "media_plane", "store"])
def test_failing_offer_names_plugin_hook_and_remedy(manage: Manage, hook: str) -> None:
    manager = manage(acme=raiser(hook), good=Good())

    with pytest.raises(PluginError) as caught:
        manager.media_plane(SERVER), manager.store(SERVER), manager.build(SERVER)

    assert f"plugin 'acme' of dist-acme 1.0: hook {hook!r}: ValueError" in caught.value.message
    assert "plugins.disabled" in caught.value.remedy


def test_failing_offer_takes_all_offers_of_its_plugin_along(manage: Manage) -> None:
    class Half(Good):
        @hookimpl
        def services(self) -> Iterable[object]:
            yield SimpleNamespace(name="first")
            raise ValueError("second")

    offers = build(manage(skip_broken=True, half=Half("half"), good=Good()))

    assert [o.plugin for o in offers.services] == ["good"]
    assert offers.routes == ("/good",)


def test_plugin_in_use_cannot_be_skipped_any_more(manage: Manage) -> None:
    class Keeper(Plugin):
        @hookimpl
        def store(self) -> str:
            return "store"

        @hookimpl
        def routes(self) -> list[object]:
            raise ValueError("too late")

    manager = manage(skip_broken=True, keeper=Keeper())
    manager.store(SERVER)

    with pytest.raises(PluginError, match="'keeper'"):
        manager.build(SERVER)


def test_brought_offers_are_collected(manage: Manage) -> None:
    @offer
    def colours() -> list[str]: ...

    class Painter(Plugin):
        @hookimpl
        def colours(self) -> list[str]:
            return ["red", "green"]

    manager = manage(bringer=brings(specifications(colours=colours)), painter=Painter())

    assert [(o.plugin, o.value) for o in manager.offers("colours")] == [
        ("painter", "red"),
        ("painter", "green"),
    ]


# --- life ----------------------------------------------------------------------------------------


async def test_hook_startup(manage: Manage) -> None:
    good = Good()
    manager = manage(good=good)

    await manager.startup(SERVER)

    assert good.life == ["startup"]
    await manager.shutdown(SERVER)


async def test_hook_shutdown(manage: Manage) -> None:
    good = Good()
    manager = manage(acme=raiser("shutdown"), good=good)
    await manager.startup(SERVER)

    await manager.shutdown(SERVER)

    assert good.life == ["startup", "shutdown"]
    assert manager.counters.failures == {("acme", "shutdown"): 1}


async def test_life_goes_in_the_order_of_names_and_back(manage: Manage) -> None:
    order: list[str] = []

    class Noting(Plugin):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        @hookimpl
        def startup(self) -> None:
            order.append(f"+{self.name}")

        @hookimpl
        def shutdown(self) -> None:
            order.append(f"-{self.name}")

    manager = manage(b=Noting("b"), a=Noting("a"))

    await manager.startup(SERVER)
    await manager.shutdown(SERVER)

    assert order == ["+a", "+b", "-b", "-a"]


async def test_failing_startup_is_blamed_and_leaves_nothing_running(manage: Manage) -> None:
    manager = manage(acme=raiser("startup"), good=Good())
    before = asyncio.all_tasks()

    with pytest.raises(PluginError, match=r"'acme'.*hook 'startup': ValueError: broken"):
        await manager.startup(SERVER)

    assert asyncio.all_tasks() == before


async def test_failing_startup_is_skipped_where_settings_say_so(manage: Manage) -> None:
    good = Good()
    manager = manage(skip_broken=True, acme=raiser("startup"), good=good)

    await manager.startup(SERVER)

    assert good.life == ["startup"]
    assert not manager.has("acme")
    await manager.shutdown(SERVER)


async def test_configuration_error_in_startup_keeps_its_own_words(manage: Manage) -> None:
    manager = manage(skip_broken=True, acme=raiser("startup", ConfigError("port 1 is taken")))

    with pytest.raises(ConfigError, match=r"^port 1 is taken$"):
        await manager.startup(SERVER)


# --- decide --------------------------------------------------------------------------------------


async def test_hook_find_api_secret(manage: Manage) -> None:
    assert await manage(b=Good("b"), a=Good("a")).find_api_secret("k") == "k of a"
    assert await manage().find_api_secret("k") is None


async def test_hook_choose_node(manage: Manage) -> None:
    assert await manage(good=Good()).choose_node("r", ("n1", "n2")) == "n2"


async def test_hook_choose_room_options(manage: Manage) -> None:
    assert await manage(good=Good()).choose_room_options("r", GRANTS) == "options of r"


async def test_hook_check_join(manage: Manage) -> None:
    manager = manage(good=Good())

    assert await manager.check_join("open", GRANTS, SERVER) is None
    assert await manager.check_join("closed", GRANTS, SERVER) == Denied("not today")


async def test_hook_prepare_room(manage: Manage) -> None:
    manager = manage(good=Good())

    await manager.prepare_room(SERVER, "known", SERVER)
    with pytest.raises(NotFound):
        await manager.prepare_room(SERVER, "unknown", SERVER)


async def test_failing_choice_counts_as_no_answer(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    manager = manage(acme=raiser("find_api_secret"), good=Good())

    assert await manager.find_api_secret("k") == "k of good"
    assert manager.counters.failures == {("acme", "find_api_secret"): 1}
    (record,) = caplog.records
    assert vars(record)["plugin"] == "acme"
    assert vars(record)["distribution"] == "dist-acme 1.0"


async def test_failing_check_refuses(manage: Manage) -> None:
    manager = manage(acme=raiser("check_join"))

    denied = await manager.check_join("open", GRANTS, SERVER)

    assert denied is not None
    assert "acme" in denied.reason
    assert "broken" not in denied.reason


async def test_failing_preparation_refuses_as_unavailable(manage: Manage) -> None:
    with pytest.raises(Unavailable, match=r"^acme could not prepare it$"):
        await manage(acme=raiser("prepare_room")).prepare_room(SERVER, "r", SERVER)


async def test_choice_that_takes_too_long_counts_as_no_answer(manage: Manage) -> None:
    class Slow(Plugin):
        @hookimpl
        async def find_api_secret(self) -> str:
            await asyncio.Event().wait()
            return "never"

    manager = manage(acme=Slow())

    assert await manager.first("find_api_secret", limit_s=0.01, key="k") is None
    assert manager.counters.failures == {("acme", "find_api_secret"): 1}


async def test_cancelling_the_caller_passes_through(manage: Manage) -> None:
    class Slow(Plugin):
        @hookimpl
        async def find_api_secret(self) -> None:
            await asyncio.Event().wait()

    task = asyncio.ensure_future(manage(acme=Slow()).find_api_secret("k"))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_tryfirst_is_asked_first(manage: Manage) -> None:
    class Eager(Plugin):
        @hookimpl(tryfirst=True)
        def find_api_secret(self) -> str:
            return "eager"

    assert await manage(a=Good(), z=Eager()).find_api_secret("k") == "eager"


# --- notify --------------------------------------------------------------------------------------


async def test_hook_on_event(manage: Manage) -> None:
    good = Good()
    manager = manage(good=good)
    manager.publish(SERVER)  # before the start: nobody listens
    await manager.startup(SERVER)

    for number in range(3):
        event: Any = number
        manager.publish(event)
    await manager.shutdown(SERVER)

    assert good.heard == [0, 1, 2]


async def test_brought_notice_is_no_event(manage: Manage) -> None:
    @notify
    def on_colour(colour: str) -> None: ...

    manager = manage(bringer=brings(specifications(on_colour=on_colour)))

    assert manager.implementations("on_colour") == []


async def test_failing_listener_disturbs_nobody(
    manage: Manage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    good = Good()
    manager = manage(acme=raiser("on_event"), good=good)
    await manager.startup(SERVER)

    manager.publish(SERVER)
    manager.publish(SERVER)
    await manager.shutdown(SERVER)

    assert good.heard == [SERVER, SERVER]
    assert manager.counters.failures == {("acme", "on_event"): 2}
    assert {vars(r)["plugin"] for r in caplog.records} == {"acme"}


async def test_stuck_listener_loses_its_newest_events_and_delays_nobody(manage: Manage) -> None:
    class Stuck(Plugin):
        @hookimpl
        async def on_event(self) -> None:
            await asyncio.Event().wait()

    from roomful.plugin.fanout import EventFanout

    good = Good()
    manager = manage(acme=Stuck(), good=good)
    fanout = EventFanout(manager.implementations("on_event"), manager.counters, queue_limit=2)
    fanout.start()
    for number in range(2):
        event: Any = number
        fanout.publish(event)
    await asyncio.sleep(0)
    for number in range(2, 6):
        event = number
        fanout.publish(event)
        await asyncio.sleep(0)

    await fanout.drain(0.01)

    assert good.heard == [0, 1, 2, 3, 4, 5]
    assert manager.counters.dropped["acme"] == 3 + 2  # refused, and left in the queue


async def test_event_that_takes_too_long_is_ended_and_counted(manage: Manage) -> None:
    class Slow(Plugin):
        @hookimpl
        async def on_event(self) -> None:
            await asyncio.Event().wait()

    from roomful.plugin.fanout import EventFanout

    manager = manage(acme=Slow())
    fanout = EventFanout(manager.implementations("on_event"), manager.counters, event_limit_s=0.01)
    fanout.start()
    fanout.publish(SERVER)

    await fanout.drain(1)

    assert manager.counters.failures == {("acme", "on_event"): 1}


# --- counts --------------------------------------------------------------------------------------


async def test_counts_are_metrics(manage: Manage) -> None:
    from prometheus_client import CollectorRegistry, generate_latest

    manager = manage(acme=raiser("find_api_secret"))
    await manager.find_api_secret("k")
    registry = CollectorRegistry()
    registry.register(manager.counters)

    text = generate_latest(registry).decode()

    assert 'roomful_plugin_failures_total{hook="find_api_secret",plugin="acme"} 1.0' in text
