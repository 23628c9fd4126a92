"""RTP packets: what is read, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful_rtc import rtp
from roomful_rtc.rtp import RtpPacket

PLAIN = RtpPacket(True, 96, 65535, 0xFFFFFFFF, 0xDEADBEEF, b"payload")


def padded(packet: RtpPacket, padding: bytes) -> bytes:
    data = bytearray(rtp.build(packet) + padding)
    data[0] |= 0x20
    return bytes(data)


@given(
    st.builds(
        RtpPacket,
        marker=st.booleans(),
        pt=st.integers(0, 127),
        seq16=st.integers(0, 0xFFFF),
        ts=st.integers(0, 0xFFFFFFFF),
        ssrc=st.integers(0, 0xFFFFFFFF),
        payload=st.binary(max_size=50),
        csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
        profile=st.sampled_from((0xBEDE, 0x1000)),
        extension=st.integers(0, 5).map(lambda words: bytes(4 * words)),
    )
)
def test_what_is_built_is_parsed(packet: RtpPacket) -> None:
    assert rtp.parse(rtp.build(packet)) == packet


def test_padding_is_taken_off() -> None:
    assert rtp.parse(padded(PLAIN, b"\0\0\3")) == PLAIN


def test_padding_may_be_all_there_is() -> None:
    assert rtp.parse(padded(PLAIN._replace(payload=b""), b"\1")).payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        rtp.build(PLAIN)[:11],
        b"\x40" + rtp.build(PLAIN)[1:],
        b"\x8f" + rtp.build(PLAIN)[1:],
        b"\x90" + rtp.build(PLAIN._replace(payload=b"\xbe\xde"))[1:],
        b"\x90" + rtp.build(PLAIN._replace(payload=b"\xbe\xde\0\1abc"))[1:],
        padded(PLAIN, b"\0"),
        padded(PLAIN, b"\x09"),
        padded(PLAIN, b"\xff"),
    ],
)
def test_what_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        rtp.parse(data)


@pytest.mark.parametrize(
    "packet",
    [
        PLAIN._replace(seq16=65536),
        PLAIN._replace(csrcs=tuple(range(16))),
        PLAIN._replace(profile=1, extension=b"abc"),
    ],
)
def test_fields_out_of_range_are_not_built(packet: RtpPacket) -> None:
    with pytest.raises(ValueError):
        rtp.build(packet)


@given(st.integers(0, 1 << 40), st.integers(-0x8000, 0x7FFF))
def test_unwrapping_finds_the_closest(near: int, distance: int) -> None:
    assert rtp.unwrap((near + distance) & 0xFFFF, near) == near + distance
