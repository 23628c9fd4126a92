"""The guarded association: bounds, refusals, what ends a peer. No sockets: packets are handed over."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import Counter

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpCapabilities, RTCSctpTransport
from google_crc32c import value as crc32c

from roomful_rtc import sctp
from roomful_rtc.sctp import GuardedSctpTransport
from roomful_rtc.transport import ACCEPTED_LABELS

FIRST, LAST, UNORDERED = 2, 1, 4
DCEP, BINARY = 50, 53
MASK = 0xFFFFFFFF


def slowest_but_two(spent):
    """The largest of many CPU times but for collections of garbage and the machine's hiccups."""
    return sorted(spent)[-3]


class StandingClock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def wall_ms(self):
        return 0


class FakeDtls:
    """What an association uses of its transport; keeps what is sent."""

    def __init__(self, role):
        self._role, self.state = role, "connected"
        self.receiver, self.sent = None, []

    def _register_data_receiver(self, receiver):
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver):
        self.receiver = None

    async def _send_data(self, data):
        self.sent.append(data)


class Owner:
    def __init__(self):
        self.opened, self.messages, self.ends = [], [], []

    def on_channel_open(self, label):
        self.opened.append(label)

    def on_message(self, label, data):
        self.messages.append((label, data))

    def on_sctp_end(self, reason):
        self.ends.append(reason)


class Pair:
    """Our association and a client's, aiortc's own."""

    def __init__(self):
        self.clock, self.owner = StandingClock(), Owner()
        self.our_dtls, self.their_dtls = FakeDtls("server"), FakeDtls("client")
        self.ours = GuardedSctpTransport(
            self.our_dtls, self.owner, self.clock, ACCEPTED_LABELS, Counter()
        )
        self.theirs = RTCSctpTransport(self.their_dtls, 5000)
        self.channel = None

    async def establish(self, *labels):
        await self.ours.open()
        await self.theirs.start(RTCSctpCapabilities(maxMessageSize=65535), 5000)
        await self.settle()
        for label in labels:
            self.channel = RTCDataChannel(self.theirs, RTCDataChannelParameters(label=label))
        await self.settle()

    async def settle(self):
        """Carry packets to and fro until both are quiet."""
        while True:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not (self.our_dtls.sent or self.their_dtls.sent):
                return
            up, self.their_dtls.sent = self.their_dtls.sent, []
            down, self.our_dtls.sent = self.our_dtls.sent, []
            for data in up:
                await self.ours._handle_data(data)
            for data in down:
                if self.their_dtls.receiver is not None:
                    await self.theirs._handle_data(data)

    @property
    def next_tsn(self):
        return (self.ours._last_received_tsn + 1) & MASK

    def packet(self, *chunks, tag=None):
        tag = self.ours._local_verification_tag if tag is None else tag
        head = struct.pack("!HHL", 5000, 5000, tag)
        body = b"".join(chunks)
        return head + struct.pack("<L", crc32c(head + bytes(4) + body)) + body

    async def hostile(self, *chunks, tag=None):
        """Hand a packet over; return the CPU seconds it took."""
        data = self.packet(*chunks, tag=tag)
        began = time.thread_time()
        await self.ours._handle_data(data)
        return time.thread_time() - began

    async def stop(self):
        self.ours.close()
        await self.theirs.stop()
        await self.settle()


@pytest.fixture
async def pair():
    pair = Pair()
    yield pair
    await pair.stop()


def chunk(kind, body, flags=0):
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


def data_chunk(tsn, body, *, stream=0, seq=0, protocol=BINARY, flags=FIRST | LAST):
    return chunk(0, struct.pack("!LHHL", tsn & MASK, stream, seq, protocol) + body, flags)


def opening(label, *, kind=0, sizes=None):
    raw = label if isinstance(label, bytes) else label.encode()
    return struct.pack("!BBHLHH", 3, kind, 0, 0, *(sizes or (len(raw), 0))) + raw


def sack(cumulative, gaps=()):
    body = struct.pack("!LLHH", cumulative & MASK, 65536, len(gaps), 0)
    return chunk(3, body + b"".join(struct.pack("!HH", *gap) for gap in gaps))


ENDLESS_INIT = chunk(1, struct.pack("!LLHHL", 1, 65536, 10, 10, 5) + bytes(4))


async def test_messages_pass_in_both_directions(pair):
    await pair.establish("_reliable")
    got = []
    pair.channel.on("message", got.append)

    pair.channel.send(b"up")
    assert pair.ours.send("_reliable", b"down")
    await pair.settle()

    assert pair.owner.opened == ["_reliable"]
    assert pair.owner.messages == [("_reliable", b"up")]
    assert got == [b"down"]


