"""A consumer that keeps what it gets, and short ways to say what tests need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roomful.model.media import LIVE, Drop, QueuePolicy
from roomful_rtc import rtp
from roomful_rtc.link.queue import LinkQueue
from roomful_rtc.link.reader import LinkReader
from roomful_rtc.link.record import HEADER, Frame
from roomful_rtc.link.sink import LinkSink
from roomful_rtc.link.streams import StreamTable
from roomful_rtc.payload.inspectors import INSPECTORS
from roomful_rtc.rtp import RtpPacket

MS = 1_000_000
SMALL = QueuePolicy(500, 20_000)
SMALL_RECORDING = QueuePolicy(4000, 20_000, Drop.NEWEST)


class Kept:
    """Keeps everything, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self.events.append(("rtp", bytes(packet), arrival_ns))

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self.events.append(("clock", rtp_ts, ntp, arrival_ns))

    def gap(self, count: int, reason: int) -> None:
        self.events.append(("gap", count, reason))

    def frame(self, frame: Frame) -> None:
        self.events.append(("frame", frame))

    def end(self) -> None:
        self.events.append(("end",))

    def kinds(self) -> list[str]:
        return [event[0] for event in self.events]

    def numbers(self) -> list[int]:
        """Sequence numbers of the packets."""
        return [rtp.parse(event[1]).seq16 for event in self.events if event[0] == "rtp"]

    def gaps(self) -> list[int]:
        return [event[1] for event in self.events if event[0] == "gap"]


def packet(seq: int = 0, payload: bytes = b"payload") -> bytes:
    return rtp.build(RtpPacket(False, 96, seq & 0xFFFF, 960 * seq, 7, payload))


def vp8(seq: int, *, key: bool = False, size: int = 1000) -> bytes:
    """A packet that begins a VP8 frame."""
    begin = b"\x10" + (b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" if key else b"\x11\x02\x00")
    return packet(seq, begin.ljust(size, b"\0"))


def frame(size: int, *, key: bool = False, at_ns: int = 0) -> Frame:
    pattern = bytes(range(251))
    payload = (pattern * (size // 251 + 1))[:size]
    return Frame(payload, at_ns, 20, -20, 3, key)


class Pair:
    """A queue at one end and a reader at the other."""

    def __init__(self, policy: QueuePolicy = LIVE, streams: tuple[int, ...] = (1, 2, 3)) -> None:
        self.woken = 0
        self.queue = LinkQueue(policy, self._wake)
        self.table = StreamTable(strict=True)
        self.kept = {stream: Kept() for stream in streams}
        for stream, consumer in self.kept.items():
            self.table.open(stream, consumer)
        self.messages: list[tuple[Any, int]] = []
        self.order: list[str] = []
        self.reader = LinkReader(self.table, self._on_control)

    def _wake(self) -> None:
        self.woken += 1

    def _on_control(self, message: Any, stream: int) -> None:
        self.messages.append((message, stream))

    def sink(self, stream: int = 1, codec: str = "", **options: Any) -> LinkSink:
        return LinkSink(self.queue, stream, inspect=INSPECTORS.get(codec), **options)

    def feed(self, message: bytes) -> None:
        self.reader.feed(memoryview(message))
        while self.reader.pending:
            self.reader.step(64)

    def carry(self, look: Callable[[bytes], None] | None = None) -> None:
        """Bring over all that waits."""
        while (message := self.queue.take()) is not None:
            if look is not None:
                look(message)
            self.feed(message)


def headers(message: bytes) -> list[tuple[int, int, int, int]]:
    """(length, type, flags, stream) of each record of a message."""
    found, at = [], 0
    while at < len(message):
        found.append(HEADER.unpack_from(message, at))
        at += HEADER.size + found[-1][0]
    return found
