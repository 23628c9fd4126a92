"""`PyEngine`: the tables and the turns. Packets are the work of `Intake` and `Forwarder`."""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count

from roomful.errors import ResourceExhausted
from roomful_rtc import extensions
from roomful_rtc.engine import (
    Address,
    Codec,
    Datagram,
    EngineEvent,
    EngineLimits,
    EngineStats,
    PacketSink,
    Switched,
)
from roomful_rtc.munge import Translation
from roomful_rtc.payload import ALWAYS_KEY, Inspector, Look
from roomful_rtc.payload.inspectors import INSPECTORS
from roomful_rtc.py_engine.clockwork import Clockwork
from roomful_rtc.py_engine.extension_set import ExtensionSet
from roomful_rtc.py_engine.figures import read_stats
from roomful_rtc.py_engine.forwarder import PACKETS_PER_TURN, Forwarder, attach
from roomful_rtc.py_engine.intake import Intake
from roomful_rtc.py_engine.outbox import Outbox
from roomful_rtc.py_engine.resending import resend
from roomful_rtc.py_engine.rows import (
    ALL_LAYERS,
    AUDIO,
    MID_PACKETS,
    Down,
    Peer,
    Repair,
    Unclaimed,
    Up,
    history_length,
    nowhere,
)
from roomful_rtc.py_engine.srtp import Context
from roomful_rtc.py_engine.ways import Ways

DATAGRAMS_PER_TURN = 64
MAX_ADDRESSES = 16
MAX_USED_SSRCS = 65536
FIRST_SEQ_BELOW = 1 << 15
"""A first number below this leaves the receiver time before the first roll-over."""

KINDS = frozenset(extensions.URIS)


def monotonic_us() -> int:
    """Return CLOCK_MONOTONIC in µs."""
    return time.monotonic_ns() // 1000


