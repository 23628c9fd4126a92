"""Publishers of one raw participant: packets of a clip, written into the shared buffer and sealed.

Each keeps its own pace: `due` is when `send` wants to be called next (loop time). A publisher that
was held up sends what it owes at once, as encoders do, but never more than a second's worth.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from roomful_rtc import rtcp

from .clips import STAMP_BYTES, Film, opus_tone, vp8_film
from .description import EXTENSIONS, OPUS, VP8
from .link import Link
from .srtp import Buffer

AUDIO_EVERY_S = 0.02
REPORT_EVERY_S = 1.0
BURST, BURST_EVERY_S = 8, 0.003
"""a picture's packets go out in bursts, as a pacer sends them"""
OWED_S = 1.0
_HEAD = struct.Struct("!BBHII")
_STAMP = struct.Struct("!Q")
_NTP_EPOCH = 2_208_988_800


class Publisher(Protocol):
    """Something that sends at its own pace."""

    ssrc: int
    packets: int
    due: float

    def send(self, now: float) -> None:
        """Send what is due; `due` moves on."""
        ...

    def on_key_frame_wanted(self) -> None: ...


class TransportNumbers:
    """The transport-wide sequence number, shared by the publishers of a link."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        number, self._next = self._next, (self._next + 1) & 0xFFFF
        return number


class OutStream:
    """Header fields, extensions and counters of one outgoing stream."""

    def __init__(
        self, link: Link, buffer: Buffer, numbers: TransportNumbers, ssrc: int, pt: int, mid: str
    ) -> None:
        self.ssrc = ssrc
        self.packets = self.octets = 0
        self._link, self._buffer, self._numbers = link, buffer, numbers
        self._pt = pt
        self._seq = random.randrange(1 << 15)
        self.ts = random.randrange(1 << 31)
        self._extensions, self._twcc_at = _extensions(mid, audio=pt == OPUS)
        self._payload_at = 12 + len(self._extensions)

    def write(self, payload: Sequence[bytes], *, marker: bool, stamped: bool) -> None:
        """Send one packet whose payload is these parts in a row."""
        view, at = self._buffer.view, self._payload_at
        _HEAD.pack_into(
            view, 0, 0x90, self._pt | (0x80 if marker else 0), self._seq, self.ts, self.ssrc
        )
        view[12:at] = self._extensions
        view[self._twcc_at : self._twcc_at + 2] = self._numbers.take().to_bytes(2, "big")
        for part in payload:
            view[at : at + len(part)] = part
            at += len(part)
        if stamped:
            _STAMP.pack_into(view, at - STAMP_BYTES, time.time_ns())
        self._link.send_packet(at)
        self._seq = (self._seq + 1) & 0xFFFF
        self.packets += 1
        self.octets += at - self._payload_at

    def step(self, ticks: int) -> None:
        self.ts = (self.ts + ticks) & 0xFFFFFFFF

    def report(self) -> None:
        """Send a sender report (RFC 3550 section 6.4.1)."""
        seconds = time.time() + _NTP_EPOCH
        report = rtcp.SenderReport(
            self.ssrc, int(seconds * (1 << 32)), self.ts, self.packets, self.octets
        )
        packet = (rtcp.build_sr(report), rtcp.build_sdes(self.ssrc, "bench"))
        self._link.send_rtcp(rtcp.compound(packet))


def _extensions(mid: str, *, audio: bool) -> tuple[bytes, int]:
    """The one-byte form of the header extensions (RFC 8285); and where the number goes."""
    number = EXTENSIONS["twcc"][0] << 4 | 1
    elements = bytes((number, 0, 0, EXTENSIONS["mid"][0] << 4 | len(mid) - 1)) + mid.encode()
    if audio:
        elements += bytes((EXTENSIONS["audio_level"][0] << 4, 0x80 | 20))
    else:
        elements += bytes((EXTENSIONS["abs_send_time"][0] << 4 | 2, 0, 0, 0))
    elements += bytes(-len(elements) % 4)
    return struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements, 12 + 4 + 1


class AudioPublisher:
    """A tone: 50 packets a second."""

    def __init__(self, stream: OutStream, now: float, hertz: float) -> None:
        self.due = now + random.random() * AUDIO_EVERY_S
        self._stream, self._clip = stream, opus_tone(hertz)
        self._report_at = now

    @property
    def ssrc(self) -> int:
        return self._stream.ssrc

    @property
    def packets(self) -> int:
        return self._stream.packets

    def send(self, now: float) -> None:
        """Send what is due."""
        stream = self._stream
        self.due = max(self.due, now - OWED_S)
        while self.due <= now:
            packet = self._clip[stream.packets % len(self._clip)]
            stream.write((packet,), marker=not stream.packets, stamped=True)
            stream.step(960)
            self.due += AUDIO_EVERY_S
        if now >= self._report_at:
            self._report_at = now + REPORT_EVERY_S
            stream.report()

    def on_key_frame_wanted(self) -> None:
        """Means nothing here."""


class VideoPublisher:
    """A film, with a key frame whenever one is asked for."""

    def __init__(self, stream: OutStream, now: float, film: Film) -> None:
        self._every_s = 1 / film.per_second
        self.due = now + random.random() * self._every_s
        self._stream, self._film = stream, vp8_film(film)
        self._next_picture = self.due
        self._place = self._piece = 0
        self._begin_anew = False
        self._picture_id = random.randrange(1 << 14)
        self._report_at = now
        self.key_frames = 0

    @property
    def ssrc(self) -> int:
        return self._stream.ssrc

    @property
    def packets(self) -> int:
        return self._stream.packets

    def on_key_frame_wanted(self) -> None:
        """Begin the film anew, with its key frame, once the present picture is sent."""
        self._begin_anew = True

    def send(self, now: float) -> None:
        """Send a burst of the present picture."""
        self._next_picture = max(self._next_picture, now - OWED_S)
        pieces = self._film[self._place]
        for number in range(self._piece, min(self._piece + BURST, len(pieces))):
            descriptor = bytes(
                (
                    0x80 | (0x10 if not number else 0),
                    0x80,
                    0x80 | self._picture_id >> 8,
                    self._picture_id & 0xFF,
                )
            )
            last = number == len(pieces) - 1
            self._stream.write((descriptor, pieces[number]), marker=last, stamped=last)
        self._piece += BURST
        if self._piece < len(pieces):
            self.due = now + BURST_EVERY_S
            return
        self._finish(now)

    def _finish(self, now: float) -> None:
        self.key_frames += not self._place
        self._piece = 0
        self._place = 0 if self._begin_anew else (self._place + 1) % len(self._film)
        self._begin_anew = False
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        self._stream.step(round(90_000 * self._every_s))
        self._next_picture += self._every_s
        self.due = self._next_picture
        if now >= self._report_at:
            self._report_at = now + REPORT_EVERY_S
            self._stream.report()


def publisher(
    kind: str,
    stream: Callable[[int], OutStream],
    now: float,
    *,
    hertz: float,
    film: Film,
) -> AudioPublisher | VideoPublisher:
    """The publisher of a kind; `stream` makes an outgoing stream with a payload type."""
    if kind == "audio":
        return AudioPublisher(stream(OPUS), now, hertz)
    return VideoPublisher(stream(VP8), now, film)
