"""Peers that begin something and do not go on: all at once, since each has seconds to be ended in.

What is waited for is bounded from the start of the wait, not from the last byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio
from livekit.protocol import models, rtc

from . import sctp_shapes
from .arena import Arena
from .descriptions import CHANNELS, MICROPHONE, remote_of
from .floods import flood
from .media_shapes import Stream
from .raw_client import RawClient
from .raw_socket import RawSocket
from .sctp_shapes import BEGIN

ROOM = "waiting"
LATEST_S = 19.0
"""the longest wait is 15 s; the server looks twice a second, and a machine may be busy"""


async def lapse(wait: Awaitable[object]) -> float:
    """Seconds until something ends."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(LATEST_S + 5):
        await wait
    return loop.time() - began


async def member(arena: Arena, *, transport: bool = True) -> RawClient:
    client = arena.client()
    return await client.join(ROOM, client.source, transport=transport)


async def ended(client: RawClient) -> float:
    """How long the server kept the client; it is told that it leaves."""
    took = await lapse(client.end(LATEST_S + 5))
    assert client.of("leave"), "it was not told"
    await client.close(politely=False)
    return took


async def no_check(arena: Arena) -> float:
    """Joined, and never came by UDP."""
    return await ended(await member(arena, transport=False))


async def silent_after_ice(arena: Arena) -> float:
    """An address that was checked, and no handshake."""
    client = await member(arena, transport=False)
    await client.peer.check(remote_of(client.answer))
    client.peer.intake.reading = False
    return await ended(client)


async def half_handshake(arena: Arena) -> float:
    """A ClientHello and nothing more."""
    client = await member(arena, transport=False)
    await client.peer.check(remote_of(client.answer))
    client.peer.hello()
    client.peer.intake.reading = False
    return await ended(client)


async def silent_later(arena: Arena) -> float:
    """Connected, then gone without a word."""
    client = await member(arena)
    client.peer.intake.reading = False
    return await ended(client)


async def unfinished_message(arena: Arena) -> float:
    """The first piece of a message whose rest never comes."""
    client = await member(arena)
    checking = asyncio.create_task(keep_alive(client))
    association = (await client.peer.channel()).transport
    begun = sctp_shapes.data(association._local_tsn, bytes(1000), flags=BEGIN)
    client.peer.send_record(sctp_shapes.packet(association._remote_verification_tag, begun))
    took = await ended(client)
    checking.cancel()
    return took


async def keep_alive(client: RawClient) -> None:
    """Checks go on, so that only what is tested ends the client."""
    await client.peer.keep_alive(1.0)


async def reader_that_stops(arena: Arena) -> float:
    """It acknowledges nothing of what a member sends it reliably: 1 MiB waits, for 10 s."""
    reader, sender = arena.client(), arena.client()
    await reader.join("stopped", "reader")
    await reader.peer.channel()
    await sender.join("stopped", "sender")
    channel = await sender.peer.channel()
    reader.peer.on_record = lambda packet: None
    tasks = [asyncio.create_task(keep_alive(client)) for client in (reader, sender)]
    packet = models.DataPacket(user={"payload": bytes(50_000)}).SerializeToString()

    async def send() -> None:
        for _ in range(60):
            channel.send(packet)
            await asyncio.sleep(0.1)

    tasks.append(asyncio.create_task(send()))
    took = await ended(reader)
    assert not sender.closed.is_set()
    for task in tasks:
        task.cancel()
    await sender.close(politely=False)
    return took


async def publisher_above_the_ceiling(arena: Arena) -> float:
    """37 Mbit/s of audio."""
    client = arena.client()
    await client.join("loud", "loud", CHANNELS, MICROPHONE)
    checking = asyncio.create_task(keep_alive(client))
    stream = Stream(MICROPHONE.mid, 0x10D)
    storm = asyncio.create_task(
        flood(lambda: client.peer.send_rtp(stream.packet(bytes(1150))), per_s=4000, seconds=18)
    )
    took = await ended(client)
    for task in (storm, checking):
        task.cancel()
    return took


async def silent_tcp(arena: Arena) -> float:
    """A connection to the ICE port over TCP that sends nothing."""
    client = await member(arena, transport=False)
    line = next(line for line in client.answer.splitlines() if " tcp " in line)
    url = f"http://{line.split()[4]}:{line.split()[5]}"
    raw = await RawSocket.open(url, arena.source())
    took = await lapse(raw.ended(LATEST_S))
    raw.close()
    await client.close()
    return took


