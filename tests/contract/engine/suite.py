"""What the parts of the engine contract share."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy, Session

from roomful_rtc.engine import (
    AES_128_CM,
    AES_128_GCM,
    AES_256_GCM,
    Codec,
)
from roomful_rtc.rtp import RtpPacket

from .rig import (
    OUT_PTS,
    OUT_RTX,
    OUT_VP8,
    EngineMaker,
    Party,
    Rig,
    Stream,
)

PROFILES = (AES_256_GCM, AES_128_GCM, AES_128_CM)
LIBSRTP = {
    AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    AES_128_CM: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
TURN_PACKETS = TURN_DATAGRAMS = 256
SSRC, RTX_SSRC, OUT_SSRC, OUT_RTX_SSRC = 0xA1, 0xA2, 0xB1, 0xB2


def libsrtp(profile: str, key: bytes, *, inbound: bool) -> Session:
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    return Session(Policy(key=key, ssrc_type=kind, srtp_profile=LIBSRTP[profile]))


class EngineSuite:
    """Fixtures and rows that every part of the contract uses."""

    @pytest.fixture
    def make_engine(self) -> EngineMaker:
        raise NotImplementedError

    @pytest.fixture
    def rig(self, make_engine: EngineMaker) -> Iterator[Rig]:
        rig = Rig(make_engine)
        yield rig
        rig.close()

    @pytest.fixture
    def video(self, rig: Rig) -> Stream:
        """A VP8 stream of a publisher that negotiated nothing."""
        return Stream(rig, rig.party(), SSRC)

    def down(
        self,
        rig: Rig,
        up: int,
        party: Party,
        *,
        ssrc: int = OUT_SSRC,
        rtx: bool = True,
        mid: str = "",
    ) -> int:
        """An enabled down with the usual payload types."""
        more = {"rtx_ssrc": ssrc + 1, "rtx_pts": {OUT_VP8: OUT_RTX}} if rtx else {}
        down = rig.engine.add_down(up, party.peer, ssrc, OUT_PTS, mid=mid, **more)
        rig.engine.set_down(down, True)
        return down

    def simulcast(self, rig: Rig) -> tuple[Stream, Stream, Party, int]:
        """Two layers of one publication, a listener of the lower one."""
        party, listener = rig.party(), rig.party()
        low = Stream(rig, party, 0xA1, group=1, spatial=0)
        high = Stream(rig, party, 0xA3, group=1, spatial=1)
        high.seq, high.ts, high.pid = 40_000, 3_000_000_000, 900
        return low, high, listener, self.down(rig, low.up, listener)


def pid_of(packet: RtpPacket) -> int:
    return int.from_bytes(packet.payload[2:4], "big") & 0x7FFF


def tl0_of(packet: RtpPacket) -> int:
    return packet.payload[4]


def rig_codec(name: str) -> Codec:
    return Codec(name, 48000)


def changed(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut or lengthen at most three places."""
    out = bytearray(data)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(out) + 1)
        if chance.random() < 0.1:
            del out[at:]
        elif chance.random() < 0.2:
            out[at:at] = chance.randbytes(4)
        elif at < len(out):
            out[at] = chance.choice((0, 0x10, 0x7F, 0xFF, out[at] ^ 1 << chance.randrange(8)))
    return bytes(out)


def broken(data: bytes) -> None:
    raise ConnectionResetError
