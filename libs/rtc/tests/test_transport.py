"""A transport with a real client: handshake, channels, RTCP, restart, liveness, the end."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref

import pytest
from aiortc.rtp import RtcpRrPacket

from roomful.errors import RemoteProtocolError
from roomful_rtc.engine import KEY_AND_SALT
from roomful_rtc.restart_hold import MOST_PACKETS
from roomful_rtc.transport import ChannelSpec, Transport

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
REPORT = bytes(RtcpRrPacket(ssrc=1234))
LONG_AGO = float("-inf")


async def with_channel(bench, label="_reliable", **options):
    transport, observer, client = await bench.connect()
    client.open_channel(label, **options)
    await observer.wait("open")
    channel = await client.opened(label)
    return transport, observer, client, channel


async def test_client_connects_and_the_engine_gets_the_keys_of_its_side(rtc_bench):
    transport, _, client = await rtc_bench.connect(sctp=False)

    profile, rx, tx = rtc_bench.engine.keys[transport.engine_peer]
    size = KEY_AND_SALT[profile]
    block = client.dtls._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * size)
    salt = 14 if profile.startswith("aes128cm") else 12
    key = size - salt
    assert transport.state == "connected"
    assert rx == block[:key] + block[2 * key : 2 * key + salt]
    assert tx == block[key : 2 * key] + block[2 * key + salt :]


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


async def test_large_empty_and_text_messages_arrive_whole(rtc_bench):
    transport, observer, client, channel = await with_channel(rtc_bench)
    large = os.urandom(64_000)

    channel.send(large)
    channel.send(b"")
    channel.send("größe")
    for message in (large, b"", b"x" * 65_535):
        assert transport.send_message("_reliable", message)
    await observer.wait("message", 3)

    assert [data for _, _, data in observer.of("message")] == [large, b"", "größe".encode()]
    down = [(await asyncio.wait_for(client.messages.get(), 5))[1] for _ in range(3)]
    assert down == [large, b"", b"x" * 65_535]


async def test_message_without_an_open_channel_or_too_large_is_not_taken(rtc_bench):
    transport, _, _, _ = await with_channel(rtc_bench)

    assert not transport.send_message("_lossy", b"x")
    assert not transport.send_message("_reliable", bytes(65_536))


async def test_channels_of_ours_open_at_the_client(rtc_bench):
    specs = (ChannelSpec("_reliable"), ChannelSpec("_lossy", ordered=False, max_retransmits=0))
    transport, observer, client = await rtc_bench.connect(setup="active", channels=specs)

    await observer.wait("open", 2)
    channels = [await client.opened(spec.label) for spec in specs]
    for spec in specs:
        assert transport.send_message(spec.label, spec.label.encode())

    assert [(c.ordered, c.maxRetransmits) for c in channels] == [(True, None), (False, 0)]
    got = {await asyncio.wait_for(client.messages.get(), 5) for _ in specs}
    assert got == {("_reliable", b"_reliable"), ("_lossy", b"_lossy")}


async def test_passive_answer_to_our_offer_makes_us_the_active_side(rtc_bench):
    specs = (ChannelSpec("_reliable"),)
    transport, observer, client = await rtc_bench.connect(setup="passive", channels=specs)

    await observer.wait("open")

    profile, rx, _ = rtc_bench.engine.keys[transport.engine_peer]
    size = KEY_AND_SALT[profile]
    block = client.dtls._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * size)
    assert transport.setup == "active"
    assert rx[:16] != block[:16]


async def test_channel_with_another_label_is_closed_again(rtc_bench):
    _, observer, client = await rtc_bench.connect()
    closed = asyncio.Event()
    client.open_channel("gossip")
    client.channels["gossip"].on("close", closed.set)
    client.open_channel("_lossy", ordered=False, maxRetransmits=0)

    await observer.wait("open")
    await asyncio.wait_for(closed.wait(), 5)

    assert observer.of("open") == [("open", "_lossy")]


async def test_rtcp_passes_both_ways_and_forged_rtcp_does_not(rtc_bench):
    transport, observer, client = await rtc_bench.connect(sctp=False)
    genuine = client.dtls._tx_srtp.protect_rtcp(REPORT)

    client.raw.send(genuine[:-1] + bytes([genuine[-1] ^ 1]))
    client.raw.send(genuine)
    client.raw.send(genuine)
    await observer.wait("rtcp")
    handled = client.dtls._handle_rtcp_data
    received = asyncio.get_running_loop().create_future()

    async def handle(data):
        received.set_result(data)
        await handled(data)

    client.dtls._handle_rtcp_data = handle
    assert transport.send_rtcp(REPORT)

    assert await asyncio.wait_for(received, 5) == REPORT
    assert observer.of("rtcp") == [("rtcp", REPORT)]
    assert rtc_bench.mux.drops["rtcp_authentication"] == 2


async def test_rtcp_is_not_sent_before_the_keys(rtc_bench):
    transport, _ = rtc_bench.transport()

    assert not transport.send_rtcp(REPORT)


async def test_restart_gives_new_credentials_at_once_and_moves_on_nomination(rtc_bench):
    transport, observer, client, channel = await with_channel(rtc_bench)
    old, peer, former = (transport.ufrag, transport.pwd), transport.engine_peer, client.raw.addr

    transport.set_remote("actpass", "clnt2", "y" * 22, client.fingerprint)
    new = (transport.ufrag, transport.pwd)
    moved = await rtc_bench.raw()
    assert await client.raw.check(*old)
    assert await moved.check(*new, use_candidate=False)
    assert transport.agent.selected == former
    assert await moved.check(*new)
    moved.received, client.raw = client.raw.received, moved
    channel.send(b"from the new address")
    transport.send_message("_reliable", b"to the new address")
    await observer.wait("message")

    assert new != old
    assert await client.raw.check(*old, patience=0.1) is None
    assert rtc_bench.engine.calls[-1] == ("move", peer, moved.addr)
    assert (await asyncio.wait_for(client.messages.get(), 5))[1] == b"to the new address"
    assert transport.engine_peer == peer
    assert observer.of("failed") == []


async def test_restart_of_ours_is_not_answered_by_another(rtc_bench):
    transport, _, client = await rtc_bench.connect(sctp=False)
    old = transport.ufrag

    transport.restart_ice()
    offered = transport.ufrag
    transport.set_remote("active", "clnt2", "y" * 22, client.fingerprint)
    answered = transport.ufrag
    transport.set_remote("actpass", "clnt3", "z" * 22, client.fingerprint)

    assert old != offered == answered != transport.ufrag


async def next_media(client, count):
    """What comes on the client's socket from now on; its DTLS does not see it."""
    return [await asyncio.wait_for(client.raw.received.get(), 5) for _ in range(count)]