async def slow_head(arena: Arena) -> float:
    """A request of one byte every half second."""
    raw = await RawSocket.open(arena.server.http_url, arena.source())

    async def trickle() -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000:
            await raw.write(bytes((byte,)))
            await asyncio.sleep(0.5)

    sending = asyncio.create_task(trickle())
    took = await lapse(raw.ended(LATEST_S))
    sending.cancel()
    raw.close()
    return took


async def no_head(arena: Arena) -> float:
    """An HTTP connection that sends nothing."""
    raw = await RawSocket.open(arena.server.http_url, arena.source())
    took = await lapse(raw.ended(LATEST_S))
    raw.close()
    return took


async def no_pong(arena: Arena) -> float:
    """A signalling socket that answers no ping; its transport never was."""
    raw = await RawSocket.open(arena.server.http_url, arena.source())
    assert await raw.upgrade("/rtc", arena.server.token("mute", ROOM)) == 101
    took = await lapse(raw.ended(LATEST_S))
    raw.close()
    return took


async def nothing_is_read(arena: Arena) -> float:
    """A signalling socket whose window stays shut, in a room with very much to tell."""
    noisy = [arena.client() for _ in range(5)]
    for client in noisy:
        grants = {"can_update_own_metadata": True}
        await client.join("deaf", client.source, transport=False, grants=grants)
    raw = await RawSocket.open(arena.server.http_url, arena.source(), receive_bytes=4096)
    assert await raw.upgrade("/rtc", arena.server.token("deaf", "deaf")) == 101

    async def tell() -> None:
        for turn in range(5):
            for client in noisy:
                await client.send(update_metadata={"metadata": f"{turn}" * 400_000})
            await asyncio.sleep(1.4)

    telling = asyncio.create_task(tell())
    took = await lapse(noisy[0].next("update", where=gone))
    telling.cancel()
    raw.close()
    for client in noisy:
        await client.close(politely=False)
    return took


def gone(message: rtc.SignalResponse) -> bool:
    """Whether the deaf one left."""
    left = models.ParticipantInfo.DISCONNECTED
    return any(p.identity == "deaf" and p.state == left for p in message.update.participants)


async def subscriber_that_never_answers(arena: Arena) -> float:
    """Two peer connections: our offer is never answered."""
    client = arena.client()
    await client.open(arena.server.token("answerless", ROOM), path="/rtc", protocol="15")
    await client.next("offer")
    took = await ended(client)
    return took


WAITS: dict[str, tuple[Callable[[Arena], Awaitable[float]], float, float]] = {
    "no check": (no_check, 14, LATEST_S),
    "silent after ICE": (silent_after_ice, 14, LATEST_S),
    "half a handshake": (half_handshake, 9, 14),
    "silent later": (silent_later, 14, LATEST_S),
    "a message that stays unfinished": (unfinished_message, 9, 14),
    "a reader that stops": (reader_that_stops, 9, LATEST_S),
    "a publisher above the ceiling": (publisher_above_the_ceiling, 4, LATEST_S),
    "silent TCP connection": (silent_tcp, 4, 8),
    "a head that trickles": (slow_head, 9, 12),
    "no head": (no_head, 9, 12),
    "no pong": (no_pong, 9, LATEST_S),
    "a socket that is not read": (nothing_is_read, 0, 16),
    "an offer that is not answered": (subscriber_that_never_answers, 14, LATEST_S),
}
"""what is waited for → who waits, seconds until the server ends it at the earliest, at the latest"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lapses(arena: Arena) -> dict[str, float | BaseException]:
    """How long each was kept, beside a witness; or what went wrong."""
    async with arena.watch("waiting: all of them", window=1.0):
        found = await asyncio.gather(
            *(wait(arena) for wait, _, _ in WAITS.values()), return_exceptions=True
        )
    return dict(zip(WAITS, found, strict=True))


@pytest.mark.parametrize("name", WAITS)
async def test_who_does_not_go_on_is_ended(
    lapses: dict[str, float | BaseException], name: str
) -> None:
    took = lapses[name]
    if isinstance(took, BaseException):
        raise took
    _, earliest, latest = WAITS[name]
    assert earliest <= took <= latest
