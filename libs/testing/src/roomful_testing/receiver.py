"""`receive`: a subscriber that decodes nothing; it counts packets and gaps and keeps what came.

async with receive(url, token) as receiver:
    ...
    video = receiver.track(publisher.video_sid)
    print(video.flow.packets, video.flow.gaps, len(video.pictures()))
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from livekit.protocol import rtc as rtc_proto

from roomful_rtc import rtp
from roomful_testing.clip import SOUND_PER_SECOND, SOUND_TICKS, VIDEO_RATE
from roomful_testing.payload import joined
from roomful_testing.peer.commons import Commons
from roomful_testing.peer.description import OPUS, PAYLOAD_TYPES
from roomful_testing.peer.flows import Flow
from roomful_testing.peer.participant import Participant

KEPT = 20_000
"""packets of a stream, the newest: two minutes of 720p"""
REPORT_EVERY_S = 1.0
_CODECS = {pt: codec for codec, pt in PAYLOAD_TYPES.items()}
_WRAP = 1 << 32


@dataclass(slots=True)
class Received:
    """One stream, as it came."""

    ssrc: int
    flow: Flow
    """counts"""
    packets: deque[tuple[rtp.RtpPacket, int]] = field(repr=False)
    """packet and ns of CLOCK_REALTIME at which it came; in the order of arrival"""

    @property
    def codec(self) -> str:
        """opus, vp8 or h264; rtx for packets that are sent again."""
        return _CODECS.get(self.flow.pt, "rtx")

    def ordered(self) -> list[rtp.RtpPacket]:
        """Return the packets in the order of their numbers, each once."""
        found: dict[int, rtp.RtpPacket] = {}
        newest = self.packets[0][0].seq16 if self.packets else 0
        for packet, _ in self.packets:
            seq = rtp.unwrap(packet.seq16, newest)
            newest = max(newest, seq)
            found.setdefault(seq, packet)
        return [found[seq] for seq in sorted(found)]

    def pictures(self) -> list[tuple[int, bytes]]:
        """Return the whole pictures: timestamp, and data for a decoder.

        A picture is whole if no number is missing since the marker before it.
        """
        return list(self._whole())

    def _whole(self) -> Iterator[tuple[int, bytes]]:
        payloads: list[bytes] = []
        before: rtp.RtpPacket | None = None
        broken = False
        for packet in self.ordered():
            follows = before is not None and packet.seq16 == before.seq16 + 1 & rtp.SEQ_MASK
            if not follows:
                payloads, broken = [], before is not None or not _begins(self.codec, packet.payload)
            elif before is not None and before.marker:
                payloads, broken = [], False
            payloads.append(packet.payload)
            before = packet
            if packet.marker and not broken:
                yield packet.ts, joined(self.codec, payloads)


class Receiver:
    """One subscriber; what `receive` yields."""

    def __init__(self, participant: Participant, kept: int = KEPT) -> None:
        self.participant = participant
        self.streams: dict[int, Received] = {}
        """by SSRC"""
        self._kept = kept
        participant.transport.intake.hand_to(self._take)

    @property
    def left(self) -> str:
        """Why the server ended this subscriber; empty while it is there."""
        return self.participant.left

    def track(self, sid: str) -> Received | None:
        """Return the stream of a track; None while none came."""
        negotiation = self.participant.negotiation
        for section in negotiation.answer.sections:
            if negotiation.tracks.get(section.mid) == sid:
                found = (self.streams.get(ssrc) for ssrc in section.ssrcs)
                return next((one for one in found if one is not None), None)
        return None

    def ask_key_frame(self, stream: Received) -> None:
        """Ask the server for a key frame."""
        self.participant.feedback.ask_key_frame(stream.ssrc)

    async def choose(self, sid: str, width: int, height: int) -> None:
        """Tell the server how large a video track is shown, from which it chooses a layer."""
        settings = rtc_proto.UpdateTrackSettings(track_sids=[sid], width=width, height=height)
        await self.participant.negotiation.socket.send(track_setting=settings)

    def wall_us(self, stream: Received, ts: int) -> int | None:
        """Return the sender's time of a timestamp, µs since 1900: one clock for sound and picture.

        None while no sender report came.
        """
        report = self.participant.feedback.clocks.get(stream.ssrc)
        if report is None:
            return None
        rate = SOUND_PER_SECOND * SOUND_TICKS if stream.flow.pt == OPUS else VIDEO_RATE
        ticks = (ts - report.rtp_ts + _WRAP // 2) % _WRAP - _WRAP // 2
        return (report.ntp * 1_000_000 >> 32) + round(ticks * 1_000_000 / rate)

    def _take(self, packet: bytes, came_ns: int) -> None:
        parsed = rtp.parse(packet)
        stream = self.streams.get(parsed.ssrc)
        if stream is None:
            flow = self.participant.transport.flows[parsed.ssrc]
            stream = Received(parsed.ssrc, flow, deque(maxlen=self._kept))
            self.streams[parsed.ssrc] = stream
        stream.packets.append((parsed, came_ns))


@asynccontextmanager
async def receive(
    url: str, token: str, *, audios: int = 1, videos: int = 1, kept: int = KEPT
) -> AsyncIterator[Receiver]:
    """Join and take what is subscribed automatically.

    Args:
        url: `ws://host:port` of any LiveKit-compatible server.
        token: that may join and subscribe.
        audios: sections to receive in of the first offer; the server asks for more.
        videos: the same.
        kept: packets of each stream, the newest.

    Raises:
        Refused: the server does not let us in.
        TransportError: the server does not answer, or cannot be reached.
    """
    commons = Commons.make()
    participant = Participant(commons, url, audios=audios, videos=videos)
    receiver = Receiver(participant, kept)
    reporting = asyncio.get_running_loop().create_task(_report(participant))
    try:
        await participant.join(token)
        yield receiver
    finally:
        reporting.cancel()
        await participant.leave()
        await commons.close()


async def _report(participant: Participant) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        participant.feedback.report()


def _begins(codec: str, payload: bytes) -> bool:
    """Whether a payload may be the first of a picture."""
    if codec == "vp8":
        return bool(payload[:1]) and payload[0] & 0x17 == 0x10
    return not (payload[0] & 0x1F == 28 and not payload[1] & 0x80)
