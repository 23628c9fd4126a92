"""Binding requests: what is taken in, what is refused, what the answers say (RFC 8489, 8445)."""

from __future__ import annotations

import random
import struct
import time
import zlib

import pytest
from aioice import stun as aioice_stun

from roomful_rtc import stun

PWD = "p" * 24
COOKIE = bytes.fromhex("2112a442")


def aioice_request(**attributes):
    request = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    request.attributes["USERNAME"] = "ufragAAA:remote"
    request.attributes["PRIORITY"] = 1862270975
    request.attributes["ICE-CONTROLLING"] = 7
    request.attributes.update(attributes)
    request.add_message_integrity(PWD.encode())
    request.add_fingerprint()
    return bytes(request)


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(attributes, *, kind=1, pwd=PWD, behind=b"", fingerprint=True):
    """Build a message of raw attributes, with valid integrity and fingerprint."""
    transaction = b"T" * 12
    proved = struct.pack("!HH", kind, len(attributes) + 24) + COOKIE + transaction + attributes
    body = attributes + attribute(8, stun.hmac.digest(pwd.encode(), proved, "sha1")) + behind
    size = len(body) + (8 if fingerprint else 0)
    data = struct.pack("!HH", kind, size) + COOKIE + transaction + body
    if fingerprint:
        data += attribute(0x8028, struct.pack("!I", zlib.crc32(data) ^ 0x5354554E))
    return data


NAME = attribute(6, b"ufragAAA:remote")


def test_request_of_another_stack_is_understood_and_proved():
    request = stun.parse_request(aioice_request(**{"USE-CANDIDATE": None}))

    assert (request.local_ufrag, request.remote_ufrag) == ("ufragAAA", "remote")
    assert request.use_candidate
    assert not request.controlled
    assert request.unknown == ()
    assert stun.verify(request, PWD)
    assert not stun.verify(request, "q" * 24)


def test_peek_finds_our_ufrag_in_front():
    assert stun.peek_ufrag(aioice_request()) == "ufragAAA"


def test_peek_says_none_when_username_is_not_first_or_cut():
    assert stun.peek_ufrag(message(attribute(0x24, b"\0\0\0\1") + NAME)) is None
    assert stun.peek_ufrag(b"\0\1\0\0") is None
    assert stun.peek_ufrag(message(attribute(6, b"nocolon"))) is None


@pytest.mark.parametrize("addr", [("192.0.2.7", 50000), ("2001:db8::7", 443), ("fe80::1%eth0", 9)])
def test_success_shows_another_stack_its_address(addr):
    request = stun.parse_request(aioice_request())

    answer = aioice_stun.parse_message(stun.success(request, addr, PWD))

    assert answer.message_class == aioice_stun.Class.RESPONSE
    assert answer.transaction_id == request.transaction
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == (addr[0].partition("%")[0], addr[1])
    assert answer.check_message_integrity(PWD.encode())


def test_role_conflict_is_487_and_proved():
    request = stun.parse_request(message(NAME + attribute(0x8029, bytes(8))))

    answer = aioice_stun.parse_message(stun.role_conflict(request, PWD))

    assert request.controlled
    assert answer.attributes["ERROR-CODE"] == (487, "Role Conflict")
    assert answer.check_message_integrity(PWD.encode())


def test_unknown_attributes_are_listed_in_a_420():
    request = stun.parse_request(
        message(NAME + attribute(0x7FF1, b"x") + attribute(0x9001, b"y") + attribute(0x0001, b""))
    )

    answer = stun.unknown_attribute(request, PWD)

    assert request.unknown == (0x7FF1, 0x0001)
    assert attribute(9, b"\0\0\4\x14Unknown Attribute") in answer
    assert attribute(10, b"\x7f\xf1\0\1") in answer


