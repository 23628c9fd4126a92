"""One peer's transport: ICE-lite, DTLS, SRTP keys and SCTP on the shared port.

    new ──set_remote──▶ connecting ──DTLS done──▶ connected ◀──check──▶ disconnected
                            │                         │                     │
                            └───────────── failed / closed ◀────────────────┘

The packets themselves stay in the engine (`engine_peer` is the handle for its tables); this class
brings the peer there and carries what Python handles: RTCP and data channels. Everything happens
on the event loop's thread. A peer that misbehaves, or an observer that raises, ends this transport
only: `on_failed` is called once, nothing is called after it.

Roles (RFC 8842): to an offer (`actpass` or `active`) we are passive; to an answer of our own
`actpass` offer we follow what it says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from aiortc import RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint

from roomful.errors import RemoteProtocolError, RoomfulError, TransportError
from roomful.token_bucket import TokenBucket
from roomful_rtc import ice_lite
from roomful_rtc.candidate import Candidate
from roomful_rtc.certificate import parse_fingerprint
from roomful_rtc.dtls import PeerDtls
from roomful_rtc.engine import Address
from roomful_rtc.ice_lite import IceEvent, IceLiteAgent
from roomful_rtc.mux import Mux
from roomful_rtc.restart_hold import RestartHold
from roomful_rtc.sctp import GuardedSctpTransport
from roomful_rtc.wire import Wire

log = logging.getLogger(__name__)

ICE_DEADLINE_S = 15.0
DTLS_DEADLINE_S = 15.0
TOTAL_DEADLINE_S = 60.0
"""From the first `set_remote` to `on_connected` at the latest."""
CHECKS_PER_S, CHECKS_BURST = 50, 100
RTCP_PER_S, RTCP_BURST = 500, 100

ACCEPTED_LABELS = frozenset({"_reliable", "_lossy", "_data_track"})
"""Labels of data channels a peer may open; others are closed again."""


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A data channel that we open (`a=setup` roles do not matter for that)."""

    label: str
    ordered: bool = True
    max_retransmits: int | None = None


class TransportObserver(Protocol):
    """What a transport tells its owner: plain calls on the loop, never re-entrant into `close`.

    An exception raised here ends the transport (`on_failed`).
    """

    def on_connected(self) -> None:
        """DTLS is done and the engine has the keys: RTP flows."""
        ...

    def on_disconnected(self) -> None:
        """No check came for 10 s; the peer may come back."""
        ...

    def on_reconnected(self) -> None:
        """A check came after all."""
        ...

    def on_failed(self, reason: str) -> None:
        """The end, not asked for; everything is freed already. Called at most once."""
        ...

    def on_channel_open(self, label: str) -> None:
        """`send_message(label, …)` works from now on."""
        ...

    def on_message(self, label: str, data: bytes) -> None:
        """One whole message; text messages come as their UTF-8 bytes."""
        ...

    def on_rtcp(self, packet: bytes) -> None:
        """One decrypted compound packet (RFC 3550 6.1), authenticated but not parsed."""
        ...


