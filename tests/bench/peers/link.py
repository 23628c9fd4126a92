"""The transport of one raw participant: one UDP socket, checks, DTLS, SRTP, counted packets.

While it connects, the socket is watched; afterwards it may be read in turns (`Reading.IN_TURNS`):
the kernel's buffer holds what comes meanwhile, and hundreds of packets share one look.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from OpenSSL import SSL

from .dtls import Handshake
from .flows import Flow, Latencies
from .ice import Checks
from .srtp import Buffer, Ciphers

RECEIVE_BUFFER = 4 << 20
SAMPLE = 32
"""one packet in so many is decrypted"""
STAMPED_BELOW = 300
"""bytes of a packet that is audio: all of those carry a stamp, of video those with the marker"""
CHECK_EVERY_S, CHECK_AGAIN_S = 2.5, 0.1
GIVE_UP_S = 15.0
_SO_TIMESTAMPNS = 35
_NUMBERS = struct.Struct("!2xH4xI")
_STAMP = struct.Struct("!Q")
_TIMESPEC = struct.Struct("@qq")


class Reading(Enum):
    """How packets are read once the transport is connected."""

    IN_TURNS = "in turns"
    AT_ONCE = "at once"
    TIMED = "timed"
    """at once, all decrypted, with the kernel's arrival time"""


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """What the other side's description says."""

    address: tuple[str, int]
    ufrag: str
    pwd: str
    fingerprint: str
    setup: str
    """of an answer: active or passive"""


class DataReceiver(Protocol):
    """Takes application data (SCTP)."""

    def take(self, data: bytes) -> None: ...


