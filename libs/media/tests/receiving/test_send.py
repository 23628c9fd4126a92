"""Frames to packets, with clocks; and from a sender to a receiver."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from roomful.errors import MediaError
from roomful_media.clock import ParticipantClock
from roomful_media.delay import DelayRange
from roomful_media.frames import Picture
from roomful_media.intake import TrackFormat
from roomful_media.receive import track_receiver
from roomful_media.send import TrackSender
from roomful_rtc import extensions, rtp

from . import clips

NTP_OFFSET_US = 3_900_000_000_000_000
START_US = 7_000_000_000
PICTURE_US = 33_333


@dataclass
class Link:
    """Keeps what was written."""

    packets: list[tuple[rtp.RtpPacket, int]] = field(default_factory=list)
    clocks: list[tuple[int, int, int]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def write(self, packet: bytes, arrival_ns: int) -> None:
        self.packets.append((rtp.parse(packet), arrival_ns))
        self.order.append("packet")

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self.clocks.append((rtp_ts, ntp, arrival_ns))
        self.order.append("clock")


def sender(codec: str, rate: int, link: Link, seed: int = 1) -> TrackSender:
    return TrackSender(codec, rate, link, NTP_OFFSET_US, random.Random(seed))


def test_frame_becomes_packets_of_one_time_with_a_marker_at_the_end() -> None:
    made = sender("vp8", 90_000, link := Link())

    count = made.send(b"\x10" + bytes(3000), START_US, START_US * 1000)

    packets = [packet for packet, _ in link.packets]
    assert count == len(packets) == made.packets == 3
    assert [packet.marker for packet in packets] == [False, False, True]
    assert len({packet.ts for packet in packets}) == 1
    assert {arrival for _, arrival in link.packets} == {START_US * 1000}
    assert made.bytes == sum(len(packet.payload) for packet in packets)


def test_numbers_and_times_go_on_over_their_wrap() -> None:
    made = sender("opus", 48_000, link := Link())
    made._seq, made._first_ts = 0xFFFE, 0xFFFFFF00

    for number in range(4):
        time_us = START_US + number * 20_000
        made.send(b"sound", time_us, time_us * 1000)

    packets = [packet for packet, _ in link.packets]
    assert [packet.seq16 for packet in packets] == [0xFFFE, 0xFFFF, 0, 1]
    assert [packet.ts for packet in packets] == [0xFFFFFF00, 704, 1664, 2624]


def test_beginnings_differ() -> None:
    one, other = Link(), Link()
    for seed, link in ((1, one), (2, other)):
        sender("opus", 48_000, link, seed).send(b"sound", START_US, 0)

    (first, _), (second, _) = one.packets[0], other.packets[0]
    assert first.seq16 != second.seq16
    assert first.ts != second.ts
    assert first.ssrc != second.ssrc


def test_clock_goes_first_and_then_once_a_second() -> None:
    made = sender("opus", 48_000, link := Link())

    for number in range(151):
        time_us = START_US + number * 20_000
        made.send(b"sound", time_us, time_us * 1000)

    assert link.order[0] == "clock"
    assert len(link.clocks) == 4
    rtp_ts, ntp, _ = link.clocks[1]
    assert rtp_ts == made.rtp_ts(START_US + 1_000_000)
    assert ntp / (1 << 32) == pytest.approx((START_US + 1_000_000 + NTP_OFFSET_US) / 1e6)


def test_sound_that_begins_again_is_marked() -> None:
    made = sender("opus", 48_000, link := Link())

    for time_us in (0, 20_000, 40_000, 500_000, 520_000):
        made.send(b"sound", START_US + time_us, 0)

    assert [packet.marker for packet, _ in link.packets] == [True, False, False, True, False]


def test_level_of_sound_goes_along() -> None:
    made = sender("opus", 48_000, link := Link())

    for level in (-20, None, -300):
        made.send(b"sound", START_US, 0, level)

    packets = [packet for packet, _ in link.packets]
    elements = [extensions.read(packet.profile, packet.extension) for packet in packets]
    assert elements == [{1: b"\x14"}, {}, {1: b"\x7f"}]
    assert [packet.payload for packet in packets] == [b"sound"] * 3


@pytest.mark.parametrize("frame", [b"", b"\x12\x00", b"\x32\x7fcut"])
def test_frame_that_is_none_is_refused_and_nothing_goes_out(frame: bytes) -> None:
    made = sender("av1", 90_000, link := Link())

    with pytest.raises(MediaError, match="packetised"):
        made.send(frame, START_US, 0)

    assert link.order == []


def test_unknown_codec_is_refused() -> None:
    with pytest.raises(MediaError, match="'h266'"):
        TrackSender("h266", 90_000, Link(), 0)


@pytest.mark.parametrize("codec", ["vp8", "vp9", "av1", "h264"])
def test_receiver_gives_back_pictures_at_the_times_they_were_sent_with(codec: str) -> None:
    made = sender(codec, 90_000, link := Link())
    for number, frame in enumerate(clips.clip(codec)):
        time_us = START_US + number * PICTURE_US
        made.send(frame.data, time_us, time_us * 1000)
    track = TrackFormat(codec, 90_000)
    receiver = track_receiver(track, ParticipantClock(), DelayRange(50_000, 50_000))

    pictures: list[Picture] = []
    for packet, arrival_ns in link.packets:
        receiver.write(memoryview(rtp.build(packet)), arrival_ns)
        if link.clocks and link.clocks[0][2] <= arrival_ns:
            receiver.clock(*link.clocks.pop(0))
        pictures += [item for item in receiver.take(arrival_ns) if isinstance(item, Picture)]
    while more := receiver.take(1 << 62):
        pictures += [item for item in more if isinstance(item, Picture)]

    assert len(pictures) == clips.PICTURES
    for number, picture in enumerate(pictures):
        assert abs(clips.shade(picture.frame) - number) <= 1
        assert picture.time_us == pytest.approx(START_US + number * PICTURE_US, abs=50)
