"""One transport of a client, driven by hand: ICE, DTLS, SRTP and SCTP on a socket of its own.

Every step is a call of its own, so that an attacker can leave one out, do one twice or do it wrong.
Arrival times are the kernel's: a busy test process does not delay them.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import DataChunk

from roomful_rtc.dtls import drive

from ..bench.peers.dtls import Certificate, Handshake
from ..bench.peers.ice import Checks
from ..bench.peers.srtp import Buffer, Ciphers

PATIENCE_S = 8.0
_SO_TIMESTAMPNS = 35  # Linux; not in Python's socket module
_TIMESPEC = struct.Struct("@ll")

RtpReceiver = Callable[[bytes, int], None]
"""(decrypted packet, CLOCK_REALTIME ns at which the kernel took it)"""


@dataclass(frozen=True, slots=True)
class Remote:
    """The server's end, as its description names it."""

    ufrag: str
    pwd: str
    fingerprint: str
    address: tuple[str, int]


@cache
def identity() -> Certificate:
    """The certificate all raw peers of this process share."""
    return Certificate.make()


class RawPeer:
    """Made and used inside a running loop; `close` it."""

    def __init__(self, source: str = "127.0.0.1", certificate: Certificate | None = None) -> None:
        self.checks = Checks()
        self.certificate = certificate or identity()
        self.fingerprint = self.certificate.fingerprint
        """as announced; change it before the offer is made to announce a wrong one"""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((source, 0))
        self.remote: Remote | None = None
        self.handshake: Handshake | None = None
        self.ciphers: Ciphers | None = None
        self.association: RTCSctpTransport | None = None
        self.on_rtp: RtpReceiver | None = None
        self.on_rtcp: Callable[[bytes], None] | None = None
        self.on_record: Callable[[bytes], None] = self._associated
        self.reading = True
        """False: what comes is taken and ignored"""
        self.answered, self.secured, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._buffer, self._scratch = Buffer(), bytearray(2048)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket, self._read)

    def close(self) -> None:
        """Vanish without a word."""
        self.reading = False
        if self.association is not None:
            silence(self.association)
        if self.socket.fileno() >= 0:
            self._loop.remove_reader(self.socket)
            self.socket.close()

    # --- steps ----------------------------------------------------------------------------------

    async def connect(self, remote: Remote) -> None:
        """All the way to SRTP keys."""
        await self.check(remote)
        await self.secure()

    async def check(self, remote: Remote) -> None:
        """ICE: a check that nominates, until it is answered."""
        self.remote = remote
        for _ in range(20):
            self.send_raw(self.checks.request(remote.ufrag, remote.pwd))
            with suppress(TimeoutError):
                await asyncio.wait_for(self.answered.wait(), 0.4)
                return
        raise TimeoutError("no check was answered")

    def hello(self) -> Handshake:
        """DTLS: send the first flight."""
        assert self.remote is not None
        self.handshake = Handshake(
            self.certificate.context(), client=True, fingerprint=self.remote.fingerprint
        )
        self.handshake.start()
        self.flush()
        return self.handshake

    async def secure(self) -> None:
        """DTLS: the whole handshake."""
        handshake = self.hello()
        async with asyncio.timeout(PATIENCE_S):
            while not self.secured.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.secured.wait(), 0.2)
                handshake.silence()
                self.flush()

    async def associate(self) -> RTCSctpTransport:
        """SCTP: the association, without channels."""
        self.association = RTCSctpTransport(_Carrier(self), 5000)  # type: ignore[arg-type]
        await self.association.start(RTCSctpCapabilities(maxMessageSize=65_535), 5000)
        async with asyncio.timeout(PATIENCE_S):
            while self.association.state != "connected":
                await asyncio.sleep(0.005)
        return self.association

    async def channel(self, label: str = "_reliable", **parameters: Any) -> RTCDataChannel:
        """SCTP: an open data channel; makes the association if there is none."""
        association = self.association or await self.associate()
        channel = RTCDataChannel(association, RTCDataChannelParameters(label=label, **parameters))
        async with asyncio.timeout(PATIENCE_S):
            while channel.readyState != "open":
                await asyncio.sleep(0.005)
        return channel

    # --- sending --------------------------------------------------------------------------------

    def send_raw(self, data: bytes) -> None:
        """Send a datagram as it is; one that the kernel has no room for is lost."""
        assert self.remote is not None
        with suppress(BlockingIOError, ConnectionRefusedError, OSError):
            self.socket.sendto(data, self.remote.address)

    def send_rtp(self, packet: bytes) -> bytes:
        """Protect and send; return what went out.

        What libsrtp does not protect (a header that leaves the packet, a number too far back) goes
        out as it is, with bytes where the tag would be.
        """
        assert self.ciphers is not None
        self._buffer.view[: len(packet)] = packet
        try:
            size = self._buffer.seal(self.ciphers.tx, len(packet))
            protected = bytes(self._buffer.view[:size])
        except ValueError:
            protected = packet + bytes(16)
        self.send_raw(protected)
        return protected

    def send_rtcp(self, compound: bytes) -> bytes:
        """Protect and send; return what went out."""
        assert self.ciphers is not None
        protected = self.ciphers.seal_rtcp(compound)
        self.send_raw(protected)
        return protected

    def send_record(self, data: bytes) -> None:
        """Send application data in DTLS: an SCTP packet, well-formed or not."""
        assert self.handshake is not None
        if not self.ended.is_set():
            self.handshake.write(data)
            self.flush()

    def flush(self) -> None:
        """Send what DTLS has to say."""
        assert self.handshake is not None
        for datagram in self.handshake.outgoing():
            self.send_raw(datagram)

    # --- receiving ------------------------------------------------------------------------------

    def _read(self) -> None:
        for _ in range(256):
            try:
                size, ancillary, _, address = self.socket.recvmsg_into([self._scratch], 64)
            except OSError:
                return
            if self.reading:
                self._take(bytes(self._scratch[:size]), address, arrival_ns(ancillary))

    def _take(self, data: bytes, address: tuple[str, int], came_ns: int) -> None:
        first = data[0]
        if first < 4:
            answered, answer = self.checks.take(data, address)
            if answered:
                self.answered.set()
            elif answer:
                self.send_raw(answer)
        elif first < 64:
            self._take_record(data)
        elif self.ciphers is not None:
            self._take_media(data, came_ns)

    def _take_record(self, data: bytes) -> None:
        handshake = self.handshake
        if handshake is None or self.ended.is_set():
            return
        try:
            received = handshake.feed(data)
        except ConnectionError:
            self.ended.set()
            return
        if handshake.keys is not None and self.ciphers is None:
            self.ciphers = Ciphers(handshake.keys)
            self.secured.set()
        self.flush()
        for packet in received:
            self.on_record(packet)

    def _associated(self, packet: bytes) -> None:
        if self.association is not None:
            drive(self.association._handle_data(packet))

    def _take_media(self, data: bytes, came_ns: int) -> None:
        assert self.ciphers is not None
        if 191 < data[1] < 224:
            if self.on_rtcp is not None and (plain := self.ciphers.open_rtcp(data)):
                self.on_rtcp(plain)
        elif self.on_rtp is not None:
            self._buffer.view[: len(data)] = data
            size = self._buffer.open(self.ciphers.rx, len(data))
            if size:
                self.on_rtp(bytes(self._buffer.view[:size]), came_ns)


