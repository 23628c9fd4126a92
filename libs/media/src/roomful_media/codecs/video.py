"""VP8, VP9, AV1 and H.264 decoding through FFmpeg, one thread a decoder."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
from av.codec.context import Flags

from roomful.errors import MediaError

DECODERS = {"vp8": "vp8", "vp9": "vp9", "av1": "libdav1d", "h264": "h264"}
MOST_PIXELS = 4096 * 2304
"""of a picture: what peers send decides how much memory it takes"""
FORMAT = "yuv420p"


class VideoDecoder:
    """Of one track. Encoded frames go in by their order, with their RTP times."""

    def __init__(self, codec: str, rate: int = 90_000) -> None:
        name = DECODERS.get(codec)
        if name is None:
            raise MediaError(f"no decoder for {codec!r}; there are {', '.join(DECODERS)}")
        self._name, self._time_base = name, Fraction(1, rate)
        self._context = self._make()

    def _make(self) -> av.VideoCodecContext:
        context = cast(av.VideoCodecContext, av.CodecContext.create(self._name, "r"))
        context.thread_count = 1
        context.flags |= Flags.low_delay
        context.options = {"max_pixels": str(MOST_PIXELS)}
        if self._name == "libdav1d":
            context.options |= {"max_frame_delay": "1"}
        return context

    def decode(self, data: bytes, ts: int) -> list[av.VideoFrame]:
        """Decode one frame; what comes out has the RTP time of its own frame as `pts`.

        Several layers of one time come out as the highest of them. `MediaError` when it cannot be
        decoded; the decoder wants a key frame then.
        """
        packet = av.Packet(data)
        packet.pts = packet.dts = ts
        packet.time_base = self._time_base
        try:
            frames = self._context.decode(packet)
            if len(frames) > 1:
                frames = list({frame.pts: frame for frame in frames}.values())
            return [_planar(frame) for frame in frames]
        except (av.FFmpegError, ValueError) as error:  # ValueError: a format that none converts
            raise MediaError(f"not decodable by {self._name}: {error}") from error

    def reset(self) -> None:
        """Begin anew: with the next key frame."""
        self._context = self._make()


def _planar(frame: av.VideoFrame) -> av.VideoFrame:
    if frame.format.name == FORMAT:
        return frame
    pts = frame.pts
    planar = frame.reformat(format=FORMAT)
    planar.pts = pts
    return planar
