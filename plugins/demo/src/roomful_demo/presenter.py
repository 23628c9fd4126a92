"""The presenter: publishes a moving picture and a melody that belong together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit import rtc

from roomful_demo.melody import SAMPLE_RATE, samples
from roomful_demo.member import Member, member, running
from roomful_demo.picture import FRAMES_PER_S, HEIGHT, WIDTH, paint
from roomful_demo.scene import Stage

IDENTITY, NAME = "presenter", "Presenter"

_BLOCK = SAMPLE_RATE // 50
_QUEUE_MS = 200
_VIDEO_BPS = 300_000


@dataclass(slots=True)
class _Instrument:
    """Plays the melody in real time; the audio source's queue sets the pace."""

    source: rtc.AudioSource
    played_s: float = 0.0
    """position in the melody of what leaves the queue now"""

    async def play(self) -> None:
        number = 0
        while True:
            block = samples(number, _BLOCK)
            await self.source.capture_frame(rtc.AudioFrame(block.tobytes(), SAMPLE_RATE, 1, _BLOCK))
            number += _BLOCK
            self.played_s = max(0.0, number / SAMPLE_RATE - self.source.queued_duration)


async def _show(source: rtc.VideoSource, instrument: _Instrument) -> None:
    """Show the picture of the moment that the instrument is at, `FRAMES_PER_S`."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        picture = paint(instrument.played_s)
        frame = rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, picture.tobytes())
        source.capture_frame(frame, timestamp_us=int(loop.time() * 1e6))
        due = max(due + 1 / FRAMES_PER_S, loop.time() - 1.0)
        await asyncio.sleep(max(0.0, due - loop.time()))


@asynccontextmanager
async def presenter(stage: Stage) -> AsyncGenerator[Member, None]:
    """Join, publish VP8 and Opus, and play until the context ends."""
    # Made first, so that what the SDK starts once per process is not counted as joining.
    audio = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=_QUEUE_MS)
    video = rtc.VideoSource(WIDTH, HEIGHT)
    async with member(stage, rtc.Room(), IDENTITY, NAME, auto_subscribe=False) as me:
        instrument = _Instrument(audio)
        async with running(instrument.play()), running(_show(video, instrument)):
            await me.local.publish_track(
                rtc.LocalAudioTrack.create_audio_track("melody", audio),
                rtc.TrackPublishOptions(
                    source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False
                ),
            )
            await me.local.publish_track(
                rtc.LocalVideoTrack.create_video_track("hopping ball", video),
                rtc.TrackPublishOptions(
                    source=rtc.TrackSource.SOURCE_CAMERA,
                    video_codec=rtc.VideoCodec.VP8,
                    video_encoding=rtc.VideoEncoding(
                        max_bitrate=_VIDEO_BPS, max_framerate=FRAMES_PER_S
                    ),
                    simulcast=False,
                ),
            )
            yield me
    await audio.aclose()
    await video.aclose()
