"""The server: puts the parts together, starts them in order, stops them in reverse.

    async with RoomServer(settings) as server:
        ...                     # every listener is up, `server.url` says where

Several may live in one process. Start: data directory → plugins → state → offers → startup hooks →
media plane → HTTP → services. Whatever was started is stopped, also when a later step fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import ip_address, ip_network

from roomful.api.app import create_app, create_runner
from roomful.api.listener import listen
from roomful.auth.claims import ClaimRules
from roomful.auth.grants import Grants
from roomful.auth.token import Tokens
from roomful.bus import MemoryBus
from roomful.clock import Clock, SystemClock
from roomful.data_dir import DataDir
from roomful.errors import ConfigError, PermissionDenied, Unimplemented
from roomful.eventlog import EventLog, EventRecord
from roomful.ids import NODE, new_sid
from roomful.limits import Limits
from roomful.model.enums import DisconnectReason
from roomful.model.events import RoomOptions
from roomful.model.media import MediaPlane
from roomful.outbound import Outbound, TargetPolicy
from roomful.plugin.manager import Offers, PluginManager
from roomful.room.connection import Connection
from roomful.room.door import Door
from roomful.room.factories import Factories, JoinRequest
from roomful.room.manager import RoomManager
from roomful.settings import Settings
from roomful.store import open_store
from roomful.supervisor import Supervisor

log = logging.getLogger(__name__)

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class RoomServer:
    """One server; what hooks get as `server`."""

    def __init__(
        self,
        settings: Settings,
        *,
        plugins: PluginManager | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`plugins`: loaded already (tests); None loads what the settings select at the start."""
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.node_id = settings.node_id or new_sid(NODE)
        self.factories = Factories()
        self.media: MediaPlane | None = None
        self.url = ""
        self._given_plugins = plugins
        self._stack = contextlib.AsyncExitStack()

    # --- what hooks use ----------------------------------------------------------------------

    async def join(self, request: JoinRequest) -> Connection:
        """Let a participant in: the only road, for every kind. Raises `RequestError`s."""
        return await self._door.join(request)

    async def check_join(self, request: JoinRequest) -> None:
        """Raise what `join` would refuse with, as far as that is known before."""
        await self._door.check(request)

    # --- life --------------------------------------------------------------------------------

    async def __aenter__(self) -> RoomServer:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._drain()
        await self._stack.aclose()

    async def serve_forever(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    async def _start(self) -> None:
        data_dir = DataDir(self.settings.data_dir)
        data_dir.open()
        self._stack.callback(data_dir.close)
        self.plugins = self._given_plugins or PluginManager.load(self.settings)
        await self._open_state()
        offers = self._take_offers()
        await self.plugins.startup(self)
        self._on_stop(lambda: self.plugins.shutdown(self))
        # what is still to be written is told before the plugins' queues drain
        self._on_stop(self.events.stop)
        if self.media is not None:
            await self.media.start()
            self._on_stop(self.media.stop)
        await self._open_http(offers)
        supervisor = Supervisor(self.plugins)
        self._on_stop(supervisor.stop)
        await supervisor.start(offers.services)
        self._keep_running("rooms/status", self.rooms.run_status())
        self._keep_running("limits", self.limits.run())

    async def _open_state(self) -> None:
        """Open what outlives the process, and settle what a killed one left behind."""
        settings = self.settings
        self.store = self.plugins.store(self) or open_store(settings.data_dir)
        self._on_stop(self.store.close)
        self.events = EventLog(self.store, self.clock, self._tell_plugins)
        self._on_stop(self.events.stop)
        await self.events.start()
        self.bus = self.plugins.message_bus(self) or MemoryBus()
        self.limits = Limits(settings.limits.max_cpu, self.clock)
        self.outbound = Outbound(TargetPolicy(allow_private=_LOOPBACK if settings.is_dev else ()))
        self._on_stop(self.outbound.close)
        keys = {key: secret.get_secret_value() for key, secret in settings.keys.items()}
        rules = ClaimRules(room_defaults=room_defaults(settings))
        self.tokens = Tokens(keys, self.plugins.find_api_secret, self.clock, rules)
        self.rooms = RoomManager(
            self.clock,
            room_defaults(settings),
            self.events.submit,
            self._prepare_room,
            settings.limits.max_rooms,
        )
        self._door = Door(
            self.rooms,
            self.factories,
            self.clock,
            self._check_join,
            auto_create=settings.room.auto_create,
            max_participants=settings.limits.max_participants,
        )

    def _tell_plugins(self, record: EventRecord) -> None:
        self.plugins.publish(record.event)

    def _take_offers(self) -> Offers:
        self.media = self.plugins.media_plane(self)
        offers = self.plugins.build(self)
        for offer in offers.participant_factories:
            self.factories.register(offer.value, offer.plugin)
        return offers

    async def _open_http(self, offers: Offers) -> None:
        runner = create_runner(create_app(self, offers))
        await runner.setup()
        self._on_stop(runner.cleanup)
        tls = tls_context(self.settings)
        port = self.settings.port
        for address in self.settings.bind:
            try:
                port = await listen(runner, address, port, tls)
            except OSError as error:
                raise ConfigError(
                    f"setting 'port': {port} on {address} cannot be opened: {error.strerror}; "
                    "stop the program that has it, or choose another with --port"
                ) from error
        self.url = f"{'wss' if tls else 'ws'}://{_reachable(self.settings.bind[0])}:{port}"

    def _keep_running(self, name: str, loop: Coroutine[object, object, None]) -> None:
        self._stack.callback(asyncio.create_task(loop, name=name).cancel)

    def _on_stop(self, stop: Callable[[], Awaitable[object]]) -> None:
        self._stack.push_async_callback(stop)

    async def _drain(self) -> None:
        """Stop taking anybody in, tell everybody to go elsewhere, within the time the settings give."""
        try:
            async with asyncio.timeout(self.settings.drain_timeout_s or None):
                await self.rooms.close(DisconnectReason.SERVER_SHUTDOWN)
        except TimeoutError:
            log.warning("rooms did not close in time")

    # --- deciding ----------------------------------------------------------------------------

    async def _check_join(self, request: JoinRequest) -> None:
        denied = await self.plugins.check_join(
            request.room, request.grants, request.grants.kind
        )
        if denied is not None:
            raise PermissionDenied(denied.reason)

    async def _prepare_room(
        self, name: str, options: RoomOptions, grants: Grants | None
    ) -> RoomOptions:
        if grants is not None:
            options = await self.plugins.choose_room_options(name, grants) or options
        self._refuse_orphans(options)
        await self.plugins.prepare_room(self, name, options)
        return options

    def _refuse_orphans(self, options: RoomOptions) -> None:
        """Refuse options that belong to a plugin that is not there."""
        there = {record.name for record in self.plugins.active()}
        for asked, plugin in ((options.agents, "agents"), (options.egress, "egress")):
            if asked and plugin not in there:
                raise Unimplemented(
                    f"room options ask for {plugin}: install roomful[{plugin}] and enable it"
                )


def _reachable(bound: str) -> str:
    """An address at which this machine itself reaches a listener bound to `bound`."""
    address = ip_address(bound) if bound != "localhost" else ip_address("127.0.0.1")
    if address.is_unspecified:
        address = ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]" if address.version == 6 else str(address)


def room_defaults(settings: Settings) -> RoomOptions:
    """The options of a room that asks for nothing."""
    room = settings.room
    return RoomOptions(
        empty_timeout_s=room.empty_timeout_s,
        departure_timeout_s=room.departure_timeout_s,
        max_participants=room.max_participants,
    )


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS for the HTTP port, or None. Raises `ConfigError`."""
    certificate, key = settings.tls.certificate, settings.tls.key
    if certificate is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"settings 'tls.certificate' and 'tls.key' cannot be used: {error}; give a PEM "
            "certificate chain and its key"
        ) from error
    return context


Server = RoomServer
"""The name that hooks are written against."""
