"""Fragments of descriptions, read and written."""

import random

import pytest

from roomful_ingress_whip.problem import Problem
from roomful_ingress_whip.sdpfrag import Fragment, LocalIce, write_fragment

PWD = "b" * 24
TRICKLE = (
    f"a=ice-ufrag:abcd\r\na=ice-pwd:{PWD}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    "a=candidate:1 1 UDP 2122252543 192.0.2.1 40000 typ host generation 0\r\n"
    "a=candidate:2 1 TCP 1518280447 fe80::1 9 typ host tcptype active\r\n"
    "a=end-of-candidates\r\n"
)


def test_reads_what_clients_send():
    assert Fragment.parse(TRICKLE.encode()) == Fragment("abcd", PWD, 2)
    assert Fragment.parse(b"a=ice-ufrag:abcd\na=end-of-candidates\n") == Fragment("abcd")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff", 400),
        (b"v=0\r\n", 400),
        (b"hello", 400),
        (b"a=ice-ufrag:a b\r\n", 400),
        (b"a=ice-pwd:" + b"x" * 300, 400),
        (b"a=ice-ufrag:abcd\r\na=ice-ufrag:efgh\r\n", 400),
        (b"a=candidate:1 1 udp\r\n", 400),
        (b"a=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\n" * 101, 400),
        (b"a=" + b"x" * 2000, 400),
        (b"a=mid:0\r\n" * 3000, 413),
    ],
)
def test_refuses(body, status):
    with pytest.raises(Problem) as caught:
        Fragment.parse(body)

    assert caught.value.status == status


def test_password_is_in_no_repr():
    assert PWD not in repr(Fragment.parse(TRICKLE.encode()))
    assert PWD not in repr(LocalIce("u", PWD, ()))


def test_what_is_written_can_be_read():
    candidate = "candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host"

    text = write_fragment(LocalIce("ufra", PWD, [candidate]), ["0", "1"])

    assert Fragment.parse(text.encode()) == Fragment("ufra", PWD, 1)
    assert "a=group:BUNDLE 0 1" in text and text.endswith("\r\n")


@pytest.mark.parametrize("seed", range(300))
def test_mutated_fragments_are_read_or_refused(seed):
    chance = random.Random(seed)
    body = bytearray(TRICKLE.encode())
    for _ in range(chance.randint(1, 10)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    try:
        Fragment.parse(bytes(body))
    except Problem as problem:
        assert problem.status == 400
