"""Opus (RFC 6716, in RTP: RFC 7587), through libopus itself where it is found, else through PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, cast

import av
import numpy as np

from roomful.errors import MediaError
from roomful_media.codecs import Samples
from roomful_media.codecs.conceal import Echo
from roomful_media.codecs.opus_library import (
    APPLICATIONS,
    LibraryDecoder,
    LibraryEncoder,
    library,
)

CLOCK_RATE = 48_000
RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_FRAMES_MS = (2.5, 5, 10, 20, 40, 60)


@dataclass(frozen=True, slots=True)
class OpusSettings:
    """How to encode; the defaults are those of a room's audio."""

    bitrate_bps: int = 32_000
    application: str = "audio"
    """`voip`, `audio` or `lowdelay`"""
    complexity: int = 5
    """0 to 10"""
    fec: bool = False
    """spend bits on repairing the packet before"""
    dtx: bool = False
    """hardly any bytes in silence; FFmpeg's wrapper has no such option, so PyAV sends them all"""

    def __post_init__(self) -> None:
        if self.application not in APPLICATIONS or not 0 <= self.complexity <= 10:
            raise ValueError(f"no such Opus settings: {self!r}")
        if not 500 <= self.bitrate_bps <= 512_000:
            raise ValueError(f"Opus has no bitrate of {self.bitrate_bps!r}")


SPEECH = OpusSettings(bitrate_bps=24_000, application="voip")
"""What a phone says (`sip.md` 6.2)."""


class _Decoding(Protocol):
    def decode(self, packet: bytes) -> Samples: ...
    def conceal(self, count: int) -> Samples: ...
    def recover(self, following: bytes, count: int) -> Samples: ...


class _Encoding(Protocol):
    def encode(self, samples: Samples) -> bytes: ...


class OpusCodec:
    """Decoder and encoder of one track; either is made when it is first used.

    `rate` is that of the samples; the RTP clock is 48 kHz whatever it is. `through_av`: do not look
    for libopus. PyAV decodes to 48 kHz only, which is what `decoded_rate` says then.
    """

    def __init__(
        self,
        rate: int = CLOCK_RATE,
        channels: int = 1,
        settings: OpusSettings | None = None,
        *,
        through_av: bool = False,
    ) -> None:
        if rate not in RATES or channels not in (1, 2):
            raise ValueError(f"Opus has no {channels!r} channels at {rate!r} Hz")
        self._library = None if through_av else library()
        self.channels = channels
        self.encoded_rate = rate
        self.rate = rate if self._library else CLOCK_RATE
        """of what is decoded"""
        self._settings = settings or OpusSettings()
        self._decoding: _Decoding | None = None
        self._encoding: _Encoding | None = None

    def decode(self, packet: bytes) -> Samples:
        """Decode one packet of up to 120 ms; `MediaError` when it is not Opus."""
        if not packet:
            raise MediaError("an empty Opus packet")
        return self._decoder().decode(packet)

    def conceal(self, count: int) -> Samples:
        """Make up a packet that did not come."""
        return self._decoder().conceal(count)

    def recover(self, following: bytes, count: int) -> Samples:
        """Make up a packet by the one that follows it."""
        return self._decoder().recover(following, count)

    def encode(self, samples: Samples) -> bytes:
        """Encode a block of 2.5, 5, 10, 20, 40 or 60 ms; `ValueError` when it is none."""
        if samples.ndim != 2 or samples.shape[1] != self.channels:
            raise ValueError(f"samples of shape {samples.shape!r}, not {self.channels!r} channels")
        if len(samples) * 1000 / self.encoded_rate not in _FRAMES_MS:
            raise ValueError(f"{len(samples)!r} samples are no Opus frame")
        if self._encoding is None:
            self._encoding = self._make_encoder(len(samples))
        return self._encoding.encode(samples)

    def _decoder(self) -> _Decoding:
        if self._decoding is None:
            if self._library:
                self._decoding = LibraryDecoder(self._library, self.rate, self.channels)
            else:
                self._decoding = _AvDecoder(self.channels)
        return self._decoding

    def _make_encoder(self, count: int) -> _Encoding:
        settings = self._settings
        if self._library:
            return LibraryEncoder(
                self._library,
                self.encoded_rate,
                self.channels,
                settings.application,
                (settings.bitrate_bps, settings.complexity, settings.fec, settings.dtx),
            )
        return _AvEncoder(self.encoded_rate, self.channels, count, settings)


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"


class _AvDecoder:
    """FFmpeg's wrapper of libopus, which cannot be asked for concealment."""

    def __init__(self, channels: int) -> None:
        self._context = cast(av.AudioCodecContext, av.CodecContext.create("libopus", "r"))
        self._context.sample_rate = CLOCK_RATE
        self._context.layout = _layout(channels)
        self._channels = channels
        self._echo = Echo(CLOCK_RATE, channels)

    def decode(self, packet: bytes) -> Samples:
        try:
            frames = self._context.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise MediaError(f"not Opus: {error}") from error
        parts = [self._samples(frame) for frame in frames]
        if not parts:
            raise MediaError("an Opus packet without sound")
        block = np.concatenate(parts)
        self._echo.heard(block)
        return block

    def _samples(self, frame: av.AudioFrame) -> Samples:
        found = frame.to_ndarray()
        if found.dtype == np.int16:
            found = found / np.float32(32768)
        shape = (self._channels, -1) if frame.format.is_planar else (-1, self._channels)
        found = found.reshape(shape)
        return np.ascontiguousarray(found.T if frame.format.is_planar else found, np.float32)

    def conceal(self, count: int) -> Samples:
        return self._echo.conceal(count)

    def recover(self, following: bytes, count: int) -> Samples:
        return self._echo.conceal(count)


class _AvEncoder:
    """One encoder per length of frames, which FFmpeg fixes when it opens."""

    def __init__(self, rate: int, channels: int, count: int, settings: OpusSettings) -> None:
        context = cast(av.AudioCodecContext, av.CodecContext.create("libopus", "w"))
        context.sample_rate, context.format = rate, "flt"
        context.layout = _layout(channels)
        context.bit_rate = settings.bitrate_bps
        context.time_base = Fraction(1, rate)
        context.options = {
            "application": settings.application,
            "compression_level": str(settings.complexity),
            "frame_duration": f"{count * 1000 / rate:g}",
            "fec": str(int(settings.fec)),
            "packet_loss": "10" if settings.fec else "0",
        }
        self._context, self._rate, self._count, self._encoded = context, rate, count, 0
        self._layout = _layout(channels)

    def encode(self, samples: Samples) -> bytes:
        if len(samples) != self._count:
            raise ValueError(f"frames of {self._count!r} samples, not {len(samples)!r}")
        packed = np.ascontiguousarray(samples, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate, frame.pts = self._rate, self._encoded
        self._encoded += len(samples)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
