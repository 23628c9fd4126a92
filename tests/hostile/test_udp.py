"""The UDP port and ICE over TCP: what strangers send is silence to them, nothing to the others."""

from __future__ import annotations

import asyncio
import os
import random
import struct
from collections.abc import Awaitable, Callable

import pytest

from roomful_testing.peer.description import Remote

from . import stun_shapes
from .arena import Arena
from .descriptions import CHANNELS, remote_of
from .floods import datagrams, flood, strangers
from .raw_client import RawClient, RawPeer

PER_S = 10_000
"""of one flood"""
Attack = Callable[[Arena], Awaitable[None]]
HELLO = bytes.fromhex("16fefd0000000000000000003a010000") + bytes(46)
RTP = struct.pack("!BBHLL", 0x80, 111, 1, 960, 0x5EED) + bytes(60)


async def server_of(arena: Arena) -> Remote:
    """Where the port is; whoever joins learns it."""
    async with arena.client() as client:
        await client.join("strangers", "finder", transport=False)
        return remote_of(client.answer)


async def flood_with(arena: Arena, shapes: list[bytes], *, sources: int = 1) -> None:
    """Send shapes at the rate of a flood; nobody may get an answer."""
    address = (await server_of(arena)).address
    with strangers([arena.source() for _ in range(sources)]) as sockets:
        await flood(datagrams(sockets, address, shapes), per_s=PER_S, seconds=1.0)
        await asyncio.sleep(0.1)
        for sock in sockets:
            with pytest.raises(BlockingIOError):
                sock.recv(2048)


async def unknown_ufrags(arena: Arena) -> None:
    await flood_with(arena, [stun_shapes.check(f"none{n:04}", "w" * 24) for n in range(50)])


async def unknown_ufrags_from_many(arena: Arena) -> None:
    shapes = [stun_shapes.check(f"none{n:04}", "w" * 24) for n in range(50)]
    await flood_with(arena, shapes, sources=100)


async def wrong_key(arena: Arena) -> None:
    async with arena.client() as victim:
        await victim.join("strangers", "known")
        await flood_with(arena, [stun_shapes.check(victim.peer.remote.ufrag, "w" * 24)])
        await still_there(victim)


async def malformed_checks(arena: Arena) -> None:
    async with arena.client() as victim:
        await victim.join("strangers", "shapes")
        await flood_with(arena, stun_shapes.malformed(victim.peer.remote.ufrag), sources=20)
        await still_there(victim)


async def dtls_of_strangers(arena: Arena) -> None:
    await flood_with(arena, [HELLO, HELLO[:13], b"\x14" + os.urandom(40), b"\x3f" * 1400])


async def rtp_of_strangers(arena: Arena) -> None:
    await flood_with(arena, [RTP, RTP[:11], b"\x80\xc8\x00\x06" + bytes(28), b"\xbf" * 1400])


async def every_first_byte(arena: Arena) -> None:
    chance = random.Random(1)
    shapes = [bytes((n,)) + chance.randbytes(chance.randrange(80)) for n in range(256)]
    await flood_with(arena, shapes, sources=4)


async def oversize(arena: Arena) -> None:
    shapes = [b"\x80" + bytes(size) for size in (1500, 1501, 2048, 9000, 60_000)]
    address = (await server_of(arena)).address
    with strangers([arena.source()]) as sockets:
        await flood(datagrams(sockets, address, shapes), per_s=500, seconds=1.0)


async def hello_from_a_second_address(arena: Arena) -> None:
    """Before, during and after the handshake of a peer that shares its host with the stranger."""
    client = arena.client()
    async with client:
        await client.join("strangers", "raced", transport=False)
        remote = remote_of(client.answer)
        with strangers([client.source]) as sockets:
            stranger = sockets[0]
            stranger.sendto(HELLO, remote.address)
            await client.peer.check(remote)
            stranger.sendto(HELLO, remote.address)
            second = RawPeer(client.source)
            second.aim(remote)
            second.hello()
            await client.peer.secure()
            second.hello()
            for _ in range(200):
                stranger.sendto(HELLO, remote.address)
            await still_there(client)
            second.close()
            with pytest.raises(BlockingIOError):
                stranger.recv(2048)
        assert not second.secured.is_set()