class Transport:
    """ICE-lite + DTLS + SCTP of one peer.

    Made and used inside a running event loop. The local description (`ufrag`, `pwd`,
    `fingerprint`, `candidates`) is there at once, so an answer or an offer can be written.
    """

    def __init__(
        self,
        mux: Mux,
        observer: TransportObserver,
        *,
        channels: tuple[ChannelSpec, ...] = (),
        labels: frozenset[str] = ACCEPTED_LABELS,
    ) -> None:
        """Register with the mux. `channels`: opened by us; `labels`: the peer may open these."""
        self._mux, self._observer, self._channels = mux, observer, channels
        self.agent = IceLiteAgent(mux.addresses)
        self.bucket = TokenBucket(CHECKS_PER_S, CHECKS_BURST)
        self._rtcp_bucket = TokenBucket(RTCP_PER_S, RTCP_BURST)
        self._wire = Wire(self._write, mux.drops)
        self._dtls = PeerDtls(self._wire, mux.certificate, mux.handshakes, mux.clock)
        self._sctp = GuardedSctpTransport(self._dtls, self, mux.clock, labels, mux.drops)
        self._state = "new"
        self._engine_peer = 0
        self._stream: Address | None = None
        self._role = ""
        self._fingerprint: RTCDtlsFingerprint | None = None
        self._remote: tuple[str, str] | None = None
        self._restarting = False
        self._hold = RestartHold(mux.engine)
        self._began_at = self._ice_at = float("inf")
        self._handshake: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        mux.add_route(self)

    # -- the local description ---------------------------------------------------------------

    @property
    def ufrag(self) -> str:
        """`a=ice-ufrag` of our description, 8 characters."""
        return self.agent.credentials.ufrag

    @property
    def pwd(self) -> str:
        """`a=ice-pwd` of our description, 24 characters."""
        return self.agent.credentials.pwd

    @property
    def fingerprint(self) -> str:
        """`sha-256 AA:BB:…`, the value of `a=fingerprint`."""
        return self._mux.certificate.fingerprint

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Host candidates, UDP first; `str(candidate)` is the `candidate:…` string."""
        return self._mux.candidates

    @property
    def setup(self) -> str:
        """`a=setup` of our next ANSWER: `passive`, or `active` if the peer insists on passive.

        Our offers always say `actpass`.
        """
        return "active" if self._role == "client" else "passive"

    @property
    def engine_peer(self) -> int:
        """Handle in the engine's tables; 0 until ICE has validated an address and after the end."""
        return self._engine_peer

    @property
    def state(self) -> str:
        """One of new, connecting, connected, disconnected, failed, closed."""
        return self._state

    @property
    def _over(self) -> bool:
        return self._state in ("failed", "closed")

    # -- the remote description --------------------------------------------------------------

    def set_remote(self, setup: str, ufrag: str, pwd: str, fingerprint: str) -> None:
        """Take the peer's description: the first one starts the transport.

        A later one with another ufrag or pwd is an ICE restart: unless we asked for it by
        `restart_ice`, new local credentials are made and can be read right afterwards. DTLS and
        keys stay; setup and fingerprint must not change.

        Args:
            setup: `a=setup`: actpass, active or passive.
            ufrag: `a=ice-ufrag`, 4–256 characters.
            pwd: `a=ice-pwd`, 22–256 characters.
            fingerprint: value of `a=fingerprint`: `sha-256 AA:BB:…`, SHA-256 or stronger.

        Raises:
            RemoteProtocolError: a value is malformed or changed when it must not.
        """
        if self._over:
            return
        expected = parse_fingerprint(fingerprint)
        if not 4 <= len(ufrag) <= 256 or not 22 <= len(pwd) <= 256:
            raise RemoteProtocolError("ice-ufrag or ice-pwd has a bad length")
        role = self._role_for(setup)
        if self._fingerprint is None:
            self._begin(role, expected)
        elif expected != self._fingerprint:
            raise RemoteProtocolError("the fingerprint changed within a transport")
        if self._remote not in (None, (ufrag, pwd)):
            if not self._restarting:
                self._restart()
            elif self._engine_peer and self._stream is None:
                self._hold.begin(self._engine_peer)
        self._restarting = False
        self._remote = (ufrag, pwd)

    def _role_for(self, setup: str) -> str:
        if setup not in ("actpass", "active", "passive"):
            raise RemoteProtocolError(f"setup {setup[:16]!r} is not possible")
        role = "client" if setup == "passive" else "server"
        if self._role and setup != "actpass" and role != self._role:
            raise RemoteProtocolError("setup changed within a transport")
        return self._role or role

    def _begin(self, role: str, fingerprint: RTCDtlsFingerprint) -> None:
        self._role, self._fingerprint = role, fingerprint
        self._state = "connecting"
        self._began_at = self._mux.clock.monotonic()
        self._start_dtls()

    def restart_ice(self) -> None:
        """Make new local credentials for an offer of ours; the answer must bring new ones too."""
        if not self._over:
            self._restarting = True
            self._restart()

    def _restart(self) -> None:
        self.on_ice(self.agent.restart())
        self._mux.add_ufrags(self)

    # -- called by the mux -------------------------------------------------------------------

    def on_ice(self, events: Sequence[IceEvent]) -> None:
        """Follow the agent into the engine's tables."""
        try:
            for event in events:
                if not self._over:
                    self._follow(event)
        except (RoomfulError, LookupError, ValueError) as error:
            self._fail(f"engine: {error}")

    def _follow(self, event: IceEvent) -> None:
        match event:
            case ice_lite.Validated(addr):
                self._validate(addr)
            case ice_lite.Selected(addr):
                self._select(addr)
            case ice_lite.Dropped(addr):
                self._drop(addr)
            case ice_lite.Retired(ufrag):
                self._mux.drop_ufrag(ufrag)
                self._hold.end_soon()
            case ice_lite.Disconnected():
                self._change("connected", "disconnected", self._observer.on_disconnected)
            case ice_lite.Reconnected():
                self._change("disconnected", "connected", self._observer.on_reconnected)
            case ice_lite.Failed():
                self._fail("ice: no check for 15 s")

    def _validate(self, addr: Address) -> None:
        if self._engine_peer:
            self._mux.engine.allow(self._engine_peer, addr)
            return
        self._engine_peer = self._mux.engine.add_peer(addr)
        self._mux.add_peer(self._engine_peer, self)
        self._ice_at = self._mux.clock.monotonic()

    def _select(self, addr: Address) -> None:
        self._mux.engine.move_peer(self._engine_peer, addr)
        stream = self._mux.stream(addr)
        if stream is not None:
            self._hold.end()
            self._mux.engine.set_tcp(self._engine_peer, stream.write)
        elif self._stream is not None:
            self._mux.engine.set_tcp(self._engine_peer, None)
        self._stream = addr if stream is not None else None
        self._start_dtls()

    def _drop(self, addr: Address) -> None:
        if addr == self._stream:
            self._stream = None
            self._mux.engine.set_tcp(self._engine_peer, None)
        self._mux.engine.disallow(self._engine_peer, addr)
        stream = self._mux.stream(addr)
        if stream is not None:
            stream.close()

    def on_dtls(self, data: bytes) -> None:
        """Take a datagram from one of the peer's addresses in."""
        self._wire.feed(data)

    def on_srtcp(self, data: bytes) -> None:
        """Take a protected RTCP packet from one of the peer's addresses in."""
        if not self._rtcp_bucket.take(self._mux.clock.monotonic()):
            self._mux.drops["rtcp_rate"] += 1
            return
        packet = self._dtls.unprotect_rtcp(data)
        if packet is None:
            self._mux.drops["rtcp_authentication"] += 1
        else:
            self._tell(self._observer.on_rtcp, packet)

    def tick(self, now: float, stalled_at: float) -> None:
        """Let time pass, about twice a second."""
        if self._over:
            return
        self.on_ice(self.agent.poll(now, stalled_at=stalled_at))
        if self._state == "connecting":
            self._check_deadlines(now)
        self._sctp.tick(now)

    def _check_deadlines(self, now: float) -> None:
        waited = now - self._began_at
        if not self._engine_peer:
            if waited > ICE_DEADLINE_S:
                self._fail(f"ice: no check within {ICE_DEADLINE_S:.0f} s")
        elif now - max(self._ice_at, self._began_at) > DTLS_DEADLINE_S:
            self._fail(f"dtls: not connected within {DTLS_DEADLINE_S:.0f} s")
        elif waited > TOTAL_DEADLINE_S:
            self._fail(f"not connected within {TOTAL_DEADLINE_S:.0f} s")

    # -- DTLS --------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if self._engine_peer:
            with suppress(LookupError):  # the engine was closed first
                self._mux.engine.send(self._engine_peer, data)

    def _start_dtls(self) -> None:
        """Begin as soon as both the remote description and a valid address are known."""
        ready = self._engine_peer and self._fingerprint is not None
        if ready and self._handshake is None:
            self._handshake = self._mux.spawn(self._run_handshake())

    async def _run_handshake(self) -> None:
        assert self._fingerprint is not None
        try:
            keys = await self._dtls.handshake(self._role, self._fingerprint)
            self._dtls.on("statechange", self._on_dtls_state)
            self._mux.engine.set_keys(self._engine_peer, keys.profile, keys.rx, keys.tx)
            self._state = "connected"
            await self._sctp.open(
                tuple(
                    RTCDataChannelParameters(
                        label=spec.label, ordered=spec.ordered, maxRetransmits=spec.max_retransmits
                    )
                    for spec in self._channels
                )
            )
        except TransportError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - a peer's failure is contained here
            self._fail(f"dtls: {type(error).__name__}")
        else:
            self._tell(self._observer.on_connected)

    def _on_dtls_state(self) -> None:
        if self._dtls.state in ("closed", "failed"):
            self._fail("dtls: closed by the peer")

    # -- data and RTCP -----------------------------------------------------------------------

    def send_message(self, label: str, data: bytes) -> bool:
        """Queue one binary message; False when there is no such open channel or it was dropped.

        1 MiB may wait per peer: beyond, messages of a lossy channel are dropped; a reliable one
        that waits more than 10 s ends the transport.
        """
        return self._sctp.send(label, data)

    def hold_data(self, holds: Callable[[], bool]) -> None:
        """Take no messages while `holds()`: what is reliable comes again, the rest is lost."""
        self._sctp.holds_data = holds

    def send_rtcp(self, packet: bytes) -> bool:
        """Protect and send one compound packet; False before `on_connected` or after the end."""
        if self._over:
            return False
        protected = self._dtls.protect_rtcp(packet)
        return protected is not None and self._mux.engine.send(self._engine_peer, protected)

    def on_channel_open(self, label: str) -> None:
        """Called by the association."""
        self._tell(self._observer.on_channel_open, label)

    def on_message(self, label: str, data: bytes) -> None:
        """Called by the association."""
        self._tell(self._observer.on_message, label, data)

    def on_sctp_end(self, reason: str) -> None:
        """Called by the association when the peer must go."""
        self._fail(reason)

    # -- the end -----------------------------------------------------------------------------

    def _change(self, before: str, after: str, tell: Callable[[], None]) -> None:
        if self._state == before:
            self._state = after
            self._tell(tell)

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        if self._over:
            return
        try:
            call(*args)
        except Exception:  # the observer's failure ends its own peer only
            log.exception("a transport's observer failed")
            self._fail("internal: the observer failed")

    def _fail(self, reason: str) -> None:
        if self._over:
            return
        self._state = "failed"
        log.info("a peer ended", extra={"reason": reason})
        self._end()
        try:
            self._observer.on_failed(reason)
        except Exception:  # nothing is left to end
            log.exception("a transport's observer failed")

    def _end(self) -> None:
        """Say goodbye and leave every table; the tasks end a little later."""
        self._sctp.close()
        tasks = self._dtls.close()
        if self._handshake is not None and self._handshake is not asyncio.current_task():
            self._handshake.cancel()
            tasks.append(self._handshake)
        peer, self._engine_peer = self._engine_peer, 0
        self._hold.drop()
        self._mux.remove_route(self, peer)
        if peer:
            with suppress(LookupError):  # the engine was closed first
                self._mux.engine.remove_peer(peer)
        self._ending = self._mux.spawn(_ended(tasks))

    async def close(self, reason: str = "") -> None:
        """Say goodbye, free everything. Idempotent; returns when no task is left."""
        if not self._over:
            self._state = "closed"
            log.debug("a transport is closed", extra={"reason": reason})
            self._end()
        if self._ending is not None:
            await asyncio.shield(self._ending)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for cancelled tasks; what they raised was contained where it happened."""
    for task in tasks:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
