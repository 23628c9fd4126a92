"""ICE over TCP: framing, strangers, a whole session, readers that stop."""

from __future__ import annotations

import asyncio
import os

import pytest

from roomful.errors import ConfigError
from roomful_rtc.ice_tcp import Framing, TcpLimits, TcpListener

QUICK = TcpLimits(first_check_s=0.2)


class TcpRaw:
    """What `RawSocket` is, over a TCP connection."""

    def __init__(self, base, reader, writer):
        self.reader, self.writer = reader, writer
        self.answers, self.received = base.answers, base.received
        self.base = base
        self.addr = writer.get_extra_info("sockname")[:2]
        self.transport = self
        base.send = self.send
        self.check = base.check
        self.task = asyncio.create_task(self.read())

    async def read(self):
        try:
            while True:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
                self.base.datagram_received(await self.reader.readexactly(size), None)
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def send(self, data):
        self.writer.write(len(data).to_bytes(2, "big") + data)

    def close(self):
        self.writer.close()


@pytest.fixture
async def tcp(rtc_bench):
    listener = TcpListener(rtc_bench.mux)
    addresses = await listener.start([("127.0.0.1", 0)])
    opened = []

    async def connect(limits=None):
        listener.limits = limits or listener.limits
        reader, writer = await asyncio.open_connection(*addresses[0])
        raw = TcpRaw(await rtc_bench.raw(), reader, writer)
        opened.append(raw)
        return raw

    connect.listener = listener
    yield connect
    await listener.close()
    for raw in opened:
        raw.close()
        await raw.task


def framed(*packets):
    return b"".join(len(p).to_bytes(2, "big") + p for p in packets)


def test_packets_are_cut_out_of_any_pieces():
    stream = framed(b"one", b"x" * 1500, b"three")
    for step in (1, 2, 3, 7, 1000, len(stream)):
        framing, got = Framing(), []
        for at in range(0, len(stream), step):
            got += framing.receive(stream[at : at + step])
        assert got == [b"one", b"x" * 1500, b"three"]


@pytest.mark.parametrize("head", [b"\0\0", b"\x05\xdd", b"\xff\xff"])
def test_impossible_length_ends_the_stream(head):
    with pytest.raises(ValueError, match="a packet of"):
        Framing().receive(head + b"x")


async def test_peer_connects_and_exchanges_messages_over_tcp(rtc_bench, tcp):
    transport, observer = rtc_bench.transport()
    client = await rtc_bench.client()
    client.raw = await tcp()
    transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)

    answer = await client.raw.check(transport.ufrag, transport.pwd)
    await asyncio.wait_for(client.handshake(transport.fingerprint), 5)
    await observer.wait("connected")
    await client.start_sctp()
    client.open_channel("_reliable")
    (await client.opened("_reliable")).send(b"up")
    assert transport.send_message("_reliable", b"down")

    assert (await observer.wait("message"))[2] == b"up"
    assert (await asyncio.wait_for(client.messages.get(), 5))[1] == b"down"
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.raw.addr
    assert transport.agent.selected == ("tcp:127.0.0.1", client.raw.addr[1])
    assert tcp.listener.strangers == 0


async def test_peer_moves_from_tcp_to_udp_when_its_connection_ends(rtc_bench, tcp, rtc_until):
    transport, observer, client = await rtc_bench.connect()
    client.open_channel("_reliable")
    channel = await client.opened("_reliable")
    udp, over_tcp = client.raw, await tcp()
    await over_tcp.check(transport.ufrag, transport.pwd)
    over_tcp.received = over_tcp.base.received = udp.received
    client.raw = over_tcp
    channel.send(b"over tcp")
    await observer.wait("message")
    assert transport.agent.selected[0] == "tcp:127.0.0.1"

    client.raw = udp
    over_tcp.close()
    await over_tcp.task
    await rtc_until(lambda: transport.agent.selected == udp.addr)
    channel.send(b"over udp again")
    await observer.wait("message", 2)
    assert transport.send_message("_reliable", b"down")

    assert (await asyncio.wait_for(client.messages.get(), 5))[1] == b"down"


