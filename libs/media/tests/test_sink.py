"""Sinks: slow, dead, late ones, and those beside them."""

from __future__ import annotations

import errno
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from roomful.errors import MediaError
from roomful_media import sink as sinks
from roomful_media.mux import Container, Muxer
from roomful_media.packet import EncodedPacket
from roomful_media.sink import Fanout, Sink, WhenFull

PATIENCE_S = 20.0


class Tape:
    """A writer that can be stopped, and breaks when told."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.packets: list[EncodedPacket] = []
        self.closed = False
        self.breaks: Exception | None = None

    def __call__(self) -> Tape:
        return self

    def write(self, packet: EncodedPacket) -> None:
        self.go.wait(PATIENCE_S)
        if self.breaks:
            raise self.breaks
        self.packets.append(packet)

    def close(self) -> None:
        self.closed = True


def packet(number: int, *, size: int = 10) -> EncodedPacket:
    """Ten a second, a key frame each second."""
    key = number % 10 == 0
    return EncodedPacket("video", bytes(size), number, number, 1, Fraction(1, 10), key)


def test_a_sink_writes_in_order_and_closes_its_writer() -> None:
    tape = Tape()
    sink = Sink("tape", tape)
    for number in range(100):
        assert sink.offer(packet(number))

    assert sink.close()
    assert [p.pts for p in tape.packets] == list(range(100))
    assert tape.closed and sink.written == 100 and not sink.running
    assert not sink.offer(packet(100))


def test_a_full_sink_fails_alone() -> None:
    slow, good = Tape(), Tape()
    slow.go.clear()
    fan = Fanout()
    fan.add(Sink("slow", slow, most_s=2.0, when_full=WhenFull.FAIL))
    fan.add(Sink("good", good))
    for number in range(100):
        fan.offer(packet(number))

    (failed,) = fan.failed()
    assert failed.name == "slow" and "too slow" in str(failed.error)
    slow.go.set()
    fan.close()
    assert len(good.packets) == 100
    assert slow.closed


def test_a_full_sink_may_skip_to_a_key_frame() -> None:
    tape = Tape()
    tape.go.clear()
    sink = Sink("viewer", tape, most_s=1.5, when_full=WhenFull.SKIP)
    for number in range(38):
        sink.offer(packet(number))
    tape.go.set()
    for number in range(38, 60):
        settle(sink)
        sink.offer(packet(number))
    sink.close()

    numbers = [p.pts for p in tape.packets]
    assert numbers[-20:] == list(range(40, 60))
    assert numbers[:-20] == list(range(len(numbers) - 20))
    assert 14 <= len(numbers) - 20 <= 17
    assert sink.error is None and sink.skipped == 60 - len(numbers)


def settle(sink: Sink) -> None:
    """Until the queue is empty."""
    with sink._change:
        assert sink._change.wait_for(lambda: not sink._queue, PATIENCE_S)


def release_when_full(sink: Sink, tape: Tape) -> None:
    with sink._change:
        sink._change.wait_for(lambda: len(sink._queue) >= 10, PATIENCE_S)
    tape.go.set()


def test_the_encoder_waits_for_a_disk_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = Tape()
    tape.go.clear()
    sink = Sink("file", tape, most_s=1.0, when_full=WhenFull.WAIT)
    threading.Thread(target=release_when_full, args=(sink, tape)).start()
    assert all(sink.offer(packet(number)) for number in range(50))
    assert sink.close()

    # time is what is tested here: less patience is quicker
    monkeypatch.setattr(sinks, "PATIENCE_S", 0.05)
    stuck = Tape()
    stuck.go.clear()
    sink = Sink("file", stuck, most_s=1.0, when_full=WhenFull.WAIT)
    assert not all(sink.offer(packet(number)) for number in range(50))
    assert isinstance(sink.error, MediaError)
    stuck.go.set()
    assert not sink.close()


def test_bytes_are_bounded_too() -> None:
    tape = Tape()
    tape.go.clear()
    sink = Sink("file", tape, when_full=WhenFull.FAIL)
    for number in range(20):
        sink.offer(packet(number, size=8 << 20))

    assert sink.error is not None
    tape.go.set()
    sink.close()


def test_whatever_a_writer_raises_is_kept_as_the_reason() -> None:
    tape = Tape()
    tape.breaks = ZeroDivisionError("by nothing")
    sink = Sink("tape", tape)
    sink.offer(packet(0))

    assert not sink.close()
    assert isinstance(sink.error, ZeroDivisionError)
    assert tape.closed


def test_a_writer_that_cannot_be_opened_is_a_failed_sink() -> None:
    def refuse():
        raise OSError("disk away")

    sink = Sink("tape", refuse)
    assert not sink.close()
    assert "disk away" in str(sink.error)


def test_a_full_disk_is_the_systems_error(media_studio) -> None:
    studio = media_studio()
    sink = Sink("full", lambda: Muxer(Container.MPEGTS, Path("/dev/full"), studio.encoders))
    for encoded in studio.packets(3.0) + studio.rest():
        sink.offer(encoded)

    assert not sink.close()
    assert isinstance(sink.error, OSError)
    assert sink.error.errno == errno.ENOSPC


def test_closing_a_stuck_sink_ends_in_time() -> None:
    tape = Tape()
    tape.go.clear()
    sink = Sink("tape", tape)
    sink.offer(packet(0))

    assert not sink.close(within_s=0.05)
    assert "did not end" in str(sink.error)
    tape.go.set()


def test_two_sinks_of_one_name_are_refused() -> None:
    fan = Fanout()
    fan.add(Sink("a", Tape()))
    extra = Sink("a", Tape())
    with pytest.raises(MediaError, match="'a' is there"):
        fan.add(extra)
    extra.close()
    assert fan.remove("a").close()
    assert len(fan) == 0


def test_one_encode_feeds_many_files_while_one_is_dead(
    tmp_path, media_studio, media_watch, media_expect
) -> None:
    studio, fan = media_studio(), Fanout()

    class Dead:
        def write(self, data: bytes) -> None:
            raise ConnectionResetError("gone")

    def opener(container, target):
        return lambda: Muxer(container, target, studio.encoders)

    fan.add(Sink("mp4", opener(Container.MP4, tmp_path / "a.mp4")))
    fan.add(Sink("ts", opener(Container.MPEGTS, tmp_path / "a.ts")))
    fan.add(Sink("dead", opener(Container.FLV, Dead())))
    for _ in range(60):
        for encoded in studio.packets(1 / 30):
            fan.offer(encoded)
    assert fan.wants_key()
    assert not fan.wants_key()
    fan.add(Sink("late", opener(Container.FLV, tmp_path / "late.flv")))
    assert fan.wants_key()
    studio.video.force_key()
    for encoded in studio.packets(2.0) + studio.rest():
        fan.offer(encoded)
    fan.close()

    assert [sink.name for sink in fan.failed()] == ["dead"]
    assert isinstance(fan.failed()[0].error, ConnectionResetError)
    media_expect(media_watch(tmp_path / "a.mp4"), 4.0)
    media_expect(media_watch(tmp_path / "a.ts"), 4.0)
    media_expect(media_watch(tmp_path / "late.flv"), 2.0)
