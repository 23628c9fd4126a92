"""Members whose media, or feedback about media, is against the rules."""

from __future__ import annotations

import asyncio
import os
import random
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType

import pytest

from roomful_rtc import rtcp, rtp
from roomful_testing.peer.description import OPUS, RIDS, VP8, Section

from . import media_shapes as shapes
from .arena import Arena
from .descriptions import CAMERA, CHANNELS, EAR, EYE, LAYERS, MICROPHONE
from .floods import flood
from .media_shapes import Stream
from .witness import SSRC as WITNESS_SSRC

SSRC = 0xA77AC


class Studio:
    """A publisher and a subscriber in a room of their own; either may be the attacker."""

    def __init__(self, arena: Arena, section: Section) -> None:
        self.arena, self.section = arena, section
        self.publisher, self.subscriber = arena.client(), arena.client()
        self.room = f"studio-{self.publisher.source}"
        self.stream = Stream(section.mid, SSRC, VP8 if section.kind == "video" else OPUS)
        self.stream.rid = RIDS[0] if section.rids else ""
        self.heard: list[rtp.RtpPacket] = []
        self.asked: Counter[str] = Counter()
        """what the publisher's feedback was, by type"""

    async def __aenter__(self) -> Studio:
        eye = EYE if self.section.kind == "video" else EAR
        await self.publisher.join(self.room, "publisher", CHANNELS, self.section)
        await self.subscriber.join(self.room, "subscriber", CHANNELS, eye)
        self.subscriber.peer.intake.hand_to(lambda packet, _: self.heard.append(rtp.parse(packet)))
        self.publisher.peer.on_rtcp = self._note
        await self.subscriber.subscribe(CHANNELS, eye)
        await self.flowing()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.publisher.close()
        await self.subscriber.close()

    def send(self) -> None:
        """The next packet of the publisher, as it should be."""
        video = self.section.kind == "video"
        packet = self.stream.frame(key=True) if video else self.stream.packet()
        self.publisher.peer.send_rtp(packet)

    async def flowing(self) -> None:
        """Send until the subscriber hears something new."""
        before = len(self.heard)
        async with asyncio.timeout(5):
            while len(self.heard) == before:
                self.send()
                await asyncio.sleep(0.02)

    def _note(self, compound: bytes) -> None:
        self.asked.update(type(packet).__name__ for packet in rtcp.parse(compound))


Attack = Callable[[Studio], Awaitable[None]]


async def many_ssrcs(studio: Studio) -> None:
    """5,000 SSRCs that nobody announced."""
    made = iter(range(1, 1 << 30))
    peer = studio.publisher.peer
    await flood(lambda: peer.send_rtp(Stream("", next(made)).raw(bytes(40))), per_s=5000, seconds=1)
    await studio.flowing()


async def ssrcs_with_mids(studio: Studio) -> None:
    """1,000 SSRCs under the mid of the track, and under mids that do not exist."""
    made, peer = iter(range(1 << 20, 1 << 30)), studio.publisher.peer

    def send() -> None:
        number = next(made)
        peer.send_rtp(Stream(("1", "9", "0", "\xff")[number % 4], number).packet())

    await flood(send, per_s=1000, seconds=1)
    await studio.flowing()


async def wrong_rids(studio: Studio) -> None:
    """Layers that were not described."""
    peer = studio.publisher.peer
    for number in range(60):
        rid = ("x", "f" * 16, "ff", "Q", "\x00", "")[number % 6]
        stream = Stream("1", 50_000 + number, VP8, rid)
        for _ in range(3):
            peer.send_rtp(stream.frame(key=True))
        await asyncio.sleep(0.005)
    await studio.flowing()


async def foreign_ssrc(studio: Studio) -> None:
    """The SSRC that the witness sends under; it belongs to one peer."""
    peer, stream = studio.publisher.peer, Stream("1", WITNESS_SSRC)
    await flood(lambda: peer.send_rtp(stream.packet()), per_s=500, seconds=1)