async def test_packets_wait_from_the_answer_of_our_restart_to_the_next_check(rtc_bench):
    transport, _, client = await rtc_bench.connect(sctp=False)
    client.raw.received, send = asyncio.Queue(1000), rtc_bench.engine.send
    peer = transport.engine_peer

    transport.restart_ice()
    send(peer, b"\x80 offered")
    transport.set_remote("active", "clnt2", "y" * 22, client.fingerprint)
    send(peer, b"\x80 held 1")
    send(peer, b"\x80 held 2")
    before = await next_media(client, 1)
    assert await client.raw.check(transport.ufrag, transport.pwd)
    held = await next_media(client, 2)
    send(peer, b"\x80 after")

    assert before == [b"\x80 offered"]
    assert held == [b"\x80 held 1", b"\x80 held 2"]
    assert await next_media(client, 1) == [b"\x80 after"]


async def test_hold_is_bounded(rtc_bench):
    transport, _, client = await rtc_bench.connect(sctp=False)
    client.raw.received = asyncio.Queue(1000)
    transport.restart_ice()
    transport.set_remote("active", "clnt2", "y" * 22, client.fingerprint)

    for number in range(MOST_PACKETS):
        rtc_bench.engine.send(transport.engine_peer, b"\x80%d" % number)

    # the socket of the client takes a part of them at once
    assert await next_media(client, 100) == [b"\x80%d" % number for number in range(100)]


async def test_what_is_held_ends_with_the_transport(rtc_bench):
    transport, _, client = await rtc_bench.connect(sctp=False)
    client.raw.received = asyncio.Queue(1000)
    transport.restart_ice()
    transport.set_remote("active", "clnt2", "y" * 22, client.fingerprint)
    rtc_bench.engine.send(transport.engine_peer, b"\x80")

    await transport.close()
    await asyncio.sleep(0)

    assert b"\x80" not in {
        client.raw.received.get_nowait() for _ in range(client.raw.received.qsize())
    }


async def test_same_description_again_changes_nothing(rtc_bench):
    transport, _, client = await rtc_bench.connect(sctp=False)
    before = transport.ufrag, transport.pwd

    transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)

    assert (transport.ufrag, transport.pwd) == before


