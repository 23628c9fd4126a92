"""A transport with a real client: handshake, channels, RTCP, restart, the end."""

from __future__ import annotations

import asyncio

from roomful_rtc.engine import KEY_AND_SALT


async def test_client_connects_and_the_engine_gets_mirrored_keys(rtc_bench):
    transport, observer, client = await rtc_bench.connect(sctp=False)

    profile, rx, tx = rtc_bench.engine.keys[transport.engine_peer]
    assert transport.state == "connected"
    assert len(rx) == len(tx) == KEY_AND_SALT[profile]
    assert rx != tx


async def test_channels_carry_messages_both_ways(rtc_bench):
    transport, observer, client = await rtc_bench.connect()
    client.open_channel("_reliable")
    client.open_channel("_lossy", ordered=False, maxRetransmits=0)
    await observer.wait("open", 2)

    for label in ("_reliable", "_lossy"):
        assert transport.send_message(label, b"down " + label.encode())
        (await client.opened(label)).send(b"up " + label.encode())
    await observer.wait("message", 2)

    down = {await asyncio.wait_for(client.messages.get(), 5) for _ in range(2)}
    assert down == {("_reliable", b"down _reliable"), ("_lossy", b"down _lossy")}
    assert set(observer.of("message")) == {
        ("message", "_reliable", b"up _reliable"),
        ("message", "_lossy", b"up _lossy"),
    }
