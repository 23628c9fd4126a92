"""Packets to containers: to a file, or to anything that takes bytes.

A muxer may be opened while its encoders run: it begins at the next key frame, which becomes its time
zero, and sound from before it is left away.
"""

# PyAV leaves type arguments open in its stubs
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import av
from av.error import FFmpegError

from roomful.errors import MediaError
from roomful_media.encode import Encoder
from roomful_media.packet import EncodedPacket

if TYPE_CHECKING:
    from av.stream import Stream

_HELD = 1500
"""packets of sound that wait for the first key frame: half a minute"""


class ByteSink(Protocol):
    """Takes the bytes of a stream in order; what it raises ends that sink."""

    def write(self, data: bytes) -> object: ...


@dataclass(frozen=True, slots=True)
class ContainerKind:
    """How FFmpeg calls a container, what it takes and what it is told."""

    format: str
    video: tuple[str, ...]
    audio: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict[str, str])


_MP4_VIDEO, _MP4_AUDIO = ("h264", "av1", "vp9"), ("aac", "opus")
_WEBM_VIDEO = ("vp8", "vp9", "av1")


class Container(Enum):
    """What a muxer writes."""

    MP4 = ContainerKind("mp4", _MP4_VIDEO, _MP4_AUDIO, {"movflags": "faststart"})
    FMP4 = ContainerKind(
        "mp4",
        _MP4_VIDEO,
        _MP4_AUDIO,
        {"movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov", "flush_packets": "1"},
    )
    MATROSKA = ContainerKind(
        "matroska", ("h264", *_WEBM_VIDEO), ("opus", "aac"), {"flush_packets": "1"}
    )
    WEBM = ContainerKind("webm", _WEBM_VIDEO, ("opus",))
    OGG = ContainerKind("ogg", (), ("opus",), {"page_duration": "1000000", "flush_packets": "1"})
    MPEGTS = ContainerKind("mpegts", ("h264",), ("aac",), {"flush_packets": "1"})
    FLV = ContainerKind(
        "flv", ("h264",), ("aac",), {"flvflags": "no_duration_filesize", "flush_packets": "1"}
    )

    @property
    def suffix(self) -> str:
        """Of file names."""
        return _SUFFIXES[self.name]


_SUFFIXES = {
    "MP4": ".mp4",
    "FMP4": ".mp4",
    "MATROSKA": ".mkv",
    "WEBM": ".webm",
    "OGG": ".ogg",
    "MPEGTS": ".ts",
    "FLV": ".flv",
}


class Muxer:
    """One file or stream of one or more tracks. Blocking: it belongs into a thread of its own."""

    def __init__(
        self,
        container: Container,
        target: Path | ByteSink,
        encoders: Sequence[Encoder],
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Open the target.

        Args:
            container: what to write.
            target: a path, or what takes bytes (never sought in).
            encoders: whose packets will come; each becomes a track.
            options: for FFmpeg's muxer, over those of the container.

        Raises:
            MediaError: the container does not take a codec.
            OSError: the file cannot be opened.
        """
        kind = container.value
        refuse(container, [encoder.codec for encoder in encoders])
        merged = {**kind.options, **(options or {})}
        file = str(target) if isinstance(target, Path) else _Writer(target)
        self._output = av.open(file, "w", format=kind.format, options=merged)
        self._streams: dict[str, Stream] = {
            encoder.track: self._output.add_stream_from_template(encoder.template, opaque=True)
            for encoder in encoders
        }
        self._output.start_encoding()
        self._leader = next((e.track for e in encoders if e.template.type == "video"), None)
        self._start: Fraction | None = None
        self._held: deque[EncodedPacket] = deque(maxlen=_HELD)
        self._closed = False

    def write(self, packet: EncodedPacket) -> None:
        """Write a packet; one of a track that is not ours is ignored.

        Raises:
            MediaError: FFmpeg does not take it.
            OSError: the target does not.
        """
        if packet.track not in self._streams:
            return
        if self._start is None and not self._started(packet):
            return
        self._mux(packet)

    def _started(self, packet: EncodedPacket) -> bool:
        """Whether it is time; sound that waited for it is written."""
        if self._leader is None:
            self._start = max(Fraction(0), packet.seconds)
            return True
        if packet.track != self._leader:
            self._held.append(packet)
            return False
        if not packet.key:
            return False
        self._start = packet.seconds
        for held in self._held:
            # one that ends where we begin helps the decoder to get going
            if held.end_s >= self._start:
                self._mux(held)
        self._held.clear()
        return True

    def _mux(self, packet: EncodedPacket) -> None:
        copy = packet.copied()
        assert self._start is not None
        offset = round(self._start / packet.time_base)
        copy.pts, copy.dts = packet.pts - offset, packet.dts - offset
        copy.stream = self._streams[packet.track]
        try:
            self._output.mux_one(copy)
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise MediaError(f"a packet of {packet.track} cannot be written: {error}") from error

    def close(self) -> None:
        """Write what is left and close; a second time is nothing."""
        if not self._closed:
            self._closed = True
            self._output.close()

    def __enter__(self) -> Muxer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def refuse(container: Container, codecs: Sequence[str]) -> None:
    """Raise `MediaError` for codecs that a container does not take."""
    kind = container.value
    known = (*kind.video, *kind.audio)
    for codec in codecs:
        if codec not in known:
            raise MediaError(f"{container.name} does not take {codec!r}, but {list(known)!r}")


class _Writer:
    """Nothing but `write`, so that FFmpeg does not seek."""

    def __init__(self, target: ByteSink) -> None:
        self._target = target

    def write(self, data: bytes) -> int:
        self._target.write(bytes(data))
        return len(data)
