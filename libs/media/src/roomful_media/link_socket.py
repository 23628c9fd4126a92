"""One end of a local link on an asyncio loop: reads, writes, counts, notices a dead peer.

The socket keeps messages whole (SOCK_SEQPACKET). Nothing here waits: what is sent goes through a
`LinkQueue`; what comes is handed on at most 64 records a turn of the loop, so that no peer can
take more of it than its turn.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from roomful.clock import Clock, SystemClock
from roomful.errors import RemoteProtocolError
from roomful.model.media import QueuePolicy
from roomful_rtc.link.control import Message, control_record
from roomful_rtc.link.queue import LinkQueue
from roomful_rtc.link.reader import LinkReader
from roomful_rtc.link.record import MESSAGE_BYTES
from roomful_rtc.link.sink import LinkSink
from roomful_rtc.link.streams import StreamConsumer, StreamTable
from roomful_rtc.payload.inspectors import INSPECTORS

log = logging.getLogger(__name__)

RECORDS_A_TURN = 64
BYTES_A_TURN = 128 << 10
SOCKET_BYTES = 1 << 20
DRAIN_BYTES = 8 << 20
"""of what a dead peer left behind; more than a socket holds"""


def link_pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new link, not inherited by children unless passed on."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in pair:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return pair


@dataclass(frozen=True, slots=True)
class LinkStats:
    """What went over one end so far."""

    records_in: int
    bytes_in: int
    records_out: int
    bytes_out: int
    dropped: int
    """packets and frames that found no room on their way out"""
    queued_bytes: int
    """media that waits now, in memory"""


class LinkHandler(Protocol):
    """Who is told what the other end says."""

    def on_control(self, message: Message, stream: int) -> None:
        """Take a control message, in its place among the records.

        Raises:
            RemoteProtocolError: the peer must not say this; the link ends.
        """
        ...

    def on_closed(self, error: Exception | None) -> None:
        """Learn that the link ended, once; None: the peer closed it or died."""
        ...


class LinkSocket:
    """Made inside a running loop; owns the socket. For the loop's thread only.

    Args:
        sock: one end of a `link_pair`.
        handler: is told what comes.
        policy: what to do when the peer does not read fast enough.
        strict: whether a stream that was not opened here is a lie.
        clock: for `heard_at`.
    """

    def __init__(
        self,
        sock: socket.socket,
        handler: LinkHandler,
        policy: QueuePolicy,
        *,
        strict: bool,
        clock: Clock | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock or SystemClock()
        self._sock, self._handler = sock, handler
        self._streams = StreamTable(strict=strict)
        self._reader = LinkReader(self._streams, self._on_control)
        self._buffer = memoryview(bytearray(MESSAGE_BYTES + 1))
        self._queue = LinkQueue(policy, self._wake)
        self._unsent = b""
        self._bytes_out = 0
        self._writing = self._going_on = False
        self._sent_all = asyncio.Event()
        self._sent_all.set()
        self.closed = False
        self.heard_at = self._clock.monotonic()
        """when the peer last said anything"""
        self._loop.add_reader(sock, self._on_readable)

    @property
    def stats(self) -> LinkStats:
        return LinkStats(
            records_in=self._reader.records,
            bytes_in=self._reader.bytes,
            records_out=self._queue.records,
            bytes_out=self._bytes_out,
            dropped=self._queue.dropped,
            queued_bytes=self._queue.bytes,
        )

    # -- out ---------------------------------------------------------------------------------------

    def send(self, message: Mapping[str, object], stream: int = 0) -> None:
        """Queue a control message; nothing happens on a closed link.

        Raises:
            LocalProtocolError: it is none.
        """
        self._queue.put_control(control_record(message, stream))

    def sink(
        self,
        stream: int,
        *,
        video: bool = False,
        codec: str = "",
        ask_key_frame: Callable[[], None] | None = None,
    ) -> LinkSink:
        """Return what writes one stream.

        Args:
            stream: its id.
            video: of frames; for packets the codec says so.
            codec: of packets, as "vp8"; its key frames are looked for.
            ask_key_frame: see `LinkSink`.
        """
        return LinkSink(
            self._queue,
            stream,
            video=video,
            inspect=INSPECTORS.get(codec),
            ask_key_frame=ask_key_frame,
        )

    def over_half(self) -> bool:
        """Whether the queue is so full that a sender should do with less."""
        return self._queue.over_half(self._now_ns())

    def hung(self) -> bool:
        """Whether the peer does not read its control; asked regularly."""
        return self._queue.hung(self._now_ns())

    async def sent_all(self) -> None:
        """Wait until nothing is queued, or the link is closed."""
        await self._sent_all.wait()

    def _wake(self) -> None:
        self._sent_all.clear()
        if not self._writing:
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        """Send until nothing waits or the socket is full."""
        if self.closed:
            return
        while message := self._unsent or self._queue.take():
            try:
                self._sock.send(message, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._unsent = message
                self._set_writing(True)
                return
            except OSError:  # nobody reads; what the peer said before may still be read
                self._queue.close()
                message = b""
            self._unsent = b""
            self._bytes_out += len(message)
        self._set_writing(False)
        self._sent_all.set()

    def _set_writing(self, writing: bool) -> None:
        if writing and not self._writing:
            self._loop.add_writer(self._sock, self._write)
        elif self._writing and not writing:
            self._loop.remove_writer(self._sock)
        self._writing = writing

    # -- in ----------------------------------------------------------------------------------------

    def open(self, stream: int, consumer: StreamConsumer) -> None:
        """Hand what comes for a stream to its consumer from now on."""
        self._streams.open(stream, consumer)

    def close_stream(self, stream: int) -> None:
        """Discard what still comes for a stream, and tell its consumer that it ended."""
        self._streams.close(stream)

    @property
    def control_bytes(self) -> int:
        """Length of the control message that is being handled."""
        return self._reader.control_bytes

    def drain(self) -> None:
        """Read to the end what a dead peer left behind."""
        end_bytes = self._reader.bytes + DRAIN_BYTES
        while not self.closed and self._reader.bytes < end_bytes:
            if not self._turn():
                return

    def close(self) -> None:
        """End every stream and close the socket; the handler is not told."""
        if self.closed:
            return
        self.closed = True
        self._set_writing(False)
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self._queue.close()
        self._unsent = b""
        self._sent_all.set()
        self._streams.close_all()

    def _on_readable(self) -> None:
        if not self._going_on:
            self._turn()

    def _go_on(self) -> None:
        self._going_on = False
        self._turn()

    def _turn(self) -> bool:
        """Handle a turn's worth; return whether there was anything."""
        if self.closed:
            return False
        try:
            handled = self._handle()
        except RemoteProtocolError as error:
            self._end(error)
            return False
        except Exception as error:
            log.exception("a record of a link was not handled")
            self._end(error)
            return False
        if self._reader.pending and not (self.closed or self._going_on):
            # the socket may have no more to say, so it will not call us
            self._going_on = True
            self._loop.call_soon(self._go_on)
        return bool(handled)

    def _handle(self) -> int:
        left, taken = RECORDS_A_TURN, 0
        while left and taken < BYTES_A_TURN and not self.closed:
            if not self._reader.pending:
                size = self._receive()
                if not size:
                    break
                taken += size
            left -= self._reader.step(left)
        return RECORDS_A_TURN - left

    def _receive(self) -> int:
        try:
            size = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            return 0
        except ConnectionResetError:
            size = 0
        if not size:
            self._end(None)
            return 0
        self.heard_at = self._clock.monotonic()
        self._reader.feed(self._buffer[:size])
        return size

    def _on_control(self, message: Message, stream: int) -> None:
        self._handler.on_control(message, stream)

    def _end(self, error: Exception | None) -> None:
        self.close()
        self._handler.on_closed(error)

    def _now_ns(self) -> int:
        return int(self._clock.monotonic() * 1e9)
