"""Every parser over 2,000 mutations from a fixed seed: only its own error, and quickly."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import pytest

from roomful_rtc import extensions, rtcp, rtp, twcc
from roomful_rtc.dependency_descriptor import DescriptorReader
from roomful_rtc.payload.inspectors import INSPECTORS
from roomful_rtc.rtcp import ReportBlock, SenderReport
from roomful_rtc.rtp import ONE_BYTE, TWO_BYTE, RtpPacket
from roomful_rtc.twcc import FeedbackBuilder

COUNT, SEED, LONGEST_S = 2000, 20_240_117, 0.005

ELEMENTS = [(1, b"0"), (2, b"abc"), (3, b"\x85"), (4, bytes(9))]
BLOCK = ReportBlock(1, 2, 3, 4, 5, 6, 7)
DESCRIPTOR = bytes.fromhex("c5000180a086e9d30a8e5100104f d804 fd02 cf80".replace(" ", ""))
KEY_FRAME = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(20)


def feedback() -> bytes:
    builder = FeedbackBuilder()
    builder.add([(n * (1 + n % 3) & 0xFFFF, 900 * n) for n in range(200)])
    return builder.take()[0]


def compound() -> bytes:
    return rtcp.compound(
        [
            rtcp.build_sr(SenderReport(1, 1 << 50, 3, 4, 5, (BLOCK, BLOCK))),
            rtcp.build_sdes(1, "name"),
            rtcp.build_nack(1, 2, [3, 4, 70]),
            rtcp.build_fir(1, [(2, 3)]),
            rtcp.build_remb(1, 500_000, [2, 3]),
            rtcp.build_transport_feedback(1, 2, feedback()),
            rtcp.build_bye([1]),
        ]
    )


def read_compound(data: bytes) -> None:
    for packet in rtcp.parse(data):
        if isinstance(packet, rtcp.TransportFeedback):
            twcc.parse(packet.body)


def packet() -> bytes:
    block = extensions.write(ELEMENTS)
    return rtp.build(RtpPacket(True, 96, 1, 2, 3, b"payload", (4, 5), ONE_BYTE, block[4:]))


def read_packet(data: bytes) -> None:
    found = rtp.parse(data)
    extensions.read(found.profile, found.extension)


def read_descriptors(data: bytes) -> None:
    reader = DescriptorReader()
    for cut in (len(data), 3, 4):
        reader.read(data[:cut])


PARSERS: dict[str, tuple[Callable[[bytes], object], Sequence[bytes]]] = {
    "rtp": (read_packet, [packet()]),
    "rtcp": (read_compound, [compound(), rtcp.build_rr(1, [BLOCK] * 31)]),
    "twcc": (twcc.parse, [feedback()]),
    "one_byte": (lambda data: extensions.read(ONE_BYTE, data), [extensions.write(ELEMENTS)[4:]]),
    "two_byte": (
        lambda data: extensions.read(TWO_BYTE, data),
        [extensions.write([*ELEMENTS, (20, bytes(40))])[4:]],
    ),
    "dependency_descriptor": (read_descriptors, [DESCRIPTOR]),
    "vp8": (INSPECTORS["vp8"], [b"\x90\xf0\x85\x39\x07\xa3" + KEY_FRAME, b"\x10" + KEY_FRAME]),
    "vp9": (INSPECTORS["vp9"], [b"\xfa\x85\x39\x64\x03\x03\x02" + bytes(range(40))]),
    "h264": (INSPECTORS["h264"], [b"\x78\0\3abc\0\2\x67\x42\0\1\x65", b"\x7c\x85" + bytes(9)]),
    "h265": (INSPECTORS["h265"], [b"\x60\x01\0\3abc\0\4\x40\x01\0\0", b"\x62\x01\x93" + bytes(9)]),
    "av1": (INSPECTORS["av1"], [b"\x18\x0a\x0b" + bytes(9)]),
}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut, insert, repeat: one to four changes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0:
                del out[at:]
            case 1:
                out[at:at] = chance.randbytes(chance.randint(1, 8))
            case 2:
                out[at:at] = out[: chance.randrange(64)]
            case 3 if at < len(out):
                out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case _ if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case _:
                out += chance.randbytes(2)
    return bytes(out[:1500])


def cpu_s(call: Callable[[bytes], object], data: bytes) -> float:
    """CPU of one call; `ValueError` and its like are an answer."""
    begin = time.thread_time()
    try:
        call(data)
    except ValueError:
        pass
    except Exception as error:
        if type(error).__name__ != "RemoteProtocolError":
            raise AssertionError(f"{type(error).__name__} for {data.hex()}") from error
    return time.thread_time() - begin


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_mutations_are_answered_by_the_parsers_own_error(name: str) -> None:
    call, originals = PARSERS[name]
    chance = random.Random(f"{SEED} {name}")
    for number in range(COUNT):
        data = mutated(originals[number % len(originals)], chance)
        if cpu_s(call, data) > LONGEST_S:
            assert min(cpu_s(call, data) for _ in range(3)) < LONGEST_S, data.hex()


@pytest.mark.parametrize("name", ["vp8", "vp9", "h264", "h265", "av1"])
def test_inspectors_never_raise_and_point_inside(name: str) -> None:
    inspect, originals = PARSERS[name]
    chance = random.Random(f"{SEED} {name} inside")
    for number in range(COUNT):
        data = mutated(originals[number % len(originals)], chance)
        look = inspect(data)
        assert look.pid_at + (look.pid_bits == 15) < len(data) or look.pid_at < 0
        assert look.tl0_at < len(data)
