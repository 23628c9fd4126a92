"""Data packets: bounded, counted by their readers, stamped by the server."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from livekit.protocol import models

from roomful_testing.peer.channels import silence

from . import sctp_shapes
from .arena import Arena
from .floods import flood
from .raw_client import RawClient

_DATA_HEAD = struct.Struct("!LHHL")
_rooms = itertools.count()


class Reader:
    """A member that takes every message and acknowledges it, for little CPU."""

    def __init__(self, client: RawClient) -> None:
        self.client, self.messages = client, list[bytes]()
        self.pieces = 0
        """of messages that did not fit into one packet"""
        self._seen = set[int]()
        association = client.peer.association
        assert association is not None
        self._tag = association._remote_verification_tag
        silence(association)
        client.peer.on_record = self._take

    def _take(self, packet: bytes) -> None:
        at, newest = 12, None
        while at + 16 <= len(packet):
            kind, flags, size = struct.unpack_from("!BBH", packet, at)
            if kind == sctp_shapes.DATA:
                newest = _DATA_HEAD.unpack_from(packet, at + 4)[0]
                whole = flags & 3 == 3
                if whole and newest not in self._seen:
                    self.messages.append(packet[at + 16 : at + size])
                self.pieces += not whole
                self._seen.add(newest)
            at += max(4, size + (-size % 4))
        if newest is not None:
            sack = sctp_shapes.sack(newest)
            self.client.peer.send_record(sctp_shapes.packet(self._tag, sack))

    def heard(self) -> list[models.DataPacket]:
        """What came in one piece."""
        return [models.DataPacket.FromString(message) for message in self.messages]


class Chat:
    """A sender and readers in a room of their own."""

    def __init__(self, sender: RawClient, readers: list[Reader]) -> None:
        self.sender, self.readers = sender, readers
        association = sender.peer.association
        assert association is not None
        self.channels = {c.label: c for c in association._data_channels.values()}

    def send(self, packet: models.DataPacket | bytes, *, label: str = "_reliable") -> None:
        """Queue one message."""
        data = packet if isinstance(packet, bytes) else packet.SerializeToString()
        self.channels[label].send(data)

    async def arrived(self, count: int = 1) -> list[models.DataPacket]:
        """Wait for the first reader to have so many."""
        async with asyncio.timeout(15):
            while len(self.readers[0].messages) < count:
                await asyncio.sleep(0.01)
        return self.readers[0].heard()


@asynccontextmanager
async def chat(arena: Arena, readers: int = 1, **grants: object) -> AsyncIterator[Chat]:
    """Members with open channels; the sender's are aiortc's."""
    room = f"chat{next(_rooms)}"
    clients = [arena.client() for _ in range(readers + 1)]
    try:
        for place, client in enumerate(clients):
            await client.join(room, f"member{place}", grants=grants)
            await client.peer.channel("_lossy", ordered=False, maxRetransmits=0)
            await client.peer.channel("_reliable")
        yield Chat(clients[0], [Reader(client) for client in clients[1:]])
    finally:
        for client in clients:
            await client.close(politely=False)


def user(payload: bytes, **more: object) -> models.DataPacket:
    return models.DataPacket(user=models.UserPacket(payload=payload), **more)


# --- one packet -----------------------------------------------------------------------------------


async def too_large(arena: Arena) -> None:
    """64,001 bytes and more are not relayed; the next packet is."""
    async with chat(arena) as room:
        for size in (64_001, 65_400):
            room.send(user(bytes(size)))
        room.send(user(b"small"))
        assert [packet.user.payload for packet in await room.arrived()] == [b"small"]
        assert room.readers[0].pieces == 0


async def many_destinations(arena: Arena) -> None:
    """A packet for 10,000 identities is for nobody."""
    async with chat(arena) as room:
        room.send(user(b"x", destination_identities=[f"{n}" for n in range(10_000)]))
        room.send(user(b"y", destination_identities=["nobody", "member1"]))
        assert [packet.user.payload for packet in await room.arrived()] == [b"y"]


async def spoofed_sender(arena: Arena) -> None:
    """Whatever a packet says of its sender, the server writes over it."""
    async with chat(arena) as room:
        room.send(
            models.DataPacket(
                participant_identity="member1", participant_sid="PA_admin",
                user={"payload": b"u", "participant_identity": "x", "participant_sid": "y"},
            )
        )  # fmt: skip
        room.send(
            models.DataPacket(
                participant_identity="admin", rpc_request={"id": "1", "method": "m", "version": 1}
            )
        )
        room.send(
            models.DataPacket(
                participant_identity="admin",
                stream_header={"stream_id": "s", "text_header": {"generated": False}},
            )
        )
        sid = room.sender.participant.sid
        heard = await room.arrived(3)
        assert {(p.participant_identity, p.participant_sid) for p in heard} == {("member0", sid)}
        (first,) = [p for p in heard if p.HasField("user")]
        assert (first.user.participant_identity, first.user.participant_sid) == ("member0", sid)


async def not_relayed(arena: Arena) -> None:
    """Kinds that only the server or agents send, and packets without anything in them."""
    async with chat(arena) as room:
        for packet in (
            models.DataPacket(speaker={"speakers": [{"sid": "PA_x", "level": 1.0}]}),
            models.DataPacket(transcription={"track_id": "t"}),
            models.DataPacket(metrics={"timestamp_ms": 1}),
            models.DataPacket(),
            b"",
        ):
            room.send(packet)
        room.send(user(b"end"))
        assert len(await room.arrived()) == 1


async def without_permission(arena: Arena) -> None:
    """Who may not publish data reaches nobody."""
    async with chat(arena, can_publish_data=False) as room:
        for _ in range(20):
            room.send(user(b"x"))
        await asyncio.sleep(0.3)
        assert room.readers[0].messages == []


async def headless_streams(arena: Arena) -> None:
    """Chunks and trailers without a header, answers nobody asked for, a call to oneself."""
    async with chat(arena) as room:
        for number in range(50):
            stream = f"s{number % 3}"
            room.send(models.DataPacket(stream_chunk={"stream_id": stream, "chunk_index": 1 << 40}))
            room.send(models.DataPacket(stream_trailer={"stream_id": stream, "reason": "r"}))
            room.send(models.DataPacket(rpc_response={"request_id": "r", "payload": "p"}))
            room.send(
                models.DataPacket(
                    rpc_request={"id": f"{number}", "method": "m", "version": 1},
                    destination_identities=["member0"],
                )
            )
        assert len(await room.arrived(150)) == 150


async def garbage(arena: Arena) -> None:
    """A message that is no packet ends its sender, with a word."""
    async with chat(arena) as room:
        for _ in range(30):
            room.send(b"\xff" * 50)
        leave = await room.sender.end()
        assert leave is not None
        assert not room.readers[0].client.closed.is_set()


async def no_channel_of_ours(arena: Arena) -> None:
    """Messages on channels that nobody knows."""
    async with chat(arena) as room:
        for label in ("_data_track", "_data_track", "_reliable"):
            channel = await room.sender.peer.channel(label)
            for _ in range(20):
                channel.send(
                    b"\xff" * 20 if label == "_data_track" else user(b"x").SerializeToString()
                )
        assert await room.arrived()
        assert not room.sender.closed.is_set()


# --- many packets ---------------------------------------------------------------------------------


async def lossy_flood(arena: Arena) -> None:
    """1,000 messages/s of one sender: 200/s after the burst reach the reader."""
    async with chat(arena) as room:
        packet = user(bytes(100))
        await flood(lambda: room.send(packet, label="_lossy"), per_s=1000, seconds=1.5)
        await asyncio.sleep(0.2)
        assert 150 < len(room.readers[0].messages) <= 400 + 1.9 * 200


async def reliable_flood(arena: Arena) -> None:
    """The same, reliably: slowed, and nothing is missing."""
    async with chat(arena) as room:
        for number in range(600):
            room.send(user(b"%d" % number))
        heard = [packet.user.payload for packet in await room.arrived(600)]
        assert sorted(heard, key=int) == [b"%d" % number for number in range(600)]


async def bytes_flood(arena: Arena) -> None:
    """60 kB a message, 100 messages/s: a sender has 1 MiB/s."""
    async with chat(arena) as room:
        packet = user(bytes(60_000))
        await flood(lambda: room.send(packet, label="_lossy"), per_s=100, seconds=1.0)


async def fan_out(arena: Arena) -> None:
    """Two senders at full rate to 16 readers each: the server shares its time out."""
    async with chat(arena, readers=16) as first, chat(arena, readers=16) as second:

        def send() -> None:
            first.send(user(bytes(1000)), label="_lossy")
            second.send(user(bytes(1000)), label="_lossy")

        await flood(send, per_s=400, seconds=1.5)
        await asyncio.sleep(0.2)
        copies = sum(len(reader.messages) for reader in (*first.readers, *second.readers))
        assert copies <= 2500 + 2 * 5000


ATTACKS: dict[str, Callable[[Arena], Awaitable[None]]] = {
    "64,001 bytes": too_large,
    "10,000 destinations": many_destinations,
    "spoofed sender": spoofed_sender,
    "kinds that are not relayed": not_relayed,
    "no permission": without_permission,
    "chunks without a header": headless_streams,
    "garbage": garbage,
    "unknown channels": no_channel_of_ours,
    "1,000 lossy messages a second": lossy_flood,
    "600 reliable messages at once": reliable_flood,
    "6 MB a second": bytes_flood,
    "two senders to 32 readers": fan_out,
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_data_against_the_rules_costs_its_sender(arena: Arena, name: str) -> None:
    async with arena.watch(f"data: {name}"):
        await ATTACKS[name](arena)
