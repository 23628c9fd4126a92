"""Marked media as files that Chromium takes for its camera and its microphone; it loops them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from roomful_testing import card, tone

SECONDS, PICTURES_PER_SECOND = 4, 15
WIDTH, HEIGHT = 640, 360
RATE = 48_000


def camera_file(folder: Path) -> Path:
    """A YUV4MPEG2 film of the card."""
    file = folder / "camera.y4m"
    with file.open("wb") as out:
        out.write(
            b"YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420jpeg\n" % (WIDTH, HEIGHT, PICTURES_PER_SECOND)
        )
        for number in range(SECONDS * PICTURES_PER_SECOND):
            time_us = number * 1_000_000 // PICTURES_PER_SECOND
            out.write(b"FRAME\n" + card.draw(time_us, WIDTH, HEIGHT).tobytes())
    return file


def microphone_file(folder: Path, hertz: float) -> Path:
    """A WAV file of the tone with its beeps."""
    file = folder / "microphone.wav"
    samples = tone.samples(0, SECONDS * RATE, RATE, hertz)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file


def capture_flags(folder: Path, hertz: float) -> list[str]:
    """What Chromium is started with."""
    return [
        f"--use-file-for-fake-video-capture={camera_file(folder)}",
        f"--use-file-for-fake-audio-capture={microphone_file(folder, hertz)}",
    ]
