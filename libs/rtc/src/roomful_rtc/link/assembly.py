"""Fragments of encoded frames become frames again; one unfinished frame per stream."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomful.errors import RemoteProtocolError
from roomful_rtc.link.record import FRAME_BODY, FRAME_BYTES, KEY, MORE, Frame

FRAGMENTS = 1024
"""of one frame; those that are filled need 137 for the longest"""
HELD_BYTES = 64 << 20
"""of all unfinished frames of a link"""


@dataclass(slots=True)
class _Unfinished:
    frame: Frame
    """with an empty payload"""
    total: int
    payload: bytearray = field(default_factory=bytearray)
    fragments: int = 1


class FrameAssembly:
    """All frames that come by one link. Memory is taken as bytes come, not as they are promised."""

    def __init__(self) -> None:
        self._unfinished: dict[int, _Unfinished] = {}
        self._held = 0

    @property
    def held_bytes(self) -> int:
        """What waits for the rest of its frame."""
        return self._held

    def add(self, stream: int, flags: int, body: memoryview) -> Frame | None:
        """Take the body of a frame record; return the frame that it completes.

        Raises:
            RemoteProtocolError: its lengths contradict each other, or are over a limit.
        """
        unfinished = self._unfinished.get(stream)
        if unfinished is None:
            return self._begin(stream, flags, body)
        if flags & ~MORE:
            raise RemoteProtocolError("a frame begins inside an unfinished one")
        return self._go_on(stream, unfinished, flags, body)

    def _begin(self, stream: int, flags: int, body: memoryview) -> Frame | None:
        if len(body) < FRAME_BODY.size:
            raise RemoteProtocolError("a frame is shorter than its fields")
        arrival_ns, pts_us, dts_us, config, total = FRAME_BODY.unpack_from(body)
        payload = body[FRAME_BODY.size :]
        if total > FRAME_BYTES:
            raise RemoteProtocolError(f"a frame of {total} bytes, {FRAME_BYTES} are allowed")
        key = bool(flags & KEY)
        if not flags & MORE:
            if len(payload) != total:
                raise RemoteProtocolError("a frame has not the length it says")
            return Frame(bytes(payload), arrival_ns, pts_us, dts_us, config, key)
        if not 0 < len(payload) < total:
            raise RemoteProtocolError("a fragment does not fit its frame")
        begun = _Unfinished(Frame(b"", arrival_ns, pts_us, dts_us, config, key), total)
        self._unfinished[stream] = begun
        self._hold(begun, payload)
        return None

    def _go_on(
        self, stream: int, unfinished: _Unfinished, flags: int, body: memoryview
    ) -> Frame | None:
        unfinished.fragments += 1
        if not len(body) or unfinished.fragments > FRAGMENTS:
            raise RemoteProtocolError("a frame does not end")
        size = len(unfinished.payload) + len(body)
        more = bool(flags & MORE)
        if size > unfinished.total or more == (size == unfinished.total):
            raise RemoteProtocolError("a frame has not the length it says")
        self._hold(unfinished, body)
        if more:
            return None
        del self._unfinished[stream]
        self._held -= unfinished.total
        return unfinished.frame._replace(payload=bytes(unfinished.payload))

    def _hold(self, unfinished: _Unfinished, payload: memoryview) -> None:
        self._held += len(payload)
        if self._held > HELD_BYTES:
            raise RemoteProtocolError("too much in unfinished frames")
        unfinished.payload += payload
