"""One port for every peer: reads the engine, answers STUN, hands DTLS and RTCP to transports.

What the engine hands up is routed by local ufrag (STUN) or by peer (DTLS, RTCP); everything else
was dropped inside it. Nothing unauthenticated is answered. Cost of a flood: a request with an
unknown ufrag is a dictionary look-up and two token buckets; a known one is charged to its own
peer's bucket, because many peers may share one address.

Addresses of ICE-TCP connections carry the prefix `tcp:` before the host, so that they never equal
a UDP address: `("tcp:192.0.2.7", 50000)`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from roomful.clock import Clock, SystemClock
from roomful.token_bucket import BucketTable, TokenBucket
from roomful_rtc import stun
from roomful_rtc.candidate import Candidate
from roomful_rtc.certificate import LocalCertificate
from roomful_rtc.engine import Address, Datagram, Engine, EngineEvent
from roomful_rtc.handshake_gate import HANDSHAKES_AT_ONCE, HandshakeGate
from roomful_rtc.ice_lite import AddressTable, IceEvent, IceLiteAgent

log = logging.getLogger(__name__)

TICK_S = 0.5
STALL_S = 0.5
"""A tick that is late by this much counts as a stall of the loop."""
TURN_SLACK_S = 0.001
"""The engine may be called so much later than it asked for."""
TCP_PREFIX = "tcp:"


@dataclass(frozen=True, slots=True)
class MuxLimits:
    """Bounds of what strangers may cost."""

    source_rate: float = 50
    source_burst: float = 100
    sources: int = 4096
    port_rate: float = 5000
    port_burst: float = 5000
    handshakes: int = HANDSHAKES_AT_ONCE


class Route(Protocol):
    """What the mux needs of a transport. Calls must not raise."""

    agent: IceLiteAgent
    bucket: TokenBucket

    def on_ice(self, events: Sequence[IceEvent]) -> None: ...
    def on_dtls(self, data: bytes) -> None: ...
    def on_srtcp(self, data: bytes) -> None: ...
    def tick(self, now: float, stalled_at: float) -> None: ...


class Stream(Protocol):
    """An ICE-TCP connection."""

    def write(self, data: bytes) -> None:
        """Send one packet, or close when too much waits."""
        ...

    def close(self) -> None: ...


class Mux:
    """Made inside a running loop; `start` begins to read, `close` stops. The engine is not owned.

    Args:
        engine: owns the sockets.
        candidates: host candidates for descriptions, the preferred ones first.
        certificate: of this process; made here if not given.
        on_event: gets the engine's events.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        candidates: tuple[Candidate, ...] = (),
        certificate: LocalCertificate | None = None,
        clock: Clock | None = None,
        limits: MuxLimits | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> None:
        limits = limits or MuxLimits()
        self.engine = engine
        self.candidates = candidates
        self.certificate = certificate or LocalCertificate.generateCertificate()
        self.clock = clock or SystemClock()
        self.handshakes = HandshakeGate(limits.handshakes)
        self.addresses = AddressTable()
        self.drops: Counter[str] = Counter()
        """datagrams dropped here, by reason"""
        self._limits, self._on_event = limits, on_event
        self._loop = asyncio.get_running_loop()
        self._by_ufrag: dict[str, Route] = {}
        self._by_peer: dict[int, Route] = {}
        self._routes: dict[IceLiteAgent, Route] = {}
        self._streams: dict[Address, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sources = BucketTable(limits.source_rate, limits.source_burst, limits.sources)
        self._port = TokenBucket(limits.port_rate, limits.port_burst)
        self._turn: asyncio.TimerHandle | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._ticked_at = self._stalled_at = float("-inf")
        self._reading = -1

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the engine from now on."""
        self._reading = self.engine.fileno()
        self._loop.add_reader(self._reading, self._read)
        self._ticked_at = self.clock.monotonic()
        self._ticker = self._loop.call_later(TICK_S, self._tick)
        self.rearm()

    def close(self) -> None:
        """Stop reading. Close the transports before and the engine after."""
        if self._reading >= 0:
            self._loop.remove_reader(self._reading)
            self._reading = -1
        for timer in (self._turn, self._ticker):
            if timer is not None:
                timer.cancel()
        self._turn = self._ticker = None

    def __len__(self) -> int:
        return len(self._routes)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a transport's work in a task that is referenced until it is done."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- routes ------------------------------------------------------------------------------

    def add_route(self, route: Route) -> None:
        """Answer checks of this transport's agent from now on."""
        self._routes[route.agent] = route
        self.add_ufrags(route)

    def add_ufrags(self, route: Route) -> None:
        """Enter the agent's ufrags, after a restart."""
        for ufrag in route.agent.ufrags:
            self._by_ufrag[ufrag] = route

    def drop_ufrag(self, ufrag: str) -> None:
        """Forget one that was retired."""
        self._by_ufrag.pop(ufrag, None)

    def add_peer(self, peer: int, route: Route) -> None:
        """Hand this engine peer's DTLS and RTCP to the route."""
        self._by_peer[peer] = route

    def remove_route(self, route: Route, peer: int) -> None:
        """Forget a transport and what belongs to it."""
        for ufrag in route.agent.ufrags:
            self._by_ufrag.pop(ufrag, None)
        streams = [self._streams[addr] for addr in route.agent.addresses if addr in self._streams]
        route.agent.close()
        self._routes.pop(route.agent, None)
        self._by_peer.pop(peer, None)
        for stream in streams:
            stream.close()

    # -- ICE-TCP -----------------------------------------------------------------------------

    def stream(self, addr: Address) -> Stream | None:
        """Return the TCP connection of this address, None for a UDP address."""
        return self._streams.get(addr)

    def add_stream(self, addr: Address, stream: Stream) -> None:
        """Enter a TCP connection under its prefixed address."""
        self._streams[addr] = stream

    def remove_stream(self, addr: Address, stream: Stream) -> None:
        """Forget a TCP connection; its peer keeps its other addresses."""
        if self._streams.get(addr) is not stream:
            return
        del self._streams[addr]
        holder = self.addresses.owner(addr)
        if holder is not None:
            self._routes[holder].on_ice(holder.lose(addr))

    def receive(self, addr: Address, data: bytes) -> bool:
        """Take in a datagram of a TCP connection; True if it was a check that was answered."""
        if not data:
            self._drop("empty")
            return False
        if data[0] < 4:
            return self._on_stun(data, addr, self.clock.monotonic())
        self.engine.receive(addr, data, int(self.clock.monotonic() * 1e6))
        self.rearm()
        return False

    # -- reading -----------------------------------------------------------------------------

    def _read(self) -> None:
        """One batch; what is left keeps the descriptor readable, so that others get their turn."""
        datagrams, events = self.engine.take()
        now = self.clock.monotonic()
        for datagram in datagrams:
            self._route(datagram, now)
        if self._on_event is not None:
            for event in events:
                self._tell(event)
        self.rearm()

    def rearm(self) -> None:
        """Ask the engine when it wants to be called next; call it after changing its tables."""
        delay = self.engine.next_turn() if self._reading >= 0 else None
        if delay is None:
            self._disarm()
            return
        due = self._loop.time() + max(delay, 0.0)
        if self._turn is not None:
            # it comes with every batch of packets: a timer that is early enough stays
            if self._turn.when() < due + TURN_SLACK_S:
                return
            self._turn.cancel()
        self._turn = self._loop.call_at(due, self._on_turn)

    def _disarm(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _on_turn(self) -> None:
        self._turn = None
        self._read()

    def _tell(self, event: EngineEvent) -> None:
        assert self._on_event is not None
        try:
            self._on_event(event)
        except Exception:  # the others' packets in this batch must not suffer
            log.exception("an engine event was not handled")

    def _route(self, datagram: Datagram, now: float) -> None:
        data = datagram.data
        if not data:
            self._drop("empty")
        elif data[0] < 4:
            self._on_stun(data, datagram.addr, now)
        elif (route := self._by_peer.get(datagram.peer)) is None:
            self._drop("no_peer")
        elif 19 < data[0] < 64:
            route.on_dtls(data)
        elif 127 < data[0] < 192 and len(data) > 1 and 191 < data[1] < 224:
            route.on_srtcp(data)
        else:
            self._drop("unknown_kind")

    def _drop(self, reason: str) -> bool:
        self.drops[reason] += 1
        return False

    # -- STUN --------------------------------------------------------------------------------

    def _on_stun(self, data: bytes, addr: Address, now: float) -> bool:
        """Answer a proved check and tell its transport; everything else meets silence."""
        if not self._may_answer(addr):
            return self._drop("stun_address")
        route = self._by_ufrag.get(stun.peek_ufrag(data) or "")
        if route is None:
            if not (self._sources.take(addr[0], now) and self._port.take(now)):
                return self._drop("stun_flood")
        elif not route.bucket.take(now):
            return self._drop("stun_flood_peer")
        try:
            request = stun.parse_request(data)
        except stun.StunError:
            return self._drop("stun_malformed")
        route = route or self._by_ufrag.get(request.local_ufrag)
        pwd = route.agent.password(request.local_ufrag) if route else None
        if route is None or pwd is None:
            return self._drop("stun_unknown_ufrag")
        if not stun.verify(request, pwd):
            return self._drop("stun_integrity")
        return self._answer(route, request, pwd, addr, now)

    def _answer(
        self, route: Route, request: stun.BindingRequest, pwd: str, addr: Address, now: float
    ) -> bool:
        if request.unknown:
            self.send(addr, stun.unknown_attribute(request, pwd))
            return False
        if request.controlled:
            self.send(addr, stun.role_conflict(request, pwd))
            return False
        agent = route.agent
        if not agent.may_check(addr, now):
            return self._drop("stun_address_owned")
        former = self.addresses.owner(addr)
        if former is not None and former is not agent:
            self._routes[former].on_ice(former.lose(addr))
        shown = (addr[0].removeprefix(TCP_PREFIX), addr[1])
        answer = stun.success(request, shown, pwd)
        route.on_ice(
            agent.check(request.local_ufrag, addr, use_candidate=request.use_candidate, now=now)
        )
        return self.send(addr, answer)

    def _may_answer(self, addr: Address) -> bool:
        host, port = addr
        host = host.removeprefix(TCP_PREFIX)
        if not port:
            return False
        if ":" in host:
            return not host.lower().startswith("ff")
        return 0 < int(host.partition(".")[0]) < 224

    def send(self, addr: Address, data: bytes) -> bool:
        """Send to an address, over its TCP connection if it has one."""
        stream = self._streams.get(addr)
        if stream is not None:
            stream.write(data)
            return True
        return self.engine.send(addr, data)

    # -- time --------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.clock.monotonic()
        if now - self._ticked_at > TICK_S + STALL_S:
            self._stalled_at = now
        self._ticked_at = now
        for route in tuple(self._routes.values()):
            route.tick(now, self._stalled_at)
        self._ticker = self._loop.call_later(TICK_S, self._tick)
        self.rearm()
