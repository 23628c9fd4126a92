"""PCMU and PCMA (ITU-T G.711) by tables: 8 kHz, one channel, a byte a sample."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from roomful.errors import MediaError
from roomful_media.codecs import Samples
from roomful_media.codecs.conceal import Echo

RATE = 8000
MOST_SAMPLES = RATE // 5
"""200 ms in a packet (RFC 3551 section 4.2)"""
_FULL = 32768.0


class G711Codec:
    """Decoder and encoder of one track."""

    rate, channels = RATE, 1

    def __init__(self, codec: str) -> None:
        self._decoding, self._encoding = (ulaw_tables if codec == "pcmu" else alaw_tables)()
        self._echo = Echo(RATE, 1)

    def decode(self, packet: bytes) -> Samples:
        """Decode one packet; `MediaError` when it is longer than 200 ms."""
        if not 0 < len(packet) <= MOST_SAMPLES:
            raise MediaError(f"a G.711 packet of {len(packet)!r} bytes")
        block = self._decoding[np.frombuffer(packet, np.uint8)][:, None]
        self._echo.heard(block)
        return block

    def conceal(self, count: int) -> Samples:
        """Repeat the last block, fading."""
        return self._echo.conceal(count)

    def recover(self, following: bytes, count: int) -> Samples:
        """Packets tell nothing of others."""
        return self._echo.conceal(count)

    def encode(self, samples: Samples) -> bytes:
        """Encode any number of samples of one channel."""
        if samples.ndim != 2 or samples.shape[1] != 1:
            raise ValueError(f"samples of shape {samples.shape!r}, not one channel")
        linear = np.clip(np.rint(samples[:, 0] * _FULL), -32768, 32767).astype(np.int16)
        return self._encoding[linear.view(np.uint16)].tobytes()


@cache
def ulaw_tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Byte → sample, and 16 bits of a sample → byte."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 0x0F
    size = ((mantissa << 3) + 0x84 << exponent) - 0x84
    linear = np.where(code & 0x80, -size, size)
    return _both(linear)


@cache
def alaw_tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Byte → sample, and 16 bits of a sample → byte."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 0x0F
    size = np.where(
        exponent == 0,
        (mantissa << 4) + 8,
        (mantissa << 4) + 0x108 << np.maximum(exponent - 1, 0),
    )
    linear = np.where(code & 0x80, size, -size)
    return _both(linear)


def _both(linear: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Encode to the nearest of the 256 values that can be decoded."""
    order = np.argsort(linear, kind="stable").astype(np.uint8)
    sorted_values = linear[order].astype(np.int32)
    borders = (sorted_values[1:] + sorted_values[:-1]) / 2
    every = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.float64)
    encoding = order[np.searchsorted(borders, every)]
    return (linear / _FULL).astype(np.float32), encoding