async def test_end_of_the_peer_closes_its_connection(rtc_bench, tcp):
    transport, _ = rtc_bench.transport()
    raw = await tcp()
    await raw.check(transport.ufrag, transport.pwd)

    await transport.close()
    await asyncio.wait_for(raw.task, 5)

    assert rtc_bench.mux._streams == {}


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", framed(b"\x16\xfe\xff" + bytes(20)), framed(bytes(28))]
)
async def test_connection_that_does_not_begin_with_a_check_is_closed(rtc_bench, tcp, first):
    raw = await tcp()

    raw.writer.write(first)
    await asyncio.wait_for(raw.task, 5)

    assert tcp.listener.strangers == 0
    assert rtc_bench.mux._streams == {}


async def test_wrong_password_closes_the_connection(rtc_bench, tcp):
    transport, _ = rtc_bench.transport()
    raw = await tcp()

    assert await raw.check(transport.ufrag, "w" * 24, patience=0.2) is None
    await asyncio.wait_for(raw.task, 5)

    assert transport.engine_peer == 0


async def test_silent_connection_is_closed_in_time(rtc_bench, tcp):
    raw = await tcp(QUICK)

    await asyncio.wait_for(raw.task, 5)

    assert rtc_bench.mux.drops["tcp_no_check"] == 1


async def test_strangers_are_few_per_source(rtc_bench, tcp):
    opened = [await tcp() for _ in range(4)]
    fifth = await tcp()

    await asyncio.wait_for(fifth.task, 5)
    transport, _ = rtc_bench.transport()
    assert await opened[0].check(transport.ufrag, transport.pwd)
    sixth = await tcp()
    other, _ = rtc_bench.transport()

    assert rtc_bench.mux.drops["tcp_connections"] == 1
    assert await sixth.check(other.ufrag, other.pwd)


async def test_strangers_are_bounded_in_all(rtc_bench, tcp):
    limits = TcpLimits(strangers_per_source=100, strangers=3)
    kept = [await tcp(limits) for _ in range(3)]
    refused = await tcp(limits)

    await asyncio.wait_for(refused.task, 5)

    assert not any(raw.task.done() for raw in kept)


async def test_peer_that_does_not_read_is_cut_off(rtc_bench, tcp):
    transport, _ = rtc_bench.transport()
    raw = await tcp()
    await raw.check(transport.ufrag, transport.pwd)
    raw.writer.transport.pause_reading()

    for _ in range(20_000):
        rtc_bench.engine.send(transport.engine_peer, os.urandom(4) * 300)
        if rtc_bench.mux.drops["tcp_write_buffer"]:
            break
    raw.writer.transport.resume_reading()
    await asyncio.wait_for(raw.task, 5)

    assert rtc_bench.mux.drops["tcp_write_buffer"] == 1


async def test_taken_port_is_a_config_error_that_names_the_setting(rtc_bench, tcp):
    port = tcp.listener._servers[0].sockets[0].getsockname()[1]

    with pytest.raises(ConfigError, match=rf"rtc.tcp_port: cannot bind 127.0.0.1:{port}"):
        await TcpListener(rtc_bench.mux).start([("127.0.0.1", port)])


async def test_connection_whose_address_was_dropped_is_closed(rtc_bench, tcp):
    """A peer holds eight addresses, so eight connections."""
    transport, _ = rtc_bench.transport()
    opened = []
    for _ in range(10):
        opened.append(await tcp())
        assert await opened[-1].check(transport.ufrag, transport.pwd)

    for raw in opened[:2]:
        await asyncio.wait_for(raw.task, 5)

    assert len(rtc_bench.mux._streams) == 8
    assert not any(raw.task.done() for raw in opened[2:])


async def test_many_tiny_packets_are_handled_in_turns(rtc_bench, tcp):
    transport, _ = rtc_bench.transport()
    raw = await tcp()
    await raw.check(transport.ufrag, transport.pwd)
    turns, in_turn = [], 0
    receive, loop = rtc_bench.mux.receive, asyncio.get_running_loop()

    def count(addr, data):
        nonlocal in_turn
        if not in_turn:
            loop.call_soon(end_turn)
        in_turn += 1
        return receive(addr, data)

    def end_turn():
        nonlocal in_turn
        turns.append(in_turn)
        in_turn = 0

    rtc_bench.mux.receive = count
    raw.writer.write(framed(*[b"\x05"] * 5000))
    assert await raw.check(transport.ufrag, transport.pwd)

    assert max(turns) <= 64
    assert sum(turns) + in_turn == 5001
