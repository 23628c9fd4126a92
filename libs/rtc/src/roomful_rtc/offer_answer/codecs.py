"""Choose payload types: which formats of a section we speak, in which order, said how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from roomful_rtc.engine import Codec
from roomful_rtc.offer_answer.capabilities import EXTENSION_KINDS, Capabilities
from roomful_rtc.sdp import MediaSection, RtpFormat

Formats = dict[int, RtpFormat]

CLOCK_RATES = {"opus": 48_000}
"""Of codecs whose clock is not 90 kHz."""


def spoken(codec: RtpFormat, names: tuple[str, ...]) -> bool:
    """Whether we can carry this format: VP9 and AV1 profile 0, any H.264 we can packetise."""
    name = codec.codec
    if name not in names or codec.clock_rate != CLOCK_RATES.get(name, 90_000):
        return False
    match name:
        case "opus":
            return codec.channels == 2
        case "vp9":
            return codec.parameters.get("profile-id", "0") == "0"
        case "av1":
            return codec.parameters.get("profile", "0") == "0"
        case "h264":
            return codec.parameters.get("packetization-mode", "0") in ("0", "1")
        case _:
            return True


def choose(section: MediaSection, capabilities: Capabilities, prefer: str = "") -> Formats:
    """Pick what we speak of an offered section, feedback reduced to what we give.

    Order: the preferred codec, then the peer's own order; among H.264 formats constrained baseline
    with packetization mode 1 first. Each is followed by its RTX.
    """
    names = capabilities.codecs.get(section.kind, ())
    wanted = prefer.lower().rpartition("/")[2]
    chosen = [codec for codec in section.codecs.values() if spoken(codec, names)]
    first_of: dict[str, int] = {}
    for index, codec in enumerate(chosen):
        first_of.setdefault(codec.codec, index)
    chosen.sort(key=lambda c: (c.codec != wanted, first_of[c.codec], _h264_rank(c)))
    repairs = repairs_of(section.codecs) if capabilities.rtx else {}
    formats: Formats = {}
    feedback = capabilities.feedback.get(section.kind, ())
    for codec in chosen:
        given = tuple(kind for kind in feedback if kind in codec.feedback)
        formats[codec.payload_type] = replace(codec, feedback=given)
        rtx = repairs.get(codec.payload_type)
        if rtx is not None:
            formats[rtx.payload_type] = replace(rtx, feedback=())
    return formats


def repairs_of(formats: Mapping[int, RtpFormat]) -> Formats:
    """Payload type → the RTX format that repairs it (RFC 4588 section 8.6)."""
    repairs: Formats = {}
    for codec in formats.values():
        apt = apt_of(codec)
        if apt in formats:
            repairs.setdefault(apt, codec)
    return repairs


def apt_of(codec: RtpFormat) -> int:
    """The payload type an RTX format repairs, -1 when it is none or does not say."""
    apt = codec.parameters.get("apt", "") if codec.codec == "rtx" else ""
    return int(apt) if apt.isascii() and apt.isdigit() and len(apt) <= 3 else -1


def engine_codecs(formats: Iterable[RtpFormat]) -> dict[int, Codec]:
    """The same as the engine names it."""
    return {f.payload_type: Codec(f.codec, f.clock_rate, max(apt_of(f), 0)) for f in formats}


def choose_extensions(section: MediaSection, capabilities: Capabilities) -> dict[str, int]:
    """Kind → id of the offered header extensions we accept for this kind of section."""
    accepted = capabilities.extensions.get(section.kind, ())
    chosen: dict[str, int] = {}
    for identifier, uri in section.extmap.items():
        kind = EXTENSION_KINDS.get(uri)
        if kind in accepted and identifier <= 255:
            chosen.setdefault(kind, identifier)
    return chosen


def closest(source: RtpFormat, formats: Mapping[int, RtpFormat]) -> int | None:
    """The payload type that means the same codec as `source`, or None.

    For H.264 the same profile and packetization mode (RFC 6184 section 8.2.2) is best, the same
    mode next, any other last: decoders in use take every profile.
    """
    same = [f for f in formats.values() if f.codec == source.codec]
    if source.codec == "h264":
        mode, profile = _h264_mode(source), h264_profile(source)
        same.sort(key=lambda f: (_h264_mode(f) != mode, h264_profile(f) != profile))
    return same[0].payload_type if same else None


def h264_profile(codec: RtpFormat) -> str:
    """Name the profile of a profile-level-id (RFC 6184 section 8.1, table 5)."""
    text = codec.parameters.get("profile-level-id", "420010")
    try:
        idc, flags = int(text[0:2], 16), int(text[2:4], 16)
    except ValueError:
        return "unknown"
    constrained = flags & (0x80 if idc in (0x4D, 0x58) else 0x40)
    match idc:
        case 0x42 | 0x4D | 0x58 if constrained:
            return "constrained-baseline"
        case 0x64 if flags & 0x0C == 0x0C:
            return "constrained-high"
        case _:
            return {0x42: "baseline", 0x4D: "main", 0x58: "extended", 0x64: "high"}.get(
                idc, f"{idc:02x}"
            )


def _h264_mode(codec: RtpFormat) -> str:
    return codec.parameters.get("packetization-mode", "0")


def _h264_rank(codec: RtpFormat) -> tuple[bool, bool]:
    if codec.codec != "h264":
        return (False, False)
    return (h264_profile(codec) != "constrained-baseline", _h264_mode(codec) != "1")
