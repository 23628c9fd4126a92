"""The plugins of one server: load them, then call their hooks, each kind in its way.

Every implementation is called by itself, so that an error or an exceeded time limit is blamed on
the right plugin and reaches nobody else. The façade methods below are what the core calls; plugins
that bring hooks of their own use `offers`, `first`, `check` and `prepare` with the hook's name.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roomful.errors import ConfigError, PluginError, RequestError, Unavailable
from roomful.plugin.attribution import on_behalf_of
from roomful.plugin.discovery import PluginSettings, build, discover, load_class, select
from roomful.plugin.fanout import EventFanout
from roomful.plugin.registry import Implementation, PluginRecord, PluginRegistry, PluginState
from roomful.plugin.service import Denied, HealthCheck, Offer, Service
from roomful.plugin.stalls import StallWatch
from roomful.plugin.tasks import TaskLedger

if TYPE_CHECKING:
    from aiohttp.web import AbstractRouteDef

    from roomful.api.service import RpcService
    from roomful.auth.grants import Grants
    from roomful.bus import MessageBus
    from roomful.model.enums import ParticipantKind
    from roomful.model.events import LifeCycleEvent, RoomOptions
    from roomful.model.media import MediaPlane
    from roomful.room.factories import ParticipantFactory
    from roomful.server import Server
    from roomful.store import Store

log = logging.getLogger(__name__)

STARTUP_LIMIT_S, SHUTDOWN_LIMIT_S = 30.0, 10.0
DRAIN_LIMIT_S = 5.0
DECIDE_LIMIT_S, PREPARE_LIMIT_S = 5.0, 10.0


@dataclass(frozen=True, slots=True)
class Offers:
    """What all plugins offer to the server's core, by `PluginManager.build`."""

    participant_factories: tuple[Offer[ParticipantFactory], ...]
    services: tuple[Offer[Service], ...]
    routes: tuple[AbstractRouteDef, ...]
    rpc_services: tuple[Offer[RpcService], ...]
    health_checks: tuple[Offer[HealthCheck], ...]


