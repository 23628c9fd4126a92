"""One participant of a worker: it does what an order says, and notes when."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from typing import Any

from roomful.errors import RoomfulError
from roomful_testing.clip import STAMP_BYTES
from roomful_testing.peer.commons import Commons
from roomful_testing.peer.flows import Latencies
from roomful_testing.peer.participant import Participant

from .clips import FILMS, opus_tone, vp8_film
from .order import Order, Reading

STAMPED_BELOW = 300
"""bytes of a packet that is audio: all of those carry a stamp, of video those with the marker"""
_STAMP = struct.Struct("!Q")


class OrderedPeer:
    """Made inside a running loop; `join`, `publish`, `snapshot`, `leave`."""

    def __init__(self, commons: Commons, url: str, order: Order) -> None:
        self.order = order
        self.participant = Participant(commons, url, audios=order.audios, videos=order.videos)
        self.latencies = Latencies()
        self.began_ns = 0
        """CLOCK_REALTIME when it began to join"""
        self.joined_ms = self.connected_ms = 0.0
        self.published_ns: dict[str, int] = {}
        """kind → CLOCK_REALTIME when the track was asked for"""
        self.first_sent_ns: dict[str, int] = {}
        if Reading(order.reading) is Reading.TIMED:
            self.participant.transport.intake.hand_to(self._note_transit)

    async def join(self) -> None:
        """Join, connect the transport, publish what was ordered."""
        begin, self.began_ns = time.monotonic(), time.time_ns()
        try:
            await self.participant.join(self.order.token)
        except RoomfulError as error:
            raise ConnectionError(f"{self.order.identity}: {error}") from error
        self.connected_ms = (time.monotonic() - begin) * 1000
        self.joined_ms = 1000 * self.participant.joined_s
        if Reading(self.order.reading) is Reading.IN_TURNS:
            self.participant.read_in_turns()
        for kind in self.order.publish:
            await self.publish(kind)

    async def publish(self, kind: str) -> None:
        """Publish a track and go on sending it; those of a process do not send in step."""
        self.published_ns[kind] = time.time_ns()
        begin = asyncio.get_running_loop().time() + random.random() / 30
        if kind == "audio":
            sound = opus_tone(self.order.hertz)
            await self.participant.play_sound(sound, name=kind, begin=begin)
        else:
            await self.participant.play_film([vp8_film(FILMS[kind])], name=kind, begin=begin)
        self.first_sent_ns[kind] = time.time_ns()

    async def leave(self) -> None:
        """Say goodbye and free everything."""
        await self.participant.leave()

    def report(self) -> None:
        """Tell the server what was received."""
        if self.order.feedback:
            self.participant.feedback.report()

    def _note_transit(self, packet: bytes, came_ns: int) -> None:
        if packet[1] & 0x80 or len(packet) < STAMPED_BELOW:
            self.latencies.add(_STAMP.unpack_from(packet, len(packet) - STAMP_BYTES)[0], came_ns)

    def snapshot(self) -> dict[str, Any]:
        """Everything counted so far."""
        transport = self.participant.transport
        transport.intake.drain()
        return {
            "identity": self.order.identity,
            "left": self.participant.left,
            "joined_ms": round(self.joined_ms, 2),
            "connected_ms": round(self.connected_ms, 2),
            "negotiations": self.participant.negotiation.negotiations,
            "sent": {str(p.stream.ssrc): p.stream.packets for p in self.participant.players},
            "began_ns": self.began_ns,
            "published_ns": self.published_ns,
            "first_sent_ns": self.first_sent_ns,
            "flows": {str(ssrc): flow.record() for ssrc, flow in transport.flows.items()},
        }
