"""Frames with true headers and made-up contents, for formats that do not look further."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from roomful_rtc.payload.av1_frames import leb128
from roomful_rtc.payload.depacketisers import packetiser
from roomful_rtc.payload.frames import Depacketiser, EncodedFrame

CODECS = ("vp8", "vp9", "av1", "h264")
SEQUENCE_HEADER, FRAME = 0x0A, 0x32


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes without a start code of H.264, and without a zero at their end."""
    return bytes(byte or 1 for byte in random.Random(seed).randbytes(size))


def obu(header: int, content: bytes) -> bytes:
    """An OBU with its size field."""
    return bytes((header,)) + leb128(len(content)) + content


def frame(codec: str, number: int, size: int = 3000) -> tuple[bytes, bool]:
    """Frame of a clip whose first is a key frame."""
    key, body = number == 0, noise(size, number)
    match codec:
        case "vp8":
            return bytes((0x10 if key else 0x11,)) + body, key
        case "vp9":
            return bytes((0x82 if key else 0x86,)) + body, key
        case "av1":
            head = obu(SEQUENCE_HEADER, noise(11)) if key else b""
            return b"\x12\0" + head + obu(FRAME, body), key
        case _:
            start = b"\0\0\0\1"
            sets = start + b"\x67" + noise(9) + start + b"\x68" + noise(4) if key else b""
            slice_ = start + (b"\x65" if key else b"\x41") + b"\x88" + body
            return sets + slice_, key


class Packet(NamedTuple):
    """One payload with what its header says."""

    payload: bytes
    ts: int
    marker: bool


def packets(codec: str, frames: Iterable[tuple[bytes, bool]]) -> list[list[Packet]]:
    """Packetise a clip; a list per frame."""
    made = packetiser(codec)
    clip: list[list[Packet]] = []
    for number, (data, _) in enumerate(frames):
        payloads = made.packetise(data)
        last = len(payloads) - 1
        clip.append([Packet(p, 3000 * number, place == last) for place, p in enumerate(payloads)])
    return clip


def push(
    depacketiser: Depacketiser, clip: list[list[Packet]], lost: set[tuple[int, int]] | None = None
) -> list[EncodedFrame]:
    """Push a clip but for the packets (frame, place) that are lost."""
    frames: list[EncodedFrame] = []
    missing = 0
    for number, parts in enumerate(clip):
        for place, packet in enumerate(parts):
            if lost and (number, place) in lost:
                missing += 1
                continue
            frames += depacketiser.push(*packet, missing)
            missing = 0
    return frames
