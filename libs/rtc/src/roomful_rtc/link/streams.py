"""Who gets the records of which stream."""

from __future__ import annotations

from typing import Protocol

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.link.record import STREAM_MAX, Frame


class StreamConsumer(Protocol):
    """Takes what comes for one stream, in order. Calls must not raise and must not wait."""

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Take one plain RTP packet; the view is valid during the call only."""
        ...

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Take the times of one sender report; `ntp` is 64 bits, of the publisher's clock."""
        ...

    def gap(self, count: int, reason: int) -> None:
        """Learn that `count` packets or frames are missing before the next one."""
        ...

    def frame(self, frame: Frame) -> None:
        """Take one encoded frame."""
        ...

    def end(self) -> None:
        """Learn that nothing follows; called once."""
        ...


class Discard:
    """A consumer that wants nothing; stands for streams that were closed."""

    def write(self, packet: memoryview, arrival_ns: int) -> None: ...
    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None: ...
    def gap(self, count: int, reason: int) -> None: ...
    def frame(self, frame: Frame) -> None: ...
    def end(self) -> None: ...


DISCARD = Discard()


class StreamTable:
    """The streams of one link.

    Args:
        strict: a stream that was never opened is a lie of the peer, as for the server; otherwise
            its records are discarded, as for a worker whose job does not want them (yet).
    """

    def __init__(self, *, strict: bool) -> None:
        self.consumers: dict[int, StreamConsumer] = {}
        """bounded by the streams that this end ever opened, for a closed one has to be known"""
        self._strict = strict

    def open(self, stream: int, consumer: StreamConsumer) -> None:
        """Hand what comes for this stream to a consumer from now on.

        Raises:
            LocalProtocolError: no id, or the stream is open.
        """
        if not 0 < stream <= STREAM_MAX:
            raise LocalProtocolError(f"stream {stream!r} is no id")
        if self.consumers.get(stream, DISCARD) is not DISCARD:
            raise LocalProtocolError(f"stream {stream} is open")
        self.consumers[stream] = consumer

    def close(self, stream: int) -> None:
        """Discard what still comes; the consumer is told when it was not."""
        consumer = self.consumers.get(stream)
        if consumer is not None:
            self.consumers[stream] = DISCARD
            consumer.end()

    def close_all(self) -> None:
        """End every stream, as when the link ends."""
        for stream in tuple(self.consumers):
            self.close(stream)

    def find(self, stream: int) -> StreamConsumer:
        """Return the consumer.

        Raises:
            RemoteProtocolError: the stream was never opened, at a strict end.
        """
        consumer = self.consumers.get(stream)
        if consumer is not None:
            return consumer
        if self._strict or not stream:
            raise RemoteProtocolError(f"a record of stream {stream}, which is not of this link")
        return DISCARD
