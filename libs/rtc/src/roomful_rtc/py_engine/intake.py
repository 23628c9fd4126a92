"""The way in: demultiplex, authenticate, find the stream, notice gaps (RFC 7983, RFC 3550)."""

from __future__ import annotations

from roomful_rtc import extensions
from roomful_rtc.dependency_descriptor import starts_sequence
from roomful_rtc.engine import (
    Address,
    Datagram,
    EngineLimits,
    Gap,
    Recovered,
    UnknownSsrc,
)
from roomful_rtc.munge import Packet
from roomful_rtc.payload import ALWAYS_KEY, UNKNOWN, Look
from roomful_rtc.py_engine.forwarder import Forwarder
from roomful_rtc.py_engine.outbox import Outbox
from roomful_rtc.py_engine.rows import Held, Peer, Repair, Unclaimed, Up
from roomful_rtc.py_engine.srtp import AUTH_FAILED, OK, REPLAYED, TOO_OLD, Buffer, unprotect
from roomful_rtc.rtp import HEADER, HEADER_SIZE, layout
from roomful_rtc.stun import MAX_REQUEST

HELD_PACKETS, HELD_US = 32, 500_000
LOOKS_PER_SECOND = 100
"""packets of SSRCs without an up that are authenticated, per peer"""

MISSING = 512
"""numbers of an up that are remembered as missing; a wider gap is given up"""

SLACK = 548
"""beyond the largest datagram: what is longer is seen to be, not cut unseen"""

RESTART = 3000
"""a gap that no loss explains (RFC 3550 appendix A.1): not counted as lost"""

TWCC_NEAR = 1000
ARRIVALS = 512
LOUD_DBOV = -35
STUN_COOKIE = b"\x21\x12\xa4\x42"
STUN_MAX = MAX_REQUEST
RTCP_HEADER_SIZE = 8
SSRC = 4
"""place in a header"""

Header = tuple[int, int, int, int, int]
"""what `rtp.HEADER` unpacks"""

_REFUSALS = {AUTH_FAILED: "auth_failed", REPLAYED: "replayed", TOO_OLD: "too_old"}


