"""The transport of a raw peer: one UDP socket with checks, DTLS and SRTP, driven step by step.

`connect` goes all the way; `check`, `hello` and `secure` are the steps of it, so that an attacker can
leave one out, do one twice or do it wrong. What comes is read at once, or in turns by `drain` after
`watch(False)`: the kernel's buffer holds what comes meanwhile, and hundreds of packets share one look.

RTP is counted by SSRC (`flows`) and one packet in `SAMPLE` is decrypted; once `on_rtp` is set, every
packet is decrypted and handed to it with the kernel's arrival time, which a busy process does not delay.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from roomful.errors import TransportError, TransportTimeout
from roomful_testing.peer.description import Credentials, Remote
from roomful_testing.peer.dtls import Certificate, Handshake
from roomful_testing.peer.flows import Flow
from roomful_testing.peer.ice import Checks
from roomful_testing.peer.srtp import Buffer, Ciphers
from roomful_testing.peer.wall import wall_ns

RtpReceiver = Callable[[bytes, int], None]
"""(decrypted packet, ns of CLOCK_REALTIME at which the kernel took it)"""

RECEIVE_BUFFER = 4 << 20
SAMPLE = 32
PACKETS_PER_LOOK = 256
"""that are handed on before others of the loop get their turn"""
CHECK_EVERY_S, CHECK_AGAIN_S = 2.5, 0.1
PATIENCE_S = 15.0
_SO_TIMESTAMPNS = 35  # Linux; not in Python's socket module
_NUMBERS = struct.Struct("!2xH4xI")
_TIMESPEC = struct.Struct("@qq")


class Transport:
    """Made and used inside a running loop; `close` it."""

    def __init__(
        self,
        certificate: Certificate,
        buffer: Buffer | None = None,
        *,
        source: str = "0.0.0.0",  # noqa: S104
    ) -> None:
        """Open the socket.

        Args:
            certificate: ours; others may share it.
            buffer: others of this loop may share it, it is used between two awaits.
            source: address to come from; by default the one that leads to the server.
        """
        self.checks = Checks()
        self.fingerprint = certificate.fingerprint
        """as announced; change it before the offer is made to announce a wrong one"""
        self.flows: dict[int, Flow] = {}
        """SSRC → what came of it; bounded by what the server sends"""
        self.remote: Remote | None = None
        self.handshake: Handshake | None = None
        self.ciphers: Ciphers | None = None
        self.on_rtcp: Callable[[bytes], None] | None = None
        """takes compound packets"""
        self.on_record: Callable[[bytes], None] | None = None
        """takes application data of DTLS: SCTP packets"""
        self.reading = True
        """False: what comes is taken and ignored"""
        self.answered, self.secured, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._certificate, self._buffer = certificate, buffer or Buffer()
        self._on_rtp: RtpReceiver | None = None
        self._problem = ""
        self._loop = asyncio.get_running_loop()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.bind((source, 0))
        self._watched = False
        self.watch(True)

    @property
    def credentials(self) -> Credentials:
        """What an offer says of this transport."""
        return Credentials(self.checks.ufrag, self.checks.pwd, self.fingerprint)

    @property
    def is_client(self) -> bool:
        """Whether ours is the client's part in DTLS."""
        return self.remote is None or self.remote.setup != "active"

    @property
    def on_rtp(self) -> RtpReceiver | None:
        """Who is handed every packet; None: packets are counted."""
        return self._on_rtp

    @on_rtp.setter
    def on_rtp(self, receiver: RtpReceiver | None) -> None:
        self._on_rtp = receiver
        if receiver is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def close(self) -> None:
        """Free the socket without a word."""
        self.reading = False
        self.watch(False)
        self.socket.close()

    def goodbye(self) -> None:
        """Send DTLS's closing alert."""
        if self.handshake is not None:
            self.handshake.close()
            self.flush()

    def watch(self, on: bool) -> None:
        """Read as soon as something comes, or only when `drain` is called."""
        if on and not self._watched:
            self._loop.add_reader(self.socket, self.drain)
        elif self._watched and not on:
            self._loop.remove_reader(self.socket)
        self._watched = on

    # --- steps ----------------------------------------------------------------------------------

    async def connect(self, remote: Remote) -> None:
        """Go all the way to SRTP keys.

        Raises:
            TransportError: no answer, or a handshake that failed.
        """
        await self.check(remote)
        await self.secure()

    async def check(self, remote: Remote) -> None:
        """ICE: send a check that nominates until it is answered.

        Raises:
            TransportTimeout: it was not.
        """
        self.remote = remote
        with suppress(OSError):  # what has no way out is found by the silence
            self.socket.connect(remote.address)
        with _limit("no check was answered"):
            async with asyncio.timeout(PATIENCE_S):
                while not self.answered.is_set():
                    self.send_check()
                    await _patience(self.answered)

    def hello(self) -> Handshake:
        """DTLS: begin; send the first flight where that is ours to do."""
        assert self.remote is not None
        self.handshake = Handshake(
            self._certificate, client=self.is_client, fingerprint=self.remote.fingerprint
        )
        self.handshake.start()
        self.flush()
        return self.handshake

    async def secure(self) -> None:
        """DTLS: the whole handshake.

        Raises:
            TransportError: it failed, or did not end.
        """
        handshake = self.hello()
        with _limit("the handshake was not answered"):
            async with asyncio.timeout(PATIENCE_S):
                while not self.secured.is_set():
                    if self._problem:
                        raise TransportError(self._problem)
                    await _patience(self.secured)
                    handshake.silence()
                    self.flush()

    async def keep_alive(self, every_s: float = CHECK_EVERY_S) -> None:
        """Send checks for ever, which keep the other side's consent fresh (RFC 7675)."""
        while True:
            await asyncio.sleep(every_s)
            self.send_check()

    # --- sending --------------------------------------------------------------------------------

    def send_raw(self, data: bytes | memoryview) -> None:
        """Send a datagram as it is; one that is refused, or finds no room, is lost as on any network."""
        try:
            self.socket.send(data)
        except OSError:
            return

    def send_check(self) -> None:
        """Send a check."""
        assert self.remote is not None
        self.send_raw(self.checks.request(self.remote.ufrag, self.remote.pwd))

    def send_sealed(self, size: int) -> memoryview:
        """Protect and send the first `size` bytes of the buffer, an RTP packet; return what went out.

        `ValueError` where libsrtp does not protect it.
        """
        assert self.ciphers is not None
        sealed = self._buffer.view[: self._buffer.seal(self.ciphers.tx, size)]
        self.send_raw(sealed)
        return sealed

    def send_rtp(self, packet: bytes) -> bytes:
        """Protect and send a packet; return what went out.

        What libsrtp does not protect (a header that leaves the packet, a number too far back) goes
        out as it is, with bytes where the tag would be.
        """
        self._buffer.view[: len(packet)] = packet
        try:
            return bytes(self.send_sealed(len(packet)))
        except ValueError:
            unprotected = packet + bytes(16)
            self.send_raw(unprotected)
            return unprotected

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send a compound packet; nothing happens before there are keys."""
        if self.ciphers is not None:
            self.send_raw(self.ciphers.seal_rtcp(compound))

    def send_record(self, data: bytes) -> None:
        """Send application data in DTLS: an SCTP packet, well-formed or not."""
        if self.handshake is None or self.handshake.keys is None or self.ended.is_set():
            return
        self.handshake.write(data)
        self.flush()

    def flush(self) -> None:
        """Send what DTLS has to say."""
        assert self.handshake is not None
        for datagram in self.handshake.outgoing():
            self.send_raw(datagram)

    # --- receiving ------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take in what waits."""
        if self._on_rtp is not None:
            self._hand_on(self._on_rtp)
        else:
            self._count_all()

    def _count_all(self) -> None:
        view, receive, flows, numbers = (
            self._buffer.view, self.socket.recv_into, self.flows, _NUMBERS.unpack_from,
        )  # fmt: skip
        while True:
            try:
                size = receive(view)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # the echo of an earlier send; what waits is not lost
            except OSError:
                return
            if 127 < view[0] < 192 and not 191 < view[1] < 224 and size >= _NUMBERS.size:
                seq16, ssrc = numbers(view)
                flow = flows.get(ssrc)
                if flow is None:
                    self._begin(size, seq16, ssrc, wall_ns())
                    continue
                flow.packets += 1
                flow.bytes += size
                if (seq16 - flow.highest) & 0xFFFF == 1:
                    flow.highest += 1
                else:
                    flow.advance(seq16)
                if not flow.packets % SAMPLE:
                    self._open(flow, size)
            elif self.reading:
                self._other(bytes(view[:size]))

    def _hand_on(self, receiver: RtpReceiver) -> None:
        """The same with the kernel's times; every packet is decrypted and handed on."""
        view = self._buffer.view
        for _ in range(PACKETS_PER_LOOK):
            try:
                size, notes, _, _ = self.socket.recvmsg_into([view], 64)
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:
                return
            if not self.reading:
                continue
            if not (127 < view[0] < 192) or 191 < view[1] < 224 or size < _NUMBERS.size:
                self._other(bytes(view[:size]))
                continue
            came_ns = _arrival_ns(notes)
            seq16, ssrc = _NUMBERS.unpack_from(view)
            plain = self._count(size, seq16, ssrc, came_ns)
            if plain:
                receiver(bytes(view[:plain]), came_ns)

    def _count(self, size: int, seq16: int, ssrc: int, came_ns: int) -> int:
        flow = self.flows.get(ssrc)
        if flow is None:
            return self._begin(size, seq16, ssrc, came_ns)
        flow.packets += 1
        flow.bytes += size
        flow.advance(seq16)
        return self._open(flow, size)

    def _begin(self, size: int, seq16: int, ssrc: int, now_ns: int) -> int:
        pt = self._buffer.view[1] & 0x7F
        flow = self.flows[ssrc] = Flow(pt, seq16, seq16, now_ns, bytes=size)
        return self._open(flow, size)

    def _open(self, flow: Flow, size: int) -> int:
        """Decrypt a packet in its place; return the size of the plain one, 0 for a forged one."""
        if self.ciphers is None:
            return 0
        plain = self._buffer.open(self.ciphers.rx, size)
        if plain:
            flow.authentic += 1
        else:
            flow.refused += 1
        return plain

    def _other(self, data: bytes) -> None:
        first = data[0] if data else 255
        if first < 4:
            self._on_stun(data)
        elif 19 < first < 64:
            self._on_dtls(data)
        elif self.ciphers is not None and self.on_rtcp is not None:
            packet = self.ciphers.open_rtcp(data)
            if packet is not None:
                self.on_rtcp(packet)

    def _on_stun(self, data: bytes) -> None:
        if self.remote is None:
            return
        answered, answer = self.checks.take(data, self.remote.address)
        if answered:
            self.answered.set()
        if answer:
            self.send_raw(answer)

    def _on_dtls(self, data: bytes) -> None:
        handshake = self.handshake
        if handshake is None or self.ended.is_set():
            return
        try:
            records = handshake.feed(data)
        except ConnectionError as error:
            self._problem = str(error)
            self.ended.set()
            return
        if handshake.keys is not None and self.ciphers is None:
            self.ciphers = Ciphers(handshake.keys)
            self.secured.set()
        self.flush()
        for record in records:
            if self.on_record is not None:
                self.on_record(record)


async def _patience(event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(CHECK_AGAIN_S):
            await event.wait()


@contextmanager
def _limit(problem: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise TransportTimeout(f"{problem} within {PATIENCE_S:g} s") from None


def _arrival_ns(notes: list[tuple[int, int, bytes]]) -> int:
    """The kernel's time of a datagram; ours for one that came before it was asked to note them."""
    for level, kind, data in notes:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return seconds * 1_000_000_000 + nanoseconds
    return wall_ns()
