"""The transport of a raw peer: one UDP socket with checks, DTLS and SRTP, driven step by step.

`connect` goes all the way; `check`, `hello` and `secure` are the steps of it, so that an attacker can
leave one out, do one twice or do it wrong. What comes is read at once, or in turns by `intake.drain`
after `watch(False)`: the kernel's buffer holds what comes meanwhile, and hundreds of packets share one look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from roomful.errors import TransportError, TransportTimeout
from roomful_testing.peer.description import Credentials, Remote
from roomful_testing.peer.dtls import Certificate, Handshake
from roomful_testing.peer.flows import Flow
from roomful_testing.peer.ice import Checks
from roomful_testing.peer.intake import Intake
from roomful_testing.peer.srtp import Buffer, Ciphers

CHECK_EVERY_S, CHECK_AGAIN_S = 2.5, 0.1
PATIENCE_S = 15.0


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
        self.remote: Remote | None = None
        self.handshake: Handshake | None = None
        self.on_rtcp: Callable[[bytes], None] | None = None
        """takes compound packets"""
        self.on_record: Callable[[bytes], None] | None = None
        """takes application data of DTLS: SCTP packets"""
        self.answered, self.secured, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._certificate, self._buffer = certificate, buffer or Buffer()
        self._problem = ""
        self._loop = asyncio.get_running_loop()
        self.intake = Intake(source, self._buffer, self._other)
        self.socket = self.intake.socket
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
    def flows(self) -> dict[int, Flow]:
        """SSRC → what came of it."""
        return self.intake.flows

    @property
    def ciphers(self) -> Ciphers | None:
        """SRTP, once there are keys."""
        return self.intake.ciphers

    def close(self) -> None:
        """Free the socket without a word."""
        self.intake.reading = False
        self.watch(False)
        self.socket.close()

    def goodbye(self) -> None:
        """Send DTLS's closing alert."""
        if self.handshake is not None:
            self.handshake.close()
            self.flush()

    def watch(self, on: bool) -> None:
        """Read as soon as something comes, or only when the intake is drained."""
        if on and not self._watched:
            self._loop.add_reader(self.socket, self.intake.drain)
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

    def aim(self, remote: Remote) -> None:
        """Send to this one from now on."""
        self.remote = remote
        with suppress(OSError):  # what has no way out is found by the silence
            self.socket.connect(remote.address)

    async def check(self, remote: Remote) -> None:
        """ICE: send a check that nominates until it is answered.

        Raises:
            TransportTimeout: it was not.
        """
        self.aim(remote)
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

    # --- what comes -----------------------------------------------------------------------------

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
            self.intake.ciphers = Ciphers(handshake.keys)
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
