"""A WHIP publisher on aiortc, and one on FFmpeg in a process of its own."""

import asyncio
import fractions
import math
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from livekit import api

from .media import LOUDNESS, Picture, bars
from .server import RoomServer

RATE, SAMPLES, FPS = 48_000, 960, 15


async def define(server: RoomServer, room: str, **fields: object) -> api.IngressInfo:
    """Create a WHIP ingress for a room."""
    asked = {"input_type": 1, "room_name": room, "participant_identity": "studio"} | fields
    async with server.api() as client:
        request = api.CreateIngressRequest(**asked)  # pyright: ignore[reportArgumentType]
        return await client.ingress.create_ingress(request)


async def state_of(server: RoomServer, ingress_id: str) -> api.IngressState:
    """How an ingress stands."""
    async with server.api() as client:
        found = await client.ingress.list_ingress(api.ListIngressRequest(ingress_id=ingress_id))
    return found.items[0].state


class _Paced(MediaStreamTrack):
    """Frames in real time."""

    def __init__(self, every_s: float) -> None:
        super().__init__()
        self._every_s, self._number = every_s, 0
        self._due = 0.0

    async def next_number(self) -> int:
        loop = asyncio.get_running_loop()
        self._due = (self._due or loop.time()) + self._every_s
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        self._number += 1
        return self._number - 1


class ToneTrack(_Paced):
    """A sine wave in stereo."""

    kind = "audio"

    def __init__(self, hertz: float = 440.0) -> None:
        super().__init__(SAMPLES / RATE)
        self._step = 2 * math.pi * hertz / RATE

    async def recv(self) -> av.AudioFrame:
        start = await self.next_number() * SAMPLES
        wave = LOUDNESS * np.sin((np.arange(SAMPLES) + start) * self._step)
        both = np.repeat(wave.astype(np.int16), 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = RATE, start
        frame.time_base = fractions.Fraction(1, RATE)
        return frame


class BarsTrack(_Paced):
    """The coloured bars, with a line that moves, or what `paint` makes of the picture's number."""

    kind = "video"

    def __init__(self, paint: Callable[[int], Picture] | None = None) -> None:
        super().__init__(1 / FPS)
        self._still = bars(320, 240)[:, :, :3]
        self._paint = paint or self._moving_bars

    def _moving_bars(self, number: int) -> Picture:
        picture = self._still.copy()
        picture[-8:, (number * 4) % picture.shape[1] :] = 255
        return picture

    async def recv(self) -> av.VideoFrame:
        number = await self.next_number()
        picture = np.ascontiguousarray(self._paint(number)[:, :, :3])
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number * 90_000 // FPS, fractions.Fraction(1, 90_000)
        return frame


class WhipPublisher:
    """Publishes by aiortc; `url` is an endpoint, the key goes as a bearer."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, key: str = "", media_port: int | None = None
    ) -> None:
        """`media_port`: send there instead of where the answer says."""
        self._http, self._url, self._media_port = http, url, media_port
        self.server_port = 0
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.pc = RTCPeerConnection()
        self.location = self.etag = self.answer = ""
        self.links: list[str] = []

    async def offer(self) -> str:
        """Make the offer; candidates are inside."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def publish(self, *tracks: MediaStreamTrack) -> None:
        """POST the offer and take the answer; AssertionError where it is refused."""
        for track in tracks or (ToneTrack(), BarsTrack()):
            self.pc.addTransceiver(track, direction="sendonly")
        headers = self._headers | {"Content-Type": "application/sdp"}
        async with self._http.post(self._url, data=await self.offer(), headers=headers) as reply:
            self.answer = await reply.text()
            assert reply.status == 201, (reply.status, self.answer)
            assert reply.content_type == "application/sdp"
            self.location = str(reply.url.join(aiohttp.client.URL(reply.headers["Location"])))
            self.etag = reply.headers["ETag"]
            self.links = reply.headers.getall("Link", [])
        await self.pc.setRemoteDescription(RTCSessionDescription(self._led(), "answer"))

    def _led(self) -> str:
        """The answer, with its UDP candidate led elsewhere if asked."""
        found = re.search(r"(a=candidate:.* udp \d+ \S+ )(\d+)( typ host)", self.answer)
        assert found
        self.server_port = int(found[2])
        if self._media_port is None:
            return self.answer
        lines = self.answer.replace(found[0], f"{found[1]}{self._media_port}{found[3]}")
        return re.sub(r"a=candidate:.* tcp .*\r\n", "", lines)

    async def delete(self) -> int:
        """DELETE the resource; gives the status."""
        async with self._http.delete(self.location) as reply:
            return reply.status

    async def patch(self, body: str, **headers: str) -> tuple[int, str, str]:
        """PATCH the resource; gives status, body and ETag."""
        named = {"Content-Type": "application/trickle-ice-sdpfrag"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.patch(self.location, data=body, headers=named) as reply:
            return reply.status, await reply.text(), reply.headers.get("ETag", "")

    async def close(self) -> None:
        """Stop sending."""
        await self.pc.close()


@asynccontextmanager
async def whip_publisher(
    url: str, key: str = "", media_port: int | None = None
) -> AsyncIterator[WhipPublisher]:
    """A publisher for as long as the block lasts."""
    async with aiohttp.ClientSession() as http:
        publisher = WhipPublisher(http, url, key, media_port)
        try:
            yield publisher
        finally:
            await publisher.close()


_FFMPEG = """
import fractions, math, sys, time
import av, numpy as np
url, cert, key, flags, seconds = sys.argv[1:6]
options = {"cert_file": cert, "key_file": key}
if flags:
    options["whip_flags"] = flags
out = av.open(url, "w", format="whip", options=options)
audio = out.add_stream("libopus", rate=48000, layout="stereo")
video = out.add_stream("libx264", rate=15, options={"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "15"})
video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
picture = np.zeros((240, 320, 3), np.uint8)
for i, c in enumerate(((200, 30, 30), (30, 190, 40), (40, 40, 210))):
    picture[:, i * 320 // 3:(i + 1) * 320 // 3] = c
began, sample, number = time.monotonic(), 0, 0
while (now := time.monotonic() - began) < float(seconds):
    while sample < now * 48000:
        wave = 8000 * np.sin((np.arange(960) + sample) * 2 * math.pi * 440 / 48000)
        f = av.AudioFrame.from_ndarray(np.repeat(wave.astype(np.int16), 2).reshape(1, -1), format="s16", layout="stereo")
        f.sample_rate, f.pts, f.time_base = 48000, sample, fractions.Fraction(1, 48000)
        sample += 960
        out.mux(audio.encode(f))
    while number < now * 15:
        f = av.VideoFrame.from_ndarray(picture, format="rgb24")
        f.pts, f.time_base = number, fractions.Fraction(1, 15)
        number += 1
        out.mux(video.encode(f))
    time.sleep(0.005)
out.close()
"""


@asynccontextmanager
async def ffmpeg_whip(
    url: str, folder: Path, *, flags: str = "", seconds: float = 30
) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """FFmpeg's own WHIP muxer with a P-256 certificate, in a child process."""
    cert, key = folder / "c.pem", folder / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=test"],
        check=True, capture_output=True,
    )  # fmt: skip
    log = (folder / "ffmpeg.log").open("wb")
    child = subprocess.Popen(
        [sys.executable, "-c", _FFMPEG, url, str(cert), str(key), flags, str(seconds)],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        yield child
    finally:
        log.close()
        if child.poll() is None:
            child.terminate()
        await asyncio.to_thread(child.wait)
