"""A receiver's service against the published verifier: signature, outage, restart, independence."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from types import SimpleNamespace

import pytest
from aiohttp import web
from livekit import api

from roomful.auth.token import Tokens
from roomful.clock import SystemClock
from roomful.errors import ConfigError
from roomful.eventlog import EventLog
from roomful.model.events import PluginEvent, RoomInfo, RoomOptions
from roomful.outbound import Outbound
from roomful.settings import Settings
from roomful.store import open_store
from roomful_webhooks import outbox as outbox_module
from roomful_webhooks.config import WebhooksConfig
from roomful_webhooks.plugin import WebhooksPlugin
from roomful_webhooks.receiver import CURSORS, cursor_name

KEY, SECRET = "key", "a secret of at least thirty-two bytes"


class Site:
    """A webhook receiver on loopback that verifies what it gets."""

    def __init__(self, key: str = KEY, secret: str = SECRET) -> None:
        self.verifier = api.WebhookReceiver(api.TokenVerifier(key, secret))
        self.events: list[api.WebhookEvent] = []
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        """statuses to give before 200"""
        self.hold = asyncio.Event()
        self.hold.set()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.hold.wait()
        assert request.content_type == "application/webhook+json"
        event = self.verifier.receive(body.decode(), request.headers["Authorization"])
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        self.bodies.append(body)
        self.events.append(event)
        return web.Response()

    @property
    def notes(self) -> list[str]:
        return [event.event for event in self.events]


class Server:
    """What the plugin uses of a server, with a real store and log."""

    def __init__(self, path) -> None:
        self.settings = Settings(data_dir=path, keys={KEY: SECRET})
        self.clock = SystemClock()
        self.tokens = Tokens({KEY: SECRET})
        self.outbound = Outbound()
        self.store = open_store(path)
        self.events = EventLog(self.store, self.clock)

    def note(self, name: str, room: str = "main") -> None:
        info = RoomInfo(f"RM_{room}", room, RoomOptions(), "", 0)
        self.events.submit(PluginEvent(name, info, {"room": {"name": room}}))


@contextlib.asynccontextmanager
async def site_running(site: Site, port: int = 0):
    app = web.Application()
    app.router.add_post("/hook", site.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield site
    finally:
        site.hold.set()
        await runner.cleanup()


@pytest.fixture
async def site():
    async with site_running(Site()) as site:
        yield site


@contextlib.asynccontextmanager
async def delivering(path, *urls: str, **config):
    """A server with the plugin's services running; ends as a killed one would."""
    server = Server(path)
    await server.events.start()
    plugin = WebhooksPlugin(WebhooksConfig(urls=urls, **config))
    await plugin.startup(server)
    services = plugin.services(server)
    tasks = [asyncio.create_task(service.run(lambda: None)) for service in services]
    try:
        yield server
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.events.stop()
        await server.store.close()
        await server.outbound.close()


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(outbox_module, "LAST_PAUSE_S", 0.05)


async def test_published_verifier_accepts_what_is_sent(tmp_path, site):
    async with delivering(tmp_path, site.url) as server:
        for name in ("one", "two", "three"):
            server.note(name)
        await until(lambda: len(site.events) == 3)

    assert site.notes == ["one", "two", "three"]
    assert all(event.id.startswith("EV_") for event in site.events)
    assert json.loads(site.bodies[0])["createdAt"].isdigit()


async def test_failing_receiver_gets_it_later_with_the_same_id(tmp_path, site):
    site.answers = [500, 429, 404, 503]
    async with delivering(tmp_path, site.url) as server:
        server.note("one")
        server.note("two")
        await until(lambda: len(site.events) == 2)

    assert site.notes == ["one", "two"]


async def test_event_that_is_refused_is_not_sent_again(tmp_path, site, caplog):
    site.answers = [400]
    async with delivering(tmp_path, site.url) as server:
        server.note("one")
        server.note("two")
        await until(lambda: site.notes == ["two"])

    assert [r.levelname for r in caplog.records if r.message == "webhook refused"] == ["ERROR"]


