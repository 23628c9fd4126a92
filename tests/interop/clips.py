"""Small media files with the bars and the tone of `media`, for clients that publish files."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from .media import LOUDNESS, SAMPLE_RATE, bars

SIZE = (320, 240)
PICTURES_PER_SECOND = 30


def bars_ivf(path: Path, seconds: int) -> Path:
    """VP8 in an IVF file."""
    width, height = SIZE
    with av.open(str(path), "w", format="ivf") as container:
        stream = container.add_stream("libvpx", rate=PICTURES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"g": "30", "b": "500k", "deadline": "realtime", "lag-in-frames": "0"}
        still = bars(width, height)
        chance = np.random.default_rng(1)  # noise below the bars gives the stream some weight
        for number in range(seconds * PICTURES_PER_SECOND):
            picture = still.copy()
            picture[-height // 6 :, :, :3] = chance.integers(0, 255, (height // 6, width, 1))
            frame = av.VideoFrame.from_ndarray(picture, format="rgba")
            frame.pts, frame.time_base = number, Fraction(1, PICTURES_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def tone_ogg(path: Path, seconds: int, hertz: float) -> Path:
    """Opus in an Ogg file, 20 ms a page."""
    with av.open(str(path), "w", format="ogg", options={"page_duration": "20000"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        chunk = SAMPLE_RATE // 50
        for number in range(seconds * 50):
            at = (np.arange(chunk) + number * chunk) * (2 * np.pi * hertz / SAMPLE_RATE)
            samples = (LOUDNESS * np.sin(at)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, number * chunk
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
