"""Runs the demo: a server in this process, the scenes on it, the terminal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.text import Text

from roomful.auth.keys import DEV_KEY, DEV_SECRET
from roomful.errors import ConfigError
from roomful.plugin.extras import install_hint
from roomful.server import RoomServer
from roomful.settings import Settings
from roomful_demo.board import rows
from roomful_demo.checking import Verdict, check, play, said
from roomful_demo.ending import INTERRUPTED, run_until, stop_on_signals
from roomful_demo.scene import Line, Scene, Stage
from roomful_demo.site import PATH, ROOM, has_client
from roomful_demo.terminal import REDRAW_S, coloured, display, log_to

_UNHEARD = ("livekit", "roomful.plugin.stalls")
"""the SDK logs every connection, but a scene says itself what failed; and the loop's stalls are not
the server's here, as clients that paint and listen run on it as well"""
NO_CLIENT = (
    "The page cannot join: this installation lacks the JavaScript client. In a checkout of the "
    "repository, `python plugins/demo/fetch_client.py` fetches it."
)


def run(settings: Settings, *, once: bool) -> int:
    """Run and return the exit code: 0 well, 1 something is missing. Raises `ConfigError`."""
    # Loading the SDK takes a second: not while the server's loop runs.
    import_module("roomful_demo.duo")
    console = Console(highlight=False)
    log_to(console)
    for name in _UNHEARD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return asyncio.run(_run(settings, console, once=once))


async def _run(settings: Settings, console: Console, *, once: bool) -> int:
    with stop_on_signals() as stop:
        async with RoomServer(settings) as server:
            if not server.factories:
                raise ConfigError(
                    f"no transport is installed or enabled, so nobody can join the demo's room: "
                    f"{install_hint('webrtc')}"
                )
            scenes = scenes_of(server)
            stage = Stage(server.url, ROOM, DEV_KEY, DEV_SECRET)
            console.print(Text(f"roomful ready at {server.url}"))
            if once:
                return await run_until(stop, check_all(stage, scenes, console), INTERRUPTED)
            return await run_until(stop, _live(server, stage, scenes, console), 0)


def scenes_of(server: RoomServer) -> list[Scene[Any]]:
    """Return the scenes of all plugins, ours first."""
    if not server.plugins.has("demo"):
        raise ConfigError("plugin 'demo' is disabled in the settings; enable it")
    offers = server.plugins.offers("demo_scenes")
    return [offer.value for offer in sorted(offers, key=lambda offer: offer.plugin != "demo")]


async def check_all(stage: Stage, scenes: Sequence[Scene[Any]], console: Console) -> int:
    """Check every scene, one after another; 1 when something is missing in one of them."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    verdicts: list[Verdict] = []
    for scene in scenes:
        verdicts.append(await check(scene, stage))
        _print_verdict(console, verdicts[-1])
    well = bool(verdicts) and all(verdict.well for verdict in verdicts)
    summary = "all is well" if well else "NOT WELL"
    console.print(Text(f"{summary}, in {loop.time() - began:.1f} s"))
    return 0 if well else 1


def _print_verdict(console: Console, verdict: Verdict) -> None:
    console.print(Text(verdict.scene, style="bold"))
    for label, text, well in verdict.findings:
        mark, style = ("ok", "green") if well else ("MISSING", "bold red")
        line = Text("  ").append(f"{mark:<8}", style=style).append(f"{label:<9}")
        console.print(line.append_text(coloured(text)), soft_wrap=True)


async def _live(
    server: RoomServer, stage: Stage, scenes: Sequence[Scene[Any]], console: Console
) -> int:
    """Play all scenes and show the room until cancelled."""
    page = f"http://{stage.url.partition('://')[2]}{PATH}"
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        board = stack.enter_context(display(console, page, "" if has_client() else NO_CLIENT))
        watched = [await _watched(scene, stage, stack) for scene in scenes]
        while True:
            session = server.rooms.find(ROOM)
            people = rows(session.room.participants.values()) if session else []
            board.show(people, [line for lines in watched for line in lines()], loop.time())
            await asyncio.sleep(REDRAW_S)


async def _watched(
    scene: Scene[Any], stage: Stage, stack: AsyncExitStack
) -> Callable[[], Iterable[Line]]:
    """Let a scene play until the stack ends; return what tells how it goes."""
    try:
        running = await stack.enter_async_context(play(scene, stage))
    except Exception as error:  # noqa: BLE001 (one scene that cannot play leaves the others be)
        problem = Line(scene.name, f"did not start: {said(error)}")
        return lambda: (problem,)

    def lines() -> Iterable[Line]:
        try:
            return [Line(*line) for line in scene.watch(running)]
        except Exception as error:  # noqa: BLE001 (as above)
            return [Line(scene.name, f"cannot be watched: {said(error)}")]

    return lines
