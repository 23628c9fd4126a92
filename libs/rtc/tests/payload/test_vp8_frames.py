"""VP8: descriptors of every form are taken off; pieces are even and carry a picture id."""

from __future__ import annotations

import pytest

from roomful_rtc.payload import vp8
from roomful_rtc.payload.depacketisers import depacketiser
from roomful_rtc.payload.vp8_frames import Vp8Packetiser


@pytest.mark.parametrize(
    "descriptor",
    [b"\x10", b"\x90\x00", b"\x90\x80\x05", b"\x90\x80\x85\x39", b"\x90\xf0\x85\x39\x07\xa3"],
)
def test_descriptor_is_taken_off(descriptor: bytes) -> None:
    (found,) = depacketiser("vp8").push(descriptor + b"\x10frame", 0, True)

    assert (found.data, found.key) == (b"\x10frame", True)


@pytest.mark.parametrize(
    "payload", [b"\x10", b"\x90", b"\x90\x80", b"\x90\x80\x85", b"\x90\xf0\x85\x39\x07"]
)
def test_descriptor_without_a_frame_is_malformed(payload: bytes) -> None:
    made = depacketiser("vp8")

    assert made.push(payload, 0, True) == []
    assert made.counters.malformed == 1


def test_second_partition_begins_no_frame() -> None:
    made = depacketiser("vp8")

    assert made.push(b"\x11\x10frame", 0, True) == []
    assert made.counters.dropped == 1


def test_packetiser_counts_pictures_and_wraps() -> None:
    made = Vp8Packetiser(first_picture_id=0x7FFF, most=100)

    first, second = made.packetise(b"\x10" + bytes(150)), made.packetise(b"\x11")

    assert [vp8.inspect(payload).pid for payload in (*first, *second)] == [0x7FFF, 0x7FFF, 0]
    assert [vp8.inspect(payload).begins for payload in first] == [True, False]
    assert vp8.inspect(first[0]).key
    assert {len(payload) for payload in first} == {80, 79}


def test_empty_frame_has_no_packets() -> None:
    with pytest.raises(ValueError, match="empty"):
        Vp8Packetiser().packetise(b"")
