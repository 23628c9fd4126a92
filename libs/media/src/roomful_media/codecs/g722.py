"""G.722 at 64 kbit/s through FFmpeg: 16 kHz, one channel, two samples a byte.

Its RTP clock is 8 kHz all the same (RFC 3551 section 4.5.2).
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np

from roomful.errors import MediaError
from roomful_media.codecs import Samples
from roomful_media.codecs.conceal import Echo

RATE = 16_000
MOST_BYTES = RATE // 10
"""200 ms in a packet"""
_FULL = 32768.0


class G722Codec:
    """Decoder and encoder of one track; either is made when it is first used."""

    rate, channels = RATE, 1

    def __init__(self) -> None:
        self._decoder: av.AudioCodecContext | None = None
        self._encoder: av.AudioCodecContext | None = None
        self._echo = Echo(RATE, 1)
        self._encoded = 0

    def decode(self, packet: bytes) -> Samples:
        """Decode one packet; `MediaError` when it is longer than 200 ms."""
        if not 0 < len(packet) <= MOST_BYTES:
            raise MediaError(f"a G.722 packet of {len(packet)!r} bytes")
        if self._decoder is None:
            self._decoder = context("g722", "r")
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise MediaError(f"not G.722: {error}") from error
        parts = [frame.to_ndarray().reshape(-1, 1) for frame in frames]
        if not parts:
            raise MediaError("a G.722 packet without sound")
        block = (np.concatenate(parts) / np.float32(_FULL)).astype(np.float32)
        self._echo.heard(block)
        return block

    def conceal(self, count: int) -> Samples:
        """Repeat the last block, fading."""
        return self._echo.conceal(count)

    def recover(self, following: bytes, count: int) -> Samples:
        """Packets tell nothing of others."""
        return self._echo.conceal(count)

    def encode(self, samples: Samples) -> bytes:
        """Encode an even number of samples of one channel."""
        if samples.ndim != 2 or samples.shape[1] != 1 or len(samples) % 2 or not len(samples):
            raise ValueError(f"samples of shape {samples.shape!r}, not pairs of one channel")
        if self._encoder is None:
            self._encoder = context("g722", "w")
            self._encoder.time_base = Fraction(1, RATE)
        linear = np.clip(np.rint(samples * _FULL), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(linear.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._encoded
        self._encoded += len(samples)
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


def context(name: str, mode: str) -> av.AudioCodecContext:
    """Return an unopened context for one channel at 16 kHz."""
    made = cast(av.AudioCodecContext, av.CodecContext.create(name, mode))  # pyright: ignore[reportArgumentType,reportCallIssue]
    made.sample_rate, made.layout, made.format = RATE, "mono", "s16"
    return made
