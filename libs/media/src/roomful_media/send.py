"""Encoded frames of one track → RTP packets and clock records for the local link. Sans-IO.

SSRC, payload type and header extensions of the wire are the engine's business: what is set here is
replaced there. Sequence numbers and timestamps begin anywhere and go on without a gap.
"""

from __future__ import annotations

import random
from typing import Protocol

from roomful.errors import MediaError
from roomful_media.codecs.names import AUDIO
from roomful_rtc import extensions
from roomful_rtc.local_codecs import AUDIO_LEVEL_ID
from roomful_rtc.payload.depacketisers import packetiser
from roomful_rtc.rtp import HEADER, SEQ_MASK, TS_MASK

CLOCK_EVERY_US = 1_000_000
_VERSION, _EXTENDED, _MARKER, _PT = 0x80, 0x10, 0x80, 96
_PAUSE_US = 100_000
"""Audio that begins again after such a pause is marked (RFC 3551 section 4.1)."""


class PacketWriter(Protocol):
    """Where packets go: a source of the link."""

    def write(self, packet: bytes, arrival_ns: int) -> None:
        """Take one plain RTP packet made at this time of CLOCK_MONOTONIC."""
        ...

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Take the RTP time and NTP timestamp (64 bits) of one instant."""
        ...


class TrackSender:
    """One encoded track.

    `ntp_offset_us`: NTP time minus CLOCK_MONOTONIC, the same for all tracks of a worker, so that
    they are in step. Raises `MediaError` for a codec without payload format.
    """

    def __init__(
        self,
        codec: str,
        clock_rate: int,
        out: PacketWriter,
        ntp_offset_us: int,
        chance: random.Random | None = None,
    ) -> None:
        chance = chance or random.SystemRandom()
        self._audio = codec in AUDIO
        self._packetiser = packetiser(codec)
        self._rate, self._out, self._ntp_offset_us = clock_rate, out, ntp_offset_us
        self._seq = chance.randrange(SEQ_MASK + 1)
        self._first_ts = chance.randrange(TS_MASK + 1)
        self._ssrc = chance.randrange(1, TS_MASK + 1)
        self._begin_us: int | None = None
        self._last_us = self._clocked_us = 0
        self.packets = self.bytes = 0
        """sent, without headers"""

    def send(self, frame: bytes, time_us: int, now_ns: int, level: int | None = None) -> int:
        """Send one encoded frame of this common media time; returns its number of packets.

        `level`: how loud sound is, 0 to -127 dBov (`loudness.dbov`); who is loud enough is an
        active speaker. A clock record goes before the first and then once a second. Raises `MediaError` when the
        frame is not of the codec: nothing is sent.
        """
        try:
            payloads = self._packetiser.packetise(frame)
        except ValueError as error:
            raise MediaError(f"an encoded frame cannot be packetised: {error}") from error
        first = self._begin_us is None
        if self._begin_us is None:
            self._begin_us = time_us
        ts = self.rtp_ts(time_us)
        if first or abs(time_us - self._clocked_us) >= CLOCK_EVERY_US:
            self._clocked_us = time_us
            self._out.clock(ts, self._ntp(time_us), now_ns)
        resumes = first or time_us - self._last_us > _PAUSE_US
        self._last_us = time_us
        version, element = _VERSION, b""
        if level is not None:
            version |= _EXTENDED
            element = extensions.write([(AUDIO_LEVEL_ID, bytes((min(max(-level, 0), 127),)))])
        last = len(payloads) - 1
        for place, payload in enumerate(payloads):
            marked = resumes if self._audio else place == last
            head = HEADER.pack(
                version, (_MARKER if marked else 0) | _PT, self._seq, ts, self._ssrc
            )
            self._seq = self._seq + 1 & SEQ_MASK
            self.packets += 1
            self.bytes += len(payload)
            self._out.write(head + element + payload, now_ns)
        return len(payloads)

    def rtp_ts(self, time_us: int) -> int:
        """Return the RTP time (32 bits) of a common media time."""
        begin = time_us if self._begin_us is None else self._begin_us
        return self._first_ts + round((time_us - begin) * self._rate / 1e6) & TS_MASK

    def _ntp(self, time_us: int) -> int:
        return ((time_us + self._ntp_offset_us) << 32) // 1_000_000
