"""Plugins that do what a plugin must not: raise, block the loop, leave tasks behind."""

import asyncio
import time

from roomful.model.events import ParticipantJoined
from roomful.plugin import Plugin, hookimpl


class Raising(Plugin):
    """Raises in every hook that is called while the server runs."""

    @hookimpl
    def services(self):
        return [FailingService()]

    @hookimpl
    def check_join(self, grants):
        if grants.identity == "unlucky":
            raise ValueError("in check_join")

    @hookimpl
    async def choose_room_options(self):
        raise ValueError("in choose_room_options")

    @hookimpl
    async def on_event(self):
        raise ValueError("in on_event")

    @hookimpl
    async def shutdown(self):
        raise ValueError("in shutdown")


class FailingService:
    """Fails a moment after it has started."""

    name = "failing"

    async def run(self, ready):
        ready()
        await asyncio.sleep(0.2)
        raise ValueError("in a service")


class Blocking(Plugin):
    """Blocks the event loop for two seconds when `blocker` joins."""

    @hookimpl
    def on_event(self, event):
        if isinstance(event, ParticipantJoined) and event.participant.identity == "blocker":
            time.sleep(2)


class Leaking(Plugin):
    """Starts tasks that never end, at every event."""

    def __init__(self, config=None):
        super().__init__(config)
        self.tasks = []

    @hookimpl
    async def on_event(self):
        self.tasks += [asyncio.ensure_future(self.forever()) for _ in range(60)]

    async def forever(self):
        await asyncio.Event().wait()
