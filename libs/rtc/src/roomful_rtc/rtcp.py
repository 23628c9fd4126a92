"""RTCP: compound packets taken apart and built (RFC 3550 section 6, RFC 4585, RFC 5104), sans-IO.

`parse` checks every length before it reads and raises `RemoteProtocolError` for a compound that
is not consistent; types nobody needs are skipped. SSRCs, NTP times and RTP times are the unsigned
numbers of the wire. Records are named tuples: one is made per report and peer, every second.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from roomful.errors import RemoteProtocolError
from roomful_rtc.rtp import SEQ_MASK

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK_FORMAT, TWCC_FORMAT = 1, 15
PLI_FORMAT, FIR_FORMAT, APPLICATION_FORMAT = 1, 4, 15

MAX_COMPOUND = 1500
MAX_BLOCKS = 31
MAX_NACKED = 256
"""sequence numbers that are read of one NACK packet; the rest is ignored"""
MAX_REMB_SSRCS = 64
MIN_BITRATE, MAX_BITRATE = 10_000, 100_000_000
"""a REMB is clamped to this"""

_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_SSRC = struct.Struct("!I")
_PAIR = struct.Struct("!II")
_NACK = struct.Struct("!HH")
_FIR = struct.Struct("!IB3x")


class ReportBlock(NamedTuple):
    """What a receiver says of one stream. `fraction_lost` in 1/256, `jitter` in RTP units."""

    ssrc: int
    fraction_lost: int
    lost: int
    """cumulative, may be negative"""
    highest_seq: int
    """extended, 32 bit"""
    jitter: int
    lsr: int
    """middle 32 bits of the NTP time of the last SR, 0 when none came"""
    dlsr: int
    """1/65536 s since that SR"""


class SenderReport(NamedTuple):
    """A sender's clocks and counters."""

    ssrc: int
    ntp: int
    """64 bit, 32.32 fixed-point seconds since 1900"""
    rtp_ts: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


class ReceiverReport(NamedTuple):
    """Reports of a receiver that sends nothing itself."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


class Bye(NamedTuple):
    """These streams ended."""

    ssrcs: tuple[int, ...]


class Nack(NamedTuple):
    """These 16-bit sequence numbers did not come (RFC 4585 section 6.2.1)."""

    sender: int
    media: int
    seq16s: tuple[int, ...]


class Pli(NamedTuple):
    """A picture was lost: send a key frame (RFC 4585 section 6.3.1)."""

    sender: int
    media: int


class Fir(NamedTuple):
    """Send a key frame of these streams (RFC 5104 section 4.3.1): (ssrc, command number)."""

    sender: int
    entries: tuple[tuple[int, int], ...]


class Remb(NamedTuple):
    """The receiver's estimate in bit/s, clamped (draft-alvestrand-rmcat-remb-03)."""

    sender: int
    bitrate: int
    ssrcs: tuple[int, ...] = ()


class TransportFeedback(NamedTuple):
    """Transport-wide feedback; `body` is for `roomful_rtc.twcc.parse`."""

    sender: int
    media: int
    body: bytes


RtcpPacket = SenderReport | ReceiverReport | Bye | Nack | Pli | Fir | Remb | TransportFeedback


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP on one port (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] >> 6 == 2 and 192 <= data[1] <= 223


# --- reading ---


def parse(data: bytes) -> list[RtcpPacket]:
    """Take a compound packet apart, in order; unknown types and SDES are left out.

    Raises:
        RemoteProtocolError: too long, or a length, version, count or padding does not fit.
    """
    if len(data) > MAX_COMPOUND:
        raise RemoteProtocolError("RTCP compound is too long")
    packets: list[RtcpPacket] = []
    at, size = 0, len(data)
    while at < size:
        if size - at < 4:
            raise RemoteProtocolError("RTCP header is cut off")
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > size:
            raise RemoteProtocolError("RTCP version or length does not fit")
        reader = _READERS.get(kind)
        if reader is not None:
            stop = _without_padding(data, at, end, size) if first & 0x20 else end
            packet = reader(data, at + 4, stop, first & 0x1F)
            if packet is not None:
                packets.append(packet)
        at = end
    return packets


