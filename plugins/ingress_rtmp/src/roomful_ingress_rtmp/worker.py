"""The job `transcoder`: one track of an encoder, decoded and encoded as rooms take it.

Frames come on one stream of the link, RTP packets go back on one for each layer. Decoding and
encoding happen in a thread; the loop only hands on. What waits is bounded in media time: nothing is
played late.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from roomful.clock import SystemClock
from roomful.errors import MediaError
from roomful_ingress_rtmp.audio_work import AudioWork
from roomful_ingress_rtmp.messages import FIRST_OUT, FRAMES_IN, Work
from roomful_ingress_rtmp.video_work import VideoWork
from roomful_media.send import TrackSender
from roomful_media.worker_link import WorkerLink
from roomful_rtc.link.control import Message
from roomful_rtc.link.record import Frame

log = logging.getLogger(__name__)

MAX_WAIT_US = 200_000
"""media time that may wait for the decoder"""
MAX_FRAMES = 2000
BROKEN_IN_A_ROW = 50
CLOCK_RATES = {"opus": 48_000}


@dataclass(frozen=True, slots=True)
class Configuration:
    """How the frames that follow are decoded."""

    codec: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """One encoded frame."""

    layer: int
    data: bytes
    time_us: int


class TrackWork(Protocol):
    """Decodes and encodes one track; called in one thread."""

    def configure(self, codec: str, data: bytes) -> None: ...

    def take(self, frame: Frame) -> list[tuple[int, bytes, int]]:
        """Return what was made of a frame: layer, data, time in us. Raises `MediaError`."""
        ...

    def key_frame(self, layer: int) -> None: ...

    def demand(self, layer: int, wanted: bool) -> None: ...


class Transcoder:
    """Answers to `JobClass`."""

    def __init__(self) -> None:
        self._bench: Bench | None = None

    async def run(self, link: WorkerLink, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Work until told to stop; return what was done."""
        work = Work.read(dict(spec))
        made: TrackWork = AudioWork(work) if work.kind == "audio" else VideoWork(work)
        rate = CLOCK_RATES.get(work.codec, 90_000)
        senders = [
            TrackSender(
                work.codec, rate, link.sink(FIRST_OUT + layer, video=work.kind == "video"),
                work.ntp_offset_us,
            )
            for layer in range(len(work.layers) or 1)
        ]  # fmt: skip
        clock = SystemClock()

        def send(one: Made) -> None:
            now_ns = int(clock.monotonic() * 1e9)
            senders[one.layer].send(one.data, one.time_us, now_ns)

        def fail() -> None:
            link.stop("the transcoder cannot go on", 0)

        bench = Bench(made, send, fail, is_video=work.kind == "video")
        link.listen(lambda message, stream: bench.hear(message))
        link.open(FRAMES_IN, bench)
        try:
            async for _ in link.messages():
                pass
        finally:
            bench.stop()
        if bench.error:
            raise MediaError(bench.error)
        return {"frames": bench.frames, "dropped": bench.dropped, "broken": bench.broken}


class Bench:
    """Between the link's loop and the thread that works. Answers to `StreamConsumer`."""

    def __init__(
        self,
        work: TrackWork,
        send: Callable[[Made], None],
        fail: Callable[[], None],
        *,
        is_video: bool,
    ) -> None:
        self._work, self._send, self._fail, self._is_video = work, send, fail, is_video
        self._queue: queue.Queue[Frame | Configuration | None] = queue.Queue(MAX_FRAMES)
        self._loop = asyncio.get_running_loop()
        self._over = threading.Event()
        self._taken_us: int | None = None
        """dts of the frame the thread took last"""
        self._caught_up = False
        """until then what was waiting for this worker is worked off without dropping"""
        self._needs_key = is_video
        self.frames = self.dropped = self.broken = 0
        self._broken_in_a_row = 0
        self.error = ""
        """why it cannot go on"""
        self._thread = threading.Thread(target=self._run, name="transcode", daemon=True)
        self._thread.start()

    # --- on the loop -------------------------------------------------------------------------

    def hear(self, message: Message) -> bool:
        """Take a message of the server; False where it means nothing here."""
        match message["t"]:
            case "config":
                data = base64.b64decode(message["data"])
                self._put(Configuration(message["codec"], data))
            case "keyframe":
                self._work.key_frame(int(message["source"]))
            case "demand":
                self._work.demand(int(message["source"]), bool(message["wanted"]))
            case _:
                return False
        return True

    def frame(self, frame: Frame) -> None:
        """Let a frame wait for the thread, unless too much does already."""
        self._caught_up = self._caught_up or self._queue.empty()
        taken = self._taken_us
        waits_us = frame.dts_us - taken if taken is not None else 0
        if self._needs_key and not frame.key:
            self.dropped += 1
            return
        if self._caught_up and waits_us > MAX_WAIT_US and not self._queue.empty():
            self.dropped += 1
            self._needs_key = self._is_video
            return
        self._needs_key = False
        self._put(frame)

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Nothing: frames come."""

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Nothing: frames come."""

    def gap(self, count: int, reason: int) -> None:
        """Frames were lost on the link: wait for a key frame."""
        self.dropped += count
        self._needs_key = self._is_video

    def end(self) -> None:
        """Nothing follows."""

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self._put(None)
        self._thread.join(5)

    def _put(self, one: Frame | Configuration | None) -> None:
        try:
            self._queue.put_nowait(one)
        except queue.Full:
            self.dropped += 1
            self._needs_key = self._is_video

    # --- in the thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                one = self._queue.get(timeout=1.0)
            except queue.Empty:
                continue
            if one is None:
                return
            try:
                self._do(one)
                self._broken_in_a_row = 0
            except MediaError as error:
                self.broken += 1
                self._broken_in_a_row += 1
                if isinstance(one, Configuration) or self._broken_in_a_row >= BROKEN_IN_A_ROW:
                    self._end(error.message)
                    return
            except Exception as error:
                log.exception("a transcoder failed")
                self._end(f"{type(error).__name__}: {error}")
                return

    def _end(self, error: str) -> None:
        self.error = error
        self._loop.call_soon_threadsafe(self._fail)

    def _do(self, one: Frame | Configuration) -> None:
        if isinstance(one, Configuration):
            self._work.configure(one.codec, one.data)
            return
        self._taken_us = one.dts_us
        self.frames += 1
        for layer, data, time_us in self._work.take(one):
            self._loop.call_soon_threadsafe(self._send, Made(layer, data, time_us))
