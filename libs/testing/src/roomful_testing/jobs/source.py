"""The job `test_source`: publishes bars with a burned clock, and a tone with a beep a second.

Spec: `{"video": {codec, width, height, fps, bit_rate} | null, "audio": {codec, hertz, level_dbfs} |
null, "source": 0}`; what is left out has its default, `null` is not published. Media time is
CLOCK_MONOTONIC, so that a sink on this machine can tell the latency.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np

from roomful.clock import SystemClock
from roomful.errors import MediaError
from roomful_media.codecs.g711 import G711Codec
from roomful_media.codecs.g722 import G722Codec
from roomful_media.codecs.opus import OpusCodec
from roomful_media.encode import Purpose, VideoEncoder, VideoOptions
from roomful_media.loudness import dbov
from roomful_media.pace import Metronome, ticks
from roomful_media.send import TrackSender
from roomful_media.worker_link import WorkerLink
from roomful_rtc.link.control import Message
from roomful_rtc.link.sink import LinkSink
from roomful_testing import card, tone
from roomful_testing.jobs.tracks import (
    AudioWish,
    VideoWish,
    clock_rate,
    now_us,
    ntp_offset_us,
    read_wish,
)

BLOCK_US = 20_000
WAITING_FRAMES = 10
"""encoded, not yet on the link; beyond, the loop does not run and new ones are dropped"""


class TestSource:
    """Answers to `JobClass`."""

    __test__ = False

    def __init__(self) -> None:
        self._outlets: dict[str, LinkSink] = {}
        self._refused: str = ""
        self._came = asyncio.Event()
        self._camera: Camera | None = None

    async def run(self, link: WorkerLink, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Publish until told to stop; return what was sent. `MediaError` when it is refused."""
        fields: Mapping[str, Any] = {"video": {}, "audio": {}, **spec}
        video: VideoWish | None = read_wish(VideoWish, fields, "video")
        audio: AudioWish | None = read_wish(AudioWish, fields, "audio")
        link.listen(lambda message, stream: self._hear(link, message))
        if video is not None:
            link.send(_publication("video", "camera", video))
        if audio is not None:
            link.send(_publication("audio", "microphone", audio))
        await self._published(sum(wish is not None for wish in (video, audio)))
        # both begin with the same full second, so that flash and beep are one
        begin_us = (now_us() // 1_000_000 + 1) * 1_000_000
        offset_us = ntp_offset_us()
        number = int(fields.get("source", 0))
        return await self._play(link, begin_us, offset_us, (video, audio, number))

    async def _play(
        self,
        link: WorkerLink,
        begin_us: int,
        offset_us: int,
        what: tuple[VideoWish | None, AudioWish | None, int],
    ) -> Mapping[str, Any]:
        video, audio, number = what
        speaking: asyncio.Task[int] | None = None
        if video is not None:
            sender = TrackSender(
                video.codec, clock_rate(video.codec), self._outlets["video"], offset_us
            )
            self._camera = Camera(video, number, begin_us, sender)
        if audio is not None:
            sender = TrackSender(
                audio.codec, clock_rate(audio.codec), self._outlets["audio"], offset_us
            )
            speaking = asyncio.create_task(_speak(audio, begin_us, sender, link.stopping))
        async for _ in link.messages():
            pass
        return {
            "pictures": self._camera.stop() if self._camera else 0,
            "blocks": await speaking if speaking else 0,
        }

    async def _published(self, count: int) -> None:
        while len(self._outlets) < count and not self._refused:
            self._came.clear()
            await self._came.wait()
        if self._refused:
            raise MediaError(self._refused)

    def _hear(self, link: WorkerLink, message: Message) -> bool:
        match message["t"]:
            case "published":
                kind, stream = message["ref"], message["sources"][0]
                self._outlets[kind] = link.sink(stream, video=kind == "video")
            case "refused":
                self._refused = f"{message['ref']} is refused: {message['message']}"
            case "keyframe":
                if self._camera is not None:
                    self._camera.key_frame.set()
            case "mute_wanted":
                link.send({**message, "t": "mute"})
            case _:
                return False
        self._came.set()
        return True


def _publication(kind: str, source: str, wish: VideoWish | AudioWish) -> Message:
    message: dict[str, Any] = {
        "t": "publish", "ref": kind, "kind": kind, "source": source, "name": source,
        "mime": f"{kind}/{wish.codec}",
    }  # fmt: skip
    if isinstance(wish, VideoWish):
        layer = {"width": wish.width, "height": wish.height, "bitrate_bps": wish.bit_rate}
        message["layers"] = [layer]
    return message


class Camera:
    """Draws and encodes in a thread of its own; packets go out on the loop that made it."""

    def __init__(self, wish: VideoWish, number: int, begin_us: int, sender: TrackSender) -> None:
        """Begin. `begin_us`: media time of the first picture; `number`: drawn into each."""
        self._wish, self._number, self._begin_us, self._sender = wish, number, begin_us, sender
        self._encoder = VideoEncoder(
            VideoOptions(
                wish.codec, wish.width, wish.height, wish.fps, wish.bit_rate, Purpose.PUBLISH
            )
        )
        self.key_frame = threading.Event()
        self._over = threading.Event()
        self._waiting = threading.Semaphore(WAITING_FRAMES)
        self.pictures = self.dropped = 0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End it; return how many pictures were sent."""
        self._over.set()
        self._thread.join()
        return self.pictures

    def _run(self) -> None:
        period = Fraction(1, self._wish.fps)
        metronome = Metronome(period, self._begin_us / 1e6, catch_up=0)
        frame, place = 0, -1
        while not self._over.wait(max(0.0, metronome.deadline_s - now_us() / 1e6)):
            due = metronome.due(now_us() / 1e6)
            place += due.run + due.dropped
            for _ in range(due.run):
                self._picture(frame, self._begin_us + int(place * period * 1_000_000))
                frame += 1

    def _picture(self, frame: int, time_us: int) -> None:
        planes = card.draw(time_us, self._wish.width, self._wish.height, self._number)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        if self.key_frame.is_set():
            self.key_frame.clear()
            self._encoder.force_key()
        for packet in self._encoder.encode(picture, frame):
            if not self._waiting.acquire(blocking=False):
                self.dropped += 1
                self.key_frame.set()
                return
            self._loop.call_soon_threadsafe(self._send, packet.data, time_us)

    def _send(self, data: bytes, time_us: int) -> None:
        self._waiting.release()
        self._sender.send(data, time_us, now_us() * 1000)
        self.pictures += 1


async def _speak(
    wish: AudioWish, begin_us: int, sender: TrackSender, stopping: asyncio.Event
) -> int:
    """Send the tone, 20 ms at a time, until told to stop; return how many blocks were sent."""
    rate, encode = _audio_encoder(wish.codec)
    samples = rate * BLOCK_US // 1_000_000
    metronome = Metronome(Fraction(BLOCK_US, 1_000_000), begin_us / 1e6)
    block = sent = 0
    async for due in ticks(metronome, SystemClock()):
        block += due.dropped
        for _ in range(due.run):
            time_us = begin_us + block * BLOCK_US
            wave = tone.samples(time_us, samples, rate, wish.hertz, wish.level_dbfs)
            sender.send(encode(wave.reshape(-1, 1)), time_us, now_us() * 1000, dbov(wave))
            block, sent = block + 1, sent + 1
        if stopping.is_set():
            break
    return sent


def _audio_encoder(codec: str) -> tuple[int, Callable[[np.ndarray[Any, Any]], bytes]]:
    """Return the rate of samples and what makes a packet of 20 ms of them."""
    match codec:
        case "opus":
            return 48_000, OpusCodec().encode
        case "pcmu" | "pcma":
            return 8_000, G711Codec(codec).encode
        case "g722":
            return 16_000, G722Codec().encode
        case _:
            raise MediaError(f"no sound in {codec!r}: opus, pcmu, pcma and g722 can be")