async def replayed_datagrams(arena: Arena) -> None:
    """A member's protected packets again, from its own address and from a stranger's."""
    async with arena.client() as client:
        await client.join("strangers", "repeater")
        protected = [client.peer.send_rtp(_numbered(n)) for n in range(50)]
        with strangers([arena.source()]) as sockets:
            again = datagrams([*sockets, client.peer.socket], client.peer.remote.address, protected)
            await flood(again, per_s=PER_S, seconds=1.0)
        await still_there(client)


def _numbered(number: int) -> bytes:
    return struct.pack("!BBHLL", 0x80, 111, number, 960 * number, 0xABCD) + bytes(60)


async def address_without_nomination(arena: Arena) -> None:
    """A proved check that does not nominate moves nothing: answers go where they went."""
    async with arena.client() as client:
        await client.join("strangers", "mover")
        remote = client.peer.remote
        with strangers([client.source]) as sockets:
            elsewhere = sockets[0]
            request = stun_shapes.check(remote.ufrag, remote.pwd, nominate=False)
            elsewhere.sendto(request, remote.address)
            await client.peer.channel()
            await asyncio.sleep(0.2)
            answers = []
            while True:
                try:
                    answers.append(elsewhere.recv(2048))
                except BlockingIOError:
                    break
        assert [answer[0] for answer in answers] == [1], "the check's answer and nothing else"


async def still_there(client: RawClient) -> None:
    """The attacked peer itself can still open a channel, by its own transport."""
    await client.peer.channel()
    assert not client.closed.is_set()


ATTACKS: dict[str, Attack] = {
    "checks of an unknown ufrag": unknown_ufrags,
    "checks of an unknown ufrag, 100 sources": unknown_ufrags_from_many,
    "checks with a wrong key": wrong_key,
    "malformed checks": malformed_checks,
    "DTLS of strangers": dtls_of_strangers,
    "RTP of strangers": rtp_of_strangers,
    "every first byte": every_first_byte,
    "oversize datagrams": oversize,
    "ClientHello from a second address": hello_from_a_second_address,
    "replayed datagrams": replayed_datagrams,
    "address without nomination": address_without_nomination,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_datagrams_are_met_with_silence(arena: Arena, attack: Attack) -> None:
    name = next(name for name, function in ATTACKS.items() if function is attack)
    async with arena.watch(f"udp: {name}"):
        await attack(arena)


async def candidate(arena: Arena) -> tuple[RawClient, tuple[str, int]]:
    """A client and the port of ICE over TCP that it was told."""
    client = arena.client()
    await client.join("strangers", "tcp", CHANNELS, transport=False)
    line = next(line for line in client.answer.splitlines() if " tcp " in line)
    return client, (line.split()[4], int(line.split()[5]))


async def test_tcp_connections_that_begin_with_no_check_are_closed(arena: Arena) -> None:
    firsts = [
        b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff" + bytes(100), b"\x00\x00", b"\x05\xdd" + bytes(1501),
        struct.pack("!H", len(HELLO)) + HELLO, struct.pack("!H", len(RTP)) + RTP,
    ]  # fmt: skip
    async with arena.watch("tcp: first frame is no check"):
        client, (host, port) = await candidate(arena)
        async with client:
            firsts += [_framed(shape) for shape in stun_shapes.malformed(client.answer[:4])[:6]]
            for first in firsts:
                source = (arena.source(), 0)
                reader, writer = await asyncio.open_connection(host, port, local_addr=source)
                writer.write(first)
                try:
                    assert await asyncio.wait_for(reader.read(), 2) == b""
                except ConnectionResetError:
                    pass
                writer.close()


async def test_tcp_connections_of_one_source_are_few_before_a_check(arena: Arena) -> None:
    async with arena.watch("tcp: 40 connections of one source"):
        client, (host, port) = await candidate(arena)
        source = arena.source()
        async with client:
            opened = [
                await asyncio.open_connection(host, port, local_addr=(source, 0)) for _ in range(40)
            ]
            closed = 0
            for reader, _ in opened:
                try:
                    closed += await asyncio.wait_for(reader.read(1), 0.02) == b""
                except ConnectionResetError:
                    closed += 1
                except TimeoutError:
                    pass
            for _, writer in opened:
                writer.close()
        assert closed >= 36


def _framed(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data
