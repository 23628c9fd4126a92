"""RTP and RTCP packets, right and wrong (RFC 3550, 4585, 5104, 8285), before they are protected."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from roomful_rtc import extensions
from roomful_testing.peer.description import LEVEL_ID, MID_ID, OPUS, RID_ID, TWCC_ID, VP8

ONE_BYTE, TWO_BYTE = 0xBEDE, 0x1000
LIMIT = 1 << 16


@dataclass(slots=True)
class Stream:
    """What one SSRC sends."""

    mid: str
    ssrc: int
    pt: int = OPUS
    rid: str = ""
    seq: int = 1000
    ts: int = 5000
    picture: int = 1

    def packet(self, payload: bytes = b"\xfc" + bytes(60), *, marker: bool = False) -> bytes:
        """The next packet, as it should be."""
        elements = [(MID_ID, self.mid.encode())]
        if self.rid:
            elements.append((RID_ID, self.rid.encode()))
        if self.pt == OPUS:
            elements.append((LEVEL_ID, b"\x90"))
        return self.raw(payload, extensions.write(elements), marker=marker)

    def frame(self, *, key: bool = False) -> bytes:
        """The next VP8 frame in one packet (RFC 7741)."""
        head = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xb4\x00" if key else b"\x01" + bytes(9)
        picture = struct.pack("!H", 0x8000 | self.picture)
        self.picture = self.picture % 0x7FFF + 1
        self.pt = VP8
        return self.packet(b"\x90\x80" + picture + head + bytes(200), marker=True)

    def raw(
        self, payload: bytes, block: bytes = b"", *, first: int = 0x80, marker: bool = False
    ) -> bytes:
        """A packet with this extension block; `first`: version, padding, extension, CSRC count."""
        if block:
            first |= 0x10
        head = struct.pack("!BBHLL", first, 0x80 * marker | self.pt, self.seq, self.ts, self.ssrc)
        self.seq = (self.seq + 1) % LIMIT
        self.ts = (self.ts + 960) & 0xFFFFFFFF
        return head + block + payload


def block(profile: int, words: int, data: bytes) -> bytes:
    """An extension block that says it has so many words."""
    return struct.pack("!HH", profile, words) + data


def lying(stream: Stream) -> list[bytes]:
    """Packets whose headers say what is not so."""
    mid = bytes((MID_ID << 4,)) + stream.mid.encode()
    body = bytes(40)
    blocks = [
        block(ONE_BYTE, 0xFFFF, mid),
        block(ONE_BYTE, 200, bytes(8)),
        block(ONE_BYTE, 1, bytes((MID_ID << 4 | 15, 0x30, 0, 0))),
        block(ONE_BYTE, 1, bytes((LEVEL_ID << 4 | 3, 1, 1, 0))),
        block(ONE_BYTE, 2, bytes((LEVEL_ID << 4 | 2, 1, 1, 1)) + mid + bytes(2)),
        block(ONE_BYTE, 1, bytes((TWCC_ID << 4, 7, 0, 0))),
        block(ONE_BYTE, 1, bytes((TWCC_ID << 4 | 14,)) + bytes(3)),
        block(ONE_BYTE, 1, bytes((15 << 4, 0, 0, 0))),
        block(ONE_BYTE, 0, b""),
        block(ONE_BYTE, 5, bytes((MID_ID << 4 | 15,)) + b"\xff" * 16 + bytes(3)),
        block(TWO_BYTE, 1, bytes((MID_ID, 0, 0, 0))),
        block(TWO_BYTE, 1, bytes((MID_ID, 255, 0x30, 0))),
        block(TWO_BYTE, 64, bytes((MID_ID, 250)) + b"m" * 254),
        block(TWO_BYTE, 1, bytes((LEVEL_ID, 1))),
        block(0x1234, 3, bytes(12)),
        block(ONE_BYTE, 300, bytes(1200)),
    ]  # fmt: skip
    packets = [stream.raw(body, made) for made in blocks]
    packets += [
        stream.raw(b"", first=0x8F),  # 15 sources, none there
        stream.raw(bytes(8), first=0x8F),
        stream.raw(bytes(60), first=0x8F),
        stream.raw(b"", first=0x90),  # an extension, none there
        stream.raw(b"\xbe\xde", first=0x90),
        stream.raw(body + b"\x00", first=0xA0),  # padding of 0
        stream.raw(b"\xff", first=0xA0),  # more padding than payload
        stream.raw(bytes(10) + b"\x0b", first=0xA0),
        stream.raw(b"", first=0xA0),
        stream.raw(body, first=0x40),  # version 1
        stream.raw(b""),  # no payload
        stream.raw(bytes(1400)),
    ]
    return packets


def rtcp(kind: int, count: int, body: bytes, *, words: int | None = None) -> bytes:
    """One RTCP packet; `words` instead of its true length."""
    said = len(body) // 4 if words is None else words
    return struct.pack("!BBH", 0x80 | count, kind, said) + body


def pli(sender: int, media: int) -> bytes:
    return rtcp(206, 1, struct.pack("!LL", sender, media))


def fir(sender: int, media: int, number: int) -> bytes:
    return rtcp(206, 4, struct.pack("!LLLBxxx", sender, 0, media, number))


def nack(sender: int, media: int, pairs: Sequence[tuple[int, int]]) -> bytes:
    """Pairs: a sequence number and the mask of the 16 after it."""
    body = b"".join(struct.pack("!HH", *pair) for pair in pairs)
    return rtcp(205, 1, struct.pack("!LL", sender, media) + body)


def remb(sender: int, media: int, exponent: int, mantissa: int) -> bytes:
    """An estimate of mantissa · 2^exponent bit/s."""
    value = (1 << 24 | exponent << 18 | mantissa).to_bytes(4, "big")
    return rtcp(
        206, 15, struct.pack("!LL4s", sender, 0, b"REMB") + value + struct.pack("!L", media)
    )


def rtcp_lies(sender: int, media: int) -> list[bytes]:
    """Compounds that are not consistent, or ask for what nobody gives."""
    report = rtcp(201, 0, struct.pack("!L", sender))
    two = struct.pack("!LL", sender, media)
    return [
        rtcp(200, 31, struct.pack("!L", sender) + bytes(20 + 24)),
        rtcp(201, 31, struct.pack("!L", sender) + bytes(24)),
        rtcp(200, 0, bytes(4)),
        rtcp(201, 0, struct.pack("!L", sender), words=0xFFFF),
        rtcp(201, 0, struct.pack("!L", sender), words=0),
        report + rtcp(203, 1, struct.pack("!LB", sender, 255) + bytes(3)),
        report + rtcp(203, 31, struct.pack("!L", sender)),
        report + rtcp(203, 0, b""),
        report + rtcp(202, 31, bytes(8)),
        report + rtcp(202, 1, struct.pack("!LBB", sender, 1, 250) + bytes(2)),
        report + rtcp(205, 15, two + struct.pack("!HHL", 0, 0xFFFF, 0) + b"\x20\x00" * 2),
        report + rtcp(205, 15, two + struct.pack("!HHL", 0, 9, 0) + b"\xff\xff" * 20),
        report + rtcp(205, 15, two),
        report + rtcp(205, 1, b""),
        report + rtcp(206, 15, two + b"REMB" + b"\xff" + bytes(3)),
        report + rtcp(206, 15, two + b"REMB"),
        report + rtcp(206, 1, bytes(4)),
        report + rtcp(206, 4, two + bytes(4)),
        report * 150,
        report + rtcp(204, 0, bytes(1200)),
        report + b"\x80",
        b"\xa0\xc9\x00\x01" + struct.pack("!L", sender),
    ]
