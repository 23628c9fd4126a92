"""Encoded media between an encoder and the sinks that write it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.stream import Stream


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One encoded frame. The bytes cannot change, so that any number of sinks may hold it."""

    track: str
    """which track of the sinks it belongs to, `video` or `audio` mostly"""
    data: bytes
    pts: int
    """in `time_base`; below zero for what an audio encoder needs to get going"""
    dts: int
    duration: int
    time_base: Fraction
    key: bool
    """whether decoding may begin here"""

    @property
    def seconds(self) -> Fraction:
        """When it is shown or heard."""
        return self.pts * self.time_base

    @property
    def end_s(self) -> Fraction:
        return (self.pts + self.duration) * self.time_base

    def copied(self) -> Packet[Stream]:
        """Return a copy of its own for FFmpeg, which writes into the packets that it is given."""
        packet: Packet[Stream] = Packet(self.data)
        packet.pts, packet.dts, packet.duration = self.pts, self.dts, self.duration
        packet.time_base, packet.is_keyframe = self.time_base, self.key
        return packet


def taken(packet: Packet[Stream], track: str, step: int) -> EncodedPacket:
    """Return what an encoder or demuxer gave.

    Args:
        packet: with data.
        track: its name from now on.
        step: duration of a frame where the packet does not say, in its time base.
    """
    pts = packet.pts if packet.pts is not None else packet.dts
    assert pts is not None
    return EncodedPacket(
        track,
        bytes(packet),
        pts,
        packet.dts if packet.dts is not None else pts,
        packet.duration or step,
        packet.time_base,
        packet.is_keyframe,
    )
