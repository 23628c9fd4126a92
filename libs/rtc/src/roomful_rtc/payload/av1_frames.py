"""AV1 temporal units in RTP payloads (RTP Payload Format For AV1 1.0, section 4).

Units come out and go in as the low-overhead bitstream (AV1 specification section 5.2), every OBU
with its size, led by a temporal delimiter, as decoders and muxers want it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from roomful_rtc.payload.pieces import MOST_PAYLOAD

_CONTINUES, _CONTINUED, _NEW_SEQUENCE = 0x80, 0x40, 0x08
_HAS_EXTENSION, _HAS_SIZE = 0x04, 0x02
_SEQUENCE_HEADER, _DELIMITER, _TILE_GROUP, _TILE_LIST, _PADDING = 1, 2, 4, 8, 15
_NOT_SENT = frozenset({_DELIMITER, _TILE_LIST, _PADDING})
_DELIMITER_OBU = b"\x12\x00"
_MOST_OBUS = 512
_LEAST_PIECE = 16
"""bytes: less of an OBU is not worth a fragment at the end of a packet"""


class Av1Parts:
    """The OBUs of one temporal unit."""

    def __init__(self) -> None:
        self._obus: list[bytes] = []
        self._open: list[bytes] | None = None

    def begins(self, payload: bytes) -> bool:
        """No fragment continues, and the first OBU is no later part of a frame."""
        if payload[0] & _CONTINUES:
            return False
        try:
            first = elements(payload)[0]
        except ValueError:
            return False
        return bool(first) and _kind(first[0]) != _TILE_GROUP

    def add(self, payload: bytes) -> int:
        """Append the OBU elements of one packet."""
        found = elements(payload)
        if bool(payload[0] & _CONTINUES) != (self._open is not None):
            raise ValueError("an OBU goes on that has not begun, or the other way round")
        last = len(found) - 1
        for place, element in enumerate(found):
            whole = place < last or not payload[0] & _CONTINUED
            self._append(element, whole)
        if len(self._obus) > _MOST_OBUS:
            raise ValueError("more OBUs than a temporal unit has")
        return len(payload)

    def _append(self, element: bytes, whole: bool) -> None:
        if self._open is not None:
            self._open.append(element)
        if whole:
            self._obus.append(element if self._open is None else b"".join(self._open))
            self._open = None
        elif self._open is None:
            self._open = [element]

    def take(self) -> tuple[bytes, bool]:
        """Return the temporal unit; one with a sequence header can be decoded alone."""
        obus, incomplete = self._obus, self._open is not None
        self.clear()
        if incomplete:
            raise ValueError("the last OBU is cut off")
        sized, key = [_DELIMITER_OBU], False
        for obu in obus:
            if not obu:
                continue
            kind = _kind(obu[0])
            if kind not in _NOT_SENT:
                sized.append(with_size(obu))
                key = key or kind == _SEQUENCE_HEADER
        if len(sized) == 1:
            raise ValueError("no OBU in the temporal unit")
        return b"".join(sized), key

    def clear(self) -> None:
        """Forget what was gathered."""
        self._obus, self._open = [], None


def elements(payload: bytes) -> list[bytes]:
    """Return the OBU elements of a payload; `ValueError` when they do not fit."""
    count, at, size = payload[0] >> 4 & 3, 1, len(payload)
    found: list[bytes] = []
    while at < size:
        if count and len(found) == count - 1:
            length = size - at
        else:
            length, at = read_leb128(payload, at)
        if at + length > size:
            raise ValueError("an OBU element does not fit its packet")
        found.append(payload[at : at + length])
        at += length
    if not found or (count and len(found) != count):
        raise ValueError("fewer OBU elements than announced")
    return found


def _kind(header: int) -> int:
    return header >> 3 & 0x0F


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and the place behind it (AV1 specification section 4.10.5)."""
    value = 0
    for place in range(8):
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at
    raise ValueError("a number of more than 8 bytes")


def leb128(value: int) -> bytes:
    """Return a number in as few bytes as it needs."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def with_size(obu: bytes) -> bytes:
    """Return an OBU with its size field; `ValueError` when it has a wrong one."""
    header = 2 if obu[0] & _HAS_EXTENSION else 1
    if len(obu) < header:
        raise ValueError("an OBU header is cut off")
    if obu[0] & _HAS_SIZE:
        size, at = read_leb128(obu, header)
        if at + size != len(obu):
            raise ValueError("an OBU has another size than it says")
        return obu
    head = bytes((obu[0] | _HAS_SIZE,)) + obu[1:header]
    return b"".join((head, leb128(len(obu) - header), obu[header:]))


def obus_of(unit: bytes) -> list[bytes]:
    """Return the OBUs of a temporal unit without size fields; `ValueError` when it is malformed.

    Temporal delimiters, tile lists and padding are left out, as the payload format asks.
    """
    found: list[bytes] = []
    at = 0
    while at < len(unit):
        start = at
        at += 2 if unit[at] & _HAS_EXTENSION else 1
        if at > len(unit):
            raise ValueError("an OBU header is cut off")
        head = bytes((unit[start] & ~_HAS_SIZE,)) + unit[start + 1 : at]
        size = len(unit) - at
        if unit[start] & _HAS_SIZE:
            size, at = read_leb128(unit, at)
        if at + size > len(unit):
            raise ValueError("an OBU does not fit its temporal unit")
        if _kind(unit[start]) not in _NOT_SENT:
            found.append(head + unit[at : at + size])
        at += size
    return found


@dataclass(slots=True)
class _Packet:
    continues: bool = False
    pieces: list[bytes] = field(default_factory=list[bytes])
    size: int = 1

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.size += len(piece) + len(leb128(len(piece)))

    def payload(self, continued: bool, first: bool) -> bytes:
        count = len(self.pieces) if len(self.pieces) <= 3 else 0
        head = count << 4 | (_CONTINUES if self.continues else 0)
        head |= (_CONTINUED if continued else 0) | (_NEW_SEQUENCE if first else 0)
        out = [bytes((head,))]
        for place, piece in enumerate(self.pieces):
            if not count or place < count - 1:
                out.append(leb128(len(piece)))
            out.append(piece)
        return b"".join(out)


class Av1Packetiser:
    """Temporal units → payloads that hold as many OBUs, or parts of one, as fit."""

    def __init__(self, most: int = MOST_PAYLOAD) -> None:
        self._most = most

    def packetise(self, frame: bytes) -> list[bytes]:
        """Cut a temporal unit; the last payload takes the marker. `ValueError` when malformed."""
        obus = obus_of(frame)
        if not obus:
            raise ValueError("a temporal unit without OBUs has no packets")
        new = any(_kind(obu[0]) == _SEQUENCE_HEADER for obu in obus)
        payloads: list[bytes] = []
        packet = _Packet()
        for obu in obus:
            at = 0
            while at < len(obu):
                room = self._most - packet.size - 2
                if packet.pieces and room < min(_LEAST_PIECE, len(obu) - at):
                    payloads.append(packet.payload(at > 0, new and not payloads))
                    packet = _Packet(continues=at > 0)
                    continue
                packet.add(obu[at : at + room])
                at += room
                if at < len(obu):
                    payloads.append(packet.payload(True, new and not payloads))
                    packet = _Packet(continues=True)
        payloads.append(packet.payload(False, new and not payloads))
        return payloads
