"""Encoders: pictures and samples in, packets out, and a template for each sink's stream.

FFmpeg's muxers open encoders of their own and write *their* headers, so copied packets of another
encoder do not decode. Here a container in memory owns the encoder; sinks make their streams from its
stream (`template`), and what the container itself would hold is thrown away.
"""

# PyAV leaves type arguments open in its stubs
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType
from numpy.typing import NDArray

from roomful.errors import MediaError
from roomful_media.colour import BT709, LIMITED
from roomful_media.encoder_options import (
    AUDIO,
    VIDEO,
    AudioOptions,
    Purpose,
    VideoOptions,
    private_options,
)
from roomful_media.packet import EncodedPacket, taken

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

__all__ = ["AudioEncoder", "AudioOptions", "Encoder", "Purpose", "VideoEncoder", "VideoOptions"]


class Encoder(Protocol):
    """What a sink needs to know of one."""

    @property
    def track(self) -> str: ...

    @property
    def codec(self) -> str: ...

    @property
    def template(self) -> Stream: ...


class VideoEncoder:
    """Frames to packets. `RECORD`: with a template; `PUBLISH`: headers inside the key frames."""

    def __init__(self, options: VideoOptions, track: str = "video") -> None:
        """Open the encoder.

        Raises:
            MediaError: FFmpeg does not take the options.
        """
        self.options, self.track, self.codec = options, track, options.codec
        self._owner, self._stream, self._context = self._opened()
        self._wants_key = True

    def _opened(self) -> tuple[OutputContainer | None, VideoStream | None, VideoCodecContext]:
        options = self.options
        name = VIDEO[options.codec].encoder
        owner = stream = None
        if options.purpose is Purpose.RECORD:
            owner = _owner()
            stream = cast("VideoStream", owner.add_stream(name, rate=options.fps))
            context = stream.codec_context
        else:
            context = cast("VideoCodecContext", av.CodecContext.create(name, "w"))
            context.framerate = Fraction(options.fps)
        context.width, context.height, context.pix_fmt = options.width, options.height, "yuv420p"
        context.time_base, context.bit_rate = options.time_base, options.bit_rate
        context.color_range, context.colorspace = LIMITED, BT709
        context.color_primaries = context.color_trc = BT709
        context.thread_count = options.threads
        context.options = private_options(options)
        try:
            context.open() if owner is None else owner.start_encoding()
        except (FFmpegError, ValueError) as error:
            raise MediaError(f"{name} does not take {options!r}: {error}") from error
        return owner, stream, context

    @property
    def template(self) -> Stream:
        """What sinks make their stream from."""
        assert self._stream is not None, "only recordings have a template"
        return self._stream

    def force_key(self) -> None:
        """Make the next frame a key frame: a sink begins, somebody lost one."""
        self._wants_key = True

    def encode(self, frame: av.VideoFrame, number: int) -> list[EncodedPacket]:
        """Encode a frame; what comes out may belong to earlier ones.

        Args:
            frame: yuv420p of the size of the options. Its type and times are overwritten.
            number: of the frame since the start, growing. Every `key_interval`-th is a key frame,
                whatever was forced between.

        Raises:
            MediaError: another size or format.
        """
        options = self.options
        if (frame.width, frame.height) != (options.width, options.height):
            wanted = f"{options.width}x{options.height}"
            raise MediaError(f"a frame of {frame.width}x{frame.height} in an encoder of {wanted}")
        if frame.format.name != "yuv420p":
            raise MediaError(f"a frame of {frame.format.name} in an encoder of yuv420p")
        key = self._wants_key or number % options.key_interval == 0
        self._wants_key = False
        frame.pts, frame.time_base = number, options.time_base
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return self._taken(self._context.encode(frame))

    def flush(self) -> list[EncodedPacket]:
        """Return what is still inside; the encoder is done after it."""
        return self._taken(self._context.encode(None))

    def _taken(self, packets: Sequence[Packet[Any]]) -> list[EncodedPacket]:
        step = round(1 / (self.options.fps * packets[0].time_base)) if packets else 1
        return [taken(packet, self.track, step) for packet in packets]


class AudioEncoder:
    """Samples in blocks of any size to packets; time is the number of samples since the start."""

    def __init__(self, options: AudioOptions, track: str = "audio") -> None:
        """Open the encoder.

        Raises:
            MediaError: FFmpeg does not take the options.
        """
        self.options, self.track, self.codec = options, track, options.codec
        codec = AUDIO[options.codec]
        self._owner = _owner()
        self._stream = cast("AudioStream", self._owner.add_stream(codec.encoder, rate=options.rate))
        context: AudioCodecContext = self._stream.codec_context
        context.format, context.layout = codec.format, options.layout
        context.bit_rate, context.time_base = options.bit_rate, Fraction(1, options.rate)
        context.options = dict(codec.options)
        try:
            self._owner.start_encoding()
        except (FFmpegError, ValueError) as error:
            raise MediaError(f"{codec.encoder} does not take {options!r}: {error}") from error
        self._context = context
        self._waiting = np.zeros((0, options.channels), np.float32)
        self._samples = 0

    @property
    def template(self) -> Stream:
        """What sinks make their stream from."""
        return self._stream

    def encode(self, samples: NDArray[np.float32]) -> list[EncodedPacket]:
        """Encode samples of shape (n, channels), -1 to 1; what is no whole frame waits.

        Raises:
            MediaError: another number of channels.
        """
        if samples.ndim != 2 or samples.shape[1] != self.options.channels:
            wanted = self.options.channels
            raise MediaError(f"audio of shape {samples.shape!r} in an encoder of {wanted} channels")
        waiting = np.concatenate([self._waiting, samples])
        size, made = self._context.frame_size or 960, list[EncodedPacket]()
        whole = len(waiting) // size * size
        for first in range(0, whole, size):
            made += self._encode(waiting[first : first + size])
        self._waiting = waiting[whole:].copy()
        return made

    def flush(self) -> list[EncodedPacket]:
        """Return what is still inside; the encoder is done after it."""
        made = self._encode(self._waiting) if len(self._waiting) else []
        self._waiting = self._waiting[:0]
        return made + self._taken(self._context.encode(None))

    def _encode(self, samples: NDArray[np.float32]) -> list[EncodedPacket]:
        planar = AUDIO[self.codec].format.endswith("p")
        plane = samples.T if planar else samples.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(plane), AUDIO[self.codec].format, self.options.layout
        )
        frame.sample_rate, frame.time_base = self.options.rate, Fraction(1, self.options.rate)
        frame.pts = self._samples
        self._samples += len(samples)
        return self._taken(self._context.encode(frame))

    def _taken(self, packets: Sequence[Packet[Any]]) -> list[EncodedPacket]:
        return [taken(p, self.track, self._context.frame_size or 960) for p in packets]


def _owner() -> OutputContainer:
    """Matroska, which takes every codec that we know and wants headers apart."""
    return av.open(io.BytesIO(), "w", format="matroska")
