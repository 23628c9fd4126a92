"""What came is put in order, and whole pictures are told from broken ones."""

from collections import deque

from roomful_rtc import rtp
from roomful_testing.peer.flows import Flow
from roomful_testing.receiver import Received
from roomful_testing.replay.payload import cut

PICTURES = [bytes((number,)) * size for number, size in ((1, 3000), (2, 10), (3, 2500), (4, 10))]


def stream_of(*, first: int = 0xFFFE, order=lambda packets: packets) -> Received:
    packets: list[rtp.RtpPacket] = []
    for ts, picture in enumerate(PICTURES):
        payloads = cut("vp8", picture)
        for number, payload in enumerate(payloads):
            seq16, marker = first + len(packets) & 0xFFFF, number == len(payloads) - 1
            packets.append(rtp.RtpPacket(marker, 96, seq16, ts * 3000, 5, payload))
    came = deque(((packet, 0) for packet in order(packets)), maxlen=100)
    return Received(5, Flow(96, first, first, 0), came)


def test_pictures_are_whole_whatever_the_order():
    def shuffled(packets):
        return [packets[n] for n in (1, 0, 3, 2, 2, 4, 6, 5, 7)]

    stream = stream_of(order=shuffled)

    assert [packet.seq16 for packet in stream.ordered()] == [0xFFFE + n & 0xFFFF for n in range(8)]
    assert stream.pictures() == [(n * 3000, picture) for n, picture in enumerate(PICTURES)]


def test_picture_with_a_gap_is_left_out():
    stream = stream_of(order=lambda packets: packets[:5] + packets[6:])

    assert [ts for ts, _ in stream.pictures()] == [0, 3000, 9000]


def test_picture_whose_begin_came_before_us_is_left_out():
    stream = stream_of(order=lambda packets: packets[1:])

    assert [ts for ts, _ in stream.pictures()] == [3000, 6000, 9000]


def test_codec_is_told_by_payload_type():
    stream = stream_of()
    assert stream.codec == "vp8"

    stream.flow.pt = 97
    assert stream.codec == "rtx"
