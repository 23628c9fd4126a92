"""Header extension elements, one- and two-byte form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful_rtc import extensions
from roomful_rtc.rtp import ONE_BYTE, TWO_BYTE


def block(elements: list[tuple[int, bytes]]) -> tuple[int, bytes]:
    data = extensions.write(elements)
    assert len(data) % 4 == 0
    assert int.from_bytes(data[2:4], "big") == len(data) // 4 - 1
    return int.from_bytes(data[:2], "big"), data[4:]


@given(st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), min_size=1))
def test_small_elements_travel_in_the_one_byte_form(values: dict[int, bytes]) -> None:
    profile, body = block(list(values.items()))
    assert profile == ONE_BYTE
    assert extensions.read(profile, body) == values


@given(st.dictionaries(st.integers(1, 255), st.binary(max_size=255), min_size=1, max_size=5))
def test_any_elements_travel(values: dict[int, bytes]) -> None:
    assert extensions.read(*block(list(values.items()))) == values


@pytest.mark.parametrize("element", [(15, b"a"), (3, bytes(17)), (3, b"")])
def test_what_the_one_byte_form_cannot_hold_takes_the_other(element: tuple[int, bytes]) -> None:
    assert block([(1, b"x"), element])[0] == TWO_BYTE


def test_nothing_is_no_block() -> None:
    assert extensions.write([]) == b""


def test_id_15_ends_the_one_byte_form() -> None:
    assert extensions.read(ONE_BYTE, b"\x10a\xf0z\x20b\0\0") == {1: b"a"}


def test_padding_and_unknown_profiles_hold_nothing() -> None:
    assert extensions.read(ONE_BYTE, bytes(8)) == {}
    assert extensions.read(TWO_BYTE | 5, b"\0\x01\x01a") == {1: b"a"}
    assert extensions.read(0x1234, b"\x10abc") == {}


@pytest.mark.parametrize(
    ("profile", "body"),
    [(ONE_BYTE, b"\x13abc"), (TWO_BYTE, b"\x01\x03ab"), (TWO_BYTE, b"\0\0\0\x01")],
)
def test_an_element_beyond_the_block_is_refused(profile: int, body: bytes) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        extensions.read(profile, body)


@pytest.mark.parametrize("element", [(0, b"a"), (256, b"a"), (1, bytes(256))])
def test_ids_and_sizes_out_of_range_are_not_written(element: tuple[int, bytes]) -> None:
    with pytest.raises(ValueError):
        extensions.write([element])


def test_abs_send_time_is_6_18_seconds() -> None:
    assert extensions.abs_send_time(1_500_000) == (3 << 17).to_bytes(3, "big")
    assert extensions.abs_send_time(64_000_000) == bytes(3)


def test_levels_are_negative_dbov() -> None:
    assert [extensions.audio_level(value) for value in (b"\x85", b"\x05", b"\x7f", b"")] == [
        -5,
        -5,
        -127,
        -127,
    ]


def test_text_that_is_not_ascii_is_absent() -> None:
    assert extensions.text(b"q1") == "q1"
    assert extensions.text(b"\xff\xfe") == ""
