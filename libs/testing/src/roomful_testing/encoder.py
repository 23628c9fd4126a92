"""An RTMP encoder in a few lines: pushes bars with a tone, as OBS or FFmpeg would.

    async with RtmpEncoder("rtmp://127.0.0.1:1935/live/KEY") as encoder:
        ...                                     # it pushes until the block ends
        encoder.kill()                          # as kill -9 does; `silence()` pulls the cable

The clip is encoded once and looped with timestamps that go on. What the server says against it is
in `refused`; waiting for that is `ended()`.
"""

# PyAV leaves type arguments open in its stubs
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import av
import numpy as np

from roomful.clock import SystemClock
from roomful.errors import RoomfulError, TransportTimeout
from roomful_rtmp.client import ClientConnection, Publishing, Refused
from roomful_rtmp.flv import AUDIO, VIDEO, FlvTag, read_flv
from roomful_rtmp.tag import Part, read_audio, read_video
from roomful_testing import card, tone

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

RATE, BLOCK = 44_100, 1024
START_S = 10.0


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """What is pushed."""

    video: bool = True
    audio: bool = True
    width: int = 320
    height: int = 240
    fps: int = 15
    seconds: int = 4
    """of the clip that is looped"""
    key_every: int = 15
    """frames"""
    b_frames: int = 0
    hertz: float = 440.0
    level_dbfs: float = -12.0
    first_timestamp: int = 0
    """ms; near 2**32 it wraps"""


@lru_cache(maxsize=8)
def make_clip(options: EncoderOptions) -> tuple[FlvTag, ...]:
    """Encode a clip: its tags, in the order of their timestamps."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flv") as container:
        video = _video_stream(container, options) if options.video else None
        audio = _audio_stream(container) if options.audio else None
        if video is not None:
            for number in range(options.fps * options.seconds):
                planes = card.draw(
                    number * 1_000_000 // options.fps, options.width, options.height, 0
                )
                picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                picture.pts, picture.time_base = number, Fraction(1, options.fps)
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        if audio is not None:
            _encode_tone(container, audio, options)
    tags = [tag for tag in read_flv(buffer.getvalue()) if tag.type in (AUDIO, VIDEO)]
    return tuple(sorted(tags, key=lambda tag: tag.timestamp))


def _video_stream(container: OutputContainer, options: EncoderOptions) -> VideoStream:
    choices = {"preset": "ultrafast", "g": str(options.key_every), "profile": "baseline",
               "tune": "zerolatency"}  # fmt: skip
    if options.b_frames:
        choices = {"preset": "veryfast", "g": str(options.key_every), "profile": "high",
                   "bf": str(options.b_frames)}  # fmt: skip
    stream = container.add_stream("libx264", rate=options.fps, options=choices)
    stream.width, stream.height, stream.pix_fmt = options.width, options.height, "yuv420p"
    return stream


def _audio_stream(container: OutputContainer) -> AudioStream:
    return container.add_stream("aac", rate=RATE, layout="mono")


def _encode_tone(container: OutputContainer, stream: AudioStream, options: EncoderOptions) -> None:
    for at in range(0, RATE * options.seconds, BLOCK):
        wave = tone.samples(at * 1_000_000 // RATE, BLOCK, RATE, options.hertz, options.level_dbfs)
        block = np.ascontiguousarray(wave, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@dataclass
class RtmpEncoder:
    """Pushes to `url`, whose last part is the stream key, for as long as the block lasts."""

    url: str = field(repr=False)
    options: EncoderOptions = field(default_factory=EncoderOptions)
    refused: Refused | None = None
    """what the server said against it"""
    sent: int = 0
    """frames, of both tracks"""

    def __post_init__(self) -> None:
        self._publishing, self._over = asyncio.Event(), asyncio.Event()
        self._silent = False
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> RtmpEncoder:
        """Connect and push; return once the server takes the stream, or refused it.

        Raises:
            TransportTimeout: it does neither.
            OSError: nobody listens.
        """
        tags = await asyncio.to_thread(make_clip, self.options)
        parts = urlsplit(self.url)
        path, _, key = parts.path.strip("/").rpartition("/")
        self._client = ClientConnection(path, f"rtmp://{parts.netloc}/{path}", key)
        reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port or 1935)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read(reader)), loop.create_task(self._push(tags))]
        try:
            async with asyncio.timeout(START_S):
                waits = [loop.create_task(e.wait()) for e in (self._publishing, self._over)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
        except TimeoutError as error:
            await self.__aexit__()
            raise TransportTimeout("the server neither takes nor refuses the stream") from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Unpublish, and close."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._writer is not None and self._silent:
            self._writer.transport.abort()
        elif self._writer is not None:
            self._client.unpublish()
            self._writer.write(self._client.take_output())
            self._writer.close()

    @property
    def is_publishing(self) -> bool:
        """Whether the server takes the stream."""
        return self._publishing.is_set() and not self._over.is_set()

    async def ended(self, within_s: float = 10.0) -> None:
        """Wait until the server closed the connection. Raises `TimeoutError`."""
        async with asyncio.timeout(within_s):
            await self._over.wait()

    def kill(self) -> None:
        """Close the socket without a word, as the kernel does for a killed process."""
        self._silent = True
        if self._writer is not None:
            self._writer.transport.abort()

    def silence(self) -> None:
        """Send nothing more and leave the socket open, as a pulled cable does."""
        self._silent = True

    async def _read(self, reader: asyncio.StreamReader) -> None:
        assert self._writer is not None, "connected"
        try:
            self._writer.write(self._client.take_output())
            while data := await reader.read(65_536):
                for event in self._client.receive(data):
                    match event:
                        case Publishing():
                            self._publishing.set()
                        case Refused():
                            self.refused = event
                self._writer.write(self._client.take_output())
        except (OSError, RoomfulError):
            pass  # the connection is over, whoever broke it
        finally:
            self._over.set()

    async def _push(self, tags: tuple[FlvTag, ...]) -> None:
        await self._publishing.wait()
        clock = SystemClock()
        began, turn = clock.monotonic(), 0
        length_ms = self.options.seconds * 1000
        while not self._over.is_set():
            for tag in tags:
                if turn and _is_configuration(tag):
                    continue
                at_ms = turn * length_ms + tag.timestamp
                await asyncio.sleep(max(0.0, began + at_ms / 1000 - clock.monotonic()))
                if self._silent or self._over.is_set():
                    return
                self._send(tag, (self.options.first_timestamp + at_ms) % (1 << 32))
            turn += 1

    def _send(self, tag: FlvTag, timestamp: int) -> None:
        assert self._writer is not None, "connected"
        try:
            if tag.type == VIDEO:
                self._client.send_video(tag.body, timestamp)
            else:
                self._client.send_audio(tag.body, timestamp)
        except RoomfulError:
            self._over.set()  # refused in the meantime
            return
        self.sent += 1
        self._writer.write(self._client.take_output())


def _is_configuration(tag: FlvTag) -> bool:
    read = read_video if tag.type == VIDEO else read_audio
    return read(tag.body).part is not Part.FRAME
