"""Which SCTP packets reach a parser (RFC 9260, 3758, 6525)."""

from __future__ import annotations

import random
import struct
import time

import pytest
from aiortc import rtcsctptransport as aiortc_sctp
from google_crc32c import value as crc32c

from roomful_rtc.sctp_check import SctpError, highest_gap, sctp_check

VALID, REFUSED = {}, {}


def parameter(kind, value):
    return struct.pack("!HH", kind, 4 + len(value)) + value + bytes(-len(value) % 4)


def chunk(kind, body, flags=0):
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


def packet(*chunks, tag=77):
    return struct.pack("!HHLL", 5000, 5000, tag, 0) + b"".join(chunks)


def sealed(data):
    """Set the checksum right."""
    if len(data) < 12:
        return data
    plain = data[:8] + bytes(4) + data[12:]
    return data[:8] + struct.pack("<L", crc32c(plain)) + data[12:]


def init(*parameters, tag=1, streams=(10, 10)):
    return struct.pack("!LLHHL", tag, 65536, *streams, 5) + b"".join(parameters)


def sack(gaps=(), duplicates=(), counts=None):
    counts = counts or (len(gaps), len(duplicates))
    body = struct.pack("!LLHH", 5, 65536, *counts)
    return body + b"".join(struct.pack("!HH", *gap) for gap in gaps) + bytes(4 * len(duplicates))


DATA_BODY = struct.pack("!LHHL", 6, 0, 0, 53) + b"hello"
RESET = struct.pack("!LLLH", 1, 2, 3, 4)
VALID.update(
    {
        "data": packet(chunk(0, DATA_BODY)),
        "data without its padding": packet(chunk(0, DATA_BODY))[:-3],
        "init": packet(chunk(1, init(parameter(0x8008, b"\x82\xc0"))), tag=0),
        "init-ack": packet(chunk(2, init(parameter(7, b"cookie")))),
        "sack": packet(chunk(3, sack([(2, 3), (5, 5)], [9]))),
        "sack and data": packet(chunk(3, sack()), chunk(0, DATA_BODY), chunk(0, DATA_BODY)),
        "heartbeat": packet(chunk(4, parameter(1, b"12345"))),
        "abort": packet(chunk(6, b"")),
        "shutdown": packet(chunk(7, bytes(4))),
        "cookie-echo": packet(chunk(10, b"cookie")),
        "cookie-ack": packet(chunk(11, b"")),
        "re-config": packet(chunk(130, parameter(13, RESET))),
        "re-config answer": packet(chunk(130, parameter(16, bytes(8)))),
        "forward-tsn": packet(chunk(192, bytes(12))),
        "unknown chunk": packet(chunk(77, b"x")),
        "32 chunks": packet(*[chunk(11, b"")] * 32),
    }
)
REFUSED.update(
    {
        "empty": b"",
        "header only": packet(),
        "half a chunk header": packet(chunk(11, b""), b"\0\0"),
        "chunk length 3": packet(struct.pack("!BBH", 11, 0, 3)),
        "chunk length 0": packet(struct.pack("!BBH", 0, 0, 0)),
        "chunk leaves the packet": packet(struct.pack("!BBH", 11, 0, 9), b"\0\0\0\0"),
        "33 chunks": packet(*[chunk(11, b"")] * 33),
        "short data": packet(chunk(0, bytes(11))),
        "short init": packet(chunk(1, bytes(15)), tag=0),
        "short sack": packet(chunk(3, bytes(11))),
        "short shutdown": packet(chunk(7, b"")),
        "short forward-tsn": packet(chunk(192, b"\0\0")),
        "uneven forward-tsn": packet(chunk(192, bytes(6))),
        "forward-tsn of 65 streams": packet(chunk(192, bytes(4 + 4 * 65))),
        "parameter length 0": packet(chunk(1, init(bytes(4))), tag=0),
        "parameter length 3": packet(chunk(4, struct.pack("!HH", 1, 3))),
        "parameter leaves its chunk": packet(chunk(4, struct.pack("!HH", 1, 9) + bytes(4))),
        "half a parameter header": packet(chunk(9, parameter(1, b"") + b"\0\1")),
        "short reset": packet(chunk(130, parameter(13, bytes(11)))),
        "uneven reset": packet(chunk(130, parameter(13, bytes(13)))),
        "short reset answer": packet(chunk(130, parameter(16, bytes(7)))),
        "short stream addition": packet(chunk(130, parameter(17, bytes(7)))),
        "init in company": packet(chunk(1, init()), chunk(11, b""), tag=0),
        "init with a tag": packet(chunk(1, init()), tag=5),
        "init without a tag inside": packet(chunk(1, init(tag=0)), tag=0),
        "init without streams": packet(chunk(1, init(streams=(0, 1))), tag=0),
        "sack counts too much": packet(chunk(3, sack(counts=(1, 0)))),
        "sack with 65 blocks": packet(chunk(3, sack([(2 * i, 2 * i) for i in range(1, 66)]))),
        "sack with 65 duplicates": packet(chunk(3, sack((), range(65)))),
        "sack blocks descend": packet(chunk(3, sack([(5, 6), (2, 3)]))),
        "sack block ends before it begins": packet(chunk(3, sack([(5, 4)]))),
        "sack block at 0": packet(chunk(3, sack([(0, 4)]))),
    }
)


@pytest.mark.parametrize("case", VALID)
def test_well_formed_packet_passes(case):
    assert sctp_check(memoryview(VALID[case]))


@pytest.mark.parametrize("case", REFUSED)
def test_packet_that_breaks_a_rule_is_refused(case):
    with pytest.raises(SctpError):
        sctp_check(memoryview(REFUSED[case]))


def test_chunks_are_found_where_they_lie():
    data = packet(chunk(3, sack([(2, 3), (5, 9)])), chunk(0, DATA_BODY))

    first, second = sctp_check(memoryview(data))

    assert highest_gap(memoryview(data), first) == 9
    assert data[second.body : second.end] == DATA_BODY


def parsed(data):
    """Check a packet and give it to the parser behind if it passes."""
    try:
        sctp_check(memoryview(data))
    except SctpError:
        return False
    _, _, _, chunks = aiortc_sctp.parse_packet(data)
    for each in chunks:
        if isinstance(each, aiortc_sctp.ReconfigChunk):
            for kind, value in each.params:
                known = aiortc_sctp.RECONFIG_PARAM_TYPES.get(kind)
                if known is not None:
                    known.parse(value)
    return True


def test_2000_mutations_that_pass_are_parsed_without_surprise():
    """What passes must be harmless for the parser behind: no exception, no time."""
    rng = random.Random(4711)
    corpus = [data for data in VALID.values() if len(data) > 16]
    passed, slowest = 0, 0.0
    for _ in range(2000):
        data = bytearray(rng.choice(corpus))
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(8, len(data))
            if rng.random() < 0.6:
                data[at] = rng.choice((0, 1, 3, 4, 5, 13, 16, 130, 192, 255, rng.randrange(256)))
            elif rng.random() < 0.5:
                data[at:at] = rng.randbytes(rng.randint(1, 9))
            elif len(data) > 20:
                del data[at : at + rng.randint(1, 5)]
        hostile = sealed(bytes(data))
        spent = []
        while len(spent) < 3 and (not spent or spent[-1] > 0.001):
            began = time.thread_time()
            harmless = parsed(hostile)
            spent.append(time.thread_time() - began)
        slowest = max(slowest, min(spent))
        passed += harmless

    assert 100 < passed < 1900
    assert slowest < 0.005
