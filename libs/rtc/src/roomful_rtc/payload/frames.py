"""Packets in order → whole encoded frames, whatever the codec. Sans-IO.

    idle ──packet that begins a frame──▶ gathering ──marker, or another timestamp──▶ frame, idle
      │                                     │
      └──any other──▶ dropping ◀──hole, malformed, too large
                         └──another timestamp──▶ idle

What a payload holds is the business of a `Parts` per codec; this module knows holes. A frame with
a hole is dropped and counted. Later frames that may refer to it come out as `corrupted`, until one
does not (`Chain`); of an upper temporal layer they are left out, since the layers below go on.
Nothing that peers send makes `push` raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from roomful_rtc.payload import Inspector, Look

MOST_FRAME_BYTES = 8 << 20


class EncodedFrame(NamedTuple):
    """What one decoder call takes: a picture with all its layers, or a packet of audio."""

    data: bytes
    ts: int
    """RTP timestamp as it was pushed"""
    key: bool
    corrupted: bool = False
    """whole in itself, but something that it may refer to never came"""


@dataclass(slots=True)
class FrameCounters:
    """Since the depacketiser was made."""

    frames: int = 0
    """whole ones, corrupted ones and those that were left out included"""
    corrupted: int = 0
    dropped: int = 0
    """begun or seen in part, never whole"""
    malformed: int = 0
    """packets that are not what their codec says"""


class Depacketiser(Protocol):
    """Of one stream. Packets come in order of their sequence numbers."""

    counters: FrameCounters

    def push(self, payload: bytes, ts: int, marker: bool, lost: int = 0) -> list[EncodedFrame]:
        """Take the next packet; `lost` packets before it are missing. Never raises."""
        ...

    def reset(self) -> None:
        """Forget a frame in progress: what comes next does not continue what came before."""
        ...


class Parts(Protocol):
    """One codec's payloads of the frame that is being gathered."""

    def begins(self, payload: bytes) -> bool:
        """Whether a frame can begin with this packet."""
        ...

    def add(self, payload: bytes) -> int:
        """Take the next packet; returns the bytes it adds. `ValueError` when it is malformed."""
        ...

    def take(self) -> tuple[bytes, bool]:
        """Return the frame and whether it is a key frame; `ValueError` when it is incomplete."""
        ...

    def clear(self) -> None:
        """Forget what was gathered."""
        ...


class Chain:
    """Which frames can be decoded after a loss, by key frames, layer and picture ids.

    Continuous picture ids prove that nothing is missing, continuous TL0PICIDX that the base layer
    is whole (RFC 7741 section 4.2, RFC 9628 section 4.2).
    """

    def __init__(self) -> None:
        self._broken: int | None = 0
        """lowest temporal layer whose references are incomplete"""
        self._lost = False
        self._pid = self._tl0 = -1

    @property
    def base_is_whole(self) -> bool:
        """At most upper temporal layers are broken."""
        return self._broken is None or self._broken > 0

    def lose(self) -> None:
        """Something between the last frame and the next never came."""
        self._lost = True

    def reset(self) -> None:
        """Only a key frame helps."""
        self._broken, self._pid, self._tl0 = 0, -1, -1

    def usable(self, look: Look, key: bool) -> bool:
        """Whether the frame that begins with `look` can be decoded."""
        if key:
            self._broken = None
        elif self._lost:
            self._break(self._extent(look))
        self._lost = False
        if self._broken and look.sync and look.tid >= self._broken:
            self._broken = look.tid + 1
        if self._broken is not None and look.tid >= self._broken:
            return False
        self._pid = look.pid
        if look.tl0 >= 0:
            self._tl0 = look.tl0
        return True

    def _break(self, layer: int | None) -> None:
        if layer is not None:
            self._broken = layer if self._broken is None else min(layer, self._broken)

    def _extent(self, look: Look) -> int | None:
        """Return the lowest layer that the loss broke, None when nothing that counts is missing."""
        mask = (1 << look.pid_bits) - 1
        if look.pid >= 0 and self._pid >= 0 and look.pid == (self._pid + 1) & mask:
            return None
        if look.tl0 < 0 or self._tl0 < 0:
            return 0
        expected = self._tl0 if look.tid else self._tl0 + 1
        return 1 if look.tl0 == expected & 0xFF else 0


class FrameDepacketiser:
    """A `Depacketiser` of video: frames of several packets, each with a timestamp of its own."""

    def __init__(self, parts: Parts, inspect: Inspector) -> None:
        self.counters = FrameCounters()
        self._parts, self._inspect = parts, inspect
        self._chain = Chain()
        self._ts: int | None = None
        self._gathering = self._dropping = False
        self._look = Look()
        self._size = 0
        self._skipped = 0

    def reset(self) -> None:
        """Forget a frame in progress; only a key frame is usable from here."""
        if self._gathering:
            self._drop()
        self._ts, self._dropping = None, False
        self._chain.reset()

    def push(self, payload: bytes, ts: int, marker: bool, lost: int = 0) -> list[EncodedFrame]:
        """Take the next packet; `lost` packets before it are missing. Never raises."""
        lost, self._skipped = lost + self._skipped, 0
        if not payload:  # padding alone; what was missing before it counts for the next
            self._skipped = lost
            return []
        done: list[EncodedFrame] = []
        if ts != self._ts:
            done = self._leave(lost)
            self._enter(payload, ts, lost)
        elif lost and self._gathering:
            self._drop()
        elif not (self._gathering or self._dropping):
            self._enter(payload, ts, lost)
        if self._gathering:
            self._gather(payload)
        if marker and self._gathering:
            done += self._finish()
        return done

    def _leave(self, lost: int) -> list[EncodedFrame]:
        """Another timestamp: without a hole the frame before it is whole, marked or not."""
        if not self._gathering:
            return []
        if lost:
            self._drop()
            return []
        return self._finish()

    def _enter(self, payload: bytes, ts: int, lost: int) -> None:
        self._ts, self._size, self._dropping = ts, 0, False
        if lost:
            self._chain.lose()
        self._gathering = self._parts.begins(payload)
        if self._gathering:
            self._look = self._inspect(payload)
        else:
            self._drop()

    def _gather(self, payload: bytes) -> None:
        try:
            self._size += self._parts.add(payload)
        except ValueError:
            self.counters.malformed += 1
            self._drop()
            return
        if self._size > MOST_FRAME_BYTES:
            self._drop()

    def _finish(self) -> list[EncodedFrame]:
        self._gathering = False
        ts = self._ts
        assert ts is not None, "a frame is gathered under its timestamp"
        try:
            data, key = self._parts.take()
        except ValueError:
            self.counters.malformed += 1
            self._drop()
            return []
        corrupted = not self._chain.usable(self._look, key)
        self.counters.frames += 1
        self.counters.corrupted += corrupted
        if corrupted and self._chain.base_is_whole:
            return []
        return [EncodedFrame(data, ts, key, corrupted)]

    def _drop(self) -> None:
        """Give the frame up; its other packets are skipped."""
        self._parts.clear()
        self._chain.lose()
        self._gathering, self._dropping = False, True
        self.counters.dropped += 1