@pytest.mark.parametrize(
    ("setup", "ufrag", "pwd", "fingerprint"),
    [
        ("holdconn", "clnt", "x" * 22, FINGERPRINT),
        ("", "clnt", "x" * 22, FINGERPRINT),
        ("actpass", "cln", "x" * 22, FINGERPRINT),
        ("actpass", "clnt", "x" * 21, FINGERPRINT),
        ("actpass", "u" * 257, "x" * 22, FINGERPRINT),
        ("actpass", "clnt", "x" * 22, "sha-1 " + ":".join(["AB"] * 20)),
        ("actpass", "clnt", "x" * 22, FINGERPRINT[:-3]),
        ("actpass", "clnt", "x" * 22, FINGERPRINT.replace("AB", "XY")),
        ("actpass", "clnt", "x" * 22, ""),
    ],
)
async def test_malformed_description_is_the_peers_fault(rtc_bench, setup, ufrag, pwd, fingerprint):
    transport, observer = rtc_bench.transport()

    with pytest.raises(RemoteProtocolError):
        transport.set_remote(setup, ufrag, pwd, fingerprint)

    assert transport.state == "new"
    assert observer.events == []


async def test_fingerprint_and_role_must_not_change(rtc_bench):
    transport, _ = rtc_bench.transport()
    transport.set_remote("active", "clnt", "x" * 22, FINGERPRINT)

    with pytest.raises(RemoteProtocolError, match="fingerprint"):
        transport.set_remote("active", "clnt", "x" * 22, FINGERPRINT.replace("AB", "AC"))
    with pytest.raises(RemoteProtocolError, match="setup"):
        transport.set_remote("passive", "clnt", "x" * 22, FINGERPRINT)


async def test_certificate_that_was_not_announced_fails_the_peer(rtc_bench):
    transport, observer = rtc_bench.transport()
    client = await rtc_bench.client()
    transport.set_remote("actpass", "clnt", "x" * 22, FINGERPRINT)
    await client.raw.check(transport.ufrag, transport.pwd)

    await asyncio.wait_for(client.handshake(transport.fingerprint), 5)
    _, reason = await observer.wait("failed")

    assert "fingerprint" in reason
    assert transport.state == "failed"
    assert transport.engine_peer == 0
    assert rtc_bench.engine.keys == {}
    assert observer.of("connected") == []


async def test_handshake_that_began_before_the_description_is_served_then(rtc_bench):
    transport, observer = rtc_bench.transport()
    client = await rtc_bench.client()
    await client.raw.check(transport.ufrag, transport.pwd)
    handshake = asyncio.create_task(client.handshake(transport.fingerprint))
    await asyncio.sleep(0.05)

    transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)
    await observer.wait("connected")
    await asyncio.wait_for(handshake, 5)

    assert transport.state == "connected"


async def test_datagrams_of_a_foreign_address_are_ignored_at_every_stage(rtc_bench):
    """Before, during and after the handshake: only validated addresses reach DTLS."""
    foreign = await rtc_bench.client()
    transport, observer = rtc_bench.transport()
    client = await rtc_bench.client()
    intruding = asyncio.create_task(foreign.handshake(transport.fingerprint))
    await asyncio.sleep(0.02)
    transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)
    await client.raw.check(transport.ufrag, transport.pwd)
    foreign.raw.send(bytes([22]) + os.urandom(200))
    await asyncio.wait_for(client.handshake(transport.fingerprint), 5)
    await observer.wait("connected")
    await client.start_sctp()
    client.open_channel("_reliable")
    await observer.wait("open")
    for kind in (20, 21, 22, 23):
        foreign.raw.send(bytes([kind, 254, 253]) + os.urandom(60))
    foreign.raw.send(client.dtls._tx_srtp.protect_rtcp(REPORT))
    (await client.opened("_reliable")).send(b"still here")
    await observer.wait("message")

    assert foreign.raw.received.empty()
    assert observer.of("rtcp") == []
    assert observer.of("failed") == []
    intruding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await intruding


async def test_junk_from_the_validated_address_does_not_end_the_peer(rtc_bench):
    _, observer, client, channel = await with_channel(rtc_bench)

    for kind in (20, 21, 22, 23, 0x80, 0x81, 0xFF, 5):
        client.raw.send(bytes([kind, 254, 253]) + os.urandom(60))
    client.raw.send(bytes.fromhex("15fefd000000000000000a00020228"))  # an alert in the clear
    client.raw.send(b"")
    channel.send(b"still here")
    await observer.wait("message")

    assert observer.of("failed") == []


