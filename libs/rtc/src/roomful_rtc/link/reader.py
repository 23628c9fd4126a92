"""Reads messages: checks each record and hands it to whom it belongs, a number at a time."""

from __future__ import annotations

from collections.abc import Callable

from roomful.errors import RemoteProtocolError
from roomful_rtc import rtp
from roomful_rtc.link.assembly import FrameAssembly
from roomful_rtc.link.control import Message, read_control
from roomful_rtc.link.record import (
    ARRIVAL,
    BATCH_BYTES,
    BODY_BYTES,
    CLOCK,
    CLOCK_BODY,
    CONTROL,
    DISCONTINUITY,
    FRAME,
    GAP,
    GAP_BODY,
    HEADER,
    HEADER_SIZE,
    KEY,
    LINK_FULL,
    MESSAGE_BYTES,
    MORE,
    RTP,
    UPSTREAM_LOSS,
)
from roomful_rtc.link.streams import StreamTable

_RTP_SMALLEST = ARRIVAL.size + rtp.HEADER_SIZE
_PLAIN_HEADER = 0x80
"""first byte of a packet without padding, extension and CSRCs"""
_NOTHING = memoryview(b"")


class LinkReader:
    """One end's reader. After a `RemoteProtocolError` it must not be used.

    Args:
        streams: where records of streams go.
        on_control: gets (message, stream) of each control record, in its place among the others.
    """

    def __init__(self, streams: StreamTable, on_control: Callable[[Message, int], None]) -> None:
        self._streams, self._on_control = streams, on_control
        self._frames = FrameAssembly()
        self._view = _NOTHING
        self._at = 0
        self.records = 0
        self.bytes = 0
        self.control_bytes = 0
        """of the control message handed on last"""

    @property
    def pending(self) -> bool:
        """Whether a message has records that were not handed on."""
        return self._at < len(self._view)

    def feed(self, message: memoryview) -> None:
        """Begin a message; its memory must stay as it is until `pending` is False.

        Raises:
            RemoteProtocolError: longer than messages are.
        """
        assert not self.pending, "the former message is not finished"
        if len(message) > MESSAGE_BYTES:
            raise RemoteProtocolError("a message is too long")
        self._view, self._at = message, 0
        self.bytes += len(message)

    def step(self, limit: int) -> int:
        """Hand on up to `limit` records of the message; return how many.

        Raises:
            RemoteProtocolError: the peer broke the format.
        """
        view, at, end = self._view, self._at, len(self._view)
        consumers, count = self._streams.consumers, 0
        while at < end and count < limit:
            if end - at < HEADER_SIZE:
                raise RemoteProtocolError("a record without room for its header")
            length, kind, flags, stream = HEADER.unpack_from(view, at)
            body, at = at + HEADER_SIZE, at + HEADER_SIZE + length
            if at > end or length > BODY_BYTES or (at < end > BATCH_BYTES):
                raise RemoteProtocolError("a record leaves its message")
            self._at = at
            count += 1
            if kind != RTP:
                self._other(kind, flags, stream, view[body:at])
                continue
            packet = view[body + ARRIVAL.size : at]
            if length < _RTP_SMALLEST or flags > (DISCONTINUITY | KEY):
                raise RemoteProtocolError("an RTP record is too short or has wrong flags")
            if packet[0] != _PLAIN_HEADER:
                _check_rtp(packet)
            consumer = consumers.get(stream)
            if consumer is None:
                consumer = self._streams.find(stream)
            consumer.write(packet, ARRIVAL.unpack_from(view, body)[0])
        self.records += count
        return count

    def _other(self, kind: int, flags: int, stream: int, body: memoryview) -> None:
        match kind:
            case _ if kind == FRAME:
                self._frame(flags, stream, body)
            case _ if flags:
                raise RemoteProtocolError("a record with wrong flags")
            case _ if kind == CONTROL:
                if stream:
                    self._streams.find(stream)
                self.control_bytes = len(body)
                self._on_control(read_control(body), stream)
            case _ if kind == CLOCK and len(body) == CLOCK_BODY.size:
                self._streams.find(stream).clock(*CLOCK_BODY.unpack(body))
            case _ if kind == GAP and len(body) == GAP_BODY.size:
                self._gap(stream, body)
            case _:
                raise RemoteProtocolError("a record of an unknown type, or of a wrong length")

    def _gap(self, stream: int, body: memoryview) -> None:
        count, reason = GAP_BODY.unpack(body)
        if not (count and LINK_FULL <= reason <= UPSTREAM_LOSS):
            raise RemoteProtocolError("a gap of nothing, or for no reason")
        self._streams.find(stream).gap(count, reason)

    def _frame(self, flags: int, stream: int, body: memoryview) -> None:
        if flags > (DISCONTINUITY | KEY | MORE):
            raise RemoteProtocolError("a frame with wrong flags")
        consumer = self._streams.find(stream)
        frame = self._frames.add(stream, flags, body)
        if frame is not None:
            consumer.frame(frame)


def _check_rtp(packet: memoryview) -> None:
    try:
        rtp.layout(packet)
    except ValueError as error:
        raise RemoteProtocolError(f"an RTP record without a packet: {error}") from None
