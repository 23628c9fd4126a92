"""Control messages: what is one, and the handshake."""

from __future__ import annotations

import json

import pytest

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.link import control
from roomful_rtc.link.control import Failed, Welcome, control_record, read_control
from roomful_rtc.link.record import HEADER_SIZE

WELCOME = Welcome("JB_1", "recorder", {"tiles": [1]}, "room", "me", {"cpu_cores": 1.5}, 20, 5, 6)


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


def test_handshake_says_who_is_there_and_what_to_do():
    assert control.read_hello(passed(control.hello(5, ["a", "b"]))) == control.Hello(5, ("a", "b"))
    assert control.read_welcome(passed(WELCOME.message())) == WELCOME


@pytest.mark.parametrize(
    ("read", "message", "says"),
    [
        (control.read_hello, {**control.hello(5, []), "version": 2}, "restarted"),
        (control.read_hello, {**control.hello(5, []), "version": True}, "version"),
        (control.read_hello, {**control.hello(5, []), "pid": "5"}, "pid"),
        (control.read_hello, {**control.hello(5, []), "kinds": [1]}, "kinds"),
        (control.read_hello, {**control.hello(5, []), "kinds": ["a"] * 1001}, "kinds"),
        (control.read_hello, {"t": "done", "result": {}}, "'done' before 'hello'"),
        (control.read_welcome, {**WELCOME.message(), "version": 2}, "version 2"),
        (control.read_welcome, {**WELCOME.message(), "spec": []}, "spec"),
        (control.read_welcome, {"t": "ping"}, "'ping' before 'welcome'"),
    ],
)
def test_handshake_that_does_not_fit_is_refused_with_the_reason(read, message, says):
    with pytest.raises(RemoteProtocolError, match=says):
        read(message)


def test_end_of_a_job_is_read_back():
    failure = Failed("malformed", "no such thing", retryable=True)

    assert control.read_failed(passed(control.failed(failure))) == failure
    assert control.read_result(passed(control.done({"parts": 2}))) == {"parts": 2}


@pytest.mark.parametrize(
    "message",
    [
        {"t": "failed", "code": "x", "message": "y"},
        {"t": "failed", "code": "x", "message": 1, "retryable": True},
        {"t": "failed", "code": "x", "message": "y", "retryable": 1},
    ],
)
def test_failure_with_a_wrong_field_ends_the_link(message):
    with pytest.raises(RemoteProtocolError):
        control.read_failed(message)


def test_long_failure_is_cut():
    found = control.read_failed(passed(control.failed(Failed("x", "y" * 10_000, retryable=False))))

    assert len(found.message) == 4096


def test_config_carries_bytes():
    message = passed(control.config(3, 1, "h264", b"\x01\x64\xff"))

    assert message == {"t": "config", "stream": 3, "id": 1, "codec": "h264", "data": "AWT/"}
    assert control.stream_field(message, "stream") == 3


@pytest.mark.parametrize("stream", [0, -1, 1 << 32, "1", None, True])
def test_field_that_is_no_stream_ends_the_link(stream):
    with pytest.raises(RemoteProtocolError):
        control.stream_field({"t": "keyframe", "sink": stream}, "sink")


def test_ping_is_answered_with_its_number():
    assert json.loads(json.dumps(control.pong(control.ping(7)))) == {"t": "pong", "n": 7}
