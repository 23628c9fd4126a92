"""Sound of an encoder → Opus at 48 kHz, 20 ms a packet.

Time counts samples: the milliseconds of RTMP would make jitter. Where the messages' time and the
samples' differ by more than 60 ms, it begins anew by the messages'.
"""

# PyAV leaves type arguments open in its stubs
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from roomful.errors import MediaError
from roomful_ingress_rtmp.messages import Work
from roomful_media.codecs.opus import OpusCodec, OpusSettings
from roomful_rtc.link.record import Frame

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

RATE, BLOCK = 48_000, 960
OFF_US = 60_000
_DECODERS = {"pcma": "pcm_alaw", "pcmu": "pcm_mulaw"}
_PLAIN_RATE = 8_000


class AudioWork:
    """Answers to `TrackWork`."""

    def __init__(self, work: Work) -> None:
        self._channels = work.channels
        settings = OpusSettings(bitrate_bps=work.bitrate, dtx=work.dtx)
        self._opus = OpusCodec(RATE, work.channels, settings)
        self._decoder: AudioCodecContext | None = None
        self._resampler: AudioResampler | None = None
        self._begin_us: int | None = None
        """time of sample 0"""
        self._samples = 0
        """given to the encoder, and waiting for it"""
        self._waiting = np.zeros((0, work.channels), np.float32)

    def configure(self, codec: str, data: bytes) -> None:
        """Begin with a decoder for this configuration."""
        try:
            made = av.CodecContext.create(_DECODERS.get(codec, codec), "r")
            decoder = cast("AudioCodecContext", made)
            if data:
                decoder.extradata = data
            if codec in _DECODERS:
                decoder.sample_rate, decoder.layout = _PLAIN_RATE, "mono"
            decoder.open()
        except (FFmpegError, ValueError) as error:
            raise MediaError(f"no decoder for {codec}: {error}") from error
        self._decoder, self._resampler = decoder, None

    def take(self, frame: Frame) -> list[tuple[int, bytes, int]]:
        """Decode a frame, encode what is full."""
        if self._decoder is None:
            return []
        made: list[tuple[int, bytes, int]] = []
        try:
            for decoded in self._decoder.decode(av.Packet(frame.payload)):
                self._settle(frame.pts_us)
                made += self._encoded(self._resampled(decoded))
        except FFmpegError as error:
            raise MediaError(f"sound cannot be decoded: {error}") from error
        return made

    def key_frame(self, layer: int) -> None:
        """Nothing: every packet of sound stands alone."""

    def demand(self, layer: int, wanted: bool) -> None:
        """Nothing: sound is cheap, and it decides who speaks."""

    def _settle(self, pts_us: int) -> None:
        expected = None if self._begin_us is None else self._begin_us + self._at(self._samples)
        if expected is None or abs(pts_us - expected) > OFF_US:
            self._begin_us = pts_us
            self._samples = 0
            self._waiting = self._waiting[:0]

    @staticmethod
    def _at(samples: int) -> int:
        return samples * 1_000_000 // RATE

    def _resampled(
        self, decoded: av.AudioFrame
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        if self._resampler is None:
            layout = "mono" if self._channels == 1 else "stereo"
            self._resampler = AudioResampler("flt", layout, RATE)
        decoded.pts = None
        parts = [
            f.to_ndarray().reshape(-1, self._channels) for f in self._resampler.resample(decoded)
        ]
        joined = np.concatenate(parts) if parts else self._waiting[:0]
        return joined.astype(np.float32, copy=False)

    def _encoded(
        self, samples: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    ) -> list[tuple[int, bytes, int]]:
        self._samples += len(samples)
        self._waiting = np.concatenate((self._waiting, samples))
        made: list[tuple[int, bytes, int]] = []
        assert self._begin_us is not None, "settled before"
        while len(self._waiting) >= BLOCK:
            first = self._samples - len(self._waiting)
            data = self._opus.encode(self._waiting[:BLOCK])
            self._waiting = self._waiting[BLOCK:]
            made.append((0, data, self._begin_us + self._at(first)))
        return made
