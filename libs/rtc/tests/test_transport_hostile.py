"""Hostile peers inside real sessions, beside a witness whose messages must go on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time

import pytest
from google_crc32c import value as crc32c


class Witness:
    """A second peer that sends a message every 5 ms; its gaps are measured on arrival.

    In CPU time of this thread, which everything here shares: other programs do not count.
    """

    def __init__(self, observer, channel):
        self.channel, self.arrivals = channel, []
        observer.on_message = lambda label, data: self.arrivals.append(time.thread_time())

    async def send(self):
        while True:
            self.channel.send(b"tick")
            await asyncio.sleep(0.005)

    @property
    def largest_gap(self):
        pairs = zip(self.arrivals, self.arrivals[1:], strict=False)
        return max(later - earlier for earlier, later in pairs)


@contextlib.asynccontextmanager
async def witnessed(bench, gap=0.06):
    _, observer, client = await bench.connect()
    client.open_channel("_lossy", ordered=False, maxRetransmits=0)
    witness = Witness(observer, await client.opened("_lossy"))
    sending = asyncio.create_task(witness.send())
    while len(witness.arrivals) < 5:
        await asyncio.sleep(0.01)
    yield witness
    before = len(witness.arrivals)
    async with asyncio.timeout(5):
        while len(witness.arrivals) < before + 5:
            await asyncio.sleep(0.01)
    sending.cancel()
    await asyncio.wait([sending])
    assert witness.largest_gap < gap
    assert observer.of("failed") == []


async def attacker(bench):
    transport, observer, client = await bench.connect()
    client.open_channel("_reliable")
    await client.opened("_reliable")
    return transport, observer, client


async def send(client, chunks, *, tag=None):
    tag = client.sctp._remote_verification_tag if tag is None else tag
    head = struct.pack("!HHL", 5000, 5000, tag)
    packet = head + struct.pack("<L", crc32c(head + bytes(4) + chunks)) + chunks
    with contextlib.suppress(ConnectionError):  # we were ended already
        await client.dtls._send_data(packet)


def chunk(kind, body, flags=0):
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


async def test_parameters_without_length_end_the_sender_only(rtc_bench):
    async with witnessed(rtc_bench):
        _, observer, client = await attacker(rtc_bench)
        for _ in range(16):
            await send(client, chunk(1, struct.pack("!LLHHL", 1, 9, 9, 9, 9) + bytes(4)), tag=0)
        _, reason = await observer.wait("failed")

    assert "16 packets refused" in reason


async def test_endless_fragments_end_the_sender_only(rtc_bench, rtc_until):
    async with witnessed(rtc_bench):
        transport, observer, client = await attacker(rtc_bench)
        tsn = client.sctp._local_tsn
        for number in range(600):
            if observer.of("failed"):
                break
            body = struct.pack("!LHHL", (tsn + number) & 0xFFFFFFFF, 0, 1, 53) + bytes(1000)
            await send(client, chunk(0, body, 2 if number == 0 else 0))
            if number % 20 == 19:
                await asyncio.sleep(0)
                await rtc_until(lambda: not transport._wire._waiting)
        _, reason = await observer.wait("failed")

    assert reason == "sctp: the receive window is not kept"
    assert transport.engine_peer == 0


@pytest.mark.parametrize(
    "label", [b"\xff\xff", b"x" * 65, b"_reliable"], ids=["not UTF-8", "too long", "again"]
)
async def test_bad_open_ends_the_sender_only(rtc_bench, label):
    async with witnessed(rtc_bench):
        _, observer, client = await attacker(rtc_bench)
        body = struct.pack("!LHHL", client.sctp._local_tsn, 0, 1, 50)
        body += struct.pack("!BBHLHH", 3, 0, 0, 0, len(label), 0) + label
        await send(client, chunk(0, body, 3))
        await observer.wait("failed")


async def test_mutated_packets_end_the_sender_at_worst(rtc_bench):
    rng, loop, escaped = random.Random(3), asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: escaped.append(context))
    async with witnessed(rtc_bench):
        for _ in range(5):
            _, _, client = await attacker(rtc_bench)
            sent = client.sctp._local_tsn
            for number in range(60):
                kind = rng.choice((0, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192))
                body = struct.pack("!L", (sent + rng.randrange(3)) & 0xFFFFFFFF)
                body += rng.randbytes(rng.choice((0, 4, 8, 12, 16, 40)))
                await send(client, chunk(kind, body, rng.randrange(8)))
                if number % 10 == 0:
                    await asyncio.sleep(0.002)
    loop.set_exception_handler(None)

    assert escaped == []


async def test_flood_of_packets_by_a_member_leaves_the_witness_served(rtc_bench):
    async with witnessed(rtc_bench, gap=0.3):  # the flood is made in this thread too
        _, _, client = await attacker(rtc_bench)
        for number in range(4000):
            await send(client, chunk(4, struct.pack("!HH", 1, 8) + b"ping"))
            if number % 20 == 0:
                await asyncio.sleep(0)

    assert rtc_bench.mux.drops["sctp_rate"] + rtc_bench.mux.drops["dtls_queue"] > 0
