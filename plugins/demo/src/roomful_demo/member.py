"""A participant of the published Python SDK, for as long as a context lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from livekit import rtc

from roomful_demo.scene import STOP_LIMIT_S, Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who is in the room."""

    room: rtc.Room
    join_s: float
    """from the first byte to being in"""
    began_at_s: float
    """when it began to join, on the loop's clock"""

    @property
    def local(self) -> rtc.LocalParticipant:
        """What it does in the room, it does by this."""
        return self.room.local_participant


@asynccontextmanager
async def member(
    stage: Stage, room: rtc.Room, identity: str, name: str, *, auto_subscribe: bool
) -> AsyncGenerator[Member, None]:
    """Join with `room`, whose event handlers are set already; leave at the end."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    options = rtc.RoomOptions(auto_subscribe=auto_subscribe)
    await room.connect(stage.url, stage.token(identity, name=name), options)
    try:
        yield Member(room, loop.time() - began, began)
    finally:
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await room.disconnect()
        except TimeoutError:
            log.warning("a participant of the demo did not leave in time")


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None, None]:
    """Run some work beside the body; it ends with the body, and what went wrong is logged."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a part of the demo stopped", exc_info=error)


def on(room: rtc.Room, event: str, handler: Callable[..., object]) -> None:
    """Let `handler` hear of an event of the SDK's room (its own method has no types)."""
    cast("Any", room).on(event, handler)


def off(room: rtc.Room, event: str, handler: Callable[..., object]) -> None:
    """Undo `on`."""
    cast("Any", room).off(event, handler)
