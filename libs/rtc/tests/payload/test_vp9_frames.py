"""VP9: descriptors of every form, layers of one picture, superframes."""

from __future__ import annotations

import pytest

from roomful_rtc.payload import vp9
from roomful_rtc.payload.depacketisers import depacketiser
from roomful_rtc.payload.vp9_frames import Vp9Packetiser, superframe

STRUCTURE = b"\x38" + b"\x01\x40\x00\xb4" + b"\x02\x80\x01\x68" + b"\x02\x04\x01\x18\x01\x02\x03"


@pytest.mark.parametrize(
    "descriptor",
    [
        b"\x0c",
        b"\x8c\x05",
        b"\x8c\x85\x39",
        b"\xac\x85\x39\x00\x07",
        b"\xbc\x85\x39\x00",
        b"\xae\x81\x23\x00\x09\x30" + bytes(8),
    ],
)
def test_descriptor_is_taken_off(descriptor: bytes) -> None:
    (found,) = depacketiser("vp9").push(descriptor + b"frame", 0, True)

    assert (found.data, found.key) == (b"frame", True)


def test_references_and_structure_are_taken_off() -> None:
    made = depacketiser("vp9")
    made.push(b"\x0ckey", 0, True)
    structure = b"\x18" + b"\x01\x40\x00\xb4" + b"\x02" + b"\x04\x01" + b"\x18\x01\x02"

    (referring,) = made.push(b"\xfc\x05\x00\x03\x02frame", 3000, True)
    (structured,) = made.push(b"\xae\x06\x00\x07" + structure + b"frame", 6000, True)

    assert (referring.data, referring.key) == (b"frame", False)
    assert structured.data == b"frame"


def test_layers_of_one_picture_become_a_superframe() -> None:
    made = depacketiser("vp9")

    found = [
        *made.push(b"\xa8\x05\x00\x07low", 0, False),
        *made.push(b"\xa4\x05\x00\x07er", 0, False),
        *made.push(b"\xac\x05\x03\x07upper", 0, True),
    ]

    assert [f.data for f in found] == [b"lower" + b"upper" + b"\xc1\x05\x05\xc1"]
    assert found[0].key


def test_superframe_index_takes_as_many_bytes_as_the_largest_needs() -> None:
    made = superframe([bytes(300), bytes(2)])

    assert made[302:] == b"\xc9" + b"\x2c\x01" + b"\x02\x00" + b"\xc9"


@pytest.mark.parametrize(
    "payload",
    [b"\x0c", b"\x8c", b"\x8c\x85", b"\xbc\x05", b"\xfc\x05\x00\x03\x03\x03", b"\x0e\x38\x01"],
)
def test_cut_off_descriptor_is_malformed(payload: bytes) -> None:
    made = depacketiser("vp9")

    assert made.push(payload, 0, True) == []
    assert made.counters.malformed + made.counters.dropped


def test_layer_without_its_end_is_incomplete() -> None:
    made = depacketiser("vp9")

    assert made.push(b"\x08frame", 0, True) == []
    assert made.counters.malformed == 1


def test_layer_that_begins_inside_another_is_malformed() -> None:
    made = depacketiser("vp9")

    assert made.push(b"\x08frame", 0, False) + made.push(b"\x0cframe", 0, True) == []
    assert made.counters.malformed == 1


def test_packetiser_marks_begin_end_and_prediction() -> None:
    made = Vp9Packetiser(first_picture_id=5, most=100)

    key, delta = made.packetise(b"\x82" + bytes(149)), made.packetise(b"\x86")

    assert [payload[0] for payload in (*key, *delta)] == [0x88, 0x84, 0xCC]
    assert vp9.inspect(key[0]).key
    assert vp9.inspect(delta[0]).pid == 6
