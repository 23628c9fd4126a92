"""VP9 pictures in RTP payloads (RFC 9628 section 4).

A picture of several spatial layers comes out as one superframe (VP9 bitstream specification, annex
B), since decoders take a picture at a time.
"""

from __future__ import annotations

from roomful_rtc.payload.pieces import MOST_PAYLOAD, cut

_ID, _PREDICTED, _LAYERS, _FLEXIBLE, _BEGIN, _END, _STRUCTURE = 0x80, 64, 32, 16, 8, 4, 2
_MOST_LAYERS = 8
_MOST_REFERENCES = 3
_PICTURE_IDS = 1 << 15
_NO_KEY = 0x0C
"""show_existing_frame and frame_type (VP9 bitstream specification, section 6.2; profiles 0 to 2)"""


class Vp9Parts:
    """The layer frames of one picture."""

    def __init__(self) -> None:
        self._layers: list[list[bytes]] = []
        self._open = self._key = False

    def begins(self, payload: bytes) -> bool:
        """A layer frame begins. Only the lowest has no reference to another of its picture."""
        if not payload[0] & _BEGIN:
            return False
        return not _spatial(payload)

    def add(self, payload: bytes) -> int:
        """Append what follows the descriptor to the layer that is open, or open one."""
        at = descriptor_size(payload)
        if at >= len(payload):
            raise ValueError("nothing behind the VP9 descriptor")
        first = payload[0]
        if bool(first & _BEGIN) == self._open:
            raise ValueError("a VP9 layer frame begins inside another, or goes on without one")
        if first & _BEGIN:
            if not self._layers:
                self._key = not first & _PREDICTED
            self._layers.append([])
        if len(self._layers) > _MOST_LAYERS:
            raise ValueError("more layer frames than VP9 has")
        self._layers[-1].append(payload[at:])
        self._open = not first & _END
        return len(payload) - at

    def take(self) -> tuple[bytes, bool]:
        """Return the picture."""
        layers, key, incomplete = self._layers, self._key, self._open or not self._layers
        self.clear()
        if incomplete:
            raise ValueError("the last layer frame has no end")
        frames = [b"".join(layer) for layer in layers]
        return (frames[0] if len(frames) == 1 else superframe(frames)), key

    def clear(self) -> None:
        """Forget what was gathered."""
        self._layers, self._open, self._key = [], False, False


def superframe(frames: list[bytes]) -> bytes:
    """Join frames with the index that tells decoders where each begins."""
    size = max(1, (max(len(frame) for frame in frames).bit_length() + 7) // 8)
    mark = bytes((0xC0 | (size - 1) << 3 | (len(frames) - 1),))
    sizes = [len(frame).to_bytes(size, "little") for frame in frames]
    return b"".join((*frames, mark, *sizes, mark))


def _spatial(payload: bytes) -> int:
    """Return the spatial layer; 0 where the descriptor has none."""
    first = payload[0]
    if not first & _LAYERS:
        return 0
    at = 1
    if first & _ID and len(payload) > 1:
        at += 2 if payload[1] & 0x80 else 1
    return payload[at] >> 1 & 7 if at < len(payload) else 0


def descriptor_size(payload: bytes) -> int:
    """Return the bytes of the descriptor; `ValueError` when it is cut off."""
    try:
        return _descriptor_size(payload)
    except IndexError:
        raise ValueError("the VP9 descriptor is cut off") from None


def _descriptor_size(payload: bytes) -> int:
    first, at = payload[0], 1
    if first & _ID:
        at += 2 if payload[at] & 0x80 else 1
    if first & _LAYERS:
        at += 1 if first & _FLEXIBLE else 2
    if first & _FLEXIBLE and first & _PREDICTED:
        at = _after_references(payload, at)
    return _after_structure(payload, at) if first & _STRUCTURE else at


def _after_references(payload: bytes, at: int) -> int:
    for _ in range(_MOST_REFERENCES):
        at += 1
        if not payload[at - 1] & 1:
            return at
    raise ValueError("more references than a VP9 picture has")


def _after_structure(payload: bytes, at: int) -> int:
    head = payload[at]
    at += 1
    if head & 0x10:
        at += 4 * ((head >> 5) + 1)
    if head & 0x08:
        pictures = payload[at]
        at += 1
        for _ in range(pictures):
            at += 1 + (payload[at] >> 2 & 3)
    return at


class Vp9Packetiser:
    """Pictures of one layer → payloads, not in flexible mode, with a picture id of 15 bits."""

    def __init__(self, first_picture_id: int = 0, most: int = MOST_PAYLOAD) -> None:
        self._picture_id = first_picture_id
        self._most = most

    def packetise(self, frame: bytes) -> list[bytes]:
        """Cut a picture into payloads of nearly equal size; the last one takes the marker."""
        number = self._picture_id.to_bytes(2)
        ids = bytes((number[0] | 0x80, number[1]))
        self._picture_id = (self._picture_id + 1) % _PICTURE_IDS
        pieces = cut(frame, self._most - 3)
        flags = _ID | (_PREDICTED if frame[0] & _NO_KEY else 0)
        last = len(pieces) - 1
        return [
            bytes((flags | (0 if place else _BEGIN) | (_END if place == last else 0),))
            + ids
            + piece
            for place, piece in enumerate(pieces)
        ]
