"""RTP header extensions: elements in the one- and two-byte forms (RFC 8285), sans-IO."""

from __future__ import annotations

from collections.abc import Sequence

from roomful_rtc.rtp import ONE_BYTE, TWO_BYTE, TWO_BYTE_MASK

MID, RID, REPAIRED_RID = "mid", "rid", "repaired_rid"
AUDIO_LEVEL, ABS_SEND_TIME, TWCC = "audio_level", "abs_send_time", "twcc"
DEPENDENCY_DESCRIPTOR = "dependency_descriptor"
ABS_CAPTURE_TIME, PLAYOUT_DELAY = "abs_capture_time", "playout_delay"

URIS = {
    MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    RID: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    REPAIRED_RID: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    AUDIO_LEVEL: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    ABS_SEND_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    TWCC: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    DEPENDENCY_DESCRIPTOR: (
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    ),
    ABS_CAPTURE_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    PLAYOUT_DELAY: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
}
"""Kind → URI of `a=extmap`."""

_STOP = 15
_ONE_BYTE_MAX_ID, _ONE_BYTE_MAX_SIZE = 14, 16


def read(profile: int, block: bytes) -> dict[int, bytes]:
    """Return id → value of the elements of an extension block.

    Of an id that occurs twice the first counts; other profiles hold no elements. `ValueError`
    when an element reaches beyond the block.
    """
    if profile == ONE_BYTE:
        return _read_one_byte(block)
    if profile & TWO_BYTE_MASK == TWO_BYTE:
        return _read_two_byte(block)
    return {}


def _read_one_byte(block: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    at, size = 0, len(block)
    while at < size:
        head = block[at]
        at += 1
        if not head:
            continue
        element = head >> 4
        if element == _STOP:
            break
        end = at + (head & 0x0F) + 1
        if end > size:
            raise ValueError("an extension element does not fit")
        if element and element not in elements:
            elements[element] = block[at:end]
        at = end
    return elements


def _read_two_byte(block: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    at, size = 0, len(block)
    while at < size:
        element = block[at]
        at += 1
        if not element:
            continue
        end = at + 1 + block[at] if at < size else size + 1
        if end > size:
            raise ValueError("an extension element does not fit")
        elements.setdefault(element, block[at + 1 : end])
        at = end
    return elements


def write(elements: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the whole block with its four-byte header, or nothing for no elements.

    The one-byte form is taken unless an id is above 14, a value above 16 bytes or empty.
    `ValueError` for an id outside 1 to 255 or a value above 255 bytes.
    """
    if not elements:
        return b""
    small = all(
        0 < element <= _ONE_BYTE_MAX_ID and 0 < len(value) <= _ONE_BYTE_MAX_SIZE
        for element, value in elements
    )
    body = _one_byte_body(elements) if small else _two_byte_body(elements)
    body += bytes(-len(body) % 4)
    head = ONE_BYTE if small else TWO_BYTE
    return head.to_bytes(2, "big") + (len(body) // 4).to_bytes(2, "big") + body


def _one_byte_body(elements: Sequence[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes((element << 4 | len(value) - 1,)) + value for element, value in elements)


def _two_byte_body(elements: Sequence[tuple[int, bytes]]) -> bytes:
    for element, value in elements:
        if not 0 < element < 256 or len(value) > 255:
            raise ValueError("an extension id or value is out of range")
    return b"".join(bytes((element, len(value))) + value for element, value in elements)


def abs_send_time(at_us: int) -> bytes:
    """Return the 24-bit 6.18 fixed-point seconds of a clock in µs."""
    return ((at_us << 18) // 1_000_000 & 0xFFFFFF).to_bytes(3, "big")


def audio_level(value: bytes) -> int:
    """Return the level in dBov, 0 to -127 (RFC 6464); an empty value counts as silence."""
    return -(value[0] & 0x7F) if value else -127


def text(value: bytes) -> str:
    """Return a mid or rid; what is not ASCII counts as absent (RFC 8852 section 3)."""
    return value.decode("ascii") if value.isascii() else ""
