"""A tone and coloured bars as RTP payloads, encoded once; and what decodes them again."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
import numpy.typing as npt

from roomful_rtc import rtp
from tests.interop.media import LOUDNESS, SAMPLE_RATE, bars

OPUS_SAMPLES = 960
PICTURES_PER_SECOND = 30
CLIP_PICTURES = 30
PAYLOAD_BYTES = 1100
_DESCRIPTOR = 4
"""X and S, I, and a 15-bit picture id (RFC 7741 section 4.2)"""


@cache
def tone(hertz: int) -> tuple[bytes, ...]:
    """One second of Opus, 20 ms a packet; it can be repeated without a click."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = SAMPLE_RATE, "mono", "s16"
    codec.bit_rate = 32_000
    packets: list[bytes] = []
    for number in range(100):
        at = (np.arange(OPUS_SAMPLES) + number * OPUS_SAMPLES) * (2 * np.pi * hertz / SAMPLE_RATE)
        samples = (LOUDNESS * np.sin(at)).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, number * OPUS_SAMPLES
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return tuple(packets[40:90])


@cache
def colours(width: int, height: int) -> tuple[tuple[bytes, ...], ...]:
    """One second of VP8 bars, the first picture a key frame; a tuple of chunks a picture."""
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base = Fraction(1, PICTURES_PER_SECOND)
    codec.bit_rate = 400_000
    codec.options = {"g": "1000", "deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
    pictures: list[tuple[bytes, ...]] = []
    for number in range(CLIP_PICTURES):
        picture = bars(width, height)
        picture[height - 8 :, number * width // CLIP_PICTURES :, :3] = 255
        frame = av.VideoFrame.from_ndarray(picture, format="rgba")
        frame.pts, frame.time_base = number, codec.time_base
        data = b"".join(bytes(packet) for packet in codec.encode(frame))
        size = PAYLOAD_BYTES - _DESCRIPTOR
        pictures.append(tuple(data[at : at + size] for at in range(0, len(data), size)))
    return tuple(pictures)


def descriptor(picture_id: int, *, begins: bool) -> bytes:
    """The VP8 payload descriptor of a chunk."""
    return bytes((0x90 if begins else 0x80, 0x80, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF))


def decode_opus(packets: list[bytes]) -> npt.NDArray[np.float64]:
    """Samples, mono, of plain RTP packets in the order of their numbers."""
    codec = av.CodecContext.create("libopus", "r")
    parts: list[npt.NDArray[np.float64]] = []
    for packet in in_order(packets):
        for frame in codec.decode(av.Packet(packet.payload)):
            samples = frame.to_ndarray().astype(float)
            if "flt" in frame.format.name:
                samples *= 32767
            channels = len(frame.layout.channels)
            flat = samples if frame.format.is_planar else samples.reshape(-1, channels).T
            parts.append(flat[0])
    return np.concatenate(parts) if parts else np.zeros(0)


def loudest(samples: npt.NDArray[np.float64]) -> float:
    """The loudest frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


@dataclass(slots=True)
class Film:
    """What was decoded of VP8 packets."""

    pictures: list[npt.NDArray[np.uint8]]
    sizes: list[tuple[int, int]]
    """width and height of each picture"""


def decode_vp8(packets: list[bytes]) -> Film:
    """Decode plain RTP packets in the order of their numbers; raises where a picture is broken."""
    codec = av.CodecContext.create("vp8", "r")
    film, data = Film([], []), b""
    for packet in in_order(packets):
        data += _without_descriptor(packet.payload)
        if not packet.marker:
            continue
        for frame in codec.decode(av.Packet(data)):
            film.pictures.append(frame.to_ndarray(format="rgb24"))
            film.sizes.append((frame.width, frame.height))
        data = b""
    return film


def in_order(packets: list[bytes]) -> list[rtp.RtpPacket]:
    """Parsed packets by extended number."""
    found: dict[int, rtp.RtpPacket] = {}
    newest = -1
    for packet in map(rtp.parse, packets):
        seq = packet.seq16 if newest < 0 else rtp.unwrap(packet.seq16, newest)
        newest = max(newest, seq)
        found[seq] = packet
    return [found[seq] for seq in sorted(found)]


def missing(packets: list[bytes]) -> int:
    """How many numbers are missing between the first and the last."""
    numbers = [packet.seq16 for packet in in_order(packets)]
    if not numbers:
        return 0
    return (numbers[-1] - numbers[0] & 0xFFFF) + 1 - len(numbers)


def _without_descriptor(payload: bytes) -> bytes:
    """The VP8 data behind its payload descriptor (RFC 7741 section 4.2)."""
    at = 1
    if payload[0] & 0x80:
        flags = payload[1]
        at = 2
        if flags & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        at += bool(flags & 0x40) + bool(flags & 0x30)
    return payload[at:]