async def test_we_begin_only_with_channels_to_open(pair):
    await pair.ours.open()

    assert pair.our_dtls.sent == []


async def test_malformed_packet_is_dropped_and_counted(pair):
    await pair.establish("_reliable")

    spent = await pair.hostile(ENDLESS_INIT, tag=0)
    pair.channel.send(b"x")
    await pair.settle()

    assert spent < 0.005
    assert pair.ours.drops["sctp_refused"] == 1
    assert pair.owner.messages == [("_reliable", b"x")]
    assert pair.owner.ends == []


async def test_16_refusals_within_10_s_end_the_peer(pair):
    await pair.establish("_reliable")

    for _ in range(15):
        await pair.hostile(ENDLESS_INIT, tag=0)
        pair.clock.now += 0.6
    assert pair.owner.ends == []
    await pair.hostile(ENDLESS_INIT, tag=0)

    assert len(pair.owner.ends) == 1
    assert not pair.ours.send("_reliable", b"x")


async def test_rare_refusals_do_not_end_the_peer(pair):
    await pair.establish()

    for _ in range(40):
        await pair.hostile(ENDLESS_INIT, tag=0)
        pair.clock.now += 0.7

    assert pair.owner.ends == []
    assert pair.ours.drops["sctp_refused"] == 40


async def test_packet_with_a_foreign_tag_changes_nothing(pair):
    await pair.establish("_reliable")

    await pair.hostile(chunk(6, b""), tag=12345)
    pair.channel.send(b"x")
    await pair.settle()

    assert pair.owner.messages == [("_reliable", b"x")]


async def test_init_does_not_disturb_an_established_association(pair):
    await pair.establish("_reliable")

    await pair.hostile(chunk(1, struct.pack("!LLHHL", 9, 65536, 10, 10, 5)), tag=0)
    pair.channel.send(b"x")
    await pair.settle()

    assert pair.owner.messages == [("_reliable", b"x")]


async def test_data_before_the_association_is_dropped(pair):
    await pair.ours.open()

    await pair.hostile(data_chunk(1, b"x"))
    await pair.hostile(sack(1))
    await pair.hostile(chunk(192, struct.pack("!L", 5)))

    assert pair.owner.ends == []
    assert pair.ours.drops["sctp_unexpected"] == 3


async def test_abort_closes_the_channels_but_not_the_peer(pair):
    await pair.establish("_reliable")

    await pair.hostile(chunk(6, b""))
    await pair.hostile(data_chunk(pair.next_tsn, b"x"))

    assert pair.owner.ends == []
    assert pair.owner.messages == []
    assert not pair.ours.send("_reliable", b"x")


async def test_sack_of_what_was_not_sent_is_refused_in_no_time(pair):
    await pair.establish("_reliable")
    last = pair.ours._local_tsn - 1

    spent = [await pair.hostile(sack(last, [(1, 65535)]))]
    spent.append(await pair.hostile(sack(last + 1)))
    spent.append(await pair.hostile(sack(last, [(i * 1000, i * 1000 + 900) for i in range(1, 60)])))

    assert max(spent) < 0.005
    assert pair.ours.drops["sctp_refused"] == 3


async def test_honest_sack_with_gaps_is_taken(pair):
    await pair.establish("_reliable")
    for _ in range(3):
        pair.ours.send("_reliable", b"x")
    last = pair.ours._local_tsn - 1

    await pair.hostile(sack(last - 3, [(2, 3)]))

    assert pair.ours.drops["sctp_refused"] == 0
    assert [c._acked for c in pair.ours._sent_queue] == [False, True, True]


async def test_fragments_that_never_end_end_the_peer_with_bounded_memory(pair):
    await pair.establish("_reliable")
    most, spent = 0, []

    for number in range(4000):
        flags = FIRST if number == 0 else 0
        body = data_chunk(pair.next_tsn, bytes(1100), flags=flags)
        spent.append(await pair.hostile(body))
        held = sum(
            len(c.user_data) for s in pair.ours._inbound_streams.values() for c in s.reassembly
        )
        most = max(most, held)
        pair.clock.now += 0.01
        if pair.owner.ends:
            break

    assert pair.owner.ends
    assert most < 330_000
    assert slowest_but_two(spent) < 0.005


async def test_tiny_fragments_are_bounded_by_number(pair):
    await pair.establish("_reliable")
    number, spent = 0, []

    while not pair.owner.ends and number < 5000:
        body = data_chunk(pair.next_tsn, b"x", flags=FIRST if number == 0 else 0)
        spent.append(await pair.hostile(body))
        pair.clock.now += 0.01
        number += 1

    assert number < 1200
    assert slowest_but_two(spent) < 0.005


