"""H.264: single NAL units, STAP-A, FU-A, and what begins an access unit."""

from __future__ import annotations

import pytest

from roomful_rtc.payload import h264
from roomful_rtc.payload.depacketisers import depacketiser
from roomful_rtc.payload.h264_frames import H264Packetiser, aggregated, units_of

from .media import noise

START = b"\0\0\0\1"
SPS, PPS, IDR, DELTA = b"\x67\x42\x1f", b"\x68\xce", b"\x65\x88ab", b"\x41\x9acd"


def test_single_units_and_aggregates_become_a_byte_stream() -> None:
    made = depacketiser("h264")

    found = [
        *made.push(b"\x78\0\3" + SPS + b"\0\2" + PPS, 0, False),
        *made.push(IDR, 0, True),
    ]

    assert [f.data for f in found] == [START + SPS + START + PPS + START + IDR]
    assert found[0].key


def test_fragments_are_joined() -> None:
    made = depacketiser("h264")

    found = [
        *made.push(b"\x7c\x85\x88a", 0, False),
        *made.push(b"\x7c\x05b", 0, False),
        *made.push(b"\x7c\x45c", 0, True),
    ]

    assert [f.data for f in found] == [START + b"\x65\x88abc"]


@pytest.mark.parametrize(
    "payloads",
    [
        [b"\x7c\x85\x88a"],
        [b"\x7c\x85\x88a", IDR],
        [b"\x7c\x85\x88a", b"\x7c\x85\x88a"],
        [SPS, b"\x7c\x05\x88a"],
        [SPS, b"\x7c\x45"],
        [SPS, b"\x79abc"],
        [SPS, b"\x78\0\x09abc"],
        [SPS, b"\x60abc"],
    ],
)
def test_broken_access_units_are_malformed(payloads: list[bytes]) -> None:
    made = depacketiser("h264")

    for place, payload in enumerate(payloads):
        assert made.push(payload, 0, place == len(payloads) - 1) == []

    assert made.counters.malformed == 1


@pytest.mark.parametrize("payload", [b"\x41\x1acd", b"\x7c\x05ab", b"\x7c\x81\x1a", b"\x61"])
def test_later_slices_begin_nothing(payload: bytes) -> None:
    made = depacketiser("h264")

    assert made.push(payload, 0, True) == []
    assert made.counters.dropped == 1


@pytest.mark.parametrize("payload", [b"\x78", b"\x78\0\0", b"\x78\0\2a", b"\x78\0\1ab"])
def test_aggregates_that_do_not_fit_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):
        aggregated(payload)


def test_access_unit_of_more_units_than_there_are_is_dropped() -> None:
    made = depacketiser("h264")
    many = b"\x78" + b"\0\1\x68" * 400

    for number in range(3):
        assert made.push(many, 0, number == 2) == []

    assert made.counters.malformed == 1


def test_both_start_codes_and_trailing_zeros_are_taken() -> None:
    stream = START + SPS + b"\0" + b"\0\0\1" + PPS + b"\0\0\0\1" + b"\x09\xf0" + b"\0\0\1" + IDR

    assert units_of(stream) == [SPS, PPS, IDR]


def test_packetiser_aggregates_small_units_and_fragments_large_ones() -> None:
    large = b"\x65\x88" + noise(250)

    payloads = H264Packetiser(most=100).packetise(START.join((b"", SPS, PPS, large)))

    assert payloads[0] == b"\x78\0\3" + SPS + b"\0\2" + PPS
    assert [payload[0] & 0x1F for payload in payloads] == [24, 28, 28, 28]
    assert [payload[1] for payload in payloads[1:]] == [0x85, 0x05, 0x45]
    assert all(len(payload) <= 100 for payload in payloads)
    assert h264.inspect(payloads[0]).key


def test_packetiser_keeps_a_lone_small_unit_as_it_is() -> None:
    assert H264Packetiser().packetise(START + DELTA) == [DELTA]


def test_packetiser_keeps_the_order_of_units() -> None:
    units = [bytes((0x41, 0x80 | number)) + noise(40, number) for number in range(5)]

    payloads = H264Packetiser(most=100).packetise(b"".join(START + unit for unit in units))

    made = depacketiser("h264")
    made.push(IDR, 1, True)
    found = []
    for place, payload in enumerate(payloads):
        found += made.push(payload, 0, place == len(payloads) - 1)
    assert units_of(found[0].data) == units


@pytest.mark.parametrize("stream", [b"", START, START + b"\x09\xf0"])
def test_nothing_to_send_is_an_error(stream: bytes) -> None:
    with pytest.raises(ValueError, match="no packets"):
        H264Packetiser().packetise(stream)
