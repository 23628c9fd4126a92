"""Two ends of a link in one loop: order, back-pressure, turns, ends."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from typing import Any

import pytest

from roomful.errors import RemoteProtocolError
from roomful.model.media import LIVE
from roomful_media.link_socket import RECORDS_A_TURN, LinkSocket, link_pair
from roomful_rtc.link.policy import LIVE_FRAMES
from roomful_rtc.link.record import Frame

PACKET = b"\x80\x60" + bytes(10) + b"payload"


class End:
    """A handler and a consumer that keep what they get."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.packets: list[bytes] = []
        self.frames: list[Frame] = []
        self.closed: list[Exception | None] = []
        self.ended = 0
        self.fails: Exception | None = None

    def on_control(self, message: Any, stream: int) -> None:
        self.messages.append(message)
        if self.fails:
            raise self.fails

    def on_closed(self, error: Exception | None) -> None:
        self.closed.append(error)

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self.packets.append(bytes(packet))

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None: ...
    def gap(self, count: int, reason: int) -> None: ...

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)

    def end(self) -> None:
        self.ended += 1


class Two:
    """`here` sends, `there` takes stream 1."""

    def __init__(self, policy=LIVE) -> None:
        self.at_here, self.at_there = End(), End()
        one, other = link_pair()
        self.here = LinkSocket(one, self.at_here, policy, strict=True)
        self.there = LinkSocket(other, self.at_there, policy, strict=True)
        self.there.open(1, self.at_there)


@pytest.fixture
async def two():
    made = Two(LIVE_FRAMES)
    yield made
    made.here.close()
    made.there.close()


async def test_what_is_sent_arrives_in_order(two, until):
    sink = two.here.sink(1)
    for number in range(500):
        sink.write(PACKET + bytes((number & 255,)), number)
    two.here.send({"t": "last"})
    await until(lambda: two.at_there.messages)

    assert [packet[-1] for packet in two.at_there.packets] == [n & 255 for n in range(500)]
    assert two.here.stats.records_out == two.there.stats.records_in == 501
    assert two.here.stats.bytes_out == two.there.stats.bytes_in
    assert two.here.stats.queued_bytes == 0


async def test_nothing_is_sent_before_the_loop_turns_so_that_records_share_messages(two, until):
    sink = two.here.sink(1)
    for number in range(100):
        sink.write(PACKET, number)
    queued = two.here.stats.queued_bytes
    await asyncio.wait_for(two.here.sent_all(), 5)

    assert queued > 100 * len(PACKET)
    assert two.here.stats.records_out == 100


async def test_turn_hands_on_64_records_of_one_message(two):
    sink = two.here.sink(1)
    for number in range(300):
        sink.write(PACKET, number)
    seen = [0]
    while seen[-1] < 300:
        await asyncio.sleep(0)
        seen.append(len(two.at_there.packets))

    steps = {later - former for former, later in itertools.pairwise(seen)}
    assert max(steps) == RECORDS_A_TURN


async def test_peer_that_does_not_read_costs_the_bound(two, until):
    asyncio.get_running_loop().remove_reader(two.there._sock)
    sink = two.here.sink(1)
    for number in range(20_000):
        sink.write(PACKET + bytes(1000), number)
        if not number % 100:
            await asyncio.sleep(0)
    stuck = two.here.stats
    asyncio.get_running_loop().add_reader(two.there._sock, two.there._on_readable)
    await asyncio.wait_for(two.here.sent_all(), 10)
    await until(lambda: two.there.stats.records_in == two.here.stats.records_out)

    assert stuck.queued_bytes <= LIVE_FRAMES.max_bytes + 2000
    assert stuck.dropped > 1000
    assert len(two.at_there.packets) == 20_000 - two.here.stats.dropped


async def test_end_of_the_peer_is_told_once_after_what_it_said(two, until):
    two.there.send({"t": "last words"})
    await asyncio.wait_for(two.there.sent_all(), 5)
    two.there.close()
    await until(lambda: two.at_here.closed)

    assert two.at_here.messages == [{"t": "last words"}]
    assert two.at_here.closed == [None]
    assert two.here.closed
    two.here.send({"t": "nobody hears it"})
    two.here.sink(1).write(PACKET, 0)
    await asyncio.wait_for(two.here.sent_all(), 5)


async def test_closing_ends_the_streams_and_tells_no_handler(two):
    two.there.close()
    two.there.close()

    assert two.at_there.ended == 1
    assert two.at_there.closed == []


async def test_words_of_a_dead_peer_are_drained(two):
    for number in range(1000):
        two.there.send({"t": "note", "n": number})
    await asyncio.wait_for(two.there.sent_all(), 5)
    two.there.close()

    two.here.drain()

    assert [message["n"] for message in two.at_here.messages] == list(range(1000))
    assert two.at_here.closed == [None]


async def test_lie_closes_the_link_and_says_what(two, until):
    two.here._sock.send(b"\xff" * 20)
    await until(lambda: two.at_there.closed)

    assert isinstance(two.at_there.closed[0], RemoteProtocolError)
    assert two.there.closed
    await until(lambda: two.at_here.closed)


async def test_stream_that_ends_is_told_to_the_other_side(two, until):
    sink = two.here.sink(1)
    sink.write(PACKET, 1)
    sink.end()
    await until(lambda: two.at_there.messages)

    assert two.at_there.messages == [{"t": "track_ended", "sink": 1}]
    assert len(two.at_there.packets) == 1


async def test_handler_that_fails_closes_its_link_only(two, until, caplog):
    two.at_there.fails = KeyError("a bug")
    two.here.send({"t": "x"})
    await until(lambda: two.at_there.closed)

    assert isinstance(two.at_there.closed[0], KeyError)
    assert "not handled" in caplog.text


async def test_message_with_descriptors_leaves_none(two, until):
    before = len(os.listdir("/proc/self/fd"))
    with open("/dev/null") as null:
        socket.send_fds(two.here._sock, [b"\x00\x02\x00\x00\x00\x00\x00\x00{}"], [null.fileno()])
    await until(lambda: two.at_there.closed)
    await until(lambda: two.at_here.closed)

    assert len(os.listdir("/proc/self/fd")) <= before
