"""Pictures survive being cut into payloads."""

import pytest

from roomful_rtc.payload import h264, vp8
from roomful_testing.replay.payload import PIECE_BYTES, cut, joined

START = b"\x00\x00\x00\x01"
SPS, PPS = b"\x67\x42\xe0\x1f", b"\x68\xce\x3c\x80"
IDR = b"\x65" + bytes(range(1, 255)) * 12
SMALL_SLICE = b"\x41" + b"\x9a" * 50


@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, 10_000])
def test_vp8_picture_is_whole_again(size):
    picture = bytes(number % 251 for number in range(size))
    payloads = cut("vp8", picture)

    assert joined("vp8", payloads) == picture
    assert all(len(payload) <= PIECE_BYTES + 4 for payload in payloads)
    assert [vp8.inspect(payload).begins for payload in payloads] == [True] + [False] * (
        len(payloads) - 1
    )


def test_h264_key_frame_is_a_stap_a_and_fragments():
    payloads = cut("h264", START + SPS + START + PPS + b"\x00\x00\x01" + IDR)

    assert payloads[0][0] & 0x1F == 24
    assert [payload[0] & 0x1F for payload in payloads[1:]] == [28] * 3
    assert h264.inspect(payloads[0]).key
    assert all(len(payload) <= PIECE_BYTES + 2 for payload in payloads)
    assert joined("h264", payloads) == START + SPS + START + PPS + START + IDR


def test_small_h264_slice_is_a_payload():
    assert cut("h264", START + SMALL_SLICE) == (SMALL_SLICE,)
    assert joined("h264", (SMALL_SLICE,)) == START + SMALL_SLICE


@pytest.mark.parametrize(
    "payloads",
    [
        (b"\x7c\x05middle",),
        (b"\x7c\x85begin",),
        (b"\x7c\x85begin", b"\x7c\x85begin"),
        (b"",),
        (b"\x7c",),
    ],
)
def test_h264_payloads_that_do_not_belong_together_are_refused(payloads):
    with pytest.raises(ValueError, match=r"fragments|end of a unit|too short"):
        joined("h264", payloads)


def test_vp8_payload_that_is_none_is_refused():
    with pytest.raises(ValueError, match="too short"):
        joined("vp8", (b"\x80",))