def test_what_stands_behind_the_integrity_is_ignored():
    request = stun.parse_request(
        message(NAME, behind=attribute(0x25, b"") + attribute(0x7FF1, b"") + NAME)
    )

    assert not request.use_candidate
    assert request.unknown == ()
    assert stun.verify(request, PWD)


def test_integrity_does_not_cover_what_is_behind_it():
    plain = stun.parse_request(message(NAME))
    more = stun.parse_request(message(NAME, behind=attribute(0x25, b"")))

    assert stun.verify(plain, PWD)
    assert stun.verify(more, PWD)


GOOD = message(NAME)
REFUSED = {
    "empty": b"",
    "cut header": GOOD[:19],
    "too large": message(NAME + attribute(0x9000, bytes(1252))),
    "no cookie": GOOD[:4] + bytes(4) + GOOD[8:],
    "length too small": GOOD[:2] + b"\0\4" + GOOD[4:],
    "trailing byte": GOOD + b"\0",
    "indication": message(NAME, kind=0x0011),
    "success": message(NAME, kind=0x0101),
    "allocate": message(NAME, kind=0x0003),
    "no username": message(attribute(0x24, bytes(4))),
    "two usernames": message(NAME + NAME),
    "no integrity": GOOD[:20] + NAME,
    "no fingerprint": message(NAME, fingerprint=False),
    "fingerprint is wrong": GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
    "fingerprint is not last": message(NAME, behind=attribute(0x8028, bytes(4))),
    "integrity is short": message(NAME + attribute(8, bytes(4))),
    "attribute leaves the message": message(NAME + struct.pack("!HH", 0x9000, 400)),
    "attribute without header": GOOD[:20] + NAME + b"\0\0",
    "17 attributes": message(NAME + attribute(0x9000, b"") * 15),
    "long username": message(attribute(6, b"u" * 513)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_message_that_breaks_a_rule_is_refused(case):
    with pytest.raises(stun.StunError):
        stun.parse_request(REFUSED[case])


def repaired(data):
    """Set length and fingerprint right, so that a mutation gets further."""
    if len(data) < 28:
        return data
    head = data[:2] + struct.pack("!H", len(data) - 20) + COOKIE + data[8:-8]
    return head + attribute(0x8028, struct.pack("!I", zlib.crc32(head) ^ 0x5354554E))


def mutated(data, rng):
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        action = rng.randrange(4)
        at = rng.randrange(len(out)) if out else 0
        if action == 0 and out:
            out[at] = rng.choice((0, 1, 4, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif action == 1:
            out[at:at] = rng.randbytes(rng.randint(1, 8))
        elif action == 2 and out:
            del out[at : at + rng.randint(1, 8)]
        elif len(out) >= at + 2:
            out[at : at + 2] = struct.pack("!H", rng.choice((0, 1, 3, 4, 19, 20, 21, 512, 65535)))
    return bytes(out)


def handled(data):
    try:
        stun.peek_ufrag(data)
        request = stun.parse_request(data)
        stun.verify(request, PWD)
        stun.success(request, ("192.0.2.1", 9), PWD)
        stun.unknown_attribute(request, PWD)
    except stun.StunError:
        return False
    return True


def test_2000_mutations_raise_nothing_unexpected_and_take_no_time():
    rng = random.Random(20240511)
    corpus = [
        aioice_request(),
        aioice_request(**{"USE-CANDIDATE": None}),
        message(
            NAME + attribute(0xC057, bytes(4)) + attribute(0x25, b"") + attribute(0x802A, bytes(8))
        ),
    ]
    taken, slowest = 0, 0.0
    for number in range(2000):
        data = mutated(rng.choice(corpus), rng)
        data = repaired(data) if number % 4 else data
        spent = []
        while len(spent) < 3 and (not spent or spent[-1] > 0.001):
            began = time.thread_time()
            answered = handled(data)
            spent.append(time.thread_time() - began)
        slowest = max(slowest, min(spent))
        taken += answered

    assert 50 < taken < 1950
    assert slowest < 0.005
