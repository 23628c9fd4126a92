"""Writes one stream's packets and frames into a link: the `TrackSink` of a media worker."""

from __future__ import annotations

from collections.abc import Callable

from roomful.errors import LocalProtocolError
from roomful_rtc import rtp
from roomful_rtc.link.control import control_record
from roomful_rtc.link.policy import StreamState
from roomful_rtc.link.queue import LinkQueue
from roomful_rtc.link.record import (
    ARRIVAL,
    BODY_BYTES,
    KEY,
    RTP,
    RTP_HEADER,
    Frame,
    clock_record,
)
from roomful_rtc.link.vocabulary import track_ended
from roomful_rtc.payload import Inspector

_ARRIVAL_BYTES = ARRIVAL.size
_SHORTEST = rtp.HEADER_SIZE + _ARRIVAL_BYTES


class LinkSink:
    """One stream of a link, as its sender sees it. Never waits: what finds no room is dropped.

    Args:
        queue: of the link.
        stream: id, which the server gives.
        video: whether a drop goes on to the next key frame.
        inspect: finds key frames in the payloads of video that is written as packets.
        ask_key_frame: called, at most every 2 s, while the stream waits for a key frame.
    """

    __slots__ = ("_ended", "_frame_ts", "_inspect", "_last_ns", "_queue", "_state", "_stream")

    def __init__(
        self,
        queue: LinkQueue,
        stream: int,
        *,
        video: bool = False,
        inspect: Inspector | None = None,
        ask_key_frame: Callable[[], None] | None = None,
    ) -> None:
        self._queue, self._stream, self._inspect = queue, stream, inspect
        self._state = StreamState(
            stream, video=video or inspect is not None, ask_key_frame=ask_key_frame
        )
        self._frame_ts = b""
        self._last_ns = 0
        self._ended = False

    @property
    def stream(self) -> int:
        return self._stream

    @property
    def dropped(self) -> int:
        """Packets and frames that found no room."""
        return self._state.dropped

    def write(self, packet: bytes | memoryview, arrival_ns: int) -> None:
        """Queue one plain RTP packet that came at `arrival_ns` (CLOCK_MONOTONIC, about now).

        Raises:
            LocalProtocolError: no packet, or longer than a record.
        """
        flags = 0
        if self._inspect is not None:
            flags = self._look(packet)
            if not flags and self._state.waiting:
                self._queue.skip(self._state, arrival_ns)
                return
        size = len(packet) + _ARRIVAL_BYTES
        if not _SHORTEST <= size <= BODY_BYTES or self._ended:
            self._refuse(len(packet))
            return
        record = RTP_HEADER.pack(size, RTP, flags, self._stream, arrival_ns) + packet
        self._queue.put(record, self._state, arrival_ns)
        self._last_ns = arrival_ns

    def frame(self, frame: Frame) -> None:
        """Queue one encoded frame.

        Raises:
            LocalProtocolError: longer than 8 MiB.
        """
        if not self._ended:
            self._queue.put_frame(frame, self._state, frame.arrival_ns)
            self._last_ns = frame.arrival_ns

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Queue the times of one sender report."""
        if not self._ended:
            record = clock_record(self._stream, rtp_ts, ntp, arrival_ns)
            self._queue.put_clock(record, self._state, arrival_ns)

    def gap(self, count: int, reason: int) -> None:
        """Queue that so many packets or frames are missing here."""
        if not self._ended and count > 0:
            self._queue.put_gap(count, reason, self._state, self._last_ns)

    def end(self) -> None:
        """Queue that nothing follows; what is written later is dropped."""
        if self._ended:
            return
        self._ended = True
        record = control_record(track_ended(self._stream), self._stream)
        self._queue.put_end(record, self._state, self._last_ns)

    def _look(self, packet: bytes | memoryview) -> int:
        """Return the flag of a packet that begins a key frame."""
        assert self._inspect is not None
        self._queue.video_queued = True
        frame_ts = bytes(packet[4:8])
        if frame_ts == self._frame_ts and not self._state.waiting:
            return 0  # one packet of a frame begins it; while none is waited for the first is looked at
        self._frame_ts = frame_ts
        try:
            start, end, *_ = rtp.layout(packet)
        except ValueError as error:
            raise LocalProtocolError(f"no RTP packet: {error}") from None
        if self._inspect(bytes(packet[start:end])).key:
            self._state.waiting = False
            return KEY
        return 0

    def _refuse(self, size: int) -> None:
        if not self._ended:
            raise LocalProtocolError(f"a packet of {size} bytes fits no record")