class PyEngine:
    """Implements `roomful_rtc.engine.Engine` on bound UDP sockets, which it owns.

    `now_us` and `below` (a random int below its argument) can be given for repeatable output.
    """

    features = frozenset({"simulcast", "vp8", "rtx", "twcc"})

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: EngineLimits | None = None,
        *,
        now_us: Callable[[], int] = monotonic_us,
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._limits = limits or EngineLimits()
        self._ways = Ways(sockets)
        self._now_us, self._below = now_us, below
        self._handles = count(1)
        self._peers: dict[int, Peer] = {}
        self._ups: dict[int, Up] = {}
        self._downs: dict[int, Down] = {}
        self._extension_sets: dict[tuple[tuple[str, int], ...], ExtensionSet] = {}
        self._turning = self._woken = self._closed = False
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        for sock in self._ways.sockets:
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._outbox = Outbox(self._limits.handed_up, self._wake)
        self._forwarder = Forwarder(self._outbox, now_us, self._limits.datagram)
        self._intake = Intake(self._outbox, self._forwarder, self._limits)
        self._clockwork = Clockwork(self._outbox, self._intake, self._peers, self._ups, self._downs)

    # --- turns ---

    def fileno(self) -> int:
        """Descriptor that is readable when `take` has something."""
        return self._epoll.fileno()

    def take(self, max_items: int = 512) -> tuple[list[Datagram], list[EngineEvent]]:
        """Move packets for one turn; return what Python must handle."""
        self._turning = True
        try:
            if self._woken:
                self._woken = False
                os.eventfd_read(self._wakeup)
            forwarder = self._forwarder
            forwarder.budget = PACKETS_PER_TURN
            forwarder.run()
            if not forwarder.jobs:
                self._drain()
            self._clockwork.run(self._now_us())
            taken = self._outbox.take(max_items)
        finally:
            self._turning = False
        if self._forwarder.jobs or self._outbox:
            self._wake()
        return taken

    def next_turn(self) -> float | None:
        """Seconds after which `take` must be called though nothing is readable, or None."""
        if self._forwarder.jobs or self._outbox:
            return 0.0
        return self._clockwork.next_turn(self._now_us())

    def _drain(self) -> None:
        """Read up to 64 datagrams, from the sockets in turn, until the budget of packets ends."""
        left = DATAGRAMS_PER_TURN
        forwarder, intake, ways, now_us = self._forwarder, self._intake, self._ways, self._now_us
        view, waiting = intake.buffer.view, list(ways.sockets)
        while waiting and left > 0 and forwarder.budget > 0:
            for sock in waiting[:]:
                try:
                    size, raw = sock.recvfrom_into(view)
                except BlockingIOError:
                    waiting.remove(sock)
                    continue
                except OSError:
                    # An ICMP error of an earlier send; it says nothing about what is queued.
                    self._outbox.drops["receive_error"] += 1
                    left -= 1
                    continue
                left -= 1
                addr = raw if sock.family == socket.AF_INET else ways.normalise(raw)
                ways.heard(addr, sock)
                intake.datagram(size, addr, now_us())
                if forwarder.jobs:
                    forwarder.run()
                    if forwarder.jobs:
                        return

    def _wake(self) -> None:
        if not (self._turning or self._woken or self._closed):
            self._woken = True
            os.eventfd_write(self._wakeup, 1)

    def send(self, to: Address | int, data: bytes) -> bool:
        """Send a datagram that is ready for the wire; an address is always served by UDP."""
        if isinstance(to, int):
            return self._forwarder.send(self._peers[to], data)
        try:
            sock, spelled = self._ways.to(to)
            sock.sendto(data, spelled)
        except (OSError, ValueError):
            self._outbox.drops["send_error"] += 1
            return False
        return True

    def receive(self, addr: Address, data: bytes, arrival_us: int) -> None:
        """Take in a datagram that came another way than the engine's sockets."""
        if len(data) > self._limits.datagram:
            self._outbox.drops["size"] += 1
            return
        if len(self._forwarder.jobs) >= self._limits.handed_up:
            self._outbox.drops["turn_full"] += 1
            return
        self._intake.buffer.view[: len(data)] = data
        self._intake.datagram(len(data), addr, arrival_us)
        self._work()

    def _work(self) -> None:
        """Run the jobs a call has made, within a budget; the rest in the next turn."""
        if self._forwarder.jobs:
            self._forwarder.budget = PACKETS_PER_TURN
            self._forwarder.run()
            if self._forwarder.jobs:
                self._wake()

    def close(self) -> None:
        """Free everything, close the sockets."""
        if self._closed:
            return
        self._closed = True
        self._forwarder.jobs.clear()
        for peer in list(self._peers):
            self.remove_peer(peer)
        self._epoll.close()
        os.close(self._wakeup)
        for sock in self._ways.sockets:
            sock.close()

    # --- peers ---

    def add_peer(self, addr: Address) -> int:
        """Enter a peer by its validated address; `ValueError` when another one holds it."""
        if len(self._peers) >= self._limits.peers:
            raise ResourceExhausted("the engine's table of peers is full")
        self._claim(addr, None)
        peer = Peer(next(self._handles), addr, self._extension_set({}))
        self._peers[peer.handle] = peer
        self._intake.by_addr[addr] = peer
        self._route(peer)
        return peer.handle

    def allow(self, peer: int, addr: Address) -> None:
        """Accept packets from one more validated address of this peer."""
        row = self._peers[peer]
        self._claim(addr, row)
        if addr not in row.addresses and len(row.addresses) >= MAX_ADDRESSES:
            raise ResourceExhausted("this peer has too many addresses")
        row.addresses.add(addr)
        self._intake.by_addr[addr] = row

    def disallow(self, peer: int, addr: Address) -> None:
        """Accept nothing more from an address of this peer; unknown ones are ignored."""
        row = self._peers[peer]
        if addr in row.addresses:
            row.addresses.remove(addr)
            del self._intake.by_addr[addr]

    def _claim(self, addr: Address, peer: Peer | None) -> None:
        holder = self._intake.by_addr.get(addr)
        if holder is not None and holder is not peer:
            raise ValueError("another peer holds this address")

    def set_keys(self, peer: int, profile: str, rx_key: bytes, tx_key: bytes) -> None:
        """Give the SRTP master keys (key‖salt) once."""
        row = self._peers[peer]
        if row.rx is not None:
            raise ValueError("this peer has its keys")
        rx = Context(profile, rx_key, outgoing=False)
        row.tx_context = Context(profile, tx_key, outgoing=True)
        row.rx, row.tx = rx, row.tx_context.handle
        for down in row.downs.values():
            down.settle()

    def move_peer(self, peer: int, addr: Address) -> None:
        """Send to this address from now on; it is allowed with that."""
        self.allow(peer, addr)
        row = self._peers[peer]
        row.addr = addr
        self._route(row)

    def set_tcp(self, peer: int, write: Callable[[bytes], None] | None) -> None:
        """Send this peer's packets through `write` instead of the socket; None: back again."""
        row = self._peers[peer]
        row.write = write
        self._route(row)

    def _route(self, peer: Peer) -> None:
        write = peer.write
        if write is not None:
            peer.send = lambda data, to: write(bytes(data))
            return
        try:
            sock, peer.sockaddr = self._ways.to(peer.addr)
        except ValueError:
            # An address of another kind (ICE-TCP): nothing goes out until `set_tcp`.
            peer.send = nowhere
        else:
            peer.send = sock.sendto

    def remove_peer(self, peer: int) -> None:
        """Remove it with its ups and downs."""
        row = self._peers[peer]
        for down in list(row.downs):
            self.remove_down(down)
        for up in list(row.ups):
            self.remove_up(up)
        for addr in row.addresses:
            del self._intake.by_addr[addr]
        row.rx = row.tx = row.tx_context = None
        row.held.clear()
        del self._peers[peer]

    def set_extensions(self, peer: int, recv: Mapping[str, int], send: Mapping[str, int]) -> None:
        """Set the negotiated header extension ids (1 to 255), by kind."""
        row = self._peers[peer]
        for kind, number in (*recv.items(), *send.items()):
            if kind not in KINDS or not 0 < number < 256:
                raise ValueError(f"no extension {kind!r} with id {number}")
        row.recv_ids = dict(recv)
        row.twcc_id = recv.get(extensions.TWCC, 0)
        row.extensions = self._extension_set(send)
        self._intake.look_again(row)

    def _extension_set(self, send: Mapping[str, int]) -> ExtensionSet:
        key = tuple(sorted(send.items()))
        known = self._extension_sets.get(key)
        if known is None:
            known = ExtensionSet(send)
            if len(self._extension_sets) < 256:
                self._extension_sets[key] = known
        return known

    def set_codecs(self, peer: int, recv: Mapping[int, Codec]) -> None:
        """Set what the payload types mean that this peer sends."""
        row = self._peers[peer]
        if any(not 0 <= pt < 128 for pt in recv):
            raise ValueError("a payload type is out of range")
        row.codecs = dict(recv)

    # --- ups ---

    def add_up(  # noqa: PLR0913 - refused: the interface
        self,
        peer: int,
        ssrc: int,
        codec: str,
        clock_rate: int,
        *,
        rtx_ssrc: int = 0,
        group: int = 0,
        spatial: int = 0,
    ) -> int:
        """Accept one incoming stream; packets held of its SSRC are replayed."""
        row = self._peers[peer]
        if not 0 < ssrc < 1 << 32 or clock_rate <= 0:
            raise ValueError("SSRC or clock rate are out of range")
        self._check_free(row, ssrc)
        if len(self._ups) >= self._limits.ups:
            raise ResourceExhausted("the engine's table of ups is full")
        inspect: Inspector = INSPECTORS.get(codec, _always_key)
        up = Up(next(self._handles), row, ssrc, codec, clock_rate, inspect, group, spatial)
        self._enter(row, ssrc, up)
        self._ups[up.handle] = row.ups[up.handle] = up
        up.last_arrival_us = up.rate_from_us = self._now_us()
        if rtx_ssrc:
            self.set_rtx(up.handle, rtx_ssrc)
        self._intake.replay(row, ssrc)
        self._work()
        return up.handle

    def set_rtx(self, up: int, rtx_ssrc: int) -> None:
        """Name the RTX stream that repairs this up."""
        row = self._ups[up]
        if row.rtx_ssrc == rtx_ssrc:
            return
        self._check_free(row.peer, rtx_ssrc)
        self._enter(row.peer, rtx_ssrc, Repair(row))
        if row.rtx_ssrc:
            row.peer.streams[row.rtx_ssrc] = Unclaimed()
        row.rtx_ssrc = rtx_ssrc
        self._intake.replay(row.peer, rtx_ssrc)
        self._work()

    def _check_free(self, peer: Peer, ssrc: int) -> None:
        if type(peer.streams.get(ssrc)) in {Up, Repair}:
            raise ValueError("this SSRC has an up")

    def _enter(self, peer: Peer, ssrc: int, stream: Up | Repair) -> None:
        if (
            ssrc not in peer.streams
            and len(peer.streams) >= self._limits.ssrcs_per_peer
            and not self._intake.make_room(peer, self._now_us())
        ):
            raise ResourceExhausted("this peer sends too many streams")
        peer.streams[ssrc] = stream

    def remove_up(self, up: int) -> None:
        """Remove a stream; downs that it feeds fall silent, they are not removed."""
        row = self._ups.pop(up)
        for down in row.downs:
            down.translation.pause()
            down.up, down.waiting = None, True
            down.settle()
        row.downs = ()
        for down in row.pending.values():
            down.next_up = None
        row.pending.clear()
        row.history = None
        streams = row.peer.streams
        for ssrc in (row.ssrc, row.rtx_ssrc):
            if ssrc:
                # The entry stays: its replay window must outlive the up.
                streams[ssrc] = Unclaimed()
        del row.peer.ups[up]

    # --- downs ---

    def add_down(  # noqa: PLR0913 - refused: the interface
        self,
        up: int,
        peer: int,
        ssrc: int,
        pts: Mapping[str, int],
        *,
        rtx_ssrc: int = 0,
        rtx_pts: Mapping[int, int] | None = None,
        mid: str = "",
        nack: bool = True,
    ) -> int:
        """Forward an up to a peer; starts disabled, video opens with a key frame."""
        source = self._ups[up] if up else None
        row = self._peers[peer]
        _check_pts(pts.values())
        _check_pts((rtx_pts or {}).values())
        ssrcs = {ssrc, rtx_ssrc} - {0}
        if not ssrc or ssrc == rtx_ssrc or any(not 0 < number < 1 << 32 for number in ssrcs):
            raise ValueError("an SSRC is out of range")
        if not ssrcs.isdisjoint(row.used_ssrcs):
            raise ValueError("this SSRC was used towards this peer")
        if len(row.used_ssrcs) + 2 > MAX_USED_SSRCS:
            raise ResourceExhausted("this peer was sent too many streams")
        video = source.video if source is not None else not AUDIO & pts.keys()
        down = self._new_down(source, row, ssrc, pts, None, video)
        row.used_ssrcs |= ssrcs
        down.rtx_ssrc, down.rtx_pts = rtx_ssrc, dict(rtx_pts or {})
        down.rtx_seq = self._below(FIRST_SEQ_BELOW)
        if nack and not rtx_ssrc:
            length = self._limits.video_history if video else self._limits.audio_history
            down.sent = [None] * length
        down.mid, down.mid_left = mid.encode(), MID_PACKETS if mid else 0
        row.downs[down.handle] = down
        down.settle()
        return down.handle

    def add_sink(self, up: int, write: PacketSink) -> int:
        """Forward an up to a function in this process as plain RTP."""
        source = self._ups[up] if up else None
        ssrc = source.ssrc if source is not None else 1
        video = source is None or source.video
        return self._new_down(source, None, ssrc, {}, write, video).handle

    def _new_down(
        self,
        up: Up | None,
        peer: Peer | None,
        ssrc: int,
        pts: Mapping[str, int],
        write: PacketSink | None,
        video: bool,
    ) -> Down:
        if len(self._downs) >= self._limits.downs:
            raise ResourceExhausted("the engine's table of downs is full")
        first_seq, first_ts = self._below(FIRST_SEQ_BELOW), self._below(1 << 32)
        translation = Translation(first_seq, first_ts, history_length(video))
        down = Down(next(self._handles), peer, None, ssrc, dict(pts), translation, write)
        down.window.from_us = self._now_us()
        self._downs[down.handle] = down
        if up is not None:
            self._remember(up)
            attach(down, up)
        return down

    def _remember(self, up: Up) -> None:
        if up.history is None:
            length = self._limits.video_history if up.video else self._limits.audio_history
            up.history = [None] * length

    def set_down(
        self,
        down: int,
        enabled: bool,
        max_spatial: int = ALL_LAYERS,
        max_temporal: int = ALL_LAYERS,
    ) -> None:
        """Pause, resume and cap; `max_spatial` waits for an engine with that feature."""
        row = self._downs[down]
        row.max_temporal = max_temporal if max_temporal < 3 else ALL_LAYERS
        if enabled and not row.enabled:
            row.enabled = row.waiting = True
            self._want(row)
        elif row.enabled and not enabled:
            row.enabled, row.waiting = False, True
            row.translation.pause()
            if row.next_up is not None:
                self._follow(row, row.next_up)
        row.settle()

    def _want(self, down: Down) -> None:
        for up in (down.up, down.next_up):
            if up is not None and up.video:
                self._clockwork.wants(up, self._now_us())

    def switch(
        self, down: int, up: int, *, ts_offset: int | None = None, timeout_ms: int = 2000
    ) -> None:
        """Forward another up of the publication from its next key frame on."""
        row, target = self._downs[down], self._ups[up]
        self._cancel(row)
        if row.up is target:
            return
        self._remember(target)
        if not row.enabled:
            self._follow(row, target)
            return
        row.next_up, row.next_up_ts_offset = target, ts_offset
        row.deadline_us = self._now_us() + timeout_ms * 1000
        target.pending[row.handle] = row
        self._clockwork.deadlines.add(row.handle)
        self._want(row)

    def _follow(self, down: Down, up: Up) -> None:
        """Change the up of a down that sends nothing now."""
        self._cancel(down)
        attach(down, up)
        self._outbox.event(Switched(down.handle, up.handle))

    def _cancel(self, down: Down) -> None:
        if down.next_up is not None:
            down.next_up.pending.pop(down.handle, None)
            down.next_up = down.next_up_ts_offset = None

    def resend(self, down: int, seq16s: Sequence[int]) -> int:
        """Send these packets again, within the budget; return how many were sent."""
        return resend(self._downs[down], seq16s, self._forwarder, self._now_us())

    def remove_down(self, down: int) -> None:
        """Stop forwarding; its SSRCs are never used towards this peer again."""
        row = self._downs.pop(down)
        self._cancel(row)
        attach(row, None)
        row.enabled = False
        row.settle()
        peer = row.peer
        if peer is not None:
            peer.packets_gone += row.packets + row.resent
            del peer.downs[down]
            if peer.tx_context is not None:
                peer.tx_context.forget(row.ssrc)
                if row.rtx_ssrc:
                    peer.tx_context.forget(row.rtx_ssrc)

    def stats(self) -> EngineStats:
        """Return every counter."""
        return read_stats(self._peers, self._ups, self._downs, self._outbox.drops, self._now_us())


def _always_key(payload: bytes) -> Look:
    return ALWAYS_KEY


def _check_pts(pts: Iterable[int]) -> None:
    if any(not 0 <= pt < 128 for pt in pts):
        raise ValueError("a payload type is out of range")