async def test_receiver_that_is_away_gets_everything_after_a_restart(tmp_path):
    async with site_running(Site()) as site:
        port = int(site.url.rpartition(":")[2].partition("/")[0])
        async with delivering(tmp_path, site.url) as server:
            server.note("one")
            await until(lambda: site.notes == ["one"])
            await server.events.flush()
    async with delivering(tmp_path, site.url) as server:
        for name in ("two", "three"):
            server.note(name)
        await server.events.flush()
        await asyncio.sleep(0.1)

    async with site_running(site, port), delivering(tmp_path, site.url) as server:
        server.note("four")
        await until(lambda: "four" in site.notes)

    assert list(dict.fromkeys(site.notes)) == ["one", "two", "three", "four"]
    assert len(site.notes) - len({event.id for event in site.events}) <= 1


async def test_outage_is_one_line_down_and_one_line_up(tmp_path, site, caplog):
    site.answers = [500] * 10
    with caplog.at_level(logging.INFO):
        async with delivering(tmp_path, site.url) as server:
            server.note("one")
            await until(lambda: site.notes == ["one"])

    told = [r.message for r in caplog.records if r.name.startswith("roomful_webhooks")]
    assert told == ["webhook receiver is down, events wait in the log", "webhook receiver is back"]
    assert site.url not in caplog.text


async def test_slow_receiver_does_not_delay_another(tmp_path, site):
    async with site_running(Site()) as slow:
        slow.hold.clear()
        async with delivering(tmp_path, slow.url, site.url) as server:
            for number in range(20):
                server.note(f"n{number}", room=f"room{number % 3}")
            await until(lambda: len(site.events) == 20)

            assert slow.events == []


async def test_slow_event_of_one_room_does_not_delay_other_rooms(tmp_path, site):
    async with delivering(tmp_path, site.url) as server:
        site.answers = [500] * 3
        server.note("late", room="a")
        await asyncio.sleep(0)
        for number in range(5):
            server.note(f"n{number}", room="b")
        await until(lambda: len(site.events) == 6)

    assert [n for n in site.notes if n != "late"] == [f"n{number}" for number in range(5)]


async def test_filters_choose_what_is_sent(tmp_path, site):
    async with delivering(tmp_path, site.url, include=("one", "two"), exclude=("two",)) as server:
        for name in ("two", "three", "one"):
            server.note(name)
        await until(lambda: bool(site.events))
        position = (await server.events.cursor(cursor_name(site.url))).position
        await until(lambda: position >= 2)

    assert site.notes == ["one"]


async def test_receiver_of_another_secret_refuses_and_is_told_again(tmp_path):
    async with site_running(Site(secret="another secret of thirty-two bytes!")) as site:
        async with delivering(tmp_path, site.url) as server:
            server.note("one")
            await asyncio.sleep(0.1)

            assert site.events == []
            assert (await server.events.cursor(cursor_name(site.url))).position == 0


async def test_receiver_that_is_no_longer_configured_holds_nothing_up(tmp_path, site):
    async with delivering(tmp_path, site.url):
        pass
    async with delivering(tmp_path) as server:
        assert not [n for n in server.events._stored if n.startswith(CURSORS)]


def plugin_for(keys: dict[str, str], **config):
    plugin = WebhooksPlugin(WebhooksConfig(urls=("http://127.0.0.1:1/hook",), **config))
    return lambda: plugin.services(SimpleNamespace(settings=SimpleNamespace(keys=keys)))


def test_only_key_signs_where_none_is_named():
    (receiver,) = plugin_for({"only": "secret"})()

    assert receiver._key == "only"


@pytest.mark.parametrize(
    ("keys", "config"), [({"a": "x", "b": "y"}, {}), ({}, {}), ({"a": "x"}, {"api_key": "b"})]
)
def test_key_that_cannot_sign_stops_the_start_naming_the_setting(keys, config):
    with pytest.raises(ConfigError, match=r"plugins\.config\.webhooks\.api_key"):
        plugin_for(keys, **config)()


def test_plugin_without_urls_does_nothing():
    assert WebhooksPlugin(WebhooksConfig()).services(SimpleNamespace()) == []