async def test_client_that_closes_fails_its_peer(rtc_bench):
    transport, observer, client = await rtc_bench.connect()

    await client.stop()
    _, reason = await observer.wait("failed")

    assert reason == "dtls: closed by the peer"
    assert len(rtc_bench.mux) == 0
    assert transport.state == "failed"


async def test_close_says_goodbye_and_tells_the_observer_nothing(rtc_bench):
    transport, observer, client = await rtc_bench.connect()
    gone = asyncio.Event()
    client.dtls.on("statechange", gone.set)

    await transport.close("room ended")
    await transport.close()
    await asyncio.wait_for(gone.wait(), 5)

    assert client.dtls.state == "closed"
    assert transport.state == "closed"
    assert observer.of("failed") == []
    assert not transport.send_rtcp(REPORT)
    assert not transport.send_message("_reliable", b"x")


async def test_no_check_within_15_s_fails(rtc_bench):
    transport, observer = rtc_bench.transport()
    transport.set_remote("actpass", "clnt", "x" * 22, FINGERPRINT)
    now = rtc_bench.clock.monotonic()

    transport.tick(now + 14.9, LONG_AGO)
    assert observer.events == []
    transport.tick(now + 15.1, LONG_AGO)

    assert observer.events == [("failed", "ice: no check within 15 s")]


async def test_no_deadline_runs_before_the_description(rtc_bench):
    transport, observer = rtc_bench.transport()

    transport.tick(rtc_bench.clock.monotonic() + 1000, LONG_AGO)

    assert observer.events == []


async def test_no_dtls_within_15_s_of_ice_fails(rtc_bench):
    transport, observer = rtc_bench.transport()
    raw = await rtc_bench.raw()
    transport.set_remote("actpass", "clnt", "x" * 22, FINGERPRINT)
    for _ in range(4):
        await raw.check(transport.ufrag, transport.pwd)
        rtc_bench.clock.added += 4
    transport.tick(rtc_bench.clock.monotonic(), LONG_AGO)

    assert observer.events == [("failed", "dtls: not connected within 15 s")]


async def test_silence_disconnects_a_check_reconnects_more_silence_fails(rtc_bench):
    transport, observer, client = await rtc_bench.connect(sctp=False)

    rtc_bench.clock.added += 11
    transport.tick(rtc_bench.clock.monotonic(), LONG_AGO)
    assert transport.state == "disconnected"
    await client.raw.check(transport.ufrag, transport.pwd)
    assert transport.state == "connected"
    rtc_bench.clock.added += 16
    transport.tick(rtc_bench.clock.monotonic(), LONG_AGO)

    kinds = [event[0] for event in observer.events]
    assert kinds == ["connected", "disconnected", "reconnected", "disconnected", "failed"]


async def test_stall_of_the_loop_kills_nobody(rtc_bench):
    transport, observer, _ = await rtc_bench.connect(sctp=False)

    rtc_bench.clock.added += 60
    rtc_bench.mux._tick()

    assert transport.state == "connected"
    assert observer.of("disconnected") == []


async def test_address_of_a_living_peer_is_not_given_to_another(rtc_bench):
    victim, observer, client = await rtc_bench.connect(sctp=False)
    thief, _ = rtc_bench.transport()

    assert await client.raw.check(thief.ufrag, thief.pwd, patience=0.1) is None

    assert thief.engine_peer == 0
    assert victim.agent.selected == client.raw.addr
    assert rtc_bench.mux.drops["stun_address_owned"] == 1
    assert observer.of("failed") == []


async def test_address_of_a_silent_peer_passes_to_the_next(rtc_bench):
    former, observer, client = await rtc_bench.connect(sctp=False)
    later, _ = rtc_bench.transport()

    rtc_bench.clock.added += 10
    assert await client.raw.check(later.ufrag, later.pwd)

    assert later.engine_peer > 0
    assert former.agent.addresses == ()
    assert observer.of("failed") == []


