"""An engine with publishers and subscribers on loopback sockets, a clock that stands still, and no
chance: what an engine contract test is written with.

Loopback UDP delivers before `sendto` returns, so one `turn()` after sending is enough; nothing
sleeps.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from roomful_rtc import extensions, rtp
from roomful_rtc.engine import (
    AES_256_GCM,
    KEY_AND_SALT,
    Address,
    Codec,
    Datagram,
    Engine,
    EngineEvent,
    EngineLimits,
)
from roomful_rtc.rtp import RtpPacket

from .srtp_reference import SessionKeys

T = TypeVar("T")

START_US = 50_000_000
RECEIVE_BUFFER = 4 << 20
FIRST_SEQ, FIRST_TS = 1000, 77_000
VP8_PT, RTX_PT, OPUS_PT, H264_PT = 96, 97, 111, 102
OUT_VP8, OUT_RTX, OUT_OPUS, OUT_H264 = 120, 121, 122, 123
PUBLISHED = {
    VP8_PT: Codec("vp8", 90000),
    RTX_PT: Codec("rtx", 90000, VP8_PT),
    OPUS_PT: Codec("opus", 48000),
    H264_PT: Codec("h264", 90000),
}
OUT_PTS = {"vp8": OUT_VP8, "opus": OUT_OPUS, "h264": OUT_H264}
SINK_PTS = {"vp8": 70, "opus": 71, "h264": 72}


class EngineMaker(Protocol):
    """Makes the engine under test; time and randomness are the rig's."""

    def __call__(
        self,
        sockets: Sequence[socket.socket],
        limits: EngineLimits,
        *,
        now_us: Callable[[], int],
        below: Callable[[int], int],
    ) -> Engine: ...


def below(limit: int) -> int:
    """Stand in for chance: number bases and timestamp bases are known."""
    return FIRST_SEQ if limit < 1 << 20 else FIRST_TS


def vp8(
    pid: int = 0, *, key: bool = False, begins: bool = True, tid: int = 0, **more: int
) -> bytes:
    """A VP8 payload with a 15-bit picture id, TL0PICIDX and TID; `tl0`, `sync`, `fill` in `more`."""
    tl0, sync, fill = more.get("tl0", pid & 0xFF), more.get("sync", 0), more.get("fill", 6)
    head = (0x90 if begins else 0x80, 0xE0, 0x80 | pid >> 8, pid & 0xFF, tl0, tid << 6 | sync << 5)
    frame = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" if key else b"\x11\x00\x00"
    return bytes(head) + frame + bytes(fill)


@dataclass(slots=True)
class Party:
    """A peer's far end: its socket, its keys, and what the engine calls it."""

    sock: socket.socket
    engine_addr: Address
    keys_out: SessionKeys
    """what it sends is protected with"""
    keys_in: SessionKeys
    raw_keys: tuple[str, bytes, bytes]
    peer: int = 0
    rocs: dict[int, tuple[int, int]] = field(default_factory=dict)
    """ssrc → (roll-over counter, last number) of what it receives"""
    _inbox: list[bytes] = field(default_factory=list[bytes])

    @property
    def addr(self) -> Address:
        return self.sock.getsockname()[:2]

    def send_raw(self, data: bytes) -> None:
        self.sock.sendto(data, self.engine_addr)

    def send(self, packet: RtpPacket | bytes, roc: int = 0) -> bytes:
        """Protect and send; return the datagram."""
        plain = packet if isinstance(packet, bytes) else rtp.build(packet)
        datagram = self.keys_out.protect(plain, roc)
        self.send_raw(datagram)
        return datagram

    def datagrams(self) -> list[bytes]:
        """What has arrived since the last call, as it lies on the wire."""
        self.collect()
        found, self._inbox = self._inbox, []
        return found

    def collect(self) -> None:
        """Empty the socket, whose buffer is small."""
        while True:
            try:
                self._inbox.append(self.sock.recv(4096))
            except BlockingIOError:
                return

    def received(self) -> list[RtpPacket]:
        """What has arrived, decrypted."""
        return [rtp.parse(self.open(datagram)) for datagram in self.datagrams()]

    def open(self, datagram: bytes) -> bytes:
        """Decrypt with the roll-over counter that the numbers so far make likely."""
        seq16, ssrc = int.from_bytes(datagram[2:4], "big"), int.from_bytes(datagram[8:12], "big")
        roc, last = self.rocs.get(ssrc, (0, seq16))
        seq = rtp.unwrap(seq16, roc << 16 | last)
        plain = self.keys_in.unprotect(datagram, seq >> 16)
        if seq >= roc << 16 | last:
            self.rocs[ssrc] = (seq >> 16, seq & 0xFFFF)
        return plain