class PluginManager(PluginRegistry):
    """Loads plugins and calls their hooks."""

    def __init__(self, *, skip_broken: bool = False) -> None:
        super().__init__(skip_broken=skip_broken)
        self._fanout: EventFanout | None = None
        self._running = contextlib.AsyncExitStack()

    @classmethod
    def load(cls, settings: PluginSettings) -> PluginManager:
        """Load the plugins that `settings.plugins` selects.

        Raises `ConfigError` for a name nobody knows, `PluginError` for a plugin that cannot be
        used, unless broken ones are skipped (`on_error = "skip"`): then `records` says so.
        """
        manager = cls(skip_broken=settings.plugins.on_error == "skip")
        found = discover()
        selected = select(found, settings.plugins)
        sections = settings.sections()
        for name, plugin in found.items():
            record = PluginRecord(name, plugin.distribution, plugin.version)
            manager.records[name] = record
            if name not in selected:
                record.state = PluginState.DISABLED
                continue
            path, raw = sections.get(name, (f"plugins.config.{name}", {}))
            try:
                instance = build(plugin, load_class(plugin), path, raw)
            except PluginError as error:
                manager.fail(error)
                continue
            manager.register(instance, name, plugin.distribution, plugin.version)
        manager.finish()
        return manager

    # --- offers ------------------------------------------------------------------------------

    def offers(self, hook: str, /, **arguments: object) -> list[Offer[Any]]:
        """Return what plugins offer by `hook`; a plugin that fails is blamed and taken out."""
        found: list[Offer[Any]] = []
        for implementation in self.implementations(hook):
            try:
                found += self._offered(implementation, arguments)
            except PluginError as error:
                self.fail(error)
        return found

    def offer_of_one(self, hook: str, /, *, exactly: bool = False, **arguments: object) -> Any:
        """Return the first thing offered by `hook` or None; `exactly`: a second one is an error."""
        chosen: Implementation | None = None
        value: Any = None
        for implementation in self.implementations(hook):
            try:
                answer = self._called(implementation, arguments)
                if answer is None:
                    continue
                if chosen is not None:
                    raise _twice(implementation, chosen.record, f"a {hook.replace('_', ' ')}")
            except PluginError as error:
                self.fail(error)
                continue
            chosen, value = implementation, answer
            self.keep(implementation.plugin)
            if not exactly:
                break
        return value

    def store(self, server: Server) -> Store | None:
        """Return the store that a plugin offers."""
        return self.offer_of_one("store", server=server)

    def message_bus(self, server: Server) -> MessageBus | None:
        """Return the message bus that a plugin offers."""
        return self.offer_of_one("message_bus", server=server)

    def media_plane(self, server: Server) -> MediaPlane | None:
        """Return the media plane; two plugins that offer one are an error naming both."""
        return self.offer_of_one("media_plane", exactly=True, server=server)

    def build(self, server: Server) -> Offers:
        """Collect every other offer, plugin by plugin: all of a plugin's, or none of a broken one.

        Raises `PluginError` for two offers of one transport or RPC service.
        """
        taken: dict[tuple[str, str], PluginRecord] = {}
        accepted: dict[str, list[Offer[Any]]] = {hook: [] for hook in _BUILT}
        for record in self.active():
            try:
                offered = self._offers_of(record, server)
                claims = {(h, n): record for h, os in offered.items() for n in _names(h, os)}
                for claim in claims:
                    if claim in taken:
                        raise _two_offers(record, taken[claim], claim)
            except PluginError as error:
                self.fail(error)
                continue
            taken |= claims
            for hook, offers in offered.items():
                accepted[hook] += offers
        return Offers(
            participant_factories=tuple(accepted[_FACTORIES]),
            services=tuple(accepted["services"]),
            routes=tuple(o.value for o in accepted["routes"]),
            rpc_services=tuple(accepted["rpc_services"]),
            health_checks=tuple(accepted["health_checks"]),
        )

    # --- life --------------------------------------------------------------------------------

    async def startup(self, server: Server) -> None:
        """Start watching and the event queues, then every plugin, in the order of names."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(StallWatch(self))
            await stack.enter_async_context(TaskLedger(self))
            self._fanout = EventFanout(self.implementations("on_event"), self.counters)
            self._fanout.start()
            stack.push_async_callback(self._fanout.drain, DRAIN_LIMIT_S)
            for implementation in self.implementations("startup"):
                await self._start_one(implementation, server)
            self._running = stack.pop_all()

    async def shutdown(self, server: Server) -> None:
        """Drain the event queues, shut every plugin down in the reverse order of names.

        Tasks that plugins leave behind are named and ended.
        """
        if self._fanout is not None:
            await self._fanout.drain(DRAIN_LIMIT_S)
        for implementation in reversed(self.implementations("shutdown")):
            try:
                await _answer(implementation, {"server": server}, SHUTDOWN_LIMIT_S)
            except Exception:
                self._note(implementation)
        await self._running.aclose()

    async def _start_one(self, implementation: Implementation, server: Server) -> None:
        try:
            await _answer(implementation, {"server": server}, STARTUP_LIMIT_S)
        except ConfigError:
            raise
        except Exception as error:
            log.debug("startup failed", exc_info=True)
            self.fail(implementation.error(_said(error)))

    # --- decide ------------------------------------------------------------------------------

    async def first(
        self, hook: str, /, *, limit_s: float = DECIDE_LIMIT_S, **arguments: object
    ) -> Any:
        """Return the first answer that is not None; a failing plugin counts as None."""
        for implementation in self.implementations(hook):
            try:
                answer = await _answer(implementation, arguments, limit_s)
            except Exception:
                self._note(implementation)
                continue
            if answer is not None:
                return answer
        return None

    async def check(
        self, hook: str, /, *, limit_s: float = DECIDE_LIMIT_S, **arguments: object
    ) -> Denied | None:
        """Return the first `Denied`; a failing plugin denies."""
        for implementation in self.implementations(hook):
            try:
                answer = await _answer(implementation, arguments, limit_s)
            except Exception:
                self._note(implementation)
                return Denied(f"a check could not be made ({implementation.plugin})")
            if answer is not None:
                return answer if isinstance(answer, Denied) else Denied(str(answer))
        return None

    async def prepare(
        self, hook: str, /, *, limit_s: float = PREPARE_LIMIT_S, **arguments: object
    ) -> None:
        """Ask everyone; the `RequestError` of one refuses, other errors as `Unavailable`."""
        for implementation in self.implementations(hook):
            try:
                await _answer(implementation, arguments, limit_s)
            except RequestError:
                raise
            except Exception as error:
                self._note(implementation)
                raise Unavailable(f"{implementation.plugin} could not prepare it") from error

    async def find_api_secret(self, key: str) -> str | None:
        """Return the secret of an API key that is not in the settings."""
        return await self.first("find_api_secret", key=key)

    async def check_join(self, room: str, grants: Grants, kind: ParticipantKind) -> Denied | None:
        """Return why a participant may not enter, None when it may."""
        return await self.check("check_join", room=room, grants=grants, kind=kind)

    async def prepare_room(self, server: Server, room: str, options: RoomOptions) -> None:
        """Let plugins set up what the options ask for; `RequestError` when one cannot."""
        await self.prepare("prepare_room", server=server, room=room, options=options)

    async def choose_node(self, room: str, nodes: tuple[str, ...]) -> str | None:
        """Return the node that shall own a new room, None when no plugin cares."""
        return await self.first("choose_node", room=room, nodes=nodes)

    async def choose_room_options(self, name: str, grants: Grants) -> RoomOptions | None:
        """Return the options of a room that a join makes, None when no plugin cares."""
        return await self.first("choose_room_options", name=name, grants=grants)

    # --- notify ------------------------------------------------------------------------------

    def publish(self, event: LifeCycleEvent) -> None:
        """Tell every plugin, each through its own queue; never waits, never raises."""
        if self._fanout is not None:
            self._fanout.publish(event)

    # --- inside ------------------------------------------------------------------------------

    def _called(self, implementation: Implementation, arguments: Mapping[str, object]) -> Any:
        try:
            answer = implementation.call(arguments)
        except ConfigError:
            raise
        except Exception as error:
            log.debug("offer failed", exc_info=True)
            raise implementation.error(_said(error)) from error
        if inspect.isawaitable(answer):
            _discard(answer)
            raise implementation.error("it cannot be async")
        return answer

    def _offered(
        self, implementation: Implementation, arguments: Mapping[str, object]
    ) -> list[Offer[Any]]:
        answer = self._called(implementation, arguments)
        if answer is None:
            return []
        record = implementation.record
        try:
            with on_behalf_of(record.name, implementation.hook):
                values: list[Any] = list(answer)
        except Exception as error:
            raise implementation.error(_said(error)) from error
        return [Offer(record.name, record.label, value) for value in values]

    def _offers_of(self, record: PluginRecord, server: Server) -> dict[str, list[Offer[Any]]]:
        return {
            hook: [
                offer
                for implementation in self.implementations(hook)
                if implementation.record is record
                for offer in self._offered(implementation, {"server": server})
            ]
            for hook in _BUILT
        }

    def _note(self, implementation: Implementation) -> None:
        """Log and count the error being handled."""
        self.counters.failures[implementation.plugin, implementation.hook] += 1
        log.exception(
            "plugin failed",
            extra={
                "plugin": implementation.plugin,
                "distribution": implementation.record.label,
                "hook": implementation.hook,
            },
        )


_FACTORIES = "participant_factories"
_BUILT = (_FACTORIES, "services", "routes", "rpc_services", "health_checks")
_NAMED: dict[str, Callable[[Any], str]] = {
    _FACTORIES: lambda factory: factory.transport,
    "rpc_services": lambda service: service.name,
}


def _names(hook: str, offers: Iterable[Offer[Any]]) -> list[str]:
    name_of = _NAMED.get(hook)
    return [name_of(offer.value) for offer in offers] if name_of else []


async def _answer(
    implementation: Implementation, arguments: Mapping[str, object], limit_s: float
) -> Any:
    answer = implementation.call(arguments)
    if inspect.isawaitable(answer):
        with on_behalf_of(implementation.plugin, implementation.hook):
            async with asyncio.timeout(limit_s):
                return await answer
    return answer


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took longer than its time limit"
    return f"{type(error).__name__}: {error}"


def _discard(answer: object) -> None:
    """Close a coroutine that nobody will await."""
    close = getattr(answer, "close", None)
    if close is not None:
        close()


def _twice(second: Implementation, first: PluginRecord, what: str) -> PluginError:
    return PluginError(
        second.plugin,
        f"{second.record.label} and {first.label}",
        f"{second.plugin!r} and {first.name!r} both offer {what}",
        "disable one of them",
    )


def _two_offers(second: PluginRecord, first: PluginRecord, claim: tuple[str, str]) -> PluginError:
    what = "transport" if claim[0] == _FACTORIES else "RPC service"
    return PluginError(
        second.name,
        f"{second.label} and {first.label}",
        f"{second.name!r} and {first.name!r} both offer the {what} {claim[1]!r}",
        "disable one of them",
    )
