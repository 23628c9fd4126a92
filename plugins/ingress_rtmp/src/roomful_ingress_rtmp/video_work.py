"""Pictures of an encoder → H.264 or VP8 in simulcast layers.

Decoded once, each layer scaled from the one above. Frames beyond the wanted rate are left out. A
layer that nobody wants is not encoded, and begins with a key frame when somebody does.
"""

# PyAV leaves type arguments open in its stubs
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
from av.codec.context import ThreadType
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter

from roomful.errors import MediaError
from roomful_ingress_rtmp.messages import Work
from roomful_media.encode import Purpose, VideoEncoder, VideoOptions
from roomful_rtc.link.record import Frame

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

KEY_EVERY_US = 500_000
"""key frames of one layer asked for more often are made as often as this"""
_MICROSECONDS = Fraction(1, 1_000_000)
_DECODERS = {"h265": "hevc", "av1": "libdav1d"}


class VideoWork:
    """Answers to `TrackWork`."""

    def __init__(self, work: Work) -> None:
        self._fps = max(1, round(work.fps))
        self._encoders = [
            VideoEncoder(
                VideoOptions(
                    work.codec, layer.width, layer.height, self._fps, layer.bitrate,
                    Purpose.PUBLISH, profile="baseline",
                )
            )
            for layer in work.layers
        ]  # fmt: skip
        self._reformatters = [VideoReformatter() for _ in work.layers]
        self._wanted = [True] * len(work.layers)
        self._forced_us = [-KEY_EVERY_US] * len(work.layers)
        self._asked = [False] * len(work.layers)
        self._decoder: VideoCodecContext | None = None
        self._begin_us: int | None = None
        self._number = -1

    def configure(self, codec: str, data: bytes) -> None:
        """Begin with a decoder for this configuration; layers keep their sizes."""
        try:
            made = av.CodecContext.create(_DECODERS.get(codec, codec), "r")
            decoder = cast("VideoCodecContext", made)
            if data:
                decoder.extradata = data
            decoder.thread_count, decoder.thread_type = 1, ThreadType.SLICE
            decoder.open()
        except (FFmpegError, ValueError) as error:
            raise MediaError(f"no decoder for {codec}: {error}") from error
        self._decoder = decoder

    def take(self, frame: Frame) -> list[tuple[int, bytes, int]]:
        """Decode a frame; encode what comes out, which may be earlier ones."""
        if self._decoder is None:
            return []
        packet = av.Packet(frame.payload)
        packet.pts, packet.dts, packet.time_base = frame.pts_us, frame.dts_us, _MICROSECONDS
        made: list[tuple[int, bytes, int]] = []
        try:
            for picture in self._decoder.decode(packet):
                made += self._encoded(picture, picture.pts or frame.pts_us)
        except FFmpegError as error:
            raise MediaError(f"a picture cannot be decoded: {error}") from error
        return made

    def key_frame(self, layer: int) -> None:
        """Somebody needs a key frame of a layer."""
        if 0 <= layer < len(self._asked):
            self._asked[layer] = True

    def demand(self, layer: int, wanted: bool) -> None:
        """Whether anybody wants a layer."""
        if 0 <= layer < len(self._wanted):
            self._asked[layer] = self._asked[layer] or (wanted and not self._wanted[layer])
            self._wanted[layer] = wanted

    def _encoded(self, picture: av.VideoFrame, time_us: int) -> list[tuple[int, bytes, int]]:
        self._begin_us = time_us if self._begin_us is None else self._begin_us
        number = round((time_us - self._begin_us) * self._fps / 1e6)
        if number <= self._number:
            return []  # more pictures than are wanted
        self._number = number
        made: list[tuple[int, bytes, int]] = []
        for layer in reversed(range(len(self._encoders))):
            if not any(self._wanted[: layer + 1]):
                break
            encoder = self._encoders[layer]
            options = encoder.options
            picture = self._reformatters[layer].reformat(
                picture, options.width, options.height, "yuv420p",
                interpolation=Interpolation.FAST_BILINEAR,
            )  # fmt: skip
            if self._wanted[layer]:
                self._force(layer, time_us)
                made += [(layer, p.data, time_us) for p in encoder.encode(picture, number)]
        return made

    def _force(self, layer: int, time_us: int) -> None:
        if self._asked[layer] and time_us - self._forced_us[layer] >= KEY_EVERY_US:
            self._asked[layer] = False
            self._forced_us[layer] = time_us
            self._encoders[layer].force_key()
