"""Runs the services that plugins offer: starts them, waits until they listen, runs them again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from roomful.errors import PluginError, RoomfulError
from roomful.plugin.attribution import on_behalf_of
from roomful.plugin.service import Offer, Service

log = logging.getLogger(__name__)

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 5.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0


class Supervisor:
    """One task per service; an error ends that run of it, never another's."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, services: Iterable[Offer[Service]]) -> None:
        """Run all and return when each is ready. Raises what the first to fail raised."""
        ready: list[asyncio.Future[None]] = []
        for offer in services:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            name = f"{offer.plugin}/{offer.value.name}"
            self._tasks[name] = asyncio.get_running_loop().create_task(
                self._run(offer, future), name=name
            )
            ready.append(future)
        async with asyncio.timeout(READY_LIMIT_S):
            for future in ready:
                await future

    async def stop(self) -> None:
        """Cancel all and wait for them, within `STOP_LIMIT_S`."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks.values(), timeout=STOP_LIMIT_S)
            for task in stuck:
                log.error("service does not stop", extra={"service": task.get_name()})
        self._tasks.clear()

    async def _run(self, offer: Offer[Service], ready: asyncio.Future[None]) -> None:
        pause = _FIRST_PAUSE_S

        def is_ready() -> None:
            if not ready.done():
                ready.set_result(None)

        while True:
            try:
                with on_behalf_of(offer.plugin, "services"):
                    await offer.value.run(is_ready)
            except Exception as error:  # a plugin's failure is contained here
                if not ready.done():
                    ready.set_exception(_blamed(offer, error))
                    return
                log.exception(
                    "service failed", extra={"plugin": offer.plugin, "service": offer.value.name}
                )
            else:
                is_ready()
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE_S)


def _blamed(offer: Offer[Service], error: Exception) -> RoomfulError:
    if isinstance(error, RoomfulError):
        return error
    return PluginError(
        offer.plugin, offer.distribution,
        f"service {offer.value.name!r} failed to start: {type(error).__name__}: {error}",
        f"disable it with [plugins] disabled = [{offer.plugin!r}]",
    )
