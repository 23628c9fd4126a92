"""What both ends say: the handshake, the end of a job."""

from __future__ import annotations

import json

import pytest

from roomful.errors import RemoteProtocolError
from roomful_rtc.link import control, vocabulary
from roomful_rtc.link.control import control_record, read_control
from roomful_rtc.link.record import HEADER_SIZE
from roomful_rtc.link.vocabulary import Failed, Welcome

WELCOME = Welcome("JB_1", "recorder", {"tiles": [1]}, "room", "me", {"cpu_cores": 1.5}, 20, 5, 6)


def passed(message):
    return read_control(control_record(message)[HEADER_SIZE:])


def test_handshake_says_who_is_there_and_what_to_do():
    assert vocabulary.read_hello(passed(vocabulary.hello(5, ["a", "b"]))) == vocabulary.Hello(
        5, ("a", "b")
    )
    assert vocabulary.read_welcome(passed(WELCOME.message())) == WELCOME


@pytest.mark.parametrize(
    ("read", "message", "says"),
    [
        (vocabulary.read_hello, {**vocabulary.hello(5, []), "version": 2}, "restarted"),
        (vocabulary.read_hello, {**vocabulary.hello(5, []), "version": True}, "version"),
        (vocabulary.read_hello, {**vocabulary.hello(5, []), "pid": "5"}, "pid"),
        (vocabulary.read_hello, {**vocabulary.hello(5, []), "kinds": [1]}, "kinds"),
        (vocabulary.read_hello, {**vocabulary.hello(5, []), "kinds": ["a"] * 1001}, "kinds"),
        (vocabulary.read_hello, {"t": "done", "result": {}}, "'done' before 'hello'"),
        (vocabulary.read_welcome, {**WELCOME.message(), "version": 2}, "version 2"),
        (vocabulary.read_welcome, {**WELCOME.message(), "spec": []}, "spec"),
        (vocabulary.read_welcome, {"t": "ping"}, "'ping' before 'welcome'"),
    ],
)
def test_handshake_that_does_not_fit_is_refused_with_the_reason(read, message, says):
    with pytest.raises(RemoteProtocolError, match=says):
        read(message)


def test_end_of_a_job_is_read_back():
    failure = Failed("malformed", "no such thing", retryable=True)

    assert vocabulary.read_failed(passed(vocabulary.failed(failure))) == failure
    assert vocabulary.read_result(passed(vocabulary.done({"parts": 2}))) == {"parts": 2}


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
        vocabulary.read_failed(message)


def test_long_failure_is_cut():
    found = vocabulary.read_failed(
        passed(vocabulary.failed(Failed("x", "y" * 10_000, retryable=False)))
    )

    assert len(found.message) == 4096


def test_config_carries_bytes():
    message = passed(vocabulary.config(3, 1, "h264", b"\x01\x64\xff"))

    assert message == {"t": "config", "stream": 3, "id": 1, "codec": "h264", "data": "AWT/"}
    assert control.stream_field(message, "stream") == 3


def test_ping_is_answered_with_its_number():
    assert json.loads(json.dumps(vocabulary.pong(vocabulary.ping(7)))) == {"t": "pong", "n": 7}
