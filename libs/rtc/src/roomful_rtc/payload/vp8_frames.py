"""VP8 frames in RTP payloads (RFC 7741 section 4)."""

from __future__ import annotations

from roomful_rtc.payload.pieces import MOST_PAYLOAD, cut

_START, _PICTURE_ID = 0x10, 0x80
_PICTURE_IDS = 1 << 15


class Vp8Parts:
    """The payloads of one frame without their descriptors."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def begins(self, payload: bytes) -> bool:
        """Start of the first partition."""
        return payload[0] & 0x17 == _START

    def add(self, payload: bytes) -> int:
        """Append what follows the descriptor."""
        at = descriptor_size(payload)
        if at >= len(payload):
            raise ValueError("nothing behind the VP8 descriptor")
        self._pieces.append(payload[at:])
        return len(payload) - at

    def take(self) -> tuple[bytes, bool]:
        """Return the frame; its first bit tells a key frame (RFC 6386 section 9.1)."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        if not data:
            raise ValueError("an empty VP8 frame")
        return data, not data[0] & 1

    def clear(self) -> None:
        """Forget what was gathered."""
        self._pieces.clear()


def descriptor_size(payload: bytes) -> int:
    """Return the bytes of the descriptor, which may be more than there are."""
    if not payload[0] & 0x80:
        return 1
    if len(payload) < 3:
        return len(payload)
    flags = payload[1]
    size = 2 + bool(flags & 0x40) + bool(flags & 0x30)
    if flags & 0x80:
        size += 2 if payload[2] & 0x80 else 1
    return size


class Vp8Packetiser:
    """Frames of one stream → payloads, with a picture id of 15 bits."""

    def __init__(self, first_picture_id: int = 0, most: int = MOST_PAYLOAD) -> None:
        self._picture_id = first_picture_id
        self._most = most

    def packetise(self, frame: bytes) -> list[bytes]:
        """Cut a frame into payloads of nearly equal size; the last one takes the marker."""
        number = self._picture_id.to_bytes(2)
        ids = bytes((0x80, number[0] | _PICTURE_ID, number[1]))
        self._picture_id = (self._picture_id + 1) % _PICTURE_IDS
        pieces = cut(frame, self._most - 4)
        first = bytes((_PICTURE_ID | _START,)) + ids + pieces[0]
        return [first, *(b"\x80" + ids + piece for piece in pieces[1:])]