class Rig:
    """Owns the engine; `turn` is one round of the loop."""

    def __init__(
        self,
        make: EngineMaker,
        limits: EngineLimits | None = None,
        below: Callable[[int], int] = below,
    ) -> None:
        self.now_us = START_US
        self.events: list[EngineEvent] = []
        self.handed_up: list[Datagram] = []
        self._parties: list[Party] = []
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind(("127.0.0.1", 0))
        self.addr: Address = sock.getsockname()
        self.engine = make(
            [sock], limits or EngineLimits(), now_us=lambda: self.now_us, below=below
        )

    def close(self) -> None:
        self.engine.close()
        for party in self._parties:
            party.sock.close()

    def turn(self, ms: float = 0) -> list[EngineEvent]:
        """Let time pass and the engine work; return the events, which are also kept."""
        self.now_us += int(ms * 1000)
        datagrams, events = self.engine.take()
        self.handed_up += datagrams
        self.events += events
        for party in self._parties:
            party.collect()
        return events

    def settle(self) -> list[EngineEvent]:
        """Turn until everything that arrived has been dealt with."""
        events = self.turn()
        while self.waits():
            events += self.turn()
        return events

    def waits(self) -> bool:
        """The engine's descriptor is readable."""
        return bool(select.select([self.engine.fileno()], [], [], 0)[0])

    def of(self, kind: type[T]) -> list[T]:
        """Events so far of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def stranger(self, profile: str = AES_256_GCM) -> Party:
        """A socket with keys that the engine does not know."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        size, number = KEY_AND_SALT[profile], len(self._parties)
        sent, got = bytes((number * 2 + 1,)) * size, bytes((number * 2 + 2,)) * size
        keys = SessionKeys.of(profile, sent), SessionKeys.of(profile, got)
        party = Party(sock, self.addr, *keys, (profile, sent, got))
        self._parties.append(party)
        return party

    def party(
        self,
        profile: str = AES_256_GCM,
        *,
        recv: Mapping[str, int] | None = None,
        send: Mapping[str, int] | None = None,
    ) -> Party:
        """A peer with keys, codecs and, if given, extension ids."""
        party = self.stranger(profile)
        party.peer = self.engine.add_peer(party.addr)
        self.engine.set_keys(party.peer, *party.raw_keys)
        self.engine.set_codecs(party.peer, PUBLISHED)
        self.engine.set_extensions(party.peer, recv or {}, send or {})
        return party


class Stream:
    """One published stream with its numbers."""

    def __init__(self, rig: Rig, party: Party, ssrc: int, codec: str = "vp8", **more: int) -> None:
        rate = 48000 if codec in ("opus", "red") else 90000
        self.rig, self.party, self.ssrc, self.codec = rig, party, ssrc, codec
        self.pt = {"vp8": VP8_PT, "opus": OPUS_PT, "h264": H264_PT}[codec]
        self.seq, self.ts, self.step, self.pid = 100, 10_000, rate // 30, 0
        self.up = rig.engine.add_up(party.peer, ssrc, codec, rate, **more)

    def packet(self, payload: bytes = b"sound", **fields: object) -> RtpPacket:
        """The next packet of the stream, not sent."""
        made = RtpPacket(True, self.pt, self.seq & 0xFFFF, self.ts, self.ssrc, payload)
        self.seq += 1
        self.ts += self.step
        return made._replace(**fields)

    def frame(self, *, key: bool = False, tid: int = 0, **more: int) -> RtpPacket:
        """The next VP8 frame, in one packet, not sent."""
        self.pid += 1
        return self.packet(vp8(self.pid, key=key, tid=tid, **more))

    def send(self, *packets: RtpPacket) -> None:
        """Send packets, then let the engine work."""
        for packet in packets:
            self.party.send(packet, max(self.seq - 1, 0) >> 16 if packet.seq16 < 0x8000 else 0)
        self.rig.settle()


class Feed(Stream):
    """A local source with its numbers; its packets bear an SSRC and a payload type of no meaning."""

    def __init__(self, rig: Rig, codec: str = "vp8", **more: Any) -> None:
        rate = 48000 if codec == "opus" else 90000
        self.rig, self.ssrc, self.codec, self.pt = rig, 0x77777777, codec, 33
        self.seq, self.ts, self.step, self.pid = 100, 10_000, rate // 30, 0
        self.up = rig.engine.add_source(codec, rate, **more)

    def send(self, *packets: RtpPacket, level: int | None = None) -> None:
        """Hand packets over; what they lead to is done when the call returns."""
        for packet in packets:
            data = memoryview(rtp.build(packet))
            assert self.rig.engine.feed(self.up, data, self.rig.now_us, level=level)


class Kept:
    """A sink that keeps what it is given, in order."""

    def __init__(self) -> None:
        self.all: list[RtpPacket | tuple[int, int]] = []
        """packets, and gaps as (count, reason)"""
        self.arrivals_ns: list[int] = []

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self.all.append(rtp.parse(bytes(packet)))
        self.arrivals_ns.append(arrival_ns)

    def gap(self, count: int, reason: int) -> None:
        self.all.append((count, reason))

    @property
    def packets(self) -> list[RtpPacket]:
        return [entry for entry in self.all if isinstance(entry, RtpPacket)]

    @property
    def gaps(self) -> list[tuple[int, int]]:
        return [entry for entry in self.all if not isinstance(entry, RtpPacket)]


def elements(packet: RtpPacket) -> dict[int, bytes]:
    """Header extension elements of a packet."""
    return extensions.read(packet.profile, packet.extension)
