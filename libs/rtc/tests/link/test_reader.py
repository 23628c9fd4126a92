"""What a reader takes, and what ends the link."""

from __future__ import annotations

import struct

import pytest

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.link.control import control_record
from roomful_rtc.link.reader import LinkReader
from roomful_rtc.link.record import (
    CLOCK,
    CONTROL,
    FRAME,
    GAP,
    GAP_BODY,
    HEADER,
    KEY,
    MESSAGE_BYTES,
    MORE,
    RTP,
    clock_record,
    first_fragment,
    gap_record,
)
from roomful_rtc.link.streams import StreamTable

from .rig import Kept, Pair, frame, packet


def record(kind: int, body: bytes, *, flags: int = 0, stream: int = 1) -> bytes:
    return HEADER.pack(len(body), kind, flags, stream) + body


def rtp_record(data: bytes, *, at_ns: int = 5, **options: int) -> bytes:
    return record(RTP, struct.pack("!Q", at_ns) + data, **options)


def test_records_reach_their_stream_in_order():
    pair = Pair()
    message = b"".join(
        (
            rtp_record(packet(1), at_ns=11),
            clock_record(1, 2, 3 << 32, 4),
            gap_record(2, 7, 1),
            rtp_record(packet(2), at_ns=12),
            first_fragment(2, frame(10, key=True), KEY),
        )
    )

    pair.feed(message)

    assert pair.kept[1].events == [
        ("rtp", packet(1), 11),
        ("clock", 2, 3 << 32, 4),
        ("rtp", packet(2), 12),
    ]
    assert pair.kept[2].events == [("gap", 7, 1), ("frame", frame(10, key=True))]
    assert (pair.reader.records, pair.reader.bytes) == (5, len(message))


def test_control_keeps_its_place_among_media():
    pair = Pair()
    seen: list[object] = []
    pair.reader = LinkReader(
        pair.table,
        lambda message, stream: seen.append((message["t"], pair.kept[1].kinds(), stream)),
    )

    pair.feed(
        rtp_record(packet())
        + control_record({"t": "layer", "sink": 1}, 1)
        + rtp_record(packet())
        + control_record({"t": "x"})
    )

    assert seen == [("layer", ["rtp"], 1), ("x", ["rtp", "rtp"], 0)]


def test_steps_hand_on_no_more_than_asked():
    pair = Pair()
    pair.reader.feed(memoryview(rtp_record(packet()) * 100))

    taken = [pair.reader.step(64), len(pair.kept[1].events), pair.reader.step(64)]

    assert taken == [64, 64, 36]
    assert not pair.reader.pending


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ("half a header", b"\0\0\0"),
        ("half a header behind a record", rtp_record(packet()) + b"\0"),
        ("a length beyond the message", HEADER.pack(100, RTP, 0, 1) + bytes(99)),
        ("a length beyond the limit", HEADER.pack(61_441, CONTROL, 0, 0) + bytes(61_441)),
        ("a message beyond the limit", bytes(MESSAGE_BYTES + 1)),
        ("a long message of two records", gap_record(1, 1, 1) + rtp_record(bytes(61_430))),
        ("an unknown type", record(5, b"")),
        ("control that is no JSON", record(CONTROL, b"{", stream=0)),
        ("control with flags", record(CONTROL, b'{"t":"x"}', flags=1, stream=0)),
        ("control of an unknown stream", record(CONTROL, b'{"t":"x"}', stream=9)),
        ("a packet shorter than its header", rtp_record(packet()[:11])),
        ("a packet of another version", rtp_record(b"\x40" + packet()[1:])),
        ("CSRCs that do not fit", rtp_record(b"\x8f" + packet()[1:])),
        ("padding that does not fit", rtp_record(b"\xa0" + packet()[1:-1] + b"\xff")),
        ("a packet with more to follow", rtp_record(packet(), flags=MORE)),
        ("a packet with unknown flags", rtp_record(packet(), flags=8)),
        ("a packet of an unknown stream", rtp_record(packet(), stream=4)),
        ("a packet of no stream", rtp_record(packet(), stream=0)),
        ("a short clock", record(CLOCK, bytes(19))),
        ("a long clock", record(CLOCK, bytes(21))),
        ("a clock with flags", record(CLOCK, bytes(20), flags=1)),
        ("a clock of no stream", record(CLOCK, bytes(20), stream=0)),
        ("a gap of nothing", record(GAP, GAP_BODY.pack(0, 1))),
        ("a gap for no reason", record(GAP, GAP_BODY.pack(1, 0))),
        ("a gap for an unknown reason", record(GAP, GAP_BODY.pack(1, 4))),
        ("a long gap", record(GAP, bytes(6))),
        ("a frame shorter than its fields", record(FRAME, bytes(31))),
        ("a frame with unknown flags", record(FRAME, bytes(32), flags=8)),
        ("a frame of an unknown stream", record(FRAME, bytes(32), stream=4)),
    ],
)
def test_lie_ends_the_link(lie: str, message: bytes):
    with pytest.raises(RemoteProtocolError):
        Pair().feed(message)


def test_closed_stream_is_discarded_and_told_once():
    pair = Pair()
    pair.table.close(1)

    pair.feed(rtp_record(packet()) + clock_record(1, 2, 3, 4) + gap_record(1, 1, 1))
    pair.feed(first_fragment(1, frame(5), 0))
    pair.table.close_all()

    assert pair.kept[1].events == [("end",)]
    assert pair.kept[2].events == [("end",)]


def test_stream_that_is_not_opened_yet_is_discarded_by_a_lenient_end():
    table = StreamTable(strict=False)
    reader = LinkReader(table, lambda message, stream: None)
    kept = Kept()

    reader.feed(memoryview(rtp_record(packet(1))))
    reader.step(1)
    table.open(1, kept)
    reader.feed(memoryview(rtp_record(packet(2))))
    reader.step(1)

    assert kept.numbers() == [2]


@pytest.mark.parametrize("stream", [0, -1, 1 << 32])
def test_stream_without_an_id_is_our_fault(stream: int):
    with pytest.raises(LocalProtocolError):
        StreamTable(strict=True).open(stream, Kept())


def test_stream_is_opened_once_and_may_be_opened_again_when_closed():
    table = StreamTable(strict=True)
    table.open(1, Kept())
    with pytest.raises(LocalProtocolError):
        table.open(1, Kept())
    table.close(1)

    table.open(1, Kept())
