"""`roomful dev` and `roomful serve`: start, print the ready line, stop well.

SIGTERM and the first SIGINT drain within `drain_timeout_s`; the second SIGINT ends at once.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable

from roomful.cli.options import dev_settings, serve_settings
from roomful.cli.preflight import preflight
from roomful.logs import configure_logging
from roomful.plugin.extras import install_hint
from roomful.plugin.manager import PluginManager
from roomful.setting_sources import leftovers
from roomful.settings import Settings

log = logging.getLogger(__name__)

AT_ONCE = 130


def dev(arguments: argparse.Namespace) -> int:
    """Run for trying things out."""
    return run(dev_settings(arguments))


def serve(arguments: argparse.Namespace) -> int:
    """Run as the settings say."""
    return run(serve_settings(arguments))


def run(settings: Settings) -> int:
    """Run a server until a signal ends it; raise `ConfigError` before any listener opens."""
    configure_logging(settings.log_format, settings.log_level, personal_data=settings.log_pii)
    preflight(settings)
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    from roomful.server import RoomServer

    stop = asyncio.Event()
    _on_signals(stop.set)
    async with RoomServer(settings) as server:
        sys.stdout.write(f"roomful ready at {server.url}\n")
        sys.stdout.flush()
        if not server.factories:
            sys.stderr.write(
                "roomful: no transport is installed or enabled, so nobody can join a room. "
                f"Browsers, apps and agents join by WebRTC: {install_hint('webrtc')}\n"
            )
        _say_what_runs(settings, server.plugins)
        _spare_the_collector()
        await stop.wait()
        log.info("stopping", extra={"drain_timeout_s": settings.drain_timeout_s})


def _spare_the_collector() -> None:
    """Take what a start leaves behind out of garbage collection: a full one holds up the loop."""
    gc.freeze()


def _say_what_runs(settings: Settings, plugins: PluginManager) -> None:
    loaded = [f"{record.name} ({record.label})" for record in plugins.active()]
    log.info("started", extra={"plugins": ", ".join(loaded)})
    if not settings.is_dev and settings.plugins.enabled == "all":
        log.warning(
            "plugins.enabled is 'all': what a dependency brings runs too; name the plugins instead",
            extra={"enabled": [record.name for record in plugins.active()]},
        )
    for leftover in leftovers(os.environ, Settings.model_fields):
        log.warning("variable is no setting", extra={"variable": leftover.variable})


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    interrupts = 0

    def interrupted() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            os._exit(AT_ONCE)
        stop()

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, interrupted)
