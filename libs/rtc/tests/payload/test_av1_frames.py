"""AV1: aggregation, fragments, sizes, and what is not sent."""

from __future__ import annotations

import pytest

from roomful_rtc.payload import av1
from roomful_rtc.payload.av1_frames import (
    Av1Packetiser,
    elements,
    leb128,
    obus_of,
    read_leb128,
    with_size,
)
from roomful_rtc.payload.depacketisers import depacketiser

from .media import FRAME, SEQUENCE_HEADER, noise, obu


@pytest.mark.parametrize("value", [0, 127, 128, 16_383, 16_384, 1 << 30])
def test_numbers_come_back(value: int) -> None:
    assert read_leb128(leb128(value) + b"x", 0) == (value, len(leb128(value)))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80" * 9])
def test_endless_numbers_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_leb128(data, 0)


def test_elements_have_lengths_all_or_all_but_the_last() -> None:
    assert elements(b"\x00\x01a\x02bc") == [b"a", b"bc"]
    assert elements(b"\x20\x01abc") == [b"a", b"bc"]


@pytest.mark.parametrize("payload", [b"\x00", b"\x00\x05ab", b"\x30\x01ab", b"\x20\x05a"])
def test_elements_that_do_not_fit_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):
        elements(payload)


def test_obus_get_their_sizes_and_a_delimiter() -> None:
    (found,) = depacketiser("av1").push(b"\x28\x03\x08hh\x30frame", 0, True)

    assert found.data == b"\x12\x00" + b"\x0a\x02hh" + b"\x32\x05frame"
    assert found.key


def test_obu_that_brings_its_size_keeps_it() -> None:
    assert with_size(b"\x32\x02ab") == b"\x32\x02ab"
    assert with_size(b"\x34\x48ab") == b"\x36\x48\x02ab"
    with pytest.raises(ValueError, match="another size"):
        with_size(b"\x32\x03ab")
    with pytest.raises(ValueError, match="cut off"):
        with_size(b"\x34")


def test_fragments_are_joined() -> None:
    made = depacketiser("av1")

    found = [
        *made.push(b"\x58\x30fr", 0, False),
        *made.push(b"\xd0am", 0, False),
        *made.push(b"\x90e", 0, True),
    ]

    assert [f.data for f in found] == [b"\x12\x00\x32\x05frame"]


def test_fragment_that_never_ends_is_incomplete() -> None:
    made = depacketiser("av1")

    assert made.push(b"\x58\x30fr", 0, True) == []
    assert made.counters.malformed == 1


def test_delimiters_and_padding_are_left_out() -> None:
    (found,) = depacketiser("av1").push(b"\x30\x01\x10\x02\x78x\x30frame", 0, True)

    assert found.data == b"\x12\x00\x32\x05frame"
    assert obus_of(b"\x12\x00" + obu(0x7A, b"pad") + obu(FRAME, b"f")) == [b"\x30f"]


def test_later_tiles_alone_begin_nothing() -> None:
    made = depacketiser("av1")

    assert made.push(b"\x10\x20tiles", 0, True) == []
    assert made.counters.dropped == 1


def test_packetiser_aggregates_and_marks_a_new_sequence() -> None:
    unit = b"\x12\x00" + obu(SEQUENCE_HEADER, noise(5)) + obu(FRAME, noise(30))

    (payload,) = Av1Packetiser().packetise(unit)

    assert payload[0] == 0x28
    assert av1.inspect(payload).key
    assert elements(payload) == [b"\x08" + noise(5), b"\x30" + noise(30)]


def test_packetiser_fragments_what_is_large() -> None:
    unit = obu(SEQUENCE_HEADER, noise(5)) + obu(FRAME, noise(250))

    payloads = Av1Packetiser(most=100).packetise(unit)

    assert all(len(payload) <= 100 for payload in payloads)
    assert [payload[0] >> 6 for payload in payloads] == [0b01, 0b11, 0b10]


def test_many_small_obus_come_back() -> None:
    unit = b"\x12\x00" + b"".join(obu(FRAME, noise(size, size)) for size in range(1, 60))
    payloads = Av1Packetiser(most=100).packetise(unit)
    made = depacketiser("av1")

    found = []
    for place, payload in enumerate(payloads):
        found += made.push(payload, 0, place == len(payloads) - 1)

    assert [f.data for f in found] == [unit]
    assert all(len(payload) <= 100 for payload in payloads)


@pytest.mark.parametrize("unit", [b"", b"\x12\x00", b"\x32\x05ab", b"\x32", b"\x36", b"\x32\x80"])
def test_units_that_are_none_have_no_packets(unit: bytes) -> None:
    with pytest.raises(ValueError):
        Av1Packetiser().packetise(unit)