async def test_misordered_chunks_cost_flat_time_and_memory(pair):
    await pair.establish("_reliable")
    base, spent = pair.next_tsn, []

    for number in range(2000):
        spent.append(await pair.hostile(data_chunk(base + 2 * number + 1, bytes(1000))))
        pair.clock.now += 0.01

    assert len(pair.ours._sack_misordered) <= 257
    assert sum(spent) / len(spent) < 0.001
    assert slowest_but_two(spent) < 0.005
    assert pair.owner.ends == []


async def test_missing_chunk_is_taken_even_when_the_window_is_full(pair):
    await pair.establish("_reliable")
    base = pair.next_tsn
    for number in range(1, 400):
        await pair.hostile(data_chunk(base + number, bytes(1100), seq=number + 1))
    full = pair.ours._advertised_rwnd

    await pair.hostile(data_chunk(base, b"first", seq=1))

    assert full < 1200
    assert pair.owner.messages[0] == ("_reliable", b"first")
    assert len(pair.owner.messages) > 200
    assert pair.ours._advertised_rwnd == sctp.REASSEMBLY_BYTES


async def test_chunk_beyond_the_window_is_dropped(pair):
    await pair.establish("_reliable")

    await pair.hostile(data_chunk(pair.next_tsn + 1024, b"x"))

    assert pair.ours._sack_misordered == set()
    assert pair.ours.drops["sctp_unexpected"] == 1


async def test_65th_stream_is_refused(pair):
    await pair.establish()
    for stream in range(70):
        await pair.hostile(data_chunk(pair.next_tsn, b"x", stream=stream))

    assert len(pair.ours._inbound_streams) == 64
    assert pair.ours.drops["sctp_refused"] == 6


async def test_streams_of_a_forward_tsn_count_too(pair):
    await pair.establish()
    body = struct.pack("!L", pair.next_tsn) + b"".join(struct.pack("!HH", s, 0) for s in range(60))
    await pair.hostile(chunk(192, body))
    body = struct.pack("!L", pair.next_tsn) + b"".join(
        struct.pack("!HH", s, 0) for s in range(60, 66)
    )
    await pair.hostile(chunk(192, body))

    assert len(pair.ours._inbound_streams) == 60
    assert pair.ours.drops["sctp_refused"] == 1


async def send_control(pair, body, stream=0):
    await pair.hostile(data_chunk(pair.next_tsn, body, stream=stream, protocol=DCEP, flags=7))


async def test_second_open_of_a_live_stream_ends_the_peer(pair):
    await pair.establish()
    await send_control(pair, opening("_reliable"))
    assert pair.owner.opened == ["_reliable"]

    await send_control(pair, opening("_lossy"))

    assert len(pair.owner.ends) == 1
    assert "is open" in pair.owner.ends[0]


@pytest.mark.parametrize(
    "body",
    [
        opening(b"\xff\xfe"),
        opening("x" * 65),
        opening("_lossy", kind=3),
        opening("_lossy", sizes=(7, 0)),
        opening("_lossy", sizes=(5, 0)),
        opening("_lossy")[:11],
        b"\x03",
    ],
    ids=["not UTF-8", "too long", "bad type", "size over", "size under", "cut", "one byte"],
)
async def test_malformed_open_ends_the_peer(pair, body):
    await pair.establish()

    await send_control(pair, body)

    assert len(pair.owner.ends) == 1


async def test_17th_channel_ends_the_peer(pair):
    await pair.establish()
    for stream in range(16):
        await send_control(pair, opening("_reliable"), stream)
    assert pair.owner.ends == []

    await send_control(pair, opening("_reliable"), 16)

    assert pair.owner.ends == ["sctp: too many channels"]


async def test_stray_control_messages_are_ignored(pair):
    await pair.establish()

    for body in (b"\x02", b"", b"\x07", b"\x00" * 20):
        await send_control(pair, body, stream=5)

    assert pair.owner.ends == []


async def test_message_without_a_channel_is_dropped(pair):
    await pair.establish()

    await pair.hostile(data_chunk(pair.next_tsn, b"x", stream=9))

    assert pair.owner.messages == []
    assert pair.ours.drops["data_without_channel"] == 1


async def test_message_of_65_536_bytes_ends_the_peer(pair):
    await pair.establish("_reliable")
    parts = [bytes(1024)] * 64

    for number, part in enumerate(parts):
        flags = FIRST if number == 0 else LAST if number == 63 else 0
        await pair.hostile(data_chunk(pair.next_tsn, part, seq=1, flags=flags))

    assert pair.owner.ends == ["sctp: a message is too large"]


