"""The shared port: who is answered, what a flood costs, how the engine is read."""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from roomful_rtc.engine import SilentUp
from roomful_rtc.mux import Mux, MuxLimits

PWD = "p" * 22


async def test_check_is_answered_with_the_address_it_came_from(rtc_bench):
    transport, _ = rtc_bench.transport()
    raw = await rtc_bench.raw()

    answer = await raw.check(transport.ufrag, transport.pwd)

    assert answer.attributes["XOR-MAPPED-ADDRESS"] == raw.addr
    assert transport.engine_peer > 0


async def test_wrong_ufrag_or_password_meets_silence(rtc_bench):
    transport, _ = rtc_bench.transport()
    raw = await rtc_bench.raw()

    assert await raw.check("nobodyAA", transport.pwd, patience=0.1) is None
    assert await raw.check(transport.ufrag, PWD, patience=0.1) is None

    assert transport.engine_peer == 0
    assert rtc_bench.mux.drops == {"stun_unknown_ufrag": 1, "stun_integrity": 1}


async def test_claim_of_our_role_is_answered_487_and_validates_nothing(rtc_bench):
    transport, _ = rtc_bench.transport()
    raw = await rtc_bench.raw()

    answer = await raw.check(transport.ufrag, transport.pwd, controlled=True)

    assert answer.attributes["ERROR-CODE"][0] == 487
    assert transport.engine_peer == 0


async def test_answers_and_indications_are_not_answered(rtc_bench):
    transport, _ = rtc_bench.transport()
    raw = await rtc_bench.raw()
    head = bytes.fromhex("2112a442") + os.urandom(12)

    for kind in (b"\x00\x11", b"\x01\x01", b"\x01\x11", b"\x00\x03"):
        raw.send(kind + b"\0\0" + head)
    assert await raw.check(transport.ufrag, transport.pwd)

    assert rtc_bench.mux.drops["stun_malformed"] == 4
    assert raw.received.empty()


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1", "FF02::1"]
)
async def test_nothing_is_sent_to_groups(rtc_bench, host):

    assert not rtc_bench.mux._may_answer((host, 5000))
    assert rtc_bench.mux._may_answer(("198.51.100.1", 5000))
    assert rtc_bench.mux._may_answer(("2001:db8::1", 5000))


async def test_flood_of_unknown_ufrags_does_not_silence_a_known_peer_of_the_same_source(rtc_bench):
    transport, _ = rtc_bench.transport()
    raw = await rtc_bench.raw()

    for _ in range(500):
        await raw.check("nobodyAA", PWD, patience=0)
    assert await raw.check(transport.ufrag, transport.pwd)

    assert rtc_bench.mux.drops["stun_flood"] >= 300


async def test_checks_of_a_peer_are_charged_to_its_own_bucket(rtc_bench):
    greedy, _ = rtc_bench.transport()
    modest, _ = rtc_bench.transport()
    raw = await rtc_bench.raw()

    for _ in range(300):
        await raw.check(greedy.ufrag, greedy.pwd, patience=0)
    other = await rtc_bench.raw()
    assert await other.check(modest.ufrag, modest.pwd)

    assert rtc_bench.mux.drops["stun_flood_peer"] >= 150
    assert rtc_bench.mux.drops["stun_flood"] == 0


async def test_table_of_sources_is_bounded(rtc_bench):
    mux = Mux(rtc_bench.engine, limits=MuxLimits(sources=50, port_rate=1e6, port_burst=1e6))

    for number in range(500):
        mux._on_stun(bytes(28), (f"192.0.2.{number % 250}", 1000 + number), 1.0)

    assert len(mux._sources) == 50


async def test_junk_flood_leaves_a_peer_connected_and_served(rtc_bench):
    _, observer, client = await rtc_bench.connect()
    client.open_channel("_reliable")
    channel = await client.opened("_reliable")
    stranger = await rtc_bench.raw()
    rng = random.Random(5)

    for batch in range(100):
        for _ in range(100):
            stranger.send(
                bytes([rng.choice((0, 1, 20, 22, 23, 128, 200, 255))]) + rng.randbytes(60)
            )
        channel.send(batch.to_bytes(2, "big"))
        await asyncio.sleep(0)
    await observer.wait("message", 100)

    assert [int.from_bytes(m[2], "big") for m in observer.of("message")] == list(range(100))
    assert observer.of("failed") == []
    assert stranger.received.empty()


async def test_2000_random_datagrams_let_nothing_escape(rtc_bench):
    transport, observer, client = await rtc_bench.connect(sctp=False)
    loop, escaped = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: escaped.append(context))
    rng, spent = random.Random(77), []
    sources = [client.raw.addr, ("127.0.0.1", 9), ("tcp:127.0.0.1", 9)]
    for _ in range(2000):
        data = rng.randbytes(rng.choice((1, 2, 12, 20, 28, 100, 548, 1400)))
        if rng.random() < 0.5:
            data = bytes([rng.choice((0, 1, 2, 3)), 1, 0, max(len(data) - 20, 0) % 256])
            data += bytes.fromhex("2112a442") + rng.randbytes(rng.choice((12, 16, 40, 80)))
        began = time.thread_time()
        rtc_bench.mux.receive(rng.choice(sources), data)
        rtc_bench.mux._read()
        spent.append(time.thread_time() - began)
    loop.set_exception_handler(None)

    assert escaped == []
    assert sorted(spent)[-3] < 0.005
    assert transport.state == "connected"
    assert observer.of("failed") == []


class ScriptedEngine:
    """Says what the test tells it to."""

    def __init__(self, delays):
        self.delays, self.events, self.taken = list(delays), [], 0
        self.pipe = os.pipe()

    def fileno(self):
        return self.pipe[0]

    def take(self, max_items=512):
        self.taken += 1
        events, self.events = self.events, []
        return [], events

    def next_turn(self):
        return self.delays.pop(0) if self.delays else None

    def close(self):
        for end in self.pipe:
            os.close(end)


async def test_engine_is_called_again_when_it_asks_though_nothing_is_readable(rtc_until):
    engine = ScriptedEngine([0.0, 0.01, 0.0, None])
    mux = Mux(engine)
    mux.start()
    await rtc_until(lambda: not engine.delays)
    mux.close()
    taken = engine.taken
    engine.close()

    assert taken == 3


async def test_event_that_is_not_handled_does_not_stop_the_others(caplog, rtc_until):
    engine, seen = ScriptedEngine([0.0]), []
    engine.events = [SilentUp(1), SilentUp(2), SilentUp(3)]

    def handle(event):
        if event.up == 2:
            raise RuntimeError("bug")
        seen.append(event.up)

    mux = Mux(engine, on_event=handle)
    mux.start()
    await rtc_until(lambda: len(seen) == 2)
    mux.close()
    engine.close()

    assert seen == [1, 3]
    assert "an engine event was not handled" in caplog.text


async def test_closed_mux_reads_nothing_and_leaves_no_timer(rtc_bench):
    rtc_bench.mux.close()
    raw = await rtc_bench.raw()
    transport, _ = rtc_bench.transport()

    assert await raw.check(transport.ufrag, transport.pwd, patience=0.05) is None
    rtc_bench.mux.rearm()
    assert rtc_bench.mux._turn is rtc_bench.mux._ticker is None
