"""Inside a real association: each rule broken ends the peer that broke it, and no other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from aiortc import RTCSctpTransport

from roomful_testing.peer.channels import silence

from . import sctp_shapes
from .arena import Arena
from .raw_client import RawClient
from .sctp_shapes import BEGIN, DCEP, END, UNORDERED

REFUSALS = 16
"""packets of one peer that break a rule until the peer has to go"""


class Attacker:
    """A member with an association that is used against its rules."""

    def __init__(self, client: RawClient, association: RTCSctpTransport) -> None:
        self.client, self.association = client, association
        self.tag: int = association._remote_verification_tag
        self.tsn: int = association._local_tsn
        self.heard: int = association._last_received_tsn or 0
        # from now on the association only lends its numbers: it does not know what we send
        client.peer.on_record = lambda packet: None
        silence(association)

    def send(self, *chunks: bytes) -> None:
        """One packet of these chunks."""
        self.client.peer.send_record(sctp_shapes.packet(self.tag, *chunks))

    @property
    def over(self) -> bool:
        return self.client.peer.ended.is_set()

    async def ended(self) -> None:
        """Wait for the server to end the transport."""
        async with asyncio.timeout(5):
            await self.client.peer.ended.wait()


async def attacker(arena: Arena) -> Attacker:
    """A member whose channel is open."""
    client = arena.client()
    await client.join("association", client.source)
    await client.peer.channel()
    assert client.peer.association is not None
    return Attacker(client, client.peer.association)


async def closed(*attackers: Attacker) -> None:
    for one in attackers:
        await one.client.close(politely=False)


async def test_a_broken_rule_ends_the_peer_after_16_packets(arena: Arena) -> None:
    names = list(sctp_shapes.refused(0, 0))
    async with arena.watch("sctp: one attacker a rule, 16 packets each"):
        attackers = {name: await attacker(arena) for name in names}
        for name, one in attackers.items():
            shape = sctp_shapes.refused(one.tag, one.heard)[name]
            for _ in range(REFUSALS):
                one.client.peer.send_record(shape)
            await asyncio.sleep(0)
        await asyncio.sleep(1.0)
        alive = [name for name, one in attackers.items() if not one.over]
        await closed(*attackers.values())
    assert alive == []


async def test_a_peer_that_breaks_rules_now_and_then_stays(arena: Arena) -> None:
    async with arena.watch("sctp: 15 packets against the rules"):
        one = await attacker(arena)
        shapes = list(sctp_shapes.refused(one.tag, one.heard).values())
        for shape in shapes[: REFUSALS - 1]:
            one.client.peer.send_record(shape)
        await asyncio.sleep(0.3)
        assert not one.over
        await closed(one)


async def test_the_room_hears_that_an_ended_peer_left(arena: Arena) -> None:
    async with arena.watch("sctp: the end is told", window=2.0):
        other = arena.client()
        await other.join("association", "other", transport=False)
        one = await attacker(arena)
        for _ in range(REFUSALS):
            one.send(sctp_shapes.chunk(9, length=0))
        leave = await one.client.end()
        assert leave is not None
        sid = one.client.participant.sid
        await other.next("update", where=lambda m: m.update.participants[0].sid == sid)
        await closed(one)
        await other.close()


async def misordered(one: Attacker) -> None:
    """2,000 numbers, each but one before the next; the window holds a part of them."""
    for number in range(2000):
        one.send(sctp_shapes.data(one.tsn + 2 * number + 1, bytes(100)))
        if number % 50 == 49:
            await asyncio.sleep(0.01)


async def scattered(one: Attacker) -> None:
    """Numbers anywhere."""
    chance = random.Random(2)
    for number in range(1000):
        one.send(sctp_shapes.data(chance.getrandbits(32), bytes(20)))
        if number % 50 == 49:
            await asyncio.sleep(0.01)


async def hostile_sacks(one: Attacker) -> None:
    """As many gap blocks as the rules allow, about nothing that is outstanding."""
    gaps = [(2 * n + 2, 2 * n + 2) for n in range(64)]
    for _ in range(REFUSALS - 1):
        one.send(sctp_shapes.sack(one.heard, gaps))


async def heartbeats(one: Attacker) -> None:
    """Far more packets than anybody needs; each asks for an answer."""
    for number in range(4000):
        one.send(sctp_shapes.chunk(4, b"\x00\x01\x04\x00" + bytes(1020)))
        if number % 40 == 39:
            await asyncio.sleep(0.01)


async def duplicates(one: Attacker) -> None:
    """The same DATA again and again."""
    for number in range(2000):
        one.send(*[sctp_shapes.data(one.tsn, b"x")] * 20)
        if number % 40 == 39:
            await asyncio.sleep(0.01)


async def restarts(one: Attacker) -> None:
    """INITs, which an established association does not take."""
    for number in range(2000):
        one.client.peer.send_record(sctp_shapes.packet(0, sctp_shapes.init(tag=number + 1)))
        if number % 40 == 39:
            await asyncio.sleep(0.01)


async def mutated(one: Attacker) -> None:
    """Valid packets with one to four bytes changed and a correct checksum."""
    chance = random.Random(3)
    base = [
        sctp_shapes.data(one.tsn, bytes(40)), sctp_shapes.sack(one.tsn), sctp_shapes.init(),
        sctp_shapes.chunk(192, bytes(12)), sctp_shapes.chunk(130, b"\x00\x0d\x00\x10" + bytes(12)),
        sctp_shapes.chunk(4, b"\x00\x01\x00\x08abcd"),
    ]  # fmt: skip
    for number in range(400):
        body = bytearray(base[number % len(base)])
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(4, len(body))] = chance.choice((0, 1, 3, 0x7F, 0xFF))
        one.send(bytes(body))
        if number % 40 == 39:
            await asyncio.sleep(0.01)


TOLERATED: dict[str, Callable[[Attacker], Awaitable[None]]] = {
    "2,000 misordered chunks": misordered,
    "numbers anywhere": scattered,
    "64 gap blocks": hostile_sacks,
    "4,000 heartbeats": heartbeats,
    "40,000 duplicates": duplicates,
    "2,000 INITs": restarts,
    "mutated packets": mutated,
}


@pytest.mark.parametrize("attack", TOLERATED.values(), ids=TOLERATED.keys())
async def test_what_no_window_holds_is_dropped(
    arena: Arena, attack: Callable[[Attacker], Awaitable[None]]
) -> None:
    name = next(name for name, function in TOLERATED.items() if function is attack)
    async with arena.watch(f"sctp: {name}", growth=8 << 20):
        one = await attacker(arena)
        await attack(one)
        await closed(one)


async def endless(one: Attacker) -> None:
    """Fragments of a message that never ends; what is lost on the way is repeated."""
    for _ in range(10):
        for number in range(400):
            flags = BEGIN if number == 0 else 0
            one.send(sctp_shapes.data(one.tsn + number, bytes(1000), flags=flags))
            await pause(number)
        if one.over:
            return


async def too_long(one: Attacker) -> None:
    """A message of 66,000 bytes."""
    for number in range(660):
        place = number % 66
        flags = BEGIN if place == 0 else END if place == 65 else 0
        one.send(sctp_shapes.data(one.tsn + place, bytes(1000), flags=flags))
        await pause(number)


async def many_streams(one: Attacker) -> None:
    """100 streams."""
    for number in range(400):
        one.send(sctp_shapes.data(one.tsn + number % 100, stream=number % 100))
        await pause(number)


async def pause(number: int) -> None:
    """Let the server read: more than 64 datagrams of a peer do not wait."""
    if number % 30 == 29:
        await asyncio.sleep(0.02)


def opens(*labels: bytes, **more: int) -> Callable[[Attacker], Awaitable[None]]:
    """Channels with these labels on streams of their own."""

    async def send(one: Attacker) -> None:
        for place, label in enumerate(labels):
            opening = sctp_shapes.opening(label, **more)
            one.send(sctp_shapes.data(one.tsn + place, opening, stream=100 + 2 * place, kind=DCEP))

    return send


async def opened_again(one: Attacker) -> None:
    """A second OPEN on the stream of a channel that is open."""
    (stream,) = one.association._data_channels
    one.send(
        sctp_shapes.data(one.tsn, sctp_shapes.opening(b"_lossy"), stream=stream, kind=DCEP,
                         flags=BEGIN | END | UNORDERED)
    )  # fmt: skip


ENDING: dict[str, Callable[[Attacker], Awaitable[None]]] = {
    "a message that never ends": endless,
    "a message of 66,000 bytes": too_long,
    "DATA on the 65th stream": many_streams,
    "the 17th channel": opens(*[b"_lossy"] * 16),
    "a second OPEN": opened_again,
    "a label that is not UTF-8": opens(b"\xff\xfe"),
    "a label of 65 bytes": opens(b"x" * 65),
    "a label longer than the message": opens(b"_lossy", size=60),
    "a channel type that does not exist": opens(b"_lossy", kind=0x7F),
}


async def test_what_cannot_be_dropped_ends_the_peer(arena: Arena) -> None:
    async with arena.watch("sctp: channels and messages beyond the bounds"):
        attackers = {name: await attacker(arena) for name in ENDING}
        await asyncio.gather(*(ENDING[name](one) for name, one in attackers.items()))
        await asyncio.sleep(0.5)
        alive = [name for name, one in attackers.items() if not one.over]
        await closed(*attackers.values())
    assert alive == []


async def test_channels_with_unknown_labels_are_closed_again(arena: Arena) -> None:
    async with arena.watch("sctp: unknown labels"):
        one = await attacker(arena)
        await opens(*[b"mine%d" % n for n in range(15)])(one)
        await asyncio.sleep(0.3)
        assert not one.over
        await closed(one)
