"""Fragmented files, whole or torn, joined into one that any player seeks in."""

# PyAV leaves type arguments open in its stubs
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from roomful.errors import MediaError
from roomful_media.fragment import sync_folder
from roomful_media.mux import Container

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream


@dataclass(frozen=True, slots=True)
class Part:
    """A file that a writer left."""

    path: Path
    offset_us: int = 0
    """where its time zero is on the time line of the whole; what overlaps the part before is later"""


@dataclass(frozen=True, slots=True)
class Gap:
    """Where the whole has no media, because no writer lived."""

    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of it."""

    path: Path
    size: int
    """bytes"""
    duration_us: int
    gaps: tuple[Gap, ...]
    unreadable: tuple[Path, ...]
    """parts of which nothing could be read"""


def finish(parts: Sequence[Part], target: Path, container: Container) -> Finished:
    """Copy parts into a plain file; nothing is encoded. Blocking.

    The target appears whole or not at all; the parts stay.

    Raises:
        MediaError: nothing can be read, or parts differ in their tracks.
        OSError: the disk does not take it.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        joined = _Joined(partial, container)
        try:
            for part in sorted(parts, key=lambda part: part.offset_us):
                joined.append(part)
        finally:
            joined.close()
        if joined.empty:
            names = [part.path.name for part in parts]
            raise MediaError(f"nothing can be read of {names!r}")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(target.parent)
    size, end_us = target.stat().st_size, _us(joined.end)
    return Finished(target, size, end_us, tuple(joined.gaps), tuple(joined.unreadable))


class _Joined:
    """The output while it grows."""

    def __init__(self, path: Path, container: Container) -> None:
        self._path, self._container = path, container
        self._output: OutputContainer | None = None
        self._streams: list[Stream] = []
        self._codecs: list[tuple[str, bytes | None]] = []
        self._last_dts: dict[int, Fraction] = {}
        self.end = Fraction(0)
        self.gaps: list[Gap] = []
        self.unreadable: list[Path] = []

    @property
    def empty(self) -> bool:
        return self._output is None or not self._last_dts

    def append(self, part: Part) -> None:
        """Copy what is whole in a part."""
        try:
            source = av.open(str(part.path))
        except (FFmpegError, ValueError):
            self.unreadable.append(part.path)
            return
        with source:
            if not source.streams:
                self.unreadable.append(part.path)
                return
            self._begin(source, part)
            offset = max(self.end, Fraction(part.offset_us, 1_000_000))
            if not self.empty and offset > self.end:
                self.gaps.append(Gap(_us(self.end), _us(offset)))
            for packet in _whole_packets(source):
                self._copy(packet, offset)

    def _begin(self, source: InputContainer, part: Part) -> None:
        codecs = [(s.codec_context.name, s.codec_context.extradata) for s in source.streams]
        if self._output is None:
            options = dict(self._container.value.options)
            self._output = av.open(
                str(self._path), "w", format=self._container.value.format, options=options
            )
            self._codecs = codecs
            self._streams = [
                self._output.add_stream_from_template(stream, opaque=True)
                for stream in source.streams
            ]
        elif codecs != self._codecs:
            raise MediaError(f"{part.path.name} has other tracks than the parts before it")

    def _copy(self, packet: Packet[Stream], offset: Fraction) -> None:
        assert self._output is not None and packet.pts is not None and packet.dts is not None
        index = packet.stream_index
        shift = round(offset / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
        dts = packet.dts * packet.time_base
        last = self._last_dts.get(index)
        if last is not None and dts <= last:
            return  # the tail of one part and the first sound of the next may overlap
        self._last_dts[index] = dts
        end = (packet.pts + (packet.duration or 0)) * packet.time_base
        self.end = max(self.end, end)
        packet.stream = self._streams[index]
        self._output.mux_one(packet)

    def close(self) -> None:
        if self._output is not None:
            self._output.close()


def _whole_packets(source: InputContainer) -> Iterator[Packet[Stream]]:
    """Give what can be read up to the place where the writer died."""
    # a torn fragment ends the file for us: what it holds was not whole
    with suppress(FFmpegError):
        for packet in source.demux():
            if packet.is_corrupt:
                return
            if packet.size and packet.dts is not None and packet.pts is not None:
                yield packet


def _us(seconds: Fraction) -> int:
    return round(seconds * 1_000_000)