async def lying_headers(studio: Studio) -> None:
    """Extensions, sources and padding that are not there, in a stream that flows."""
    for _ in range(8):
        for packet in shapes.lying(studio.stream):
            studio.publisher.peer.send_rtp(packet)
        studio.send()
        await asyncio.sleep(0.02)
    await studio.flowing()


async def lying_headers_of_new_ssrcs(studio: Studio) -> None:
    """The same before the server knows the SSRC."""
    for number in range(8):
        for packet in shapes.lying(Stream("1", 60_000 + number)):
            studio.publisher.peer.send_rtp(packet)
        await asyncio.sleep(0.02)
    await studio.flowing()


async def mutated_packets(studio: Studio) -> None:
    """Authentic packets with one to four bytes of header or descriptor changed."""
    chance = random.Random(4)
    for number in range(1500):
        video = studio.section.kind == "video"
        packet = bytearray(studio.stream.frame() if video else studio.stream.packet())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(min(40, len(packet)))
            if not 8 <= at < 12:  # the SSRC stays
                packet[at] = chance.choice((0, 1, 0x0F, 0x7F, 0x80, 0xF0, 0xFF))
        studio.publisher.peer.send_rtp(bytes(packet[: chance.choice((12, 20, 40, 300))]))
        if number % 20 == 19:
            await asyncio.sleep(0.01)


async def unauthentic(studio: Studio) -> None:
    """Packets that fail authentication, from the right address."""
    peer = studio.publisher.peer
    head = struct.pack("!BBHLL", 0x80, 111, 1, 1, SSRC)
    await flood(lambda: peer.send_raw(head + os.urandom(60)), per_s=5000, seconds=1)
    await flood(lambda: peer.send_raw(b"\x80\xc9" + os.urandom(40)), per_s=5000, seconds=0.3)
    await studio.flowing()


async def replayed(studio: Studio) -> None:
    """Every packet again and again: each is heard once."""
    peer = studio.publisher.peer
    sent = [peer.send_rtp(studio.stream.packet()) for _ in range(50)]
    for _ in range(40):
        for protected in sent:
            peer.send_raw(protected)
        await asyncio.sleep(0.02)
    numbers = [packet.seq16 for packet in studio.heard]
    assert len(numbers) == len(set(numbers))


async def pli_storm(studio: Studio) -> None:
    """The publisher is asked at most as often as the throttle allows, whoever asks."""
    subscriber, ssrc = studio.subscriber.peer, studio.heard[-1].ssrc
    before = studio.asked.copy()

    def ask() -> None:
        subscriber.send_rtcp(shapes.pli(1, ssrc) + shapes.fir(1, ssrc, 7))

    await flood(ask, per_s=2000, seconds=1)
    asked = studio.asked - before
    assert asked["Pli"] + asked["Fir"] <= 4, asked


async def nack_storm(studio: Studio) -> None:
    """Everything again, all the time: what is resent is a part of what was sent."""
    for _ in range(40):
        studio.send()
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    last, before = studio.heard[-1], len(studio.heard)
    pairs = [((last.seq16 - 17 * n) % shapes.LIMIT, 0xFFFF) for n in range(15)]
    storm = shapes.nack(1, last.ssrc, pairs)
    await flood(lambda: studio.subscriber.peer.send_rtcp(storm), per_s=2000, seconds=1)
    assert len(studio.heard) - before <= 3 * 64


async def nacks_of_everything(studio: Studio) -> None:
    """One packet that names 5,000 numbers, and the whole range in many."""
    ssrc = studio.heard[-1].ssrc
    pairs = [(17 * n % shapes.LIMIT, 0xFFFF) for n in range(3855)]
    for at in range(0, 3855, 330):
        studio.subscriber.peer.send_rtcp(shapes.nack(1, ssrc, pairs[at : at + 330]))
        await asyncio.sleep(0.02)
    await studio.flowing()


async def remb_extremes(studio: Studio) -> None:
    """No bandwidth at all, and more than there can be."""
    subscriber, ssrc = studio.subscriber.peer, studio.heard[-1].ssrc
    for number in range(100):
        exponent, mantissa = ((0, 0), (63, (1 << 18) - 1), (63, 1), (0, 1))[number % 4]
        subscriber.send_rtcp(shapes.remb(1, ssrc, exponent, mantissa))
        await asyncio.sleep(0.005)
    subscriber.send_rtcp(shapes.remb(1, ssrc, 20, 100))
    await studio.flowing()