@pytest.mark.parametrize("call", ["on_connected", "on_channel_open", "on_message", "on_rtcp"])
async def test_observer_that_raises_ends_its_own_peer_only(rtc_bench, call, caplog):
    other = await with_channel(rtc_bench)
    transport, observer = rtc_bench.transport()
    client = await rtc_bench.client()

    def fail(*_args):
        raise RuntimeError("bug")

    setattr(observer, call, fail)
    transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)
    await client.raw.check(transport.ufrag, transport.pwd)
    await client.handshake(transport.fingerprint)
    client.raw.send(client.dtls._tx_srtp.protect_rtcp(REPORT))
    await client.start_sctp()
    client.open_channel("_reliable")
    if call == "on_message":
        (await client.opened("_reliable")).send(b"x")
    _, reason = await observer.wait("failed")
    other[3].send(b"unharmed")
    await other[1].wait("message")

    assert reason == "internal: the observer failed"
    assert len(rtc_bench.mux) == 1


async def test_reader_that_stopped_loses_lossy_messages_first(rtc_bench):
    transport, observer, client = await rtc_bench.connect()
    client.open_channel("_lossy", ordered=False, maxRetransmits=0)
    client.open_channel("_reliable")
    await observer.wait("open", 2)
    client.dtls._data_receiver = None  # acknowledges nothing any more

    taken = sum(transport.send_message("_lossy", bytes(10_000)) for _ in range(200))
    assert 80 < taken < 110
    assert transport.send_message("_reliable", b"x")
    assert transport._sctp.send_bytes < 1.1 * 2**20
    transport.tick(rtc_bench.clock.monotonic() + 9.9, LONG_AGO)
    assert observer.of("failed") == []
    transport.tick(rtc_bench.clock.monotonic() + 10.1, LONG_AGO)

    assert observer.of("failed") == [("failed", "data: a message waited more than 10 s to be sent")]
    assert transport._sctp.send_bytes < 2**19


async def test_reader_that_stopped_is_ended_before_reliable_messages_fill_the_memory(rtc_bench):
    transport, observer, client, _ = await with_channel(rtc_bench)
    client.dtls._data_receiver = None

    taken = sum(transport.send_message("_reliable", bytes(60_000)) for _ in range(200))

    assert 60 < taken < 75
    assert observer.of("failed") == [("failed", "data: the peer does not read, its buffer is full")]


async def test_reader_that_is_merely_slow_gets_everything(rtc_bench):
    transport, observer, client, _ = await with_channel(rtc_bench)

    for number in range(60):
        assert transport.send_message("_reliable", number.to_bytes(1, "big") * 30_000)
    got = [(await asyncio.wait_for(client.messages.get(), 10))[1][0] for _ in range(60)]

    assert got == list(range(60))
    assert observer.of("failed") == []


async def test_hundred_transports_leave_no_task_and_no_descriptor(rtc_bench):
    await (await rtc_bench.connect())[0].close()
    await rtc_bench.clients.pop().stop()
    rtc_bench.transports.clear()
    await asyncio.sleep(0.05)
    gc.collect()
    tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))

    for number in range(100):
        transport, _ = rtc_bench.transport()
        if number % 4 == 0:
            client = await rtc_bench.client()
            transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)
            await client.raw.check(transport.ufrag, transport.pwd)
            if number % 8 == 0:
                await client.handshake(transport.fingerprint)
                await client.start_sctp()
            await transport.close()
            await client.stop()
            rtc_bench.clients.clear()
        await transport.close()
    rtc_bench.transports.clear()
    await asyncio.sleep(0.05)
    gc.collect()

    assert len(asyncio.all_tasks()) == tasks
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert len(rtc_bench.mux) == 0
    assert len(rtc_bench.mux.addresses) == 0
    assert rtc_bench.mux._by_ufrag == rtc_bench.mux._by_peer == {}


async def test_1000_half_open_peers_are_collected_after_their_deadline(rtc_bench):
    made = []
    raw = await rtc_bench.raw()
    for number in range(1000):
        transport, _ = rtc_bench.transport()
        made.append(weakref.ref(transport))
        if number % 2:
            transport.set_remote("actpass", "clnt", "x" * 22, FINGERPRINT)
        if number % 100 == 1:
            rtc_bench.clock.added += 10
            await raw.check(transport.ufrag, transport.pwd)
    assert len(rtc_bench.mux) == 1000

    later = rtc_bench.clock.monotonic() + 61
    for transport in rtc_bench.transports[1::2]:
        transport.tick(later, LONG_AGO)
    for transport in rtc_bench.transports[::2]:
        await transport.close()
    rtc_bench.transports.clear()
    del transport
    await asyncio.sleep(0.05)
    gc.collect()

    assert [ref for ref in made if isinstance(ref(), Transport)] == []
    assert len(rtc_bench.mux) == len(rtc_bench.mux.addresses) == 0
