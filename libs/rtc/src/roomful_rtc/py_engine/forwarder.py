"""The way out: fan-out of one packet to the downs of its up, in order, within a turn's budget.

The inner loop serves downs in the plain state; everything else (start, resume, temporal layers,
mid, sinks, late packets) takes the way through `_special`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from roomful.model.media import GapReason
from roomful_rtc.engine import KeyFrame, SinkFailed, Switched
from roomful_rtc.munge import Packet, Segment, rewrite
from roomful_rtc.py_engine.outbox import Outbox
from roomful_rtc.py_engine.outlet import Outlet
from roomful_rtc.py_engine.rows import Down, Peer, Up
from roomful_rtc.py_engine.srtp import MAX_TRAILER, OK, Buffer, protect
from roomful_rtc.rtp import HEADER, HEADER_SIZE, TS_MASK

PACKETS_PER_TURN = 256
US_PER_PACKET = 20
"""what a packet usually costs: a sink that takes longer uses up the turn as several do"""


class FanOut:
    """One packet that waits for its turn. `downs` is None until it has begun."""

    __slots__ = ("at", "downs", "packet", "up")

    def __init__(
        self, packet: Packet, up: Up, downs: tuple[Down, ...] | None = None, at: int = 0
    ) -> None:
        self.packet = packet
        self.up = up
        self.downs = downs
        self.at = at


class Forwarder:
    """Owns the outgoing buffer and the fan-outs that did not fit into the last turn."""

    def __init__(self, outbox: Outbox, now_us: Callable[[], int], datagram: int) -> None:
        self.budget = 0
        self.running = False
        """within `run`; a sink may call the engine meanwhile"""
        self.jobs: deque[FanOut] = deque()  # bounded by the engine: limits.handed_up
        self._outbox = outbox
        self._drops = outbox.drops
        self._now_us = now_us
        self._limit = datagram
        self._buffer = Buffer(datagram + 64)

    def forward(self, packet: Packet, up: Up) -> None:
        """Send a packet to the downs of its up, behind what waits; what is too much now waits."""
        if self.jobs or self.running or self.budget <= 0:
            self.jobs.append(FanOut(packet, up))
            return
        self.running = True
        try:
            downs = self._open(packet, up)
            if downs:
                at = self._fan_out(packet, up, downs, 0)
                if at < len(downs):
                    self.jobs.appendleft(FanOut(packet, up, downs, at))
        finally:
            self.running = False

    def run(self) -> None:
        """Work on the jobs, oldest first, until they or the turn's budget end."""
        if self.running:
            return  # a sink called the engine: the run under way goes on after it
        self.running = True
        try:
            self._run()
        finally:
            self.running = False

    def _run(self) -> None:
        jobs = self.jobs
        while jobs and self.budget > 0:
            job = jobs[0]
            if job.downs is None:
                job.downs = self._open(job.packet, job.up)
            job.at = self._fan_out(job.packet, job.up, job.downs, job.at)
            if job.at >= len(job.downs) and jobs[0] is job:
                jobs.popleft()

    def _open(self, packet: Packet, up: Up) -> tuple[Down, ...]:
        """Do what the packet changes: history, key frames, switches; return whom to send it."""
        history = up.history
        if history is not None:
            history[packet.seq % len(history)] = packet
        if up.video:
            if packet.look.key and packet.ts != up.key_ts:
                self._key_frame(packet, up)
        elif up.pending and packet.look.key:
            self._switch(packet, up)
        return up.downs

    def _key_frame(self, packet: Packet, up: Up) -> None:
        look = packet.look
        up.key_ts = packet.ts
        self._outbox.event(KeyFrame(up.handle, packet.seq, packet.ts, look.width, look.height))
        started = self._switch(packet, up)
        for down in up.downs:
            if down.waiting and down.enabled and _can_send(down, packet):
                self.begin(down, packet, up, None)
                started.append(down)
        if packet.late and started:
            self._catch_up(packet, up, tuple(started))

    def _switch(self, packet: Packet, up: Up) -> list[Down]:
        """Let the downs that wait for this key frame follow this up."""
        started: list[Down] = []
        if not up.pending:
            return started
        pending, up.pending = up.pending, {}
        for down in pending.values():
            ts_offset = down.next_up_ts_offset
            down.next_up = down.next_up_ts_offset = None
            attach(down, up)
            self._outbox.event(Switched(down.handle, up.handle))
            if down.enabled and _can_send(down, packet):
                self.begin(down, packet, up, ts_offset)
                started.append(down)
            else:
                down.waiting = True
                down.settle()
        return started

    def _catch_up(self, packet: Packet, up: Up, downs: tuple[Down, ...]) -> None:
        """A key frame's first packet came late: send what came before it behind it."""
        history = up.history
        if history is None:
            return
        place = 1
        for seq in range(packet.seq + 1, up.highest + 1):
            later = history[seq % len(history)]
            if later is not None and later.seq == seq and later.source is up:
                self.jobs.insert(place, FanOut(_in_order(later), up, downs))
                place += 1

    def begin(self, down: Down, packet: Packet, up: Up, ts_offset: int | None) -> None:
        """Send `packet` next after all that `down` sent before."""
        down.translation.begin(packet, up, up.clock_rate, ts_offset)
        down.waiting = False
        down.temporal = down.max_temporal
        down.settle()

    def _fan_out(  # noqa: C901, PLR0915 - refused: the inner loop
        self, packet: Packet, up: Up, downs: tuple[Down, ...], begin: int
    ) -> int:
        """Send to the downs from `begin` on while the budget lasts; return where to go on."""
        stop = min(len(downs), begin + self.budget)
        self.budget -= stop - begin
        special = packet.late or packet.leap or not packet.payload
        now_us, codec, look = self._now_us(), packet.codec, packet.look
        seq, ts, marker, payload = packet.seq, packet.ts, packet.marker, packet.payload
        recv_ids, size = up.origin.recv_ids, len(payload)
        data, view, length = self._buffer.data, self._buffer.view, self._buffer.length
        pack, extensions, tail, end, start, first = HEADER.pack_into, None, b"", 0, 0, 0x80
        fits, drops, place = True, self._drops, slice(0)
        for at in range(begin, stop):
            down = downs[at]
            if down.slow or special:
                self._special(down, packet, up)
                continue
            peer: Peer = down.peer  # pyright: ignore[reportAssignmentType]
            translation = down.translation
            pt = down.pts.get(codec)
            segment = translation.current
            if pt is None or segment is None:
                self._leave_out(down, packet, "codec_not_wanted")
                continue
            translation.last = packet
            if peer.extensions is not extensions:
                extensions = peer.extensions
                block = extensions.block(packet, recv_ids, now_us)
                tail = block + payload
                start, first = HEADER_SIZE + len(block), 0x90 if block else 0x80
                end = HEADER_SIZE + len(tail)
                fits = end + MAX_TRAILER <= self._limit
                place = slice(HEADER_SIZE, end)
            if not fits:
                drops["too_long"] += 1
                continue
            out = seq - segment.offset
            out_ts = (ts + segment.ts_offset) & TS_MASK
            pack(view, 0, first, marker | pt, out & 0xFFFF, out_ts, down.ssrc)
            view[place] = tail
            if segment.rewrites:
                rewrite(look, segment, view, start)
            length[0] = end
            if protect(peer.tx, data, length) != OK:
                drops["index_used"] += 1
                continue
            sent = down.sent
            if sent is None:
                datagram = view[: length[0]]
            else:
                datagram = sent[out % len(sent)] = bytes(view[: length[0]])
            try:
                peer.send(datagram, peer.sockaddr)
            except BlockingIOError:
                drops["send_buffer_full"] += 1
                continue
            except OSError:
                drops["send_error"] += 1
                continue
            down.packets += 1
            down.bytes += size
        return stop

    def _special(self, down: Down, packet: Packet, up: Up) -> None:
        """Serve a down that is not in the plain state, or a packet that is not."""
        silent = not down.enabled or down.up is not up
        if silent or (down.waiting and not self._start(down, packet, up)):
            if down.outlet is not None:
                _miss(down, down.outlet, up)
            return
        if packet.late:
            segment = down.translation.place(packet)
            if segment is not None and self._wanted_layer(down, packet):
                self._emit(down, packet, segment)
        elif not packet.payload:
            down.translation.drop(packet)
        elif not _can_send(down, packet):
            self._leave_out(down, packet, "codec_not_wanted")
        elif not self._wanted_layer(down, packet):
            self._leave_out(down, packet, "")
        else:
            self._next(down, packet)

    def _start(self, down: Down, packet: Packet, up: Up) -> bool:
        """Begin with this packet, if it may be the first one."""
        if up.video or not packet.look.key or not _can_send(down, packet):
            self._drops["no_key_frame"] += 1
            return False
        self.begin(down, packet, up, None)
        return True

    def _next(self, down: Down, packet: Packet) -> None:
        """Send a packet that follows all that the down was sent."""
        translation = down.translation
        if packet.leap and translation.last is not packet:
            translation.leap(packet)
            if down.outlet is not None:
                self.give_up(down, 1, GapReason.LOST)
                if not down.enabled:
                    return  # the sink was ended, or ended itself
        segment = translation.current
        if segment is not None:
            translation.last = packet
            self._emit(down, packet, segment)

    def _wanted_layer(self, down: Down, packet: Packet) -> bool:
        """Apply the temporal cap; up at a frame that says so, down at any frame."""
        if packet.codec != "vp8":
            return True
        look = packet.look
        if down.temporal != down.max_temporal and look.begins and not packet.late:
            if look.key or down.max_temporal < down.temporal:
                down.temporal = down.max_temporal
            elif down.temporal < look.tid <= down.max_temporal and look.sync:
                down.temporal = look.tid if look.tid < 2 else down.max_temporal
            down.settle()
        return look.tid <= down.temporal

    def _leave_out(self, down: Down, packet: Packet, reason: str) -> None:
        down.translation.drop(packet)
        down.dropped += 1
        if reason:
            self._drops[reason] += 1

    def _emit(self, down: Down, packet: Packet, segment: Segment) -> None:
        """Send one packet with a segment's offsets, whatever state the down is in."""
        peer = down.peer
        pt = down.pts.get(packet.codec)
        if pt is None:
            return
        if down.outlet is not None:
            self._write(down, down.outlet, packet, segment, pt)
            return
        if peer is None:
            return
        mid = b""
        if down.mid_left:
            mid = down.mid
            down.mid_left -= 1
            down.settle()
        size = self.compose(down, peer, packet, segment, pt, mid)
        if size and self.seal_and_send(down, peer, size, packet.seq - segment.offset):
            down.packets += 1
            down.bytes += len(packet.payload)

    def compose(
        self, down: Down, peer: Peer, packet: Packet, segment: Segment, pt: int, mid: bytes
    ) -> int:
        """Write the plain packet into the buffer; return its size, 0 when it would not fit."""
        source: Up = packet.source  # pyright: ignore[reportAssignmentType]
        block = peer.extensions.block(packet, source.origin.recv_ids, self._now_us(), mid)
        return self._compose(packet, segment, block, packet.marker | pt, down.ssrc)

    def _compose(
        self, packet: Packet, segment: Segment, block: bytes, second: int, ssrc: int
    ) -> int:
        view = self._buffer.view
        start = HEADER_SIZE + len(block)
        end = start + len(packet.payload)
        if end + MAX_TRAILER > self._limit:
            self._drops["too_long"] += 1
            return 0
        HEADER.pack_into(
            view,
            0,
            0x90 if block else 0x80,
            second,
            (packet.seq - segment.offset) & 0xFFFF,
            (packet.ts + segment.ts_offset) & TS_MASK,
            ssrc,
        )
        view[HEADER_SIZE:start] = block
        view[start:end] = packet.payload
        if segment.rewrites:
            rewrite(packet.look, segment, view, start)
        return end

    def compose_rtx(
        self, down: Down, peer: Peer, packet: Packet, segment: Segment, pt: int, rtx_pt: int
    ) -> int:
        """Write the RTX packet (RFC 4588 section 4) of one sent before; return its size."""
        size = self.compose(down, peer, packet, segment, pt, b"")
        if not size or size + 2 + MAX_TRAILER > self._limit:
            return 0
        view = self._buffer.view
        start = size - len(packet.payload)
        view[start + 2 : size + 2] = bytes(view[start:size])
        view[start : start + 2] = bytes(view[2:4])
        view[1] = packet.marker | rtx_pt
        view[2:4] = (down.rtx_seq & 0xFFFF).to_bytes(2, "big")
        view[8:12] = down.rtx_ssrc.to_bytes(4, "big")
        down.rtx_seq += 1
        return size + 2

    def seal_and_send(self, down: Down, peer: Peer, size: int, out: int = -1) -> bool:
        """Protect the first `size` bytes of the buffer and send them."""
        buffer = self._buffer
        buffer.length[0] = size
        if protect(peer.tx, buffer.data, buffer.length) != OK:
            self._drops["index_used"] += 1
            return False
        datagram: memoryview | bytes = buffer.view[: buffer.length[0]]
        if down.sent is not None and out >= 0:
            datagram = down.sent[out % len(down.sent)] = bytes(datagram)
        return self.send(peer, datagram)

    def send(self, peer: Peer, datagram: memoryview | bytes) -> bool:
        """Hand a sealed datagram to the peer's way out; False and a count when it is refused."""
        try:
            peer.send(datagram, peer.sockaddr)
        except BlockingIOError:
            self._drops["send_buffer_full"] += 1
            return False
        except OSError:
            self._drops["send_error"] += 1
            return False
        return True

    def _write(self, down: Down, outlet: Outlet, packet: Packet, segment: Segment, pt: int) -> None:
        """Hand plain RTP to a sink; its time is taken from the turn's."""
        block, kept = b"", outlet.extensions
        if kept is not None and packet.elements:
            source: Up = packet.source  # pyright: ignore[reportAssignmentType]
            block = kept.block(packet, source.origin.recv_ids, 0)
        size = self._compose(packet, segment, block, packet.marker | pt, down.ssrc)
        if not size:
            return
        began_us = self._now_us()
        try:
            if outlet.missed:
                outlet.tell_missed()
                if not down.enabled:
                    return  # it was closed meanwhile
            outlet.sink.write(self._buffer.view[:size], packet.arrival_us * 1000)
        except Exception as error:  # noqa: BLE001 - a sink's failure is contained here
            self._end_sink(down, error)
            return
        down.packets += 1
        down.bytes += len(packet.payload)
        now_us = self._now_us()
        self.budget -= (now_us - began_us) // US_PER_PACKET
        if outlet.is_too_slow(now_us - began_us, now_us):
            self._end_sink(down, None)

    def give_up(self, down: Down, count: int, reason: int) -> None:
        """Tell a sink that follows its up of packets that will not come."""
        outlet = down.outlet
        if outlet is None or not down.enabled or down.waiting:
            return
        try:
            outlet.sink.gap(count, reason)
        except Exception as error:  # noqa: BLE001 - a sink's failure is contained here
            self._end_sink(down, error)

    def _end_sink(self, down: Down, error: Exception | None) -> None:
        """Call a sink no more; its row stays until it is removed."""
        self._drops["sink_too_slow" if error is None else "sink_raised"] += 1
        down.enabled, down.outlet = False, None
        down.settle()
        self._outbox.event(SinkFailed(down.handle, error))


def attach(down: Down, up: Up | None) -> None:
    """Make `up` the one that `down` forwards, or none."""
    old = down.up
    if old is not None:
        old.downs = tuple(other for other in old.downs if other is not down)
    down.up = up
    if up is not None:
        up.downs = (*up.downs, down)


def _can_send(down: Down, packet: Packet) -> bool:
    """Say whether the down has a payload type for this packet, and keys unless it is a sink."""
    if packet.codec not in down.pts:
        return False
    return down.outlet is not None or (down.peer is not None and down.peer.tx is not None)


def _miss(down: Down, outlet: Outlet, up: Up) -> None:
    """Count what a sink that has begun does not get."""
    if down.packets and down.up is up:
        outlet.missed += 1


def _in_order(packet: Packet) -> Packet:
    """Return a copy of a packet for downs that have not seen a later one."""
    return Packet(
        packet.source,
        packet.seq,
        packet.ts,
        packet.marker,
        packet.pt,
        packet.codec,
        packet.payload,
        packet.look,
        packet.elements,
        packet.arrival_us,
        False,
    )
