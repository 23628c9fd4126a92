"""Payload inspectors: key frames, layers, and "unknown" for the rest."""

from __future__ import annotations

import pytest

from roomful_rtc.payload import UNKNOWN, Look, av1, h264, h265, vp8, vp9
from roomful_rtc.payload.inspectors import INSPECTORS

KEY_FRAME = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x41rest"
DELTA_FRAME = b"\x11\x02\x00rest"


def test_vp8_without_extension() -> None:
    assert vp8.inspect(b"\x10" + KEY_FRAME) == Look(key=True, begins=True, width=640, height=360)
    assert vp8.inspect(b"\x10" + DELTA_FRAME) == Look(begins=True)


def test_vp8_with_every_field() -> None:
    look = vp8.inspect(b"\x90\xf0\x85\x39\x07\xa3" + KEY_FRAME)
    assert (look.key, look.pid, look.pid_at, look.pid_bits) == (True, 0x539, 2, 15)
    assert (look.tl0, look.tl0_at, look.tid, look.sync) == (7, 4, 2, True)
    assert (look.width, look.height) == (640, 360)


def test_vp8_with_a_short_picture_id() -> None:
    look = vp8.inspect(b"\x90\xc0\x7f\xff" + DELTA_FRAME)
    assert (look.key, look.pid, look.pid_bits, look.tl0, look.tl0_at) == (False, 127, 7, 255, 3)


def test_vp8_key_index_alone_gives_no_layer() -> None:
    assert vp8.inspect(b"\x90\x10\xe1" + DELTA_FRAME).tid == 0


@pytest.mark.parametrize("first", [0x00, 0x11, 0x12])
def test_vp8_inside_a_frame_begins_nothing(first: int) -> None:
    look = vp8.inspect(bytes((first,)) + KEY_FRAME)
    assert not (look.key or look.begins or look.width)


def test_vp8_without_a_clear_start_code_has_no_size() -> None:
    look = vp8.inspect(b"\x10\x10\x02\x00" + bytes(20))
    assert (look.key, look.width, look.height) == (True, 0, 0)


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b"\x65\x88", True),
        (b"\x67\x42", True),
        (b"\x41\x9a", False),
        (b"\x68\xce", False),
        (b"\x78\x00\x03\x09\xf0\x00\x00\x02\x67\x42", True),
        (b"\x78\x00\x02\x41\x9a\x00\x02\x65\x88", True),
        (b"\x78\x00\x02\x41\x9a\x00\x02\x41\x88", False),
        (b"\x7c\x85\x88", True),
        (b"\x7c\x05\x88", False),
        (b"\x7c\x81\x88", False),
    ],
)
def test_h264_key_frames(payload: bytes, key: bool) -> None:
    assert h264.inspect(payload).key is key


@pytest.mark.parametrize(
    ("payload", "key", "tid"),
    [
        (b"\x26\x01\xaf", True, 0),
        (b"\x40\x01\x0c", True, 0),
        (b"\x02\x03\xd0", False, 2),
        (b"\x62\x01\x93", True, 0),
        (b"\x62\x01\x13", False, 0),
        (b"\x60\x01\x00\x03\x40\x01\x0c", True, 0),
        (b"\x60\x01\x00\x03\x02\x01\x0c", False, 0),
    ],
)
def test_h265_key_frames(payload: bytes, key: bool, tid: int) -> None:
    look = h265.inspect(payload)
    assert (look.key, look.tid) == (key, tid)


def test_vp9_key_frame_with_a_scalability_structure() -> None:
    # I L B V, not flexible: picture id, layers, TL0PICIDX, structure with two sizes
    structure = b"\x38" + b"\x01\x40\x00\xb4" + b"\x02\x80\x01\x68" + b"\x00"
    look = vp9.inspect(b"\xaa\x81\x23\x10\x09" + structure + b"data")
    assert (look.key, look.begins, look.tid, look.sid, look.sync) == (True, True, 0, 0, True)
    assert (look.pid, look.pid_at, look.tl0, look.tl0_at) == (0x123, 1, 9, 4)
    assert (look.width, look.height) == (640, 360)


@pytest.mark.parametrize(
    ("first", "layers", "key"),
    [(0x28, 0x00, True), (0x68, 0x00, False), (0x28, 0x02, False), (0x20, 0x00, False)],
)
def test_vp9_key_frames_begin_in_the_lowest_layer(first: int, layers: int, key: bool) -> None:
    assert vp9.inspect(bytes((first, layers, 5)) + b"data").key is key


def test_vp9_flexible_mode_has_references() -> None:
    look = vp9.inspect(b"\xf8\x05\x64\x03\x02data")
    assert (look.pid, look.pid_bits, look.tid, look.sid, look.key) == (5, 7, 3, 2, False)
    assert look.tl0 == -1


@pytest.mark.parametrize(
    ("payload", "key"), [(b"\x18\x0a", True), (b"\x10\x0a", False), (b"\x98\x0a", False)]
)
def test_av1_key_frames_begin_a_sequence(payload: bytes, key: bool) -> None:
    assert av1.inspect(payload).key is key


@pytest.mark.parametrize("codec", sorted(INSPECTORS))
def test_cut_off_payloads_are_unknown(codec: str) -> None:
    assert INSPECTORS[codec](b"") == UNKNOWN


@pytest.mark.parametrize("size", range(1, 7))
def test_a_cut_off_vp8_descriptor_is_unknown(size: int) -> None:
    assert vp8.inspect(b"\x90\xf0\x85\x39\x07\xa3"[:size]) == UNKNOWN


@pytest.mark.parametrize("size", range(1, 8))
def test_a_cut_off_vp9_descriptor_is_unknown(size: int) -> None:
    assert vp9.inspect(b"\xf8\x85\x39\x64\x03\x03\x02"[:size]) == UNKNOWN
