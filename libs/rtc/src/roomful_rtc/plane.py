"""The media plane of one server: engine, mux, peers, and the one timer that drives them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from roomful.clock import Clock
from roomful.errors import ConfigError, MediaError, ResourceExhausted
from roomful.model.media import LIVE, MediaPlane, QueuePolicy, TrackSink, Want
from roomful.model.track import Publication, VideoLayer
from roomful_rtc.candidate import host_candidates
from roomful_rtc.dtls import LocalCertificate
from roomful_rtc.engine import Engine, EngineEvent
from roomful_rtc.ice_servers import IceServer, IceServerSpec
from roomful_rtc.ice_tcp import TcpListener
from roomful_rtc.local_sink import LocalSink
from roomful_rtc.local_source import LocalSource
from roomful_rtc.media_source import Source
from roomful_rtc.mux import Mux
from roomful_rtc.peer import PeerObserver, WirePeer
from roomful_rtc.py_engine import PyEngine
from roomful_rtc.sockets import advertised, bind_udp
from roomful_rtc.switchboard import Switchboard
from roomful_rtc.transport import ChannelSpec, Transport

if TYPE_CHECKING:
    from roomful.model.subscription import Subscription

log = logging.getLogger(__name__)

ENGINES = ("auto", "native", "python")


@dataclass(frozen=True, slots=True)
class PlaneConfig:
    """Where the plane listens and what it tells peers."""

    bind: tuple[str, ...] = ("127.0.0.1",)
    """addresses to bind, IPv4 or IPv6"""
    udp_port: int = 7882
    """0: any free one"""
    tcp_port: int | None = 7881
    """ICE over TCP; 0: any free one; None: off"""
    node_ips: tuple[str, ...] = ()
    """advertised instead of the bound addresses of their families"""
    loopback_only: bool = False
    """only loopback addresses are told to clients; what is bound to them the kernel keeps to this
    machine, though a peer here may send from any of its addresses"""
    engine: str = "auto"
    """auto, native or python"""
    replay_protection: bool = True
    ice_servers: tuple[IceServerSpec, ...] = ()


class Plane:
    """One UDP port, one engine, one certificate for every transport of a server.

    Answers to `roomful.model.media.MediaPlane`.
    """

    def __init__(self, config: PlaneConfig, clock: Clock) -> None:
        """Check the settings; nothing is opened yet.

        Raises:
            ConfigError: one line that names the setting: bad address, no such engine.
        """
        _check(config)
        self._config = config
        self._clock = clock
        self._certificate = LocalCertificate.generateCertificate()
        self._mux: Mux | None = None
        self._board: Switchboard | None = None
        self._tcp: TcpListener | None = None
        self._udp_port, self._tcp_port = config.udp_port, config.tcp_port
        self._timer: asyncio.TimerHandle | None = None
        self._woken: asyncio.Handle | None = None
        self._endings: set[asyncio.Task[None]] = set()

    # --- what transports see --------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """Raises RuntimeError before `start`."""
        return self._running.engine

    @property
    def mux(self) -> Mux:
        """Raises RuntimeError before `start`."""
        return self._running

    @property
    def fingerprint(self) -> str:
        """`sha-256 AA:BB:…` of the certificate that all peers share."""
        return self._certificate.fingerprint

    @property
    def candidates(self) -> tuple[str, ...]:
        """`candidate:…` strings, UDP first; the same for every peer."""
        return tuple(str(candidate) for candidate in self._running.candidates)

    @property
    def udp_port(self) -> int:
        """The port taken."""
        return self._udp_port

    @property
    def tcp_port(self) -> int | None:
        """The port taken, None when ICE over TCP is off."""
        return self._tcp_port

    @property
    def peers(self) -> tuple[WirePeer, ...]:
        """All that have not ended."""
        return tuple(self._board.all_peers) if self._board else ()

    def ice_servers(self, identity: str) -> tuple[IceServer, ...]:
        """STUN and TURN servers for one participant, with fresh credentials."""
        now_s = self._clock.wall_ms() // 1000
        return tuple(spec.issue(identity, now_s) for spec in self._config.ice_servers)

    def peer(self, observer: PeerObserver, *, channels: Iterable[ChannelSpec] = ()) -> WirePeer:
        """Make a transport on the shared port; `channels` are opened by us once connected.

        Raises:
            RuntimeError: not started, or stopped.
        """
        mux, board = self._running, self._switchboard
        peer = WirePeer(board, observer)
        peer.transport = Transport(mux, peer, channels=tuple(channels))
        return peer

    def source(
        self, publication: Publication, layers: Sequence[VideoLayer] = (), *, fmtp: str = ""
    ) -> LocalSource:
        """Make the local source of a publication, which gets it as its `source`.

        Raises:
            MediaError: a codec that is not forwarded here.
            ValueError: too many layers, or not lowest first.
            ResourceExhausted: the engine's tables are full.
            RuntimeError: not started, or stopped.
        """
        source = LocalSource(self._switchboard, publication.info, layers, fmtp)
        publication.source = source
        return source

    def sink(
        self,
        subscription: Subscription,
        to: TrackSink,
        want: Want | None = None,
        queue: QueuePolicy = LIVE,
    ) -> LocalSink:
        """Let the media of a subscription flow to `to`, which is called directly: no queue.

        Raises:
            MediaError: the publication has no source that can be forwarded.
            ResourceExhausted: the engine's tables are full.
            RuntimeError: not started, or stopped.
        """
        board, source = self._switchboard, subscription.publication.source
        if not isinstance(source, Source):
            raise MediaError(f"track {subscription.track_sid!r} has no source that is forwarded")
        sink = LocalSink(board, source, to)
        sink.set(want or Want.of(subscription.settings))
        try:
            sink.open()
        except ResourceExhausted:
            sink.close()
            raise
        return sink

    # --- life -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the ports.

        Raises:
            ConfigError: one line that names the setting: port taken.
        """
        config = self._config
        sockets = bind_udp([(_host(address), config.udp_port) for address in config.bind])
        self._udp_port = sockets[0].getsockname()[1]
        engine = PyEngine(sockets)
        try:
            await self._join(engine, sockets)
        except BaseException:
            await self.stop()
            engine.close()
            raise
        log.info(
            "media plane is up",
            extra={"udp_port": self._udp_port, "tcp_port": self._tcp_port, "engine": "python"},
        )

    async def _join(self, engine: Engine, sockets: Sequence[socket.socket]) -> None:
        config = self._config
        mux = Mux(
            engine,
            certificate=self._certificate,
            clock=self._clock,
            on_event=self._on_event,
        )
        board = Switchboard(engine, self._clock, wake=self._wake, spawn=self._spawn)
        self._mux, self._board = mux, board
        hosts = advertised(sockets, config.node_ips, loopback_only=config.loopback_only)
        tcp: list[tuple[str, int]] = []
        if config.tcp_port is not None:
            self._tcp = TcpListener(mux)
            bound = await self._tcp.start([(_host(a), config.tcp_port) for a in config.bind])
            self._tcp_port = bound[0][1]
            tcp = [(host, self._tcp_port) for host, _ in hosts]
        mux.candidates = host_candidates(hosts, tcp)
        mux.start()
        self._rearm()

    async def stop(self) -> None:
        """Close all peers, then the ports. Idempotent."""
        mux = self._mux
        if mux is None:
            return
        for local in tuple(self._board.locals) if self._board else ():
            local.fail("the server stops")
        async with asyncio.TaskGroup() as group:
            for peer in self.peers:
                group.create_task(peer.close("the server stops"))
        if self._endings:
            await asyncio.wait(self._endings)
        self._mux = None
        for handle in (self._timer, self._woken):
            if handle is not None:
                handle.cancel()
        self._timer = self._woken = None
        if self._tcp is not None:
            await self._tcp.close()
            self._tcp = None
        mux.close()
        mux.engine.close()
        self._board = None

    def _on_event(self, event: EngineEvent) -> None:
        if self._board is not None:
            self._board.on_event(event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the end of a peer; `stop` waits for it."""
        task = self.mux.spawn(work)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    @property
    def _running(self) -> Mux:
        if self._mux is None:
            raise RuntimeError("the media plane is not running")
        return self._mux

    @property
    def _switchboard(self) -> Switchboard:
        if self._board is None:
            raise RuntimeError("the media plane is not running")
        return self._board

    # --- the timer ------------------------------------------------------------------------

    def _wake(self) -> None:
        """Look at timers and the engine's tables once this turn of the loop is over."""
        if self._woken is None and self._mux is not None:
            self._woken = asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        self._woken = None
        if self._mux is not None:
            self._mux.rearm()
            self._rearm()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._board is None or self._mux is None:
            return
        due = self._board.next_due()
        if due is not None:
            delay = max(0.0, due - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._board is not None:
            self._board.run(self._clock.monotonic())
        self._wake()


if TYPE_CHECKING:
    _answers: type[MediaPlane] = Plane


def _host(address: str) -> str:
    return "127.0.0.1" if address == "localhost" else address


def _check(config: PlaneConfig) -> None:
    """Refuse settings that cannot work."""
    for address in config.bind:
        if not _is_ip(_host(address)):
            raise ConfigError(
                f"setting 'rtc.bind': {address!r} is not an address of this machine; "
                "write an IPv4 or IPv6 address"
            )
    for address in config.node_ips:
        if not _is_advertisable(address):
            raise ConfigError(
                f"setting 'rtc.node_ip': {address!r} is not an address that clients can reach; "
                "write the public IPv4 or IPv6 address of this machine"
            )
    if config.engine not in ENGINES:
        raise ConfigError(
            f"setting 'rtc.engine': {config.engine!r} is none of {', '.join(ENGINES)}"
        )
    _choose_engine(config)
    if not config.replay_protection:
        raise ConfigError(
            "setting 'rtc.replay_protection': the Python engine always refuses replays; remove it"
        )


def _choose_engine(config: PlaneConfig) -> None:
    """Settle on the Python engine: the native one is not part of this version."""
    if config.engine == "native":
        raise ConfigError(
            "setting 'rtc.engine': the native engine is not installed; install roomful[native], "
            "or set 'auto' or 'python'"
        )
    if config.engine == "auto":
        log.info("the Python engine forwards media: roomful-engine is not installed")


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_advertisable(text: str) -> bool:
    if not _is_ip(text):
        return False
    address = ip_address(text)
    return not (address.is_unspecified or address.is_multicast)
