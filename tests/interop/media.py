"""Sound and pictures that can be recognised after a codec, and sinks that measure them."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from livekit import rtc

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 480
LOUDNESS = 8_000  # peak of the tone, of 32767
BARS = ((200, 30, 30), (30, 190, 40), (40, 40, 210))
COLOUR_TOLERANCE = 45  # per channel, of 255: limited range, chroma subsampling, low bit-rate

Picture = npt.NDArray[np.uint8]
"""Height x width x 4 bytes, RGBA."""


class Tone:
    """A sine wave published as a microphone."""

    def __init__(self, hertz: float, *, loudness: int = LOUDNESS) -> None:
        self.source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=100)
        self.track = rtc.LocalAudioTrack.create_audio_track("tone", self.source)
        self._step = 2 * math.pi * hertz / SAMPLE_RATE
        self._loudness = loudness

    async def play(self) -> None:
        """Feed the source in real time until cancelled (the source's queue sets the pace)."""
        start = 0
        while True:
            phase = (np.arange(FRAME_SAMPLES) + start) * self._step
            samples = (self._loudness * np.sin(phase)).astype(np.int16)
            frame = rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE, 1, FRAME_SAMPLES)
            await self.source.capture_frame(frame)
            start += FRAME_SAMPLES


def bars(width: int, height: int, colours: Sequence[tuple[int, int, int]] = BARS) -> Picture:
    """Upright bars of equal width."""
    picture = np.full((height, width, 4), 255, dtype=np.uint8)
    for index, colour in enumerate(colours):
        left = index * width // len(colours)
        picture[:, left : (index + 1) * width // len(colours), :3] = colour
    return picture


CODE_BITS = 16


def numbered(number: int, size: tuple[int, int] = (320, 240)) -> Picture:
    """The bars with a number in black and white fields along the top."""
    width, height = size
    picture = bars(width, height)
    field = width // CODE_BITS
    for bit in range(CODE_BITS):
        shade = 255 if number >> bit & 1 else 0
        picture[: height // 8, bit * field : (bit + 1) * field, :3] = shade
    return picture


def number_of(picture: npt.NDArray[np.uint8]) -> int:
    """The number that `numbered` put into a picture."""
    height, width, _ = picture.shape
    field = width // CODE_BITS
    row = picture[height // 32 : height // 12].mean(axis=(0, 2))
    middles = [row[bit * field + field // 4 : (bit + 1) * field - field // 4] for bit in range(16)]
    return sum(1 << bit for bit, middle in enumerate(middles) if middle.mean() > 127)


class Film:
    """Pictures published as a camera; `paint` makes the picture with the given number."""

    def __init__(
        self, paint: Callable[[int], Picture] | None = None, *, size: tuple[int, int] = (320, 240)
    ) -> None:
        width, height = size
        self.source = rtc.VideoSource(width, height)
        self.track = rtc.LocalVideoTrack.create_video_track("film", self.source)
        self.shown = 0
        self._size = size
        self._paint = paint or self._moving_bars
        self._bars = bars(width, height)

    def _moving_bars(self, number: int) -> Picture:
        """The bars, with a white line that moves at the bottom so that no two pictures agree."""
        width, height = self._size
        picture = self._bars.copy()
        picture[height - 8 :, (number * 4) % width :, :3] = 255
        return picture

    async def play(self, *, pictures_per_second: float = 15.0, count: int | None = None) -> None:
        """Show `count` pictures (for ever where None)."""
        loop = asyncio.get_running_loop()
        width, height = self._size
        due = loop.time()
        while count is None or self.shown < count:
            data = self._paint(self.shown).tobytes()
            self.source.capture_frame(
                rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, data),
                timestamp_us=int(loop.time() * 1e6),
            )
            self.shown += 1
            due += 1 / pictures_per_second
            await asyncio.sleep(max(0.0, due - loop.time()))


@dataclass(slots=True)
class Hearing:
    """What was heard on an audio track, newest second."""

    samples: npt.NDArray[np.int16]

    @property
    def level(self) -> float:
        """Root mean square, of 32767."""
        return float(np.sqrt(np.mean(self.samples.astype(float) ** 2)))

    @property
    def hertz(self) -> float:
        """The loudest frequency."""
        spectrum = np.abs(np.fft.rfft(self.samples * np.hanning(len(self.samples))))
        return float(np.argmax(spectrum) * SAMPLE_RATE / len(self.samples))


class Ear:
    """Decodes an audio track and keeps the newest half second."""

    KEPT = SAMPLE_RATE // 2

    def __init__(self, track: rtc.Track) -> None:
        self._stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
        self._kept = np.zeros(0, dtype=np.int16)
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self._stream:
            samples = np.frombuffer(event.frame.data, dtype=np.int16)
            self._kept = np.concatenate((self._kept, samples))[-self.KEPT :]

    def forget(self) -> None:
        """Start a new half second."""
        self._kept = self._kept[:0]

    async def hear(self, *, within: float = 10.0) -> Hearing:
        """A whole new half second."""
        self.forget()
        await until(lambda: len(self._kept) >= self.KEPT, within=within)
        return Hearing(self._kept)

    async def hears_tone(self, hertz: float, *, within: float = 10.0) -> None:
        """Wait for the tone at about the loudness it was sent with; AssertionError if it stays out."""
        heard: list[tuple[int, int]] = []

        async def check() -> bool:
            hearing = await self.hear(within=within)
            heard.append((round(hearing.hertz), round(hearing.level)))
            loud = 0.6 < hearing.level * math.sqrt(2) / LOUDNESS < 1.4
            return abs(hearing.hertz - hertz) <= 4 and loud

        assert await eventually(check, within=within), f"tone of {hertz} Hz not heard: {heard}"

    async def hears_nothing(self, *, within: float = 5.0) -> None:
        """Wait for silence; AssertionError if it does not come."""
        levels: list[int] = []

        async def check() -> bool:
            await asyncio.sleep(0.3)
            level = Hearing(self._kept).level if len(self._kept) else 0.0
            self.forget()
            levels.append(round(level))
            return level < LOUDNESS / 50

        assert await eventually(check, within=within), f"still sounding: {levels}"

    async def close(self) -> None:
        """Stop decoding."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.aclose()


class Eye:
    """Decodes a video track: counts pictures, keeps the newest, offers each to `watch`."""

    def __init__(
        self, track: rtc.Track, watch: Callable[[npt.NDArray[np.uint8]], None] | None = None
    ) -> None:
        self._stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24)
        self._watch = watch
        self.count = 0
        self.picture: npt.NDArray[np.uint8] | None = None
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        async for event in self._stream:
            frame = event.frame
            flat = np.frombuffer(frame.data, dtype=np.uint8)
            self.picture = flat.reshape(frame.height, frame.width, 3)
            self.count += 1
            if self._watch is not None:
                self._watch(self.picture)

    async def sees_bars(
        self, colours: Sequence[tuple[int, int, int]] = BARS, *, within: float = 10.0
    ) -> None:
        """Wait for a new picture with these bars; AssertionError if it does not come."""
        seen: list[object] = []
        self.picture = None

        async def check() -> bool:
            await asyncio.sleep(0.05)
            if self.picture is None:
                return False
            middles = self._middles(self.picture, len(colours))
            seen[:] = [middles.round().astype(int).tolist()]
            return bool(np.all(np.abs(middles - np.array(colours)) <= COLOUR_TOLERANCE))

        assert await eventually(check, within=within), f"bars {colours} not seen: {seen}"

    @staticmethod
    def _middles(picture: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.float64]:
        """Mean colour in the middle of each bar."""
        height, width, _ = picture.shape
        rows = picture[height // 4 : height * 3 // 4]
        size = width // count
        edge = size // 4
        middles = [
            rows[:, index * size + edge : (index + 1) * size - edge].mean(axis=(0, 1))
            for index in range(count)
        ]
        return np.array(middles)

    async def goes_on(self, pictures: int = 5, *, within: float = 10.0) -> None:
        """Wait for that many further pictures."""
        wanted = self.count + pictures
        await until(lambda: self.count >= wanted, within=within)

    async def stands_still(self, *, seconds: float = 0.8, within: float = 5.0) -> None:
        """Wait for a time of that length without any picture; AssertionError if none comes."""

        async def check() -> bool:
            before = self.count
            await asyncio.sleep(seconds)
            return self.count == before

        assert await eventually(check, within=within), "pictures keep coming"

    async def close(self) -> None:
        """Stop decoding."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.aclose()


async def eventually(check: Callable[[], Awaitable[bool]], *, within: float) -> bool:
    """Whether `check` comes true in time."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + within
    while loop.time() < give_up:
        if await check():
            return True
    return False


async def until(check: Callable[[], bool], *, within: float = 10.0, what: str = "") -> None:
    """Poll until `check` is true; AssertionError after `within` seconds."""

    async def poll() -> bool:
        await asyncio.sleep(0.02)
        return check()

    assert check() or await eventually(poll, within=within), f"not within {within} s: {what}"