class Link:
    """One transport; made inside a running loop."""

    def __init__(
        self,
        buffer: Buffer,
        context: SSL.Context,
        *,
        reading: Reading,
        on_rtcp: Callable[[bytes], None],
    ) -> None:
        """`buffer` may be shared with other links of the process: it is used between two awaits."""
        self.checks = Checks()
        self.flows: dict[int, Flow] = {}
        self.latencies = Latencies()
        self.data_receiver: DataReceiver | None = None
        self.ciphers: Ciphers | None = None
        self.is_client = False
        self._buffer, self._context, self._reading = buffer, context, reading
        self._on_rtcp = on_rtcp
        self._loop = asyncio.get_running_loop()
        self._sample = 1 if reading is Reading.TIMED else SAMPLE
        self._socket = _bound(timed=reading is Reading.TIMED)
        self._remote: RemoteTransport | None = None
        self._handshake: Handshake | None = None
        self._answered = asyncio.Event()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._life: asyncio.Task[None] | None = None
        self._watched = False

    # --- life ---------------------------------------------------------------------------------

    async def connect(self, remote: RemoteTransport) -> None:
        """Check, shake hands. Raises ConnectionError or TimeoutError."""
        self._remote = remote
        self.is_client = remote.setup != "active"
        self._handshake = Handshake(
            self._context, client=self.is_client, fingerprint=remote.fingerprint
        )
        self._socket.connect(remote.address)
        self._watch(True)
        self._life = self._loop.create_task(self._live())
        try:
            async with asyncio.timeout(GIVE_UP_S):
                await self._ready
        except TimeoutError:
            reached = "no handshake" if self._answered.is_set() else "no answer to checks"
            raise TimeoutError(f"{reached} within {GIVE_UP_S:g} s") from None
        if self._reading is Reading.IN_TURNS:
            self._watch(False)

    async def _live(self) -> None:
        """Check until answered, repeat lost flights, keep the peer's consent fresh."""
        assert self._remote is not None
        assert self._handshake is not None
        while True:
            self._send(self.checks.request(self._remote.ufrag, self._remote.pwd))
            if not self._answered.is_set():
                with _patience():
                    await asyncio.wait_for(self._answered.wait(), CHECK_AGAIN_S)
                if not self._answered.is_set():
                    continue
                self._handshake.start()
            if not self._ready.done():
                self._flush()
                with _patience():
                    await asyncio.wait_for(asyncio.shield(self._ready), CHECK_AGAIN_S)
                self._handshake.silence()
                continue
            await asyncio.sleep(CHECK_EVERY_S)

    def close(self) -> None:
        """Say goodbye, free the socket."""
        if self._life is not None:
            self._life.cancel()
        if self._handshake is not None:
            self._handshake.close()
            self._flush()
        self._watch(False)
        self._socket.close()

    def _watch(self, on: bool) -> None:
        if on and not self._watched:
            self._loop.add_reader(self._socket, self.drain)
        elif self._watched and not on:
            self._loop.remove_reader(self._socket)
        self._watched = on

    # --- sending ------------------------------------------------------------------------------

    def send_packet(self, size: int) -> None:
        """Seal and send the first `size` bytes of the buffer, an RTP packet."""
        assert self.ciphers is not None
        size = self._buffer.seal(self.ciphers.tx, size)
        self._send(self._buffer.view[:size])

    def send_rtcp(self, packet: bytes) -> None:
        """Seal and send a compound packet."""
        if self.ciphers is not None:
            self._send(self.ciphers.seal_rtcp(packet))

    def send_data(self, data: bytes) -> None:
        """Send application data (SCTP)."""
        if self._handshake is not None and self._handshake.keys is not None:
            self._handshake.write(data)
            self._flush()

    def _flush(self) -> None:
        assert self._handshake is not None
        for datagram in self._handshake.outgoing():
            self._send(datagram)

    def _send(self, data: bytes | memoryview) -> None:
        try:
            self._socket.send(data)
        except OSError:
            return  # refused or full: lost, as on any network

    # --- receiving ----------------------------------------------------------------------------

    def drain(self) -> None:
        """Take in everything that waits."""
        if self._reading is Reading.TIMED:
            self._drain_timed()
            return
        view, receive, flows, numbers = (
            self._buffer.view, self._socket.recv_into, self.flows, _NUMBERS.unpack_from,
        )  # fmt: skip
        while True:
            try:
                size = receive(view)
            except BlockingIOError:
                return
            except OSError:
                continue  # the echo of an earlier send; what waits is not lost
            if 127 < view[0] < 192 and not 191 < view[1] < 224:
                seq16, ssrc = numbers(view)
                flow = flows.get(ssrc)
                if flow is None:
                    self._begin(size, seq16, ssrc, time.time_ns())
                    continue
                flow.packets += 1
                flow.bytes += size
                if (seq16 - flow.highest) & 0xFFFF == 1:
                    flow.highest += 1
                else:
                    flow.advance(seq16)
                if not flow.packets % SAMPLE:
                    self._look(flow, size, 0)
            else:
                self._other(bytes(view[:size]))

    def _drain_timed(self) -> None:
        """The same, packet by packet with the kernel's time."""
        view = self._buffer.view
        while True:
            try:
                size, notes, _, _ = self._socket.recvmsg_into([view], 64)
            except BlockingIOError:
                return
            except OSError:
                continue
            if not (127 < view[0] < 192) or 191 < view[1] < 224:
                self._other(bytes(view[:size]))
                continue
            seconds, nanos = _TIMESPEC.unpack_from(notes[0][2])
            came_ns = seconds * 1_000_000_000 + nanos
            seq16, ssrc = _NUMBERS.unpack_from(view)
            flow = self.flows.get(ssrc)
            if flow is None:
                self._begin(size, seq16, ssrc, came_ns)
                continue
            flow.packets += 1
            flow.bytes += size
            flow.advance(seq16)
            self._look(flow, size, came_ns)

    def _begin(self, size: int, seq16: int, ssrc: int, now_ns: int) -> None:
        pt = self._buffer.view[1] & 0x7F
        flow = self.flows[ssrc] = Flow(pt, seq16, seq16, now_ns, bytes=size)
        self._look(flow, size, 0)

    def _look(self, flow: Flow, size: int, came_ns: int) -> None:
        """Decrypt a packet; read the stamp where its arrival is known."""
        if self.ciphers is None:
            return
        view = self._buffer.view
        ends = view[1] & 0x80
        plain = self._buffer.open(self.ciphers.rx, size)
        if not plain:
            flow.refused += 1
            return
        flow.authentic += 1
        if came_ns and (ends or plain < STAMPED_BELOW):
            self.latencies.add(_STAMP.unpack_from(view, plain - _STAMP.size)[0], came_ns)

    def _other(self, data: bytes) -> None:
        first = data[0] if data else 255
        if first < 4:
            self._on_stun(data)
        elif 19 < first < 64:
            self._on_dtls(data)
        elif self.ciphers is not None:
            packet = self.ciphers.open_rtcp(data)
            if packet is not None:
                self._on_rtcp(packet)

    def _on_stun(self, data: bytes) -> None:
        assert self._remote is not None
        answered, answer = self.checks.take(data, self._remote.address)
        if answered:
            self._answered.set()
        if answer:
            self._send(answer)

    def _on_dtls(self, data: bytes) -> None:
        assert self._handshake is not None
        try:
            received = self._handshake.feed(data)
        except ConnectionError as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            return
        self._flush()
        if self.ciphers is None and self._handshake.keys is not None:
            self.ciphers = Ciphers(self._handshake.keys)
            if not self._ready.done():
                self._ready.set_result(None)
        for record in received:
            if self.data_receiver is not None:
                self.data_receiver.take(record)


@contextmanager
def _patience() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        return


def _bound(*, timed: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    if timed:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.bind(("0.0.0.0", 0))  # the kernel takes the address that leads to the server
    return sock