def _without_padding(data: bytes, start: int, end: int, size: int) -> int:
    padding = data[end - 1]
    if end != size or not 0 < padding <= end - start - 4:
        raise RemoteProtocolError("RTCP padding does not fit")
    return end - padding


def _need(present: int, needed: int) -> None:
    if present < needed:
        raise RemoteProtocolError("RTCP packet is shorter than its fields")


def _blocks(data: bytes, at: int, end: int, count: int) -> tuple[ReportBlock, ...]:
    _need(end - at, count * 24)
    return tuple(_block(*_BLOCK.unpack_from(data, at + 24 * index)) for index in range(count))


def _block(ssrc: int, loss: int, highest: int, jitter: int, lsr: int, dlsr: int) -> ReportBlock:
    lost = loss & 0xFFFFFF
    return ReportBlock(
        ssrc, loss >> 24, lost - 0x1000000 if lost & 0x800000 else lost, highest, jitter, lsr, dlsr
    )


def _read_sr(data: bytes, at: int, end: int, count: int) -> SenderReport:
    _need(end - at, 24)
    ssrc = _SSRC.unpack_from(data, at)[0]
    return SenderReport(
        ssrc, *_SENDER.unpack_from(data, at + 4), blocks=_blocks(data, at + 24, end, count)
    )


def _read_rr(data: bytes, at: int, end: int, count: int) -> ReceiverReport:
    _need(end - at, 4)
    return ReceiverReport(_SSRC.unpack_from(data, at)[0], _blocks(data, at + 4, end, count))


def _read_bye(data: bytes, at: int, end: int, count: int) -> Bye:
    _need(end - at, 4 * count)
    return Bye(struct.unpack_from(f"!{count}I", data, at))


def _read_rtpfb(data: bytes, at: int, end: int, count: int) -> Nack | TransportFeedback | None:
    _need(end - at, 8)
    sender, media = _PAIR.unpack_from(data, at)
    if count == NACK_FORMAT:
        return Nack(sender, media, _nacked(data[at + 8 : end]))
    if count == TWCC_FORMAT:
        return TransportFeedback(sender, media, data[at + 8 : end])
    return None


def _nacked(items: bytes) -> tuple[int, ...]:
    """Return the numbers of packet id and bit mask pairs, once each, bounded."""
    numbers: dict[int, None] = {}
    for at in range(0, len(items) - 3, 4):
        first, mask = _NACK.unpack_from(items, at)
        numbers[first] = None
        bit = 1
        while mask:
            if mask & 1:
                numbers[(first + bit) & SEQ_MASK] = None
            mask >>= 1
            bit += 1
        if len(numbers) >= MAX_NACKED:
            break
    return tuple(numbers)[:MAX_NACKED]


def _read_psfb(data: bytes, at: int, end: int, count: int) -> Pli | Fir | Remb | None:
    _need(end - at, 8)
    sender, media = _PAIR.unpack_from(data, at)
    at += 8
    if count == PLI_FORMAT:
        return Pli(sender, media)
    if count == FIR_FORMAT:
        entries = (_FIR.unpack_from(data, place) for place in range(at, end - 7, 8))
        return Fir(sender, tuple(entries))
    if count == APPLICATION_FORMAT and data[at : at + 4] == b"REMB" and at + 8 <= end:
        return _remb(data, at + 4, end, sender)
    return None


def _remb(data: bytes, at: int, end: int, sender: int) -> Remb:
    count = data[at]
    value = int.from_bytes(data[at + 1 : at + 4], "big")
    bitrate = (value & 0x3FFFF) << (value >> 18)
    _need(end - at - 4, 4 * count)
    if count > MAX_REMB_SSRCS:
        raise RemoteProtocolError("REMB names too many streams")
    ssrcs = struct.unpack_from(f"!{count}I", data, at + 4)
    return Remb(sender, max(MIN_BITRATE, min(bitrate, MAX_BITRATE)), ssrcs)


_READERS: dict[int, Callable[[bytes, int, int, int], RtcpPacket | None]] = {
    SR: _read_sr,
    RR: _read_rr,
    BYE: _read_bye,
    RTPFB: _read_rtpfb,
    PSFB: _read_psfb,
}


# --- writing ---


