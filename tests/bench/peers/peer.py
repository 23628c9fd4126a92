"""One raw participant: signalling, transport, publishers and counts put together."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from livekit.protocol import models, rtc
from OpenSSL import SSL

from roomful_rtc import rtcp

from .channels import Channels
from .clips import FILMS
from .description import Answer, Description, Section
from .dtls import Certificate
from .link import Link, Reading
from .metronome import Metronome
from .negotiation import Signalling
from .sending import AudioPublisher, OutStream, TransportNumbers, VideoPublisher, publisher
from .srtp import Buffer

CONNECTED_WITHIN_S = 20.0
DOWNLINK = 50_000_000
"""bit/s that receivers say they can take"""


@dataclass(frozen=True, slots=True)
class Order:
    """What one participant shall do; comes as JSON."""

    identity: str
    token: str
    publish: list[str] = field(default_factory=list[str])
    """audio, camera (720p) or small (180p)"""
    audios: int = 3
    videos: int = 3
    """sections to receive in, of the first offer"""
    channels: bool = True
    reading: str = Reading.IN_TURNS.value
    feedback: bool = True
    """reports of reception and of bandwidth once a second"""
    hertz: float = 440.0


@dataclass(frozen=True, slots=True)
class Commons:
    """What the participants of a process share."""

    url: str
    session: aiohttp.ClientSession
    certificate: Certificate
    context: SSL.Context
    buffer: Buffer
    metronome: Metronome


class RawPeer:
    """Made inside a running loop; `join`, `publish`, `snapshot`, `leave`."""

    def __init__(self, commons: Commons, order: Order) -> None:
        self.order = order
        self._commons = commons
        reading = Reading(order.reading)
        self.link = Link(commons.buffer, commons.context, reading=reading, on_rtcp=self._on_rtcp)
        self._in_turns = reading is Reading.IN_TURNS
        self._description = Description(
            self.link.checks.ufrag, self.link.checks.pwd, commons.certificate.fingerprint
        )
        for kind, count in (("audio", order.audios), ("video", order.videos)):
            for _ in range(count):
                self._description.add(Section(kind))
        if order.channels:
            self._description.add(Section("application"))
        self._signalling = Signalling(self._description, self._on_answer)
        self._channels: Channels | None = None
        self._numbers = TransportNumbers()
        self._publishers: list[AudioPublisher | VideoPublisher] = []
        self._reports: dict[int, int] = {}
        self._ssrc = secrets.randbits(32)
        self._connecting: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self.problem = ""
        self.began_ns = 0
        """CLOCK_REALTIME when it began to join"""
        self.joined_ms = self.connected_ms = 0.0
        self.published_ns: dict[str, int] = {}
        """kind → CLOCK_REALTIME when the track was asked for"""
        self.first_sent_ns: dict[str, int] = {}

    # --- life ---------------------------------------------------------------------------------

    async def join(self) -> None:
        """Join, connect the transport, publish what was ordered."""
        begin, self.began_ns = time.monotonic(), time.time_ns()
        commons, order = self._commons, self.order
        await self._signalling.join(commons.session, commons.url, order.token)
        self.joined_ms = (time.monotonic() - begin) * 1000
        await asyncio.wait_for(self._connected.wait(), CONNECTED_WITHIN_S)
        self.connected_ms = (time.monotonic() - begin) * 1000
        if self.problem:
            raise ConnectionError(self.problem)
        for kind in order.publish:
            await self.publish(kind)

    def _on_answer(self, answer: Answer) -> None:
        remote = answer.transport()
        if remote is not None and self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(remote))

    async def _connect(self, remote: Any) -> None:
        try:
            await self.link.connect(remote)
            if self.order.channels:
                self._channels = Channels(self.link)
                await self._channels.start()
        except (ConnectionError, TimeoutError) as error:
            self.problem = f"{type(error).__name__}: {error}"
        if self._in_turns:
            self._commons.metronome.add_link(self.link)
        self._connected.set()

    async def publish(self, kind: str) -> None:
        """Publish a track and go on sending it."""
        media = "audio" if kind == "audio" else "video"
        film = FILMS.get(kind, FILMS["camera"])
        cid, ssrc = secrets.token_hex(8), secrets.randbits(32)
        request = rtc.AddTrackRequest(cid=cid, name=kind)
        if media == "audio":
            request.type, request.source = models.AUDIO, models.MICROPHONE
            request.disable_dtx = request.disable_red = True
        else:
            request.type, request.source = models.VIDEO, models.CAMERA
            request.width, request.height = film.width, film.height
            request.simulcast_codecs.add(codec="vp8", cid=cid)
            request.layers.add(
                quality=models.HIGH, width=film.width, height=film.height, bitrate=film.bitrate,
                ssrc=ssrc,
            )  # fmt: skip
        self.published_ns[kind] = time.time_ns()
        mid, _ = await self._signalling.publish(Section(media, "sendonly", cid, ssrc), request)
        self._publishers.append(
            publisher(
                media,
                lambda pt: OutStream(
                    self.link, self._commons.buffer, self._numbers, ssrc, pt, mid
                ),
                asyncio.get_running_loop().time(),
                hertz=self.order.hertz,
                film=film,
            )
        )
        self.first_sent_ns[kind] = time.time_ns()
        self._commons.metronome.add_publisher(self._publishers[-1])

    async def leave(self) -> None:
        """Say goodbye and free everything."""
        self._commons.metronome.remove(self.link, list(self._publishers))
        if self._channels is not None:
            await self._channels.stop()
        await self._signalling.close()
        self.link.close()

    # --- feedback -----------------------------------------------------------------------------

    def _on_rtcp(self, packet: bytes) -> None:
        for part in rtcp.parse(packet):
            if isinstance(part, rtcp.SenderReport):
                self._reports[part.ssrc] = part.ntp >> 16 & 0xFFFFFFFF
            elif isinstance(part, rtcp.Pli | rtcp.Fir):
                for each in self._publishers:
                    each.on_key_frame_wanted()

    def report(self) -> None:
        """Send receiver reports and a bandwidth estimate."""
        if not self.order.feedback or not self.link.flows:
            return
        blocks = [
            rtcp.ReportBlock(
                ssrc=ssrc,
                fraction_lost=0,
                lost=flow.gaps,
                highest=flow.highest & 0xFFFFFFFF,
                jitter=random.randrange(40),
                lsr=self._reports.get(ssrc, 0),
                dlsr=0,
            )
            for ssrc, flow in self.link.flows.items()
        ]
        size = rtcp.MAX_BLOCKS
        parts = [rtcp.build_rr(self._ssrc, blocks[at : at + size])
                 for at in range(0, len(blocks), size)]  # fmt: skip
        parts.append(rtcp.build_remb(self._ssrc, DOWNLINK, list(self.link.flows)[:50]))
        self.link.send_rtcp(rtcp.compound(parts))

    # --- counts -------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything counted so far."""
        self.link.drain()
        return {
            "identity": self.order.identity,
            "left": self.problem or self._signalling.left,
            "joined_ms": round(self.joined_ms, 2),
            "connected_ms": round(self.connected_ms, 2),
            "negotiations": self._signalling.negotiations,
            "sent": {str(p.ssrc): p.packets for p in self._publishers},
            "began_ns": self.began_ns,
            "published_ns": self.published_ns,
            "first_sent_ns": self.first_sent_ns,
            "flows": {str(ssrc): flow.record() for ssrc, flow in self.link.flows.items()},
        }
