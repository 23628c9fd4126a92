"""Runs the services that plugins offer: starts them, waits until they listen, runs them again.

starting --ready()--> running --error--> pausing (0.5, 1, 2 … 30 s) --> running
    |                    |
    error or too late    returned, or cancelled by `stop`: done
    = the start fails, or the plugin is taken out (`plugins.on_error`)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from roomful.errors import ConfigError, PluginError
from roomful.plugin.attribution import on_behalf_of
from roomful.plugin.registry import PluginRegistry
from roomful.plugin.service import Offer, Service

log = logging.getLogger(__name__)

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 5.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0


class Supervisor:
    """One task per service; an error ends that run of it, never another's."""

    def __init__(
        self,
        plugins: PluginRegistry,
        *,
        ready_limit_s: float = READY_LIMIT_S,
        stop_limit_s: float = STOP_LIMIT_S,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._plugins = plugins
        self._ready_limit_s, self._stop_limit_s = ready_limit_s, stop_limit_s
        self._first_pause_s = first_pause_s
        self._services: list[_Supervised] = []

    async def start(self, services: Iterable[Offer[Service]]) -> None:
        """Run all and return when each is ready.

        Raises the `ConfigError` of a service whose setting is wrong (a port is taken), else a
        `PluginError`, unless broken plugins are skipped.
        """
        started = [_Supervised(offer, self._plugins, self._first_pause_s) for offer in services]
        self._services += started
        for service in started:
            service.start()
        for service in started:
            try:
                await service.ready(self._ready_limit_s)
            except PluginError as error:
                await service.stop(self._stop_limit_s)
                self._plugins.fail(error)

    async def stop(self) -> None:
        """Cancel all and wait for them, each within its limit."""
        await asyncio.gather(*(service.stop(self._stop_limit_s) for service in self._services))
        self._services.clear()


class _Supervised:
    """One service."""

    def __init__(self, offer: Offer[Service], plugins: PluginRegistry, pause_s: float) -> None:
        self._offer, self._plugins = offer, plugins
        self._pause_s = pause_s
        self._is_ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._where = f"service {offer.value.name!r}"

    @property
    def plugin(self) -> str:
        return self._offer.plugin

    def start(self) -> None:
        name = f"{self.plugin}/{self._offer.value.name}"
        self._task = asyncio.create_task(self._run(), name=name)

    async def ready(self, limit_s: float) -> None:
        """Wait until the service is ready; raise what kept it from that."""
        assert self._task is not None
        waiting = asyncio.create_task(self._is_ready.wait())
        try:
            either = (waiting, self._task)
            await asyncio.wait(either, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._is_ready.is_set():
            return
        if not self._task.done():
            raise self._error(f"was not ready within {limit_s:g} s")
        error = self._task.exception()
        if isinstance(error, ConfigError):
            raise error
        if error is not None:
            raise self._error(f"failed to start: {type(error).__name__}: {error}") from error

    async def stop(self, limit_s: float) -> None:
        """Cancel it; log one that does not end."""
        if self._task is None or self._task.done():
            return
        self._task.cancel()
        _, stuck = await asyncio.wait((self._task,), timeout=limit_s)
        if stuck:
            log.error("service does not stop", extra=self._fields())

    async def _run(self) -> None:
        pause_s = self._pause_s
        with on_behalf_of(self.plugin, self._where):
            while True:
                try:
                    await self._offer.value.run(self._is_ready.set)
                except Exception:
                    if not self._is_ready.is_set():
                        raise
                    self._plugins.counters.failures[self.plugin, self._where] += 1
                    log.exception("service failed", extra={**self._fields(), "pause_s": pause_s})
                else:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)

    def _error(self, problem: str) -> PluginError:
        return PluginError(
            self.plugin,
            self._offer.distribution,
            f"{self._where} {problem}",
            f"mend it, or add {self.plugin!r} to plugins.disabled",
        )

    def _fields(self) -> dict[str, object]:
        return {
            "plugin": self.plugin,
            "distribution": self._offer.distribution,
            "service": self._offer.value.name,
        }