def compound(parts: Iterable[bytes]) -> bytes:
    """Join built packets; the first should be a report (RFC 3550 section 6.1)."""
    return b"".join(parts)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _pack_blocks(blocks: Sequence[ReportBlock]) -> bytes:
    if len(blocks) > MAX_BLOCKS:
        raise ValueError("more than 31 report blocks")
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            min(max(block.fraction_lost, 0), 255) << 24
            | max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF,
            block.highest_seq & 0xFFFFFFFF,
            min(block.jitter, 0xFFFFFFFF),
            block.lsr,
            min(block.dlsr, 0xFFFFFFFF),
        )
        for block in blocks
    )


def build_sr(report: SenderReport) -> bytes:
    """Build a sender report; counters wrap at 32 bits."""
    head = _SSRC.pack(report.ssrc) + _SENDER.pack(
        report.ntp, report.rtp_ts, report.packets & 0xFFFFFFFF, report.octets & 0xFFFFFFFF
    )
    return _packet(SR, len(report.blocks), head + _pack_blocks(report.blocks))


def build_rr(ssrc: int, blocks: Sequence[ReportBlock] = ()) -> bytes:
    """Build a receiver report."""
    return _packet(RR, len(blocks), _SSRC.pack(ssrc) + _pack_blocks(blocks))


def build_sdes(ssrc: int, cname: str) -> bytes:
    """Build a source description that holds the canonical name only."""
    name = cname.encode()
    if not 0 < len(name) < 256:
        raise ValueError("a CNAME has 1 to 255 bytes")
    chunk = _SSRC.pack(ssrc) + bytes((1, len(name))) + name
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def build_bye(ssrcs: Sequence[int]) -> bytes:
    """Build a goodbye of up to 31 streams."""
    if len(ssrcs) > MAX_BLOCKS:
        raise ValueError("more than 31 streams")
    return _packet(BYE, len(ssrcs), struct.pack(f"!{len(ssrcs)}I", *ssrcs))


def build_nack(sender: int, media: int, seq16s: Sequence[int]) -> bytes:
    """Build a NACK; numbers in ascending order (modulo 2**16) pack best."""
    items: list[tuple[int, int]] = []
    for seq16 in seq16s:
        after = (seq16 - items[-1][0]) & SEQ_MASK if items else 0
        if 1 <= after <= 16:
            items[-1] = (items[-1][0], items[-1][1] | 1 << (after - 1))
        elif not items or after:
            items.append((seq16, 0))
    body = b"".join(_NACK.pack(*item) for item in items)
    return _packet(RTPFB, NACK_FORMAT, _PAIR.pack(sender, media) + body)


def build_pli(sender: int, media: int) -> bytes:
    """Build a picture loss indication."""
    return _packet(PSFB, PLI_FORMAT, _PAIR.pack(sender, media))


def build_fir(sender: int, entries: Iterable[tuple[int, int]]) -> bytes:
    """Build a full intra request of (ssrc, command number) pairs."""
    body = b"".join(_FIR.pack(ssrc, number & 0xFF) for ssrc, number in entries)
    return _packet(PSFB, FIR_FORMAT, _PAIR.pack(sender, 0) + body)


def build_remb(sender: int, bitrate: int, ssrcs: Sequence[int]) -> bytes:
    """Build an estimate; the mantissa keeps 18 bits of `bitrate` (bit/s), rounded down."""
    exponent = max(0, bitrate.bit_length() - 18)
    if exponent > 63 or len(ssrcs) > 255 or bitrate < 0:
        raise ValueError("bit rate or number of streams is out of range")
    value = exponent << 18 | bitrate >> exponent
    body = b"REMB" + bytes((len(ssrcs),)) + value.to_bytes(3, "big")
    body += struct.pack(f"!{len(ssrcs)}I", *ssrcs)
    return _packet(PSFB, APPLICATION_FORMAT, _PAIR.pack(sender, 0) + body)


def build_transport_feedback(sender: int, media: int, body: bytes) -> bytes:
    """Wrap a body of `roomful_rtc.twcc.build`; it is padded to whole words (RFC 3550 6.4.1)."""
    padding = -len(body) % 4
    data = _PAIR.pack(sender, media) + body
    if padding:
        data += bytes(padding - 1) + bytes((padding,))
    built = _packet(RTPFB, TWCC_FORMAT, data)
    return bytes((built[0] | 0x20,)) + built[1:] if padding else built
