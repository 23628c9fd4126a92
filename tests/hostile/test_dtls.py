"""Handshakes that are wrong, left alone, or too many at once."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable

import pytest

from .arena import Arena
from .descriptions import remote_of
from .raw_client import RawClient

ROOM = "handshakes"


async def joined(arena: Arena, *, fingerprint: str = "") -> RawClient:
    """A client whose address was checked and whose handshake did not begin."""
    client = arena.client()
    if fingerprint:
        client.peer.fingerprint = fingerprint
    await client.join(ROOM, client.source, transport=False)
    await client.peer.check(remote_of(client.answer))
    return client


async def wrong_fingerprint(arena: Arena) -> None:
    """A certificate that is not the announced one: no keys, no place in the room."""
    client = await joined(arena, fingerprint="sha-256 " + ":".join(["AB"] * 32))
    client.peer.hello()
    assert await client.end(5) is not None
    assert client.peer.association is None
    await client.close(politely=False)


async def hello_again(arena: Arena) -> None:
    """A second ClientHello on a connected transport ends nobody else; the first session lives on."""
    client = await joined(arena)
    await client.peer.secure()
    live = client.peer.handshake
    client.peer.hello()
    await asyncio.sleep(0.2)
    client.peer.handshake = live
    await client.peer.channel()
    await client.close()


async def goodbye_of_dtls(arena: Arena) -> None:
    """A closing alert ends the peer that sent it."""
    client = await joined(arena)
    await client.peer.secure()
    assert client.peer.handshake is not None
    client.peer.handshake.close()
    client.peer.flush()
    assert await client.end(5) is not None
    await client.close(politely=False)


GARBAGE = [
    bytes((kind,)) + b"\xfe\xfd" + struct.pack("!HHLH", epoch, 0, 7, 40) + os.urandom(40)
    for kind in (20, 21, 22, 23, 24, 63)
    for epoch in (0, 1, 0xFFFF)
]


async def garbage_records(arena: Arena) -> None:
    """Records that no key made: once there are keys they are dropped."""
    client = await joined(arena)
    await client.peer.secure()
    for number in range(500):
        client.peer.send_raw(GARBAGE[number % len(GARBAGE)])
        if number % 50 == 49:
            await asyncio.sleep(0.01)
    await client.peer.channel()
    await client.close()


async def garbage_before_keys(arena: Arena) -> None:
    """The same from a peer that should shake hands: at worst it ends itself."""
    client = await joined(arena)
    for number in range(200):
        client.peer.send_raw(GARBAGE[number % len(GARBAGE)])
    client.peer.hello()
    await asyncio.sleep(0.5)
    await client.close(politely=False)


async def endless_handshake(arena: Arena) -> None:
    """Handshake fragments without end: 64 KiB are enough for anybody."""
    client = await joined(arena)
    for number in range(120):
        body = struct.pack("!B3sH3s3s", 1, b"\x0f\xff\xff", 0, bytes(3), b"\x00\x04\x00")
        record = b"\x16\xfe\xfd" + struct.pack("!HHLH", 0, 0, number, len(body) + 1024)
        client.peer.send_raw(record + body + bytes(1024))
        if number % 8 == 7:
            await asyncio.sleep(0.02)
    assert await client.end(5) is not None
    await client.close(politely=False)


async def half_handshakes(arena: Arena) -> None:
    """24 that say hello and nothing more: places are given up, others come in after a while."""
    halves = [await joined(arena) for _ in range(24)]
    for client in halves:
        client.peer.hello()
        client.peer.intake.reading = False
    honest = await joined(arena)
    async with asyncio.timeout(8):
        await honest.peer.secure()
        await honest.peer.channel()
    for client in (*halves, honest):
        await client.close(politely=False)


async def a_crowd(arena: Arena) -> None:
    """30 joins at once."""
    clients = [arena.client() for _ in range(30)]
    await asyncio.gather(*(client.join(ROOM, client.source) for client in clients))
    for client in clients:
        await client.close(politely=False)


ATTACKS: dict[str, Callable[[Arena], Awaitable[None]]] = {
    "wrong fingerprint": wrong_fingerprint,
    "a second ClientHello": hello_again,
    "a closing alert": goodbye_of_dtls,
    "garbage records": garbage_records,
    "garbage before keys": garbage_before_keys,
    "a handshake without end": endless_handshake,
    "24 half handshakes": half_handshakes,
    "30 joins at once": a_crowd,
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_handshakes_are_the_business_of_their_peer(arena: Arena, name: str) -> None:
    async with arena.watch(f"dtls: {name}"):
        await ATTACKS[name](arena)