class _Carrier:
    """What aiortc's association needs of a DTLS transport."""

    state, _role = "connected", "client"

    def __init__(self, peer: RawPeer) -> None:
        self._peer = peer

    async def _send_data(self, data: bytes) -> None:
        self._peer.send_record(data)

    def _register_data_receiver(self, receiver: object) -> None:
        """The peer knows its association."""

    def _unregister_data_receiver(self, receiver: object) -> None:
        """The association ended."""


def silence(association: RTCSctpTransport) -> None:
    """Stop the timers of an association whose peer is gone."""
    for cancel in ("_t1_cancel", "_t2_cancel", "_t3_cancel", "_reconfig_timer_cancel"):
        getattr(association, cancel)()
    association._outbound_queue.clear()
    association._sent_queue.clear()


def data_chunk(association: RTCSctpTransport, **fields: Any) -> DataChunk:
    """The next DATA chunk of an association, with fields of one's own."""
    chunk = DataChunk(flags=3)
    chunk.tsn = association._local_tsn
    chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = 0, 0, 53, b"x"
    for name, value in fields.items():
        setattr(chunk, name, value)
    return chunk


def arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's time stamp of a datagram, ns of CLOCK_REALTIME."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return seconds * 1_000_000_000 + nanoseconds
    raise RuntimeError("the kernel stamps no arrivals")
