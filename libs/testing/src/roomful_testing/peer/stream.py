"""One outgoing RTP stream: header, extensions and counters, written in place into a shared buffer."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable

from roomful_rtc import extensions, rtcp
from roomful_testing.clip import STAMP_BYTES
from roomful_testing.peer.description import (
    ABS_SEND_TIME_ID,
    LEVEL_ID,
    MID_ID,
    OPUS,
    RID_ID,
    TWCC_ID,
)
from roomful_testing.peer.srtp import Buffer
from roomful_testing.peer.transport import Transport
from roomful_testing.peer.wall import ntp, wall_ns

HISTORY = 512
"""packets of a stream that can be sent again"""
_VARYING = struct.Struct("!BHI")
_TWCC, _TWCC_AND_TIME = struct.Struct("!H"), struct.Struct("!HI")
_STAMP = struct.Struct("!Q")
_PICTURE_ID = struct.Struct("!H")
_PICTURE_ID_AT = 2
_TIME_HEAD = (ABS_SEND_TIME_ID << 4 | 2) << 24


class TransportNumbers:
    """The transport-wide sequence number, shared by the streams of a transport."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        """Return the next one."""
        number, self._next = self._next, (self._next + 1) & 0xFFFF
        return number


class OutStream:
    """Of one SSRC. Timestamps are those of `rtp_ts`, plus an offset of its own."""

    def __init__(
        self,
        transport: Transport,
        buffer: Buffer,
        numbers: TransportNumbers,
        *,
        ssrc: int,
        pt: int,
        mid: str,
        rid: str = "",
        level: int = 20,
    ) -> None:
        """`buffer`: the transport's. `level`: −dBov of audio."""
        self.ssrc, self.pt = ssrc, pt
        self.packets = self.octets = self.resent = 0
        self._transport, self._buffer, self._numbers = transport, buffer, numbers
        self._seq = random.randrange(1 << 15)  # noqa: S311 - no secret
        self._ts = random.randrange(1 << 32)  # noqa: S311
        self._audio = pt == OPUS
        block, self._twcc_at = _block(mid, rid, level if self._audio else None)
        self._head = bytes((0x90, pt)) + bytes(6) + ssrc.to_bytes(4, "big") + block
        self._history: list[bytes] = []
        self._keeps = False

    def keep_history(self) -> None:
        """Keep the newest packets so that they can be sent again."""
        self._keeps, self._history = True, [b""] * HISTORY

    def write(
        self,
        payload: bytes,
        ticks: int,
        *,
        marker: bool,
        now: float,
        stamped: bool = False,
        picture_id: int = -1,
    ) -> None:
        """Send one packet.

        Args:
            payload: of the packet; the stamp's room at its end where it has one.
            ticks: media time in steps of the clock rate, from the begin of the stream.
            marker: of the header.
            now: seconds of any clock, for the time of sending.
            stamped: whether to write the wall time into the last bytes.
            picture_id: of VP8, to be written into the descriptor; negative: there is none.
        """
        view, head = self._buffer.view, self._head
        at, seq = len(head), self._seq
        view[:at] = head
        ts = self._ts + ticks & 0xFFFFFFFF
        _VARYING.pack_into(view, 1, self.pt | 0x80 if marker else self.pt, seq, ts)
        number = self._numbers.take()
        if self._audio:
            _TWCC.pack_into(view, self._twcc_at, number)
        else:
            sent_at = int(now * 262_144) & 0xFFFFFF  # 6.18 bits of seconds
            _TWCC_AND_TIME.pack_into(view, self._twcc_at, number, _TIME_HEAD | sent_at)
        end = at + len(payload)
        view[at:end] = payload
        if picture_id >= 0:
            _PICTURE_ID.pack_into(view, at + _PICTURE_ID_AT, 0x8000 | picture_id)
        if stamped:
            _STAMP.pack_into(view, end - STAMP_BYTES, wall_ns())
        sealed = self._transport.send_sealed(end)
        if self._keeps:
            self._history[seq % HISTORY] = bytes(sealed)
        self._seq = seq + 1 & 0xFFFF
        self.packets += 1
        self.octets += len(payload)

    def resend(self, seq16s: Iterable[int]) -> None:
        """Send packets again, as they were, that are still kept."""
        for seq16 in seq16s:
            packet = self._history[seq16 % HISTORY] if self._keeps else b""
            if packet and int.from_bytes(packet[2:4], "big") == seq16:
                self._transport.send_raw(packet)
                self.resent += 1

    def report(self, ticks: int) -> None:
        """Send a sender report (RFC 3550 section 6.4.1); `ticks`: media time of this moment."""
        report = rtcp.SenderReport(
            self.ssrc, ntp(wall_ns()), self._ts + ticks & 0xFFFFFFFF, self.packets, self.octets
        )
        packet = (rtcp.build_sr(report), rtcp.build_sdes(self.ssrc, "roomful-testing"))
        self._transport.send_rtcp(rtcp.compound(packet))


def _block(mid: str, rid: str, level: int | None) -> tuple[bytes, int]:
    """The header extensions of a stream; and where in a packet the transport's number goes."""
    elements = [(TWCC_ID, bytes(2))]
    elements += [(ABS_SEND_TIME_ID, bytes(3))] if level is None else []
    elements.append((MID_ID, mid.encode()))
    if rid:
        elements.append((RID_ID, rid.encode()))
    if level is not None:
        elements.append((LEVEL_ID, bytes((0x80 | level,))))
    return extensions.write(elements), 12 + 4 + 1