async def test_ordered_message_that_stays_incomplete_ends_the_peer(pair):
    await pair.establish("_reliable")
    await pair.hostile(data_chunk(pair.next_tsn, b"half", flags=FIRST))
    pair.ours.tick(pair.clock.now)

    pair.ours.tick(pair.clock.now + 9.9)
    assert pair.owner.ends == []
    pair.ours.tick(pair.clock.now + 10.1)

    assert pair.owner.ends == ["data: a message stayed incomplete for 10 s"]


async def test_unordered_message_that_stays_incomplete_is_dropped(pair):
    await pair.establish("_reliable")
    for flags in (FIRST | UNORDERED, UNORDERED):
        await pair.hostile(data_chunk(pair.next_tsn, b"part", flags=flags))
    pair.ours.tick(pair.clock.now)

    pair.ours.tick(pair.clock.now + 10.1)
    pair.channel.send(b"x")

    assert pair.owner.ends == []
    assert pair.ours._inbound_streams[0].reassembly == []
    assert pair.ours._advertised_rwnd == sctp.REASSEMBLY_BYTES


async def test_packets_beyond_the_rate_are_dropped(pair):
    await pair.establish("_reliable")
    before = pair.ours._last_received_tsn

    for _ in range(1500):
        await pair.hostile(chunk(77, b""))
    await pair.hostile(data_chunk(pair.next_tsn, b"late", seq=1))

    assert pair.ours.drops["sctp_rate"] > 400
    assert pair.ours._last_received_tsn == before


async def test_timer_that_fails_ends_this_peer_only(pair):
    await pair.establish("_reliable")

    pair.ours._sent_queue = None
    pair.ours._t3_expired()

    assert pair.owner.ends == ["sctp: TypeError"]


async def test_send_after_the_end_is_false(pair):
    await pair.establish("_reliable")

    pair.ours.close()

    assert not pair.ours.send("_reliable", b"x")
    assert pair.owner.ends == []


async def captured():
    """Return every kind of packet that a client sends in a short life."""
    pair = Pair()
    seen = []
    handle = pair.ours._handle_data

    async def keep(data):
        seen.append(data)
        await handle(data)

    pair.ours._handle_data = keep
    await pair.establish("_reliable")
    lossy = RTCDataChannelParameters(label="_lossy", ordered=False, maxRetransmits=0)
    second = RTCDataChannel(pair.theirs, lossy)
    await pair.settle()
    for _ in range(3):
        pair.channel.send(bytes(3000))
        second.send(b"y")
        pair.ours.send("_reliable", bytes(3000))
        await pair.settle()
    second.close()
    await pair.settle()
    await pair.stop()
    return sorted(set(seen))


def mutate(data, rng):
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(8, len(out))
        if rng.random() < 0.7:
            out[at] = rng.choice((0, 1, 2, 3, 4, 5, 13, 16, 17, 130, 192, 255, rng.randrange(256)))
        elif rng.random() < 0.5:
            out[at:at] = rng.randbytes(rng.randint(1, 8))
        elif len(out) > 24:
            del out[at : at + rng.randint(1, 4)]
    return bytes(out)


async def test_2000_mutations_in_live_associations_end_their_peer_at_worst():
    """Nothing escapes into the loop, nothing takes 5 ms, most associations live on."""
    corpus = await captured()
    rng, loop = random.Random(99), asyncio.get_running_loop()
    escaped, spent, ended = [], [], 0
    loop.set_exception_handler(lambda _, context: escaped.append(context))
    pair = None
    for number in range(2000):
        if number % 10 == 0:
            if pair is not None:
                await pair.stop()
            pair = Pair()
            await pair.establish("_reliable")
            pair.ours.send("_reliable", bytes(3000))
        raw = bytearray(mutate(rng.choice(corpus), rng))
        mine = pair.ours._local_verification_tag
        raw[4:8] = bytes(4) if raw[12:13] == b"\1" else struct.pack("!L", mine)
        if len(raw) >= 20 and raw[12] == 0:  # bring DATA into the window
            raw[16:20] = struct.pack("!L", (pair.next_tsn + rng.randrange(3)) & MASK)
        head = bytes(raw[:8])
        sealed = head + struct.pack("<L", crc32c(head + bytes(4) + raw[12:])) + bytes(raw[12:])
        began = time.thread_time()
        await pair.ours._handle_data(sealed)
        spent.append(time.thread_time() - began)
        pair.ours.tick(pair.clock.now)
        await asyncio.sleep(0)
        ended += bool(pair.owner.ends)
        pair.clock.now += 1
    await pair.stop()
    loop.set_exception_handler(None)

    assert escaped == []
    assert slowest_but_two(spent) < 0.005
    assert 0 < ended < 1000
