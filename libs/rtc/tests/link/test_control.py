"""Control messages: what is one."""

from __future__ import annotations

import pytest

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.link import control
from roomful_rtc.link.control import control_record, read_control
from roomful_rtc.link.record import HEADER_SIZE


def passed(message):
    return read_control(control_record(message)[HEADER_SIZE:])


def test_message_passes_whatever_its_text():
    message = {"t": "speakers", "names": ["Zoë", "مرحبا", "🎛️", "\u2028"], "n": [1, 2.5, None]}

    assert passed(message) == message


@pytest.mark.parametrize(
    "message",
    [
        {"name": "without t"},
        {"t": 5},
        {"t": "x", "value": {1, 2}},
        {"t": "x", "value": float("nan")},
        {"t": "x", "value": "\ud800"},
        {"t": "x", "value": "a" * 61_440},
    ],
)
def test_message_that_cannot_be_sent_is_our_fault(message):
    with pytest.raises(LocalProtocolError):
        control_record(message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"t"',
        b'{"t":1}',
        b'{"s":"x"}',
        b'{"t":"x"',
        b'{"t":"x"}{}',
        b'{"t":"x","n":NaN}',
        b'{"t":"x","n":Infinity}',
        b'{"t":"x","n":' + b"9" * 5000 + b"}",
        b'{"t":"\\ud800"}',
        b'{"t":"\xff"}',
        b'{"t":"x","v":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"t":"x","v":' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}",
        b"[" * 61_440,
    ],
)
def test_body_that_is_no_message_ends_the_link(body: bytes):
    with pytest.raises(RemoteProtocolError):
        read_control(body)


def test_wide_messages_and_escaped_pairs_are_fine():
    wide = {"t": "x", "v": [[number] for number in range(100)]}

    assert passed(wide) == wide
    assert read_control(b'{"t":"\\ud83c\\udf9b"}') == {"t": "🎛"}


@pytest.mark.parametrize("stream", [0, -1, 1 << 32, "1", None, True])
def test_field_that_is_no_stream_ends_the_link(stream):
    with pytest.raises(RemoteProtocolError):
        control.stream_field({"t": "keyframe", "sink": stream}, "sink")
