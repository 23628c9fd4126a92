"""The raw participants count and stamp as they say."""

import av
import numpy as np

from .clips import SMALL, STAMP, STAMP_BYTES, opus_tone, vp8_film
from .flows import Flow, Latencies


def flow_of(*numbers: int) -> Flow:
    flow = Flow(pt=111, first=numbers[0], highest=numbers[0], first_ns=0)
    for number in numbers[1:]:
        flow.packets += 1
        flow.advance(number & 0xFFFF)
    return flow


def test_numbers_that_never_came_are_gaps() -> None:
    flow = flow_of(10, 11, 14, 15)

    assert (flow.gaps, flow.late) == (2, 0)


def test_number_that_comes_late_closes_its_gap() -> None:
    flow = flow_of(10, 12, 11, 13)

    assert (flow.gaps, flow.late) == (0, 1)


def test_numbers_roll_over_without_a_gap() -> None:
    flow = flow_of(0xFFFE, 0xFFFF, 0x10000, 0x10001)

    assert (flow.gaps, flow.late, flow.highest) == (0, 0, 0x10001)


def test_implausible_stamps_are_not_transit_times() -> None:
    latencies = Latencies()
    latencies.add(sent_ns=1_000_000, came_ns=1_250_000)
    latencies.add(sent_ns=2**63, came_ns=1_250_000)

    assert latencies.take() == [250]
    assert latencies.take() == []


def test_room_for_the_stamp_changes_nothing_that_is_heard() -> None:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.layout = "mono"
    heard: list[np.ndarray] = []
    for number, packet in enumerate(opus_tone(440.0)):
        assert packet.endswith(STAMP)
        stamped = packet[:-STAMP_BYTES] + number.to_bytes(STAMP_BYTES, "big")
        heard += [frame.to_ndarray() for frame in decoder.decode(av.Packet(stamped))]

    samples = np.concatenate(heard, axis=1)[0, 4_800:].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert abs(np.argmax(spectrum) * 48_000 / len(samples) - 440.0) < 2


def test_film_begins_with_its_only_key_frame() -> None:
    pictures = vp8_film(SMALL)

    assert len(pictures) == SMALL.pictures
    # RFC 6386 section 9.1: the lowest bit of the first byte is 0 in key frames
    assert [number for number, pieces in enumerate(pictures) if not pieces[0][0] & 1] == [0]
    assert all(pieces[-1].endswith(STAMP) for pieces in pictures)