async def lies_about_streams(studio: Studio) -> None:
    """Reports, goodbyes and feedback that are not consistent, or about the streams of others."""
    for media in (studio.heard[-1].ssrc, WITNESS_SSRC, 0, 0xFFFFFFFF):
        for lie in shapes.rtcp_lies(1, media):
            studio.subscriber.peer.send_rtcp(lie)
            studio.publisher.peer.send_rtcp(lie)
        await asyncio.sleep(0.1)
    studio.subscriber.peer.send_rtcp(shapes.rtcp(203, 1, struct.pack("!L", WITNESS_SSRC)))
    await studio.flowing()


async def lying_sender_reports(studio: Studio) -> None:
    """Clocks that jump."""
    for number in range(100):
        ntp = (0, 1, (1 << 64) - 1, number << 40)[number % 4]
        report = struct.pack("!LQLLL", SSRC, ntp, (number * 0x7FFFFFFF) & 0xFFFFFFFF, 0, 0)
        studio.publisher.peer.send_rtcp(shapes.rtcp(200, 0, report))
        studio.send()
        await asyncio.sleep(0.005)
    await studio.flowing()


async def rtcp_storm(studio: Studio) -> None:
    """5,000 compounds a second."""
    storm = shapes.rtcp(201, 31, struct.pack("!L", 1) + bytes(24 * 31))
    await flood(lambda: studio.subscriber.peer.send_rtcp(storm), per_s=5000, seconds=1)
    await studio.flowing()


async def jumping_numbers(studio: Studio) -> None:
    """Sequence numbers and times anywhere."""
    chance = random.Random(5)
    for number in range(1500):
        studio.stream.seq, studio.stream.ts = chance.getrandbits(16), chance.getrandbits(32)
        studio.send()
        if number % 20 == 19:
            await asyncio.sleep(0.01)


async def promised_and_not_sent(studio: Studio) -> None:
    """Tracks that are asked for and described, without a packet."""
    for number in range(15):
        await studio.publisher.send(add_track={"cid": f"never{number}", "type": 1})
    sections = [Section("video", "sendonly", f"never{n}", mid=str(10 + n)) for n in range(15)]
    await studio.publisher.negotiate(CHANNELS, studio.section, *sections)
    await studio.flowing()


ATTACKS: dict[str, tuple[Section, Attack]] = {
    "5,000 SSRCs": (MICROPHONE, many_ssrcs),
    "1,000 SSRCs with mids": (MICROPHONE, ssrcs_with_mids),
    "wrong rids": (LAYERS, wrong_rids),
    "another's SSRC": (MICROPHONE, foreign_ssrc),
    "lying headers": (MICROPHONE, lying_headers),
    "lying headers of new SSRCs": (MICROPHONE, lying_headers_of_new_ssrcs),
    "mutated audio": (MICROPHONE, mutated_packets),
    "mutated video": (CAMERA, mutated_packets),
    "packets that are not authentic": (MICROPHONE, unauthentic),
    "replayed packets": (MICROPHONE, replayed),
    "PLI and FIR storm": (CAMERA, pli_storm),
    "NACK storm": (CAMERA, nack_storm),
    "NACK of everything": (CAMERA, nacks_of_everything),
    "REMB of 0 and beyond 2^64": (CAMERA, remb_extremes),
    "RTCP that lies": (CAMERA, lies_about_streams),
    "sender reports that lie": (CAMERA, lying_sender_reports),
    "RTCP storm": (MICROPHONE, rtcp_storm),
    "jumping numbers": (CAMERA, jumping_numbers),
    "tracks that are never sent": (MICROPHONE, promised_and_not_sent),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_media_against_the_rules_stays_in_its_room(arena: Arena, name: str) -> None:
    section, attack = ATTACKS[name]
    async with arena.watch(f"media: {name}"), Studio(arena, section) as studio:
        await attack(studio)
