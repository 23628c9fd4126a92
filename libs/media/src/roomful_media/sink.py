"""One encode, many sinks: each has a thread, a bounded queue and a failure of its own.

offer(packet) ─▶ queue (seconds, bytes) ─▶ thread: open, write …, close
                    └ full: fail | wait a little | leave out up to the next key frame
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from fractions import Fraction
from typing import Protocol

from roomful.errors import MediaError
from roomful_media.packet import EncodedPacket

log = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
PATIENCE_S = 5.0
"""How long an encoder waits for a disk."""


class Writer(Protocol):
    """What writes packets: a `Muxer`, a `FragmentedFile`."""

    def write(self, packet: EncodedPacket) -> None: ...

    def close(self) -> None: ...


class WhenFull(Enum):
    """What is done when a sink is slower than the media."""

    FAIL = "fail"
    WAIT = "wait"
    """the encoder waits up to `PATIENCE_S`, then the sink fails: for files on disk"""
    SKIP = "skip"
    """nothing up to the next key frame with room: for viewers"""


class Sink:
    """Runs a writer. Nothing here raises into the encoder's thread."""

    def __init__(
        self,
        name: str,
        open_writer: Callable[[], Writer],
        *,
        most_s: float = 30.0,
        when_full: WhenFull = WhenFull.WAIT,
        leader: str = "video",
    ) -> None:
        """Start the thread, which opens the writer.

        Args:
            name: for logs and threads.
            open_writer: makes the writer; what it raises is the sink's failure.
            most_s: seconds of media that may wait.
            when_full: what is done beyond.
            leader: the track with whose key frames `SKIP` goes on.
        """
        self.name, self._open, self._leader = name, open_writer, leader
        self._most_s, self._when_full = Fraction(most_s), when_full
        self._queue: deque[EncodedPacket] = deque()
        """bounded by `_fits`"""
        self._bytes = 0
        self._change = threading.Condition()
        self._ending = self._skipping = False
        self._error: Exception | None = None
        self.written = self.skipped = 0
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)
        self._thread.start()

    @property
    def error(self) -> Exception | None:
        """Why it failed, None while it has not."""
        return self._error

    @property
    def running(self) -> bool:
        return self._thread.is_alive() and self._error is None

    def offer(self, packet: EncodedPacket) -> bool:
        """Take a packet; False when it was not taken."""
        with self._change:
            if self._ending or self._error is not None:
                return False
            if not self._admits(packet):
                self.skipped += 1
                return False
            self._queue.append(packet)
            self._bytes += len(packet.data)
            self._change.notify_all()
            return True

    def _admits(self, packet: EncodedPacket) -> bool:
        if self._skipping:
            begins = packet.key and packet.track == self._leader
            self._skipping = not (begins and self._fits(packet))
            return not self._skipping
        if self._fits(packet):
            return True
        if self._when_full is WhenFull.SKIP:
            self._skipping = True
            return False
        waits = PATIENCE_S if self._when_full is WhenFull.WAIT else 0.0
        if self._change.wait_for(lambda: self._error or self._fits(packet), waits):
            return self._error is None
        self._fail(MediaError(f"sink {self.name!r} is too slow: {len(self._queue)} packets wait"))
        return False

    def _fits(self, packet: EncodedPacket) -> bool:
        if not self._queue:
            return True
        span = packet.end_s - self._queue[0].seconds
        return span <= self._most_s and self._bytes + len(packet.data) <= MOST_BYTES

    def close(self, within_s: float = 10.0) -> bool:
        """Write what waits, close the writer; False when that was not done in time, or failed."""
        with self._change:
            self._ending = True
            self._change.notify_all()
        self._thread.join(within_s)
        if self._thread.is_alive():
            with self._change:
                self._fail(MediaError(f"sink {self.name!r} did not end within {within_s:g} s"))
        return self._error is None

    def _fail(self, error: Exception) -> None:
        """Keep the first reason, drop what waits."""
        self._error = self._error or error
        self._queue.clear()
        self._bytes = 0
        self._change.notify_all()

    def _run(self) -> None:
        try:
            writer = self._open()
            try:
                while (packet := self._next()) is not None:
                    writer.write(packet)
                    self.written += 1
            except Exception:
                # what closing makes of it is no news
                with suppress(Exception):
                    writer.close()
                raise
            writer.close()
        except Exception as error:  # noqa: BLE001 - the one place where a sink's failure ends
            log.warning("A sink failed", extra={"sink": self.name, "reason": repr(error)})
            with self._change:
                self._fail(error)

    def _next(self) -> EncodedPacket | None:
        with self._change:
            self._change.wait_for(lambda: self._queue or self._ending or self._error)
            if not self._queue:
                return None
            packet = self._queue.popleft()
            self._bytes -= len(packet.data)
            self._change.notify_all()
            return packet


class Fanout:
    """The sinks of one encode."""

    def __init__(self) -> None:
        self._sinks: dict[str, Sink] = {}
        self._wants_key = False

    def __len__(self) -> int:
        return len(self._sinks)

    def add(self, sink: Sink) -> None:
        """Begin a sink: it gets everything from now on, and its writer waits for a key frame."""
        if sink.name in self._sinks:
            raise MediaError(f"sink {sink.name!r} is there")
        self._sinks[sink.name] = sink
        self._wants_key = True

    def remove(self, name: str) -> Sink:
        """Give a sink out of hand; the caller closes it."""
        return self._sinks.pop(name)

    def wants_key(self) -> bool:
        """Whether a sink began since this was asked last: force a key frame."""
        wants, self._wants_key = self._wants_key, False
        return wants

    def offer(self, packet: EncodedPacket) -> None:
        """Give a packet to all; a sink that failed gets none and disturbs nobody."""
        for sink in self._sinks.values():
            sink.offer(packet)

    def failed(self) -> list[Sink]:
        """Return the sinks that failed."""
        return [sink for sink in self._sinks.values() if sink.error is not None]

    def close(self, within_s: float = 10.0) -> None:
        """Close all of them, one after the other."""
        for sink in self._sinks.values():
            sink.close(within_s)
