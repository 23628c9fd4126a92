"""What tests of this package share: signals that are known, and how they are found again."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from roomful_media.encode import AudioEncoder, AudioOptions, VideoEncoder, VideoOptions

FPS, RATE = 30, 48_000
YELLOW, BLUE = (170, 40, 140), (60, 200, 110)
"""Y, U, V of the left and right half"""
FLASH_S, BEEP_HZ = 1.0, 1000


def picture(number: int, width: int = 320, height: int = 180) -> av.VideoFrame:
    """Yellow and blue halves; at each whole second one frame with a white bar across the top."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, plane in enumerate(frame.planes):
        area = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        half = width // (2 if index == 0 else 4)
        area[:, :half], area[:, half:] = YELLOW[index], BLUE[index]
        if number % FPS == 0:
            rows = height // (4 if index == 0 else 8)
            area[:rows] = 235 if index == 0 else 128
    return frame


def sound(number: int, channels: int = 2) -> np.ndarray:
    """The audio of one frame's time: a quiet hum, and a beep of 100 ms from each whole second."""
    at = (np.arange(RATE // FPS) + number * (RATE // FPS)) / RATE
    wave = 0.1 * np.sin(2 * np.pi * 300 * at)
    wave += np.where(at % FLASH_S < 0.1, 0.5 * np.sin(2 * np.pi * BEEP_HZ * at), 0)
    return np.repeat(wave[:, None].astype(np.float32), channels, axis=1)


@dataclass
class Watched:
    """What decoding a file gave."""

    frames: list[tuple[float, np.ndarray]]
    """seconds, luma"""
    colours: list[tuple[int, int, int]]
    """of the middle of the left half, each frame"""
    samples: np.ndarray
    rate: int
    audio_start_s: float

    @property
    def flashes_s(self) -> list[float]:
        return [at for at, luma in self.frames if luma[: luma.shape[0] // 8].mean() > 210]

    @property
    def beeps_s(self) -> list[float]:
        """When beeps begin: the level of 1 kHz in windows of 5 ms."""
        size = self.rate // 200
        blocks = self.samples[: len(self.samples) // size * size, 0].reshape(-1, size)
        at = np.arange(size) / self.rate
        level = 2 * abs((blocks * np.exp(-2j * np.pi * BEEP_HZ * at)).mean(axis=1))
        on = level > 0.25
        begins = np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))
        return [self.audio_start_s + n * 0.005 for n in begins]

    def tone(self, hz: float, begin_s: float, end_s: float) -> float:
        first = round((begin_s - self.audio_start_s) * self.rate)
        part = self.samples[first : first + round((end_s - begin_s) * self.rate), 0]
        at = np.arange(len(part)) / self.rate
        return float(2 * abs(np.mean(part * np.exp(-2j * np.pi * hz * at))))


def watch(file: Path | object, **options: object) -> Watched:
    """Decode a whole file; any error of a decoder is raised."""
    frames, colours, blocks = [], [], []
    rate, audio_start = RATE, None
    with av.open(file if not isinstance(file, Path) else str(file), **options) as source:
        for packet in source.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    yuv = frame.to_ndarray(format="yuv420p")
                    height, width = frame.height, frame.width
                    u = yuv[height : height * 5 // 4].reshape(height // 2, width // 2)
                    v = yuv[height * 5 // 4 :].reshape(height // 2, width // 2)
                    frames.append((float(frame.time), yuv[:height]))
                    x, y = width // 4, height // 2
                    at = int(yuv[y, x]), int(u[y // 2, x // 2]), int(v[y // 2, x // 2])
                    colours.append(at)
                else:
                    samples = frame.to_ndarray()
                    if samples.shape[0] == 1 and frame.layout.nb_channels > 1:
                        samples = samples.reshape(-1, frame.layout.nb_channels).T
                    if samples.dtype == np.int16:
                        samples = samples / 32768
                    rate = frame.sample_rate
                    audio_start = frame.time if audio_start is None else audio_start
                    blocks.append(samples.T)
    joined = np.concatenate(blocks) if blocks else np.zeros((0, 1))
    return Watched(frames, colours, joined, rate, audio_start or 0.0)


class Studio:
    """Encoders with the known signals, a frame's time at once."""

    def __init__(self, video: str | None = "h264", audio: str | None = "aac", **more) -> None:
        self.video = self.audio = None
        if video:
            size = {"width": 320, "height": 180, "bit_rate": 500_000, **more}
            self.video = VideoEncoder(VideoOptions(video, fps=FPS, **size))
        if audio:
            self.audio = AudioEncoder(AudioOptions(audio))
        self.number = 0

    @property
    def encoders(self) -> list:
        return [encoder for encoder in (self.video, self.audio) if encoder]

    def packets(self, seconds: float) -> list:
        """Encode this much more."""
        made = []
        for _ in range(round(seconds * FPS)):
            if self.video:
                made += self.video.encode(picture(self.number), self.number)
            if self.audio:
                made += self.audio.encode(sound(self.number))
            self.number += 1
        return made

    def rest(self) -> list:
        return [packet for encoder in self.encoders for packet in encoder.flush()]


@pytest.fixture
def media_studio() -> type[Studio]:
    return Studio


@pytest.fixture
def media_watch():
    return watch


@pytest.fixture
def media_picture():
    return picture


def near(value: tuple[int, ...], wanted: tuple[int, ...], tolerance: int) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(value, wanted, strict=True))


@pytest.fixture
def media_expect():
    """`media_expect(watched, seconds, sound=, picture=)`: it shows and sounds as it should."""

    def expect(
        watched: Watched, seconds: float, *, sound: bool = True, picture: bool = True
    ) -> None:
        if picture:
            assert abs(len(watched.frames) - seconds * FPS) <= 1
            times = [at for at, _ in watched.frames]
            assert times == pytest.approx([n / FPS + times[0] for n in range(len(times))], abs=2e-3)
            assert all(near(colour, YELLOW, 8) for colour in watched.colours)
        if sound:
            length = len(watched.samples) / watched.rate
            assert length == pytest.approx(seconds, abs=0.06)
            begin = watched.audio_start_s
            assert watched.tone(300, begin + 0.3, begin + 0.8) == pytest.approx(0.1, abs=0.02)
            assert len(watched.beeps_s) >= int(seconds) - 1
        if sound and picture:
            flashes = watched.flashes_s
            pairs = [min(watched.beeps_s, key=lambda at, f=f: abs(at - f)) - f for f in flashes]
            assert max(map(abs, pairs[1:] or pairs)) < 0.021, pairs

    return expect


@pytest.fixture
def media_tick() -> Fraction:
    return Fraction(1, FPS)
