"""From packets to packets in order at their times; and when failure is an error."""

from __future__ import annotations

import random

import pytest

from roomful.errors import MediaError
from roomful_media.clock import ParticipantClock
from roomful_media.delay import CALL, DelayRange
from roomful_media.intake import FailureWatch, Intake
from roomful_media.jitter import Gap

from .network import START_US, Network, Sent, Source, through

DELAY = DelayRange(100_000, 100_000)
FRAME_US = 20_000


def intake(delay: DelayRange = DELAY) -> Intake:
    return Intake(48_000, ParticipantClock(), delay)


def put(to: Intake, source: Source, captured_us: int, arrival_us: int) -> None:
    (packet,) = source.packets([b"sound"], captured_us)
    to.write(memoryview(packet), arrival_us * 1000)


def test_packet_goes_out_a_delay_after_its_media_time() -> None:
    to, source = intake(), Source(48_000)
    put(to, source, START_US, START_US + 30_000)

    assert to.pop(START_US + 129_000) is None
    released = to.pop(START_US + 130_000)

    assert released is not None
    assert (released.payload, released.marker) == (b"sound", True)


def test_padding_and_extensions_are_no_payload() -> None:
    to = intake()
    packet = bytes.fromhex(
        "b2e00001000000010000000900000001000000 02bede00011000 0000".replace(" ", "")
    )
    to.write(memoryview(packet + b"sound" + b"\0\0\3"), START_US * 1000)

    released = to.pop(START_US + 10**6)

    assert released is not None
    assert released.payload == b"sound"


@pytest.mark.parametrize("packet", [b"", b"\x80", bytes(12), b"\xbf" + bytes(11), b"\x80" * 11])
def test_what_is_no_rtp_is_counted(packet: bytes) -> None:
    to = intake()

    to.write(memoryview(packet), START_US * 1000)

    assert to.malformed == 1
    assert to.pop(START_US + 10**9) is None


def test_random_bytes_raise_nothing() -> None:
    to, chance = intake(CALL), random.Random(1)

    for number in range(5000):
        head = bytes((0x80 | chance.randrange(64),))
        packet = head + chance.randbytes(chance.randrange(60))
        to.write(memoryview(packet), (START_US + 1000 * number) * 1000)
        to.clock(chance.getrandbits(32), chance.getrandbits(64), (START_US + 1000 * number) * 1000)
        if chance.random() < 0.1:
            to.gap(chance.getrandbits(32), chance.randrange(5))
        while to.pop(START_US + 1000 * number) is not None:
            pass

    assert to.malformed > 100


def test_delay_grows_with_the_jitter() -> None:
    to, source = intake(CALL), Source(48_000)
    sent = [
        Sent(START_US + number * FRAME_US, packet)
        for number in range(1000)
        for packet in source.packets([b"a"], START_US + number * FRAME_US)
    ]

    released = 0
    for record in through(Network(jitter_us=20_000), sent):
        assert record.packet is not None
        to.write(memoryview(record.packet), record.at_us * 1000)
        while to.pop(record.at_us) is not None:
            released += 1

    assert CALL.least_us < to.delay_us < CALL.most_us
    assert released > 950


def test_time_that_stood_still_in_a_pause_goes_on_where_it_arrives() -> None:
    to, source = intake(), Source(48_000)
    for number in range(50):
        put(to, source, START_US + number * FRAME_US, START_US + number * FRAME_US)
    later = START_US + 50 * FRAME_US + 4_000_000
    source.first_ts -= 4 * 48_000

    to.gap(0, Gap.PAUSED)
    put(to, source, later, later)

    released = None
    while (packet := to.pop(later + 10**6)) is not None:
        released = packet
    assert released is not None
    assert released.discontinuity
    assert to.time.time_us(released.ts) == pytest.approx(later, abs=1000)


def test_end_leaves_what_is_held() -> None:
    to, source = intake(), Source(48_000)
    put(to, source, START_US, START_US)

    to.end()

    assert to.ended
    assert to.pop(START_US + 10**6) is not None


class TestFailureWatch:
    def test_ten_seconds_of_failures_are_an_error(self) -> None:
        watch = FailureWatch("vp8")
        for tenth in range(100):
            watch.failed(tenth * 100_000)

        with pytest.raises(MediaError, match="'vp8' decoded for 10 s"):
            watch.failed(10_000_000)

    def test_one_success_between_them_is_enough(self) -> None:
        watch = FailureWatch("vp8")
        for tenth in range(300):
            if tenth % 90 == 0:
                watch.worked()
            watch.failed(tenth * 100_000)

    def test_a_pause_is_no_failure(self) -> None:
        watch = FailureWatch("vp8")
        watch.failed(0)

        watch.failed(20_000_000)

    def test_it_tells_again_after_another_ten_seconds(self) -> None:
        watch = FailureWatch("vp8")
        told = 0
        for second in range(41):
            try:
                watch.failed(second * 1_000_000)
            except MediaError:
                told += 1

        assert told == 3
