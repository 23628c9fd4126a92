"""Streams as a publisher sends them: VP8-like frames in simulcast layers, Opus-like audio."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise

from roomful_rtc import extensions, rtcp, rtp

from .client import WireClient

OPUS, VP8, RTX, VP9 = 111, 96, 97, 98
MID_ID, LEVEL_ID, RID_ID, REPAIRED_ID, TWCC_ID = 4, 1, 10, 11, 3
SECOND = 1 << 32


@dataclass
class Outgoing:
    """One SSRC of a client."""

    client: WireClient
    mid: str
    ssrc: int
    pt: int
    rid: str = ""
    clock_rate: int = 90_000
    seq: int = 1000
    ts: int = 5_000
    kept: dict[int, rtp.RtpPacket] = field(default_factory=dict)

    def packet(self, payload: bytes, *, marker: bool = False, **more: bytes) -> rtp.RtpPacket:
        elements = [(MID_ID, self.mid.encode())]
        if self.rid:
            elements.append((RID_ID, self.rid.encode()))
        if "level" in more:
            elements.append((LEVEL_ID, more["level"]))
        if "twcc" in more:
            elements.append((TWCC_ID, more["twcc"]))
        block = extensions.write(elements)
        made = rtp.RtpPacket(
            marker=marker,
            pt=self.pt,
            seq16=self.seq & 0xFFFF,
            ts=self.ts & 0xFFFFFFFF,
            ssrc=self.ssrc,
            payload=payload,
            profile=int.from_bytes(block[:2], "big"),
            extension=block[4:],
        )
        self.kept[self.seq & 0xFFFF] = made
        self.seq += 1
        return made

    def report(self, ntp: int) -> bytes:
        """A sender report: this stream's present RTP time was at `ntp`."""
        return rtcp.build_sr(rtcp.SenderReport(self.ssrc, ntp, self.ts & 0xFFFFFFFF, 10, 1000))


@dataclass
class Layer(Outgoing):
    """A VP8 stream. Frames carry their number and the rid, so that tests can tell them apart."""

    picture: int = 100
    size: tuple[int, int] = (320, 180)

    def frame(self, *, key: bool = False, packets: int = 2, lose: tuple[int, ...] = ()) -> int:
        """Send one frame; packets with these places in it get lost. Returns its picture id."""
        for place in range(packets):
            payload = _vp8(self.picture, place == 0, key, self.size) + self.rid.encode()
            made = self.packet(payload, marker=place == packets - 1)
            if place not in lose:
                self.client.send_rtp(made)
        self.picture = (self.picture + 1) & 0x7FFF
        self.ts += 3000
        return self.picture - 1

    def repair(self, seq16: int, ssrc: int) -> None:
        """Answer a NACK on the RTX stream (RFC 4588)."""
        lost = self.kept[seq16]
        elements = [(MID_ID, self.mid.encode())]
        if self.rid:
            elements.append((REPAIRED_ID, self.rid.encode()))
        block = extensions.write(elements)
        self.client.send_rtp(
            lost._replace(
                pt=RTX,
                ssrc=ssrc,
                seq16=seq16,
                payload=struct.pack("!H", seq16) + lost.payload,
                profile=int.from_bytes(block[:2], "big"),
                extension=block[4:],
            )
        )


class Voice(Outgoing):
    """An Opus-like stream."""

    def say(self, level: int = -20) -> None:
        """Send 20 ms; the payload is the sequence number."""
        payload = struct.pack("!I", self.seq)
        self.client.send_rtp(self.packet(payload, level=bytes((-level,))))
        self.ts += 960


def _vp8(picture: int, first: bool, key: bool, size: tuple[int, int]) -> bytes:
    """A descriptor with a 15-bit picture id and the head of a frame (RFC 7741, RFC 6386)."""
    descriptor = bytes((0x80 | (0x10 if first else 0), 0x80, 0x80 | picture >> 8, picture & 0xFF))
    if not first:
        return descriptor + b"\x55" * 20
    if not key:
        return descriptor + b"\x01" + b"\x00" * 20
    width, height = size
    return descriptor + b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 8


def picture_id(packet: rtp.RtpPacket) -> int:
    """Of a payload that `Layer` made."""
    return int.from_bytes(packet.payload[2:4], "big") & 0x7FFF


def is_key(packet: rtp.RtpPacket) -> bool:
    """Whether a payload of `Layer` begins a key frame."""
    return bool(packet.payload[0] & 0x10) and not packet.payload[4] & 1


def rid_of(packet: rtp.RtpPacket) -> str:
    """Which layer of the publisher a packet came from."""
    return packet.payload[-1:].decode()


def gapless(packets: list[rtp.RtpPacket]) -> bool:
    """Whether sequence numbers follow each other."""
    numbers = [packet.seq16 for packet in packets]
    return all((b - a) & 0xFFFF == 1 for a, b in pairwise(numbers))


def times_never_go_back(packets: list[rtp.RtpPacket]) -> bool:
    """Whether RTP times only grow, by less than 2 s a step."""
    times = [packet.ts for packet in packets]
    return all((b - a) & 0xFFFFFFFF < 180_000 for a, b in pairwise(times))


def pictures(packets: list[rtp.RtpPacket]) -> list[int]:
    """Picture ids of the frames, once each, in order of arrival."""
    found: list[int] = []
    for packet in packets:
        if not found or found[-1] != picture_id(packet):
            found.append(picture_id(packet))
    return found
