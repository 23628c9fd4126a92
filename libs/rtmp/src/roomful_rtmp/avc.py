"""H.264 as FLV carries it: the configuration record, NAL units behind lengths, and the SPS.

ISO/IEC 14496-15 section 5.3.3 and ITU-T H.264 section 7.3.2.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from roomful.errors import RemoteProtocolError

MAX_SPS, MAX_PPS = 32, 255
MAX_NALS = 512
IDR, SEI, SPS, PPS, DELIMITER, FILLER = 5, 6, 7, 8, 9, 12
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
MAX_SIDE_MBS = 1024


@dataclass(frozen=True, slots=True)
class AvcConfiguration:
    """What a decoder must know before the first frame."""

    length_size: int
    """bytes of a NAL unit's length: 1, 2 or 4"""
    sps: tuple[bytes, ...] = field(repr=False)
    pps: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, record: bytes) -> AvcConfiguration:
        """Read an AVCDecoderConfigurationRecord. Raises `RemoteProtocolError`."""
        if len(record) < 7 or record[0] != 1:
            raise RemoteProtocolError("the H.264 configuration is cut off, or of no version 1")
        length_size = (record[4] & 3) + 1
        if length_size == 3:
            raise RemoteProtocolError("lengths of 3 bytes are not possible")
        reader = _Bytes(record, 5)
        sps = reader.units(reader.take(1)[0] & 0x1F, MAX_SPS)
        pps = reader.units(reader.take(1)[0], MAX_PPS)
        if not sps or not pps:
            raise RemoteProtocolError("the H.264 configuration has no parameter sets")
        return cls(length_size, sps, pps)

    def nal_units(self, data: bytes) -> Iterator[bytes]:
        """Yield the NAL units of one access unit. Raises `RemoteProtocolError`."""
        at, count = 0, 0
        while at < len(data):
            size = int.from_bytes(data[at : at + self.length_size], "big")
            begin = at + self.length_size
            at = begin + size
            count += 1
            if at > len(data) or count > MAX_NALS:
                raise RemoteProtocolError("a NAL unit runs past the end of its frame")
            if size:
                yield data[begin:at]


class _Bytes:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise RemoteProtocolError("the H.264 configuration is cut off")
        part, self._at = self._data[self._at : end], end
        return part

    def units(self, count: int, most: int) -> tuple[bytes, ...]:
        if count > most:
            raise RemoteProtocolError("the H.264 configuration has too many parameter sets")
        found = (self.take(int.from_bytes(self.take(2), "big")) for _ in range(count))
        return tuple(unit for unit in found if unit)


@dataclass(frozen=True, slots=True)
class SpsInfo:
    """What a sequence parameter set says."""

    profile: int
    constraints: int
    level: int
    width: int
    height: int
    """after cropping"""
    is_progressive: bool
    is_420_8bit: bool

    @property
    def profile_level_id(self) -> str:
        """As in SDP (RFC 6184 section 8.1)."""
        return f"{self.profile:02x}{self.constraints:02x}{self.level:02x}"


def read_sps(unit: bytes) -> SpsInfo:
    """Read a sequence parameter set (NAL unit type 7). Raises `RemoteProtocolError`."""
    if len(unit) < 5 or unit[0] & 0x1F != SPS:
        raise RemoteProtocolError("no sequence parameter set")
    profile, constraints, level = unit[1], unit[2], unit[3]
    bits = _Bits(unit[4:].replace(b"\0\0\3", b"\0\0"))
    bits.ue()  # its id
    chroma, is_8bit = 1, True
    if profile in _WITH_CHROMA:
        chroma, is_8bit = _read_chroma(bits)
    bits.ue()  # log2_max_frame_num
    _skip_order(bits)
    bits.ue()  # reference frames
    bits.take(1)
    width, height = bits.ue() + 1, bits.ue() + 1
    if max(width, height) > MAX_SIDE_MBS:
        raise RemoteProtocolError("the picture is too large")
    progressive = bits.take(1)
    if not progressive:
        bits.take(1)
    bits.take(1)
    left = right = top = bottom = 0
    if bits.take(1):
        left, right, top, bottom = (bits.ue() for _ in range(4))
    unit_x = 2 if chroma in (1, 2) else 1
    unit_y = (2 if chroma == 1 else 1) * (2 - progressive)
    return SpsInfo(
        profile, constraints, level,
        max(0, width * 16 - unit_x * (left + right)),
        max(0, height * 16 * (2 - progressive) - unit_y * (top + bottom)),
        progressive == 1, chroma == 1 and is_8bit,
    )  # fmt: skip


def _read_chroma(bits: _Bits) -> tuple[int, bool]:
    chroma = bits.ue()
    if chroma == 3:
        bits.take(1)
    is_8bit = bits.ue() == 0
    is_8bit = bits.ue() == 0 and is_8bit
    bits.take(1)
    if bits.take(1):
        for index in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling(bits, 16 if index < 6 else 64)
    return chroma, is_8bit


def _skip_scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_order(bits: _Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.take(1)
        bits.se()
        bits.se()
        count = bits.ue()
        if count > 255:
            raise RemoteProtocolError("a sequence parameter set is malformed")
        for _ in range(count):
            bits.se()


class _Bits:
    """Bits from the highest on, and Exp-Golomb codes (H.264 section 9.1)."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:512], "big")
        self._left = len(data[:512]) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise RemoteProtocolError("a sequence parameter set is cut off")
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise RemoteProtocolError("a sequence parameter set is malformed")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        number = self.ue()
        return (number + 1) // 2 if number & 1 else -(number // 2)