class Intake:
    """Takes datagrams that lie in `buffer`, one at a time."""

    def __init__(self, outbox: Outbox, forwarder: Forwarder, limits: EngineLimits) -> None:
        self.buffer = Buffer(limits.datagram + SLACK)
        self.by_addr: dict[Address, Peer] = {}
        self.turn = 0
        """number of the engine's turn"""
        self.heard = False
        """a packet came since the windows were last looked at, or one of them is open"""
        self._outbox = outbox
        self._drops = outbox.drops
        self._forwarder = forwarder
        self._limits = limits

    def datagram(self, size: int, addr: Address, arrival_us: int) -> None:
        """Sort out the first `size` bytes of the buffer, which came from `addr`."""
        if not 0 < size <= self._limits.datagram:
            self._drops["size"] += 1
            return
        first = self.buffer.view[0]
        peer = self.by_addr.get(addr)
        if 127 < first < 192 and peer is not None:
            # RTP and RTCP are told apart by the second byte (RFC 5761 section 4)
            if size < RTCP_HEADER_SIZE:
                self._drops["malformed"] += 1
            elif 191 < self.buffer.view[1] < 224:
                self._hand_up(peer, size, addr, arrival_us)
            else:
                self._rtp(peer, size, arrival_us)
        elif first < 4:
            if _is_stun(self.buffer.view, size):
                self._hand_up(peer, size, addr, arrival_us)
            else:
                self._drops["not_stun"] += 1
        elif peer is None:
            self._drops["unknown_address"] += 1
        elif 19 < first < 64:
            self._hand_up(peer, size, addr, arrival_us)
        else:
            self._drops["junk"] += 1

    def _hand_up(self, peer: Peer | None, size: int, addr: Address, arrival_us: int) -> None:
        if peer is not None:
            if peer.handed_up_turn != self.turn:
                peer.handed_up_turn, peer.handed_up = self.turn, 0
            if peer.handed_up >= self._limits.handed_up_per_peer:
                self._drops["handed_up_peer"] += 1
                return
            peer.handed_up += 1
        data = bytes(self.buffer.view[:size])
        self._outbox.datagram(Datagram(peer.handle if peer else 0, addr, data, arrival_us))

    def _rtp(self, peer: Peer, size: int, arrival_us: int) -> None:
        buffer, context = self.buffer, peer.rx
        self.heard = True
        if context is None or size < HEADER_SIZE:
            self._drops["no_keys" if size >= HEADER_SIZE else "malformed"] += 1
            return
        header = HEADER.unpack_from(buffer.view)
        stream = peer.streams.get(header[SSRC])
        if (stream is None or type(stream) is Unclaimed) and not self._may_look(
            peer, stream is None, arrival_us
        ):
            return
        buffer.length[0] = size
        status = unprotect(context.handle, buffer.data, buffer.length)
        if status != OK:
            self._refuse(peer, status, size, arrival_us)
            return
        peer.packets_in += 1
        # read from bytes from here on: slices of a view cost several times as much
        plain = bytes(buffer.view[: buffer.length[0]])
        try:
            payload, elements = self._take_apart(plain)
        except ValueError:
            self._drops["malformed"] += 1
            return
        if peer.twcc_id:
            self._arrived(peer, elements.get(peer.twcc_id), arrival_us)
        if type(stream) is Up:
            self._media(stream, size, header, payload, elements, arrival_us)
        elif type(stream) is Repair:
            self._repair(stream.up, header, payload, elements, arrival_us)
        else:
            self._hold(peer, header[SSRC], plain, elements, arrival_us)

    def _take_apart(self, plain: bytes) -> tuple[bytes, dict[int, bytes]]:
        """Return payload and extension elements, none when they are malformed; or `ValueError`."""
        start, end, profile, block_start, block_end = layout(plain)
        if not profile:
            return plain[start:end], {}
        try:
            elements = extensions.read(profile, plain[block_start:block_end])
        except ValueError:
            self._drops["malformed_extension"] += 1
            elements = {}
        return plain[start:end], elements

    def _refuse(self, peer: Peer, status: int, size: int, arrival_us: int) -> None:
        self._drops[_REFUSALS.get(status, "srtp_refused")] += 1
        if status == AUTH_FAILED:
            peer.auth_failures += 1
        elif peer.twcc_id and status in (REPLAYED, TOO_OLD):
            self._probe(peer, size, arrival_us)

    def _probe(self, peer: Peer, size: int, arrival_us: int) -> None:
        """Record the transport number of a repeated packet: some senders probe with those.

        It is not authenticated, so only one near the newest genuine number counts.
        """
        try:
            _, elements = self._take_apart(bytes(self.buffer.view[:size]))
        except ValueError:
            return
        number = elements.get(peer.twcc_id)
        if number is None or len(number) != 2 or peer.twcc_newest < 0:
            return
        distance = (int.from_bytes(number, "big") - peer.twcc_newest) & 0xFFFF
        if distance < TWCC_NEAR or distance > 0x10000 - TWCC_NEAR:
            self._record(peer, int.from_bytes(number, "big"), arrival_us)

    def _arrived(self, peer: Peer, number: bytes | None, arrival_us: int) -> None:
        if number is not None and len(number) == 2:
            peer.twcc_newest = int.from_bytes(number, "big")
            self._record(peer, peer.twcc_newest, arrival_us)

    def _record(self, peer: Peer, number: int, arrival_us: int) -> None:
        if len(peer.arrivals) < ARRIVALS:
            peer.arrivals.append((number, arrival_us))
        else:
            self._drops["arrivals_full"] += 1

    def _media(  # noqa: PLR0913 - refused: the parts of one packet
        self,
        up: Up,
        size: int,
        header: Header,
        payload: bytes,
        elements: dict[int, bytes],
        arrival_us: int,
    ) -> None:
        _, second, seq16, ts, _ = header
        up.pt = second & 0x7F
        up.packets += 1
        up.bytes += size
        up.last_arrival_us = arrival_us
        up.last_ts = ts
        if up.silent:
            up.silent, up.waiting_since_us = False, 0
        transit = arrival_us * up.clock_rate // 1_000_000 - ts & 0xFFFFFFFF
        if up.highest >= 0:
            change = (transit - up.transit + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            up.jitter += (abs(change) - up.jitter) / 16
        up.transit = transit
        level = elements.get(up.origin.level_id)
        if level is not None and not up.video:
            _hear(up, level)
        self._number(up, seq16, ts, second, payload, elements, arrival_us)

    def _number(  # noqa: PLR0913 - refused: the parts of one packet
        self,
        up: Up,
        seq16: int,
        ts: int,
        second: int,
        payload: bytes,
        elements: dict[int, bytes],
        arrival_us: int,
    ) -> None:
        """Unwrap the number, notice gaps, pass the packet on unless it came before."""
        highest, late, leap = up.highest, False, False
        if highest < 0:
            seq = up.highest = up.base = seq16
        else:
            ahead = (seq16 - highest) & 0xFFFF
            if 0 < ahead < 0x8000:
                seq = up.highest = highest + ahead
                if ahead > 1:
                    leap = self._gap(up, highest + 1, ahead - 1)
            else:
                seq = highest + ahead - (0x10000 if ahead else 0)
                if seq not in up.missing:
                    self._drops["duplicate"] += 1
                    return
                del up.missing[seq]
                late = True
                self._outbox.event(Recovered(up.handle, seq))
        pt = second & 0x7F
        codec = up.origin.codecs.get(pt)
        look = up.inspect(payload) if payload else UNKNOWN
        if up.codec == "av1" and payload:
            look = self._look_closer(up, look, elements)
        self._forwarder.forward(
            Packet(
                up,
                seq,
                ts,
                second & 0x80,
                pt,
                codec.name if codec is not None else up.codec,
                payload,
                look,
                elements,
                arrival_us,
                late,
                leap,
            ),
            up,
        )

    def _look_closer(self, up: Up, look: Look, elements: dict[int, bytes]) -> Look:
        """For AV1 the dependency descriptor may know of a key frame too."""
        number = up.origin.recv_ids.get(extensions.DEPENDENCY_DESCRIPTOR, 0)
        if not look.key and starts_sequence(elements.get(number, b"")):
            return ALWAYS_KEY
        return look

    def _gap(self, up: Up, first: int, count: int) -> bool:
        """Remember missing numbers; True when there are too many to be recovered."""
        missing = up.missing
        if count > MISSING:
            missing.clear()
            if count > RESTART:
                up.base += count
            return True
        missing.update(dict.fromkeys(range(first, first + count)))
        while len(missing) > MISSING:
            del missing[next(iter(missing))]
        self._outbox.event(Gap(up.handle, first, count))
        return False

    def _repair(
        self, up: Up, header: Header, payload: bytes, elements: dict[int, bytes], arrival_us: int
    ) -> None:
        """Restore the packet that an RTX packet carries (RFC 4588 section 4)."""
        if len(payload) < 2 or up.highest < 0:
            self._drops["padding"] += 1
            return
        _, second, _, ts, _ = header
        rtx = up.origin.codecs.get(second & 0x7F)
        pt = rtx.apt if rtx is not None and rtx.name == "rtx" else up.pt
        seq16 = int.from_bytes(payload[:2], "big")
        if (seq16 - up.highest - 1) & 0xFFFF < 0x8000:
            self._drops["repair_ahead"] += 1
            return
        self._number(up, seq16, ts, second & 0x80 | pt, payload[2:], elements, arrival_us)

    def _may_look(self, peer: Peer, new: bool, now_us: int) -> bool:
        """Bound the work and memory that SSRCs nobody announced can cost."""
        if now_us - peer.looks_from_us >= 1_000_000:
            peer.looks_from_us, peer.looks = now_us, 0
        peer.looks += 1
        if peer.looks > LOOKS_PER_SECOND:
            self._drops["unknown_ssrc"] += 1
            return False
        if (
            new
            and len(peer.streams) >= self._limits.ssrcs_per_peer
            and not self.make_room(peer, now_us)
        ):
            self._drops["too_many_ssrcs"] += 1
            return False
        return True

    def make_room(self, peer: Peer, now_us: int) -> bool:
        """Free the oldest unclaimed SSRC that is not waited for any more; False if there is none."""
        for ssrc, stream in peer.streams.items():
            if type(stream) is Unclaimed and now_us >= stream.until_us:
                del peer.streams[ssrc]
                if peer.rx is not None:
                    peer.rx.forget(ssrc)
                return True
        return False

    def _hold(
        self, peer: Peer, ssrc: int, plain: bytes, elements: dict[int, bytes], now_us: int
    ) -> None:
        stream = peer.streams.get(ssrc)
        if stream is None:
            stream = peer.streams[ssrc] = Unclaimed()
        if type(stream) is not Unclaimed:
            return
        if now_us >= stream.until_us:
            stream.told, stream.until_us = None, now_us + HELD_US
        if len(peer.held) < HELD_PACKETS:
            peer.held.append(Held(ssrc, plain, now_us))
        else:
            self._drops["held_full"] += 1
        self._tell(peer, ssrc, stream, plain[1] & 0x7F, elements)

    def _tell(
        self, peer: Peer, ssrc: int, stream: Unclaimed, pt: int, elements: dict[int, bytes]
    ) -> None:
        """Report the SSRC once, and again when a packet names more than was known."""
        ids = peer.recv_ids
        mid, rid, repaired = (
            extensions.text(elements.get(ids.get(kind, 0), b""))
            for kind in (extensions.MID, extensions.RID, extensions.REPAIRED_RID)
        )
        if stream.told is None or (
            (mid or rid or repaired) and stream.told != (mid, rid, repaired)
        ):
            stream.told = (mid, rid, repaired)
            self._outbox.event(UnknownSsrc(peer.handle, ssrc, pt, mid, rid, repaired))

    def look_again(self, peer: Peer) -> None:
        """Report held packets anew: the ids of the extensions have changed."""
        for held in peer.held:
            stream = peer.streams.get(held.ssrc)
            if type(stream) is Unclaimed:
                _, elements = self._take_apart(held.data)
                self._tell(peer, held.ssrc, stream, held.data[1] & 0x7F, elements)

    def replay(self, peer: Peer, ssrc: int) -> None:
        """Take the held packets of an SSRC in, now that it has an up."""
        mine = [held for held in peer.held if held.ssrc == ssrc]
        for held in mine:
            peer.held.remove(held)
        stream = peer.streams.get(ssrc)
        for held in mine:
            header = HEADER.unpack_from(held.data)
            payload, elements = self._take_apart(held.data)
            if type(stream) is Up:
                size = len(held.data)
                self._media(stream, size, header, payload, elements, held.arrival_us)
            elif type(stream) is Repair:
                self._repair(stream.up, header, payload, elements, held.arrival_us)

    def feed(self, up: Up, packet: bytes | memoryview, arrival_us: int, level: int | None) -> bool:
        """Take a plain packet of a local source in; False when it is dropped."""
        if not HEADER_SIZE <= len(packet) <= self._limits.datagram:
            self._drops["size"] += 1
            return False
        plain = bytes(packet)
        try:
            payload, elements = self._take_apart(plain)
        except ValueError:
            self._drops["malformed"] += 1
            return False
        if level is not None:
            elements.setdefault(up.origin.level_id, bytes((min(max(-level, 0), 127),)))
        self.heard = True
        self._media(up, len(plain), HEADER.unpack_from(plain), payload, elements, arrival_us)
        return True

    def expire(self, peer: Peer, now_us: int) -> None:
        """Drop what was held too long."""
        while peer.held and now_us - peer.held[0].arrival_us > HELD_US:
            peer.held.popleft()
            self._drops["unknown_ssrc"] += 1


def _hear(up: Up, value: bytes) -> None:
    """Enter an audio level into the window (RFC 6464)."""
    level = extensions.audio_level(value)
    up.level_max = max(up.level_max, level)
    up.level_packets += 1
    if level >= LOUD_DBOV:
        up.level_active += 1


def _is_stun(view: memoryview, size: int) -> bool:
    """Check cookie and length (RFC 8489 section 5), all that strangers may pass."""
    return (
        20 <= size <= STUN_MAX
        and bytes(view[4:8]) == STUN_COOKIE
        and int.from_bytes(view[2:4], "big") == size - 20
        and size % 4 == 0
    )
