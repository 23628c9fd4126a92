"""H.264 access units in RTP payloads (RFC 6184 section 5, packetisation mode 1).

Access units come out and go in as a byte stream with start codes (H.264 annex B).
"""

from __future__ import annotations

from roomful_rtc.payload.pieces import MOST_PAYLOAD, cut

_SLICE, _IDR, _SPS, _DELIMITER, _FILLER = 1, 5, 7, 9, 12
_STAP_A, _FU_A = 24, 28
_LAST_SINGLE = 23
_BEFORE_SLICES = frozenset({6, _SPS, 8, _DELIMITER, 14, 15})
_NOT_SENT = frozenset({_DELIMITER, _FILLER})
_START_CODE = b"\0\0\0\1"
_BETWEEN = b"\0\0\1"
_MOST_UNITS = 1024


class H264Parts:
    """The NAL units of one access unit."""

    def __init__(self) -> None:
        self._units: list[bytes] = []
        self._open: list[bytes] | None = None
        self._key = False

    def begins(self, payload: bytes) -> bool:
        """What precedes slices, or the slice with the first macroblock (first_mb_in_slice 0)."""
        kind = payload[0] & 0x1F
        if kind == _FU_A:
            return len(payload) > 2 and bool(payload[1] & 0x80) and _leads(payload[1], payload[2])
        if kind == _STAP_A:
            return len(payload) > 4 and _leads(payload[3], payload[4])
        return len(payload) > 1 and _leads(payload[0], payload[1])

    def add(self, payload: bytes) -> int:
        """Append the NAL units of one packet."""
        kind = payload[0] & 0x1F
        if kind == _FU_A:
            self._fragment(payload)
        elif self._open is not None:
            raise ValueError("a fragmented NAL unit has no end")
        elif kind == _STAP_A:
            for unit in aggregated(payload):
                self._append(unit)
        elif 0 < kind <= _LAST_SINGLE:
            self._append(payload)
        else:
            raise ValueError(f"NAL unit type {kind} is not in packetisation mode 1")
        return len(payload)

    def _fragment(self, payload: bytes) -> None:
        if len(payload) < 3:
            raise ValueError("a fragment without content")
        head = payload[1]
        if bool(head & 0x80) == (self._open is not None):
            raise ValueError("a fragment begins inside another NAL unit, or goes on without one")
        if self._open is None:
            self._open = [bytes((payload[0] & 0xE0 | head & 0x1F,))]
        self._open.append(payload[2:])
        if head & 0x40:
            unit, self._open = b"".join(self._open), None
            self._append(unit)

    def _append(self, unit: bytes) -> None:
        if len(self._units) >= _MOST_UNITS:
            raise ValueError("more NAL units than an access unit has")
        self._units.append(unit)
        self._key = self._key or unit[0] & 0x1F == _IDR

    def take(self) -> tuple[bytes, bool]:
        """Return the access unit; one with an IDR slice is a key frame."""
        units, key, incomplete = self._units, self._key, self._open is not None
        self.clear()
        if incomplete or not units:
            raise ValueError("the last NAL unit is cut off")
        return _START_CODE + _START_CODE.join(units), key

    def clear(self) -> None:
        """Forget what was gathered."""
        self._units, self._open, self._key = [], None, False


def _leads(header: int, next_byte: int) -> bool:
    kind = header & 0x1F
    return kind in _BEFORE_SLICES or (kind in (_SLICE, _IDR) and bool(next_byte & 0x80))


def aggregated(payload: bytes) -> list[bytes]:
    """Return the NAL units of a STAP-A; `ValueError` when they do not fit."""
    units: list[bytes] = []
    at, size = 1, len(payload)
    while at + 2 < size:
        length = payload[at] << 8 | payload[at + 1]
        at += 2
        if not length or at + length > size:
            raise ValueError("an aggregated NAL unit does not fit its packet")
        units.append(payload[at : at + length])
        at += length
    if at != size or not units:
        raise ValueError("an aggregation packet with a rest, or with nothing")
    return units


def units_of(access_unit: bytes) -> list[bytes]:
    """Return the NAL units of a byte stream, without delimiters and filler."""
    found = [unit.rstrip(b"\0") for unit in access_unit.split(_BETWEEN)]
    return [unit for unit in found if unit and unit[0] & 0x1F not in _NOT_SENT]


class H264Packetiser:
    """Access units → payloads: small units together, large ones in fragments."""

    def __init__(self, most: int = MOST_PAYLOAD) -> None:
        self._most = most

    def packetise(self, frame: bytes) -> list[bytes]:
        """Cut an access unit; the last payload takes the marker. `ValueError` when it is empty."""
        payloads: list[bytes] = []
        together: list[bytes] = []
        size = 1
        for unit in units_of(frame):
            if together and size + 2 + len(unit) > self._most:
                payloads.append(_together(together))
                together, size = [], 1
            if len(unit) > self._most:
                payloads += self._fragments(unit)
            else:
                together.append(unit)
                size += 2 + len(unit)
        if together:
            payloads.append(_together(together))
        if not payloads:
            raise ValueError("an access unit without NAL units has no packets")
        return payloads

    def _fragments(self, unit: bytes) -> list[bytes]:
        indicator, kind = unit[0] & 0xE0 | _FU_A, unit[0] & 0x1F
        pieces = cut(unit[1:], self._most - 2)
        last = len(pieces) - 1
        return [
            bytes((indicator, kind | (0 if place else 0x80) | (0x40 if place == last else 0)))
            + piece
            for place, piece in enumerate(pieces)
        ]


def _together(units: list[bytes]) -> bytes:
    if len(units) == 1:
        return units[0]
    importance = max(unit[0] & 0x60 for unit in units)
    parts = [bytes((importance | _STAP_A,))]
    for unit in units:
        parts += (len(unit).to_bytes(2), unit)
    return b"".join(parts)
