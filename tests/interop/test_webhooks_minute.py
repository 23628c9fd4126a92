"""Webhooks at the published receiver, over an outage of the receiver and a kill of the server."""

import asyncio
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from livekit import api

from .guest import guest
from .media import until
from .server import DEV_KEY, DEV_SECRET, RoomServer, start_roomful

DOWN_S = 60.0


class Inbox:
    """A receiver that believes only what livekit-api's `WebhookReceiver` verifies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.events: list[api.WebhookEvent] = []
        self.refused: list[str] = []
        self.failing = 0
        """how many deliveries to answer with 500 before taking one"""
        self._receiver = api.WebhookReceiver(api.TokenVerifier(DEV_KEY, DEV_SECRET))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        if self.failing:
            self.failing -= 1
            return web.Response(status=500)
        body = (await request.read()).decode()
        try:
            event = self._receiver.receive(body, request.headers["Authorization"])
        except Exception as error:
            self.refused.append(repr(error))
            return web.Response(status=401)
        assert request.content_type == "application/webhook+json"
        self.events.append(event)
        return web.Response()

    def names(self, room: str) -> list[str]:
        """Names of a room's events in the order they came, repeated deliveries once."""
        seen: dict[str, str] = {e.id: e.event for e in self.events if e.room.name == room}
        return list(seen.values())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings(port: int) -> dict[str, str]:
    urls = json.dumps([f"http://127.0.0.1:{port}/hook"])
    return {"ROOMFUL_PLUGINS__CONFIG__WEBHOOKS__URLS": urls}


async def published(server: RoomServer, room: str) -> None:
    """Wait until somebody's track is live in a room."""
    request = api.ListParticipantsRequest(room=room)
    async with server.api() as client, asyncio.timeout(10):
        while not any(
            p.tracks for p in (await client.room.list_participants(request)).participants
        ):
            await asyncio.sleep(0.05)


async def test_receiver_hears_a_rooms_life_in_order(tmp_path: Path) -> None:
    inbox = Inbox(free_port())
    inbox.failing = 1
    async with inbox.open():
        with start_roomful(tmp_path, settings=settings(inbox.port)) as server:
            async with guest(server, "ada", "life") as ada:
                await ada.speak()
                await published(server, "life")
            async with server.api() as client:
                await client.room.delete_room(api.DeleteRoomRequest(room="life"))
            await until(lambda: "room_finished" in inbox.names("life"), within=15)

    assert inbox.refused == []
    assert inbox.names("life") == [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
        "room_finished",
    ]
    (joined,) = [e for e in inbox.events if e.event == "participant_joined"]
    assert joined.participant.identity == "ada"
    assert joined.id.startswith("EV_")


async def test_no_event_is_missing_after_an_outage_and_a_kill(tmp_path: Path) -> None:
    inbox = Inbox(free_port())
    with start_roomful(tmp_path, settings=settings(inbox.port)) as server:
        async with guest(server, "ada", "before") as ada:
            await ada.speak()
            await published(server, "before")
        async with guest(server, "ben", "during"):
            await asyncio.sleep(DOWN_S)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
    async with inbox.open():
        with start_roomful(tmp_path, settings=settings(inbox.port)):
            await until(
                lambda: (
                    {"room_finished"} <= set(inbox.names("before"))
                    and {"room_finished"} <= set(inbox.names("during"))
                ),
                within=40,
            )

    assert inbox.refused == []
    for room in ("before", "during"):
        names = inbox.names(room)
        counts = Counter(names)
        assert counts["room_started"] == counts["room_finished"] == 1
        assert counts["participant_joined"] == counts["participant_left"] == 1
        assert counts["track_published"] == counts["track_unpublished"]
        assert names[0] == "room_started"
        assert names[-1] == "room_finished"
    assert Counter(inbox.names("before"))["track_published"] == 1
