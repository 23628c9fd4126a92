"""What comes in by the socket of a raw peer: RTP is counted and decrypted, the rest is passed on.

RTP is counted by SSRC (`flows`) and one packet in `SAMPLE` is decrypted; once `on_rtp` is set, every
packet is decrypted and handed to it with the kernel's arrival time, which a busy process does not delay.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from roomful_testing.peer.flows import Flow
from roomful_testing.peer.srtp import Buffer, Ciphers
from roomful_testing.peer.wall import wall_ns

RtpReceiver = Callable[[bytes, int], None]
"""(decrypted packet, ns of CLOCK_REALTIME at which the kernel took it)"""

RECEIVE_BUFFER = 4 << 20
SAMPLE = 32
PACKETS_PER_LOOK = 256
"""that are handed on before others of the loop get their turn"""
_SO_TIMESTAMPNS = 35  # Linux; not in Python's socket module
_NUMBERS = struct.Struct("!2xH4xI")
_TIMESPEC = struct.Struct("@qq")


class Intake:
    """Of one socket. `drain` takes in what waits."""

    def __init__(self, source: str, buffer: Buffer, on_other: Callable[[bytes], None]) -> None:
        """Open a socket at an address; what is no RTP goes to `on_other`."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.bind((source, 0))
        self.flows: dict[int, Flow] = {}
        """SSRC → what came of it; bounded by what the server sends"""
        self.ciphers: Ciphers | None = None
        self.reading = True
        """False: what comes is taken and ignored"""
        self._buffer, self._on_other = buffer, on_other
        self._on_rtp: RtpReceiver | None = None

    def hand_to(self, receiver: RtpReceiver | None) -> None:
        """Hand every packet to this one from now on; None: count them."""
        self._on_rtp = receiver
        if receiver is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

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
                self._on_other(bytes(view[:size]))

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
                self._on_other(bytes(view[:size]))
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


def _arrival_ns(notes: list[tuple[int, int, bytes]]) -> int:
    """The kernel's time of a datagram; ours for one that came before it was asked to note them."""
    for level, kind, data in notes:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return seconds * 1_000_000_000 + nanoseconds
    return wall_ns()
