"""AMF0 both ways, and what is refused."""

import random
import struct

import pytest

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtmp.amf0 import decode, encode


def test_round_trip():
    values = ["connect", 1.0, {"app": "live", "flag": True, "inner": {"a": None}}, [1.0, "x"], None]

    assert decode(encode(*values)) == values
    assert decode(encode("x" * 70_000)) == ["x" * 70_000]


def test_what_is_only_read():
    ecma = b"\x08\x00\x00\x00\x09\x00\x01a\x01\x01\x00\x00\x09"
    date = b"\x0b" + struct.pack(">d", 5.0) + b"\0\0"

    assert decode(ecma + date + b"\x06") == [{"a": True}, 5.0, None]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01",
        b"\x02\xff\xffshort",
        b"\x0c\xff\xff\xff\xffshort",
        b"\x03" + b"\x00\x01a\x03" * 500,
        b"\x0a\xff\xff\xff\xff",
        b"\x0a\x00\x00\x10\x00" * 20,
        b"\x11",
        b"\x0a\x00\x00\x0f\xff" + b"\x05" * 4095 + b"\x05" * 5,
    ],
)
def test_refused(data):
    with pytest.raises(RemoteProtocolError, match="AMF0"):
        decode(data)


def test_what_cannot_be_said():
    with pytest.raises(LocalProtocolError):
        encode({1, 2})
    with pytest.raises(LocalProtocolError):
        encode({"": 1})


@pytest.mark.parametrize("seed", range(500))
def test_random_bytes_are_read_or_refused(seed):
    chance = random.Random(seed)
    body = bytearray(encode("connect", 1.0, {"app": "live", "list": [1.0, {"a": "b"}]}))
    for _ in range(chance.randint(1, 8)):
        body[chance.randrange(len(body))] = chance.randrange(14)
    try:
        decode(bytes(body))
    except RemoteProtocolError:
        pass
