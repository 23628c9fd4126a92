"""An unmodified worker: its agent answers a caller's tone with its own, an octave above.

Run by `tests/interop/workers.py` in the environment that holds livekit-agents. It says of itself
what it heard (attribute `heard`), so that a test sees that sound came to it.
"""

import asyncio
import math
import os

import numpy as np
from livekit import rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType, JobRequest, WorkerType, cli

RATE, SAMPLES, LOUDNESS = 48_000, 2_400, 8_000
server = AgentServer(
    job_executor_type=JobExecutorType[os.environ.get("TEST_EXECUTOR", "PROCESS")],
    port=0,
    host="127.0.0.1",
    num_idle_processes=1,
    load_fnc=lambda: 0.1,
    load_threshold=1e9,  # it reckons with what a call costs, and would refuse some of many
    drain_timeout=1,
)


async def take(request: JobRequest) -> None:
    """Take the job under a name that a test can tell."""
    await request.accept(name="Echo", attributes={"mood": "good"})


async def tone(source: rtc.AudioSource, hertz: float) -> None:
    """Feed the source in real time."""
    start = 0
    while True:
        phase = (np.arange(SAMPLES) + start) * (2 * math.pi * hertz / RATE)
        samples = (LOUDNESS * np.sin(phase)).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, SAMPLES))
        start += SAMPLES


async def pitch(track: rtc.Track) -> float:
    """The loudest frequency, once two half seconds in a row agree and are not silent."""
    kept, before = np.zeros(0, dtype=np.int16), 0.0
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        kept = np.concatenate((kept, np.frombuffer(event.frame.data, dtype=np.int16)))
        if len(kept) < RATE // 2:
            continue
        spectrum = np.abs(np.fft.rfft(kept * np.hanning(len(kept))))
        now = float(np.argmax(spectrum) * RATE / len(kept))
        if np.abs(kept).mean() > LOUDNESS / 4 and abs(now - before) < 4:
            return now
        kept, before = kept[:0], now
    raise RuntimeError("the track ended")


@server.rtc_session(
    agent_name=os.environ.get("TEST_AGENT_NAME", ""),
    type=WorkerType[os.environ.get("TEST_JOB_TYPE", "ROOM")],
    on_request=take,
)
async def answer(ctx: JobContext) -> None:
    """Hear the caller, say what was heard, and sound."""
    heard: asyncio.Queue[rtc.Track] = asyncio.Queue()

    def hear(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            heard.put_nowait(track)

    ctx.room.on("track_subscribed", hear)
    await ctx.connect()
    await ctx.room.local_participant.set_attributes(
        {"metadata": ctx.job.metadata, "for": ctx.job.participant.identity, "pid": str(os.getpid())}
    )
    hertz = await pitch(await heard.get())
    await ctx.room.local_participant.set_attributes({"heard": f"{hertz:.0f}"})
    source = rtc.AudioSource(RATE, 1, queue_size_ms=200)
    track = rtc.LocalAudioTrack.create_audio_track("answer", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await ctx.room.local_participant.publish_track(track, options)
    await tone(source, hertz * 2)


if __name__ == "__main__":
    cli.run_app(server)
