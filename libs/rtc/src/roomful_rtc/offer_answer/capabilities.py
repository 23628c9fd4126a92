"""Which codecs, feedback and header extensions we speak: the one place for these tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from roomful_rtc.extensions import (
    ABS_CAPTURE_TIME,
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    MID,
    PLAYOUT_DELAY,
    REPAIRED_RID,
    RID,
    TWCC,
    URIS,
)
from roomful_rtc.sdp import RtpFormat

EXTENSION_URIS: Mapping[str, str] = URIS
"""Kind, as `Engine.set_extensions` names it → URI."""

EXTENSION_KINDS: Mapping[str, str] = {uri: kind for kind, uri in EXTENSION_URIS.items()}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an answer accepts when it is offered. Keys of all tables: audio, video."""

    codecs: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "audio": ("opus",),
            "video": ("vp8", "h264", "vp9", "av1"),
        }
    )
    feedback: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "audio": ("nack",),
            "video": ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"),
        }
    )
    extensions: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "audio": (MID, RID, AUDIO_LEVEL, ABS_CAPTURE_TIME),
            "video": (
                MID,
                RID,
                REPAIRED_RID,
                ABS_SEND_TIME,
                TWCC,
                DEPENDENCY_DESCRIPTOR,
                ABS_CAPTURE_TIME,
            ),
        }
    )
    """accepted in answers; the same for every section of a kind (`livekit-wire.md` 5.9)"""
    sent: frozenset[str] = frozenset(
        {MID, ABS_SEND_TIME, DEPENDENCY_DESCRIPTOR, ABS_CAPTURE_TIME, PLAYOUT_DELAY}
    )
    """extension kinds that forwarded packets may carry; the others are stripped"""
    rtx: bool = True

    def without_transport_cc(self) -> Capabilities:
        """The same for a media side that gives no transport-wide feedback.

        A sender that negotiated transport-cc and gets no feedback stays at its lowest rate.
        """
        return replace(
            self,
            feedback={
                k: tuple(f for f in v if f != "transport-cc") for k, v in self.feedback.items()
            },
            extensions={k: tuple(e for e in v if e != TWCC) for k, v in self.extensions.items()},
        )


CAPABILITIES = Capabilities()

OPUS_FMTP = "minptime=10;useinbandfec=1"
_H264 = "level-asymmetry-allowed=1;packetization-mode={};profile-level-id=42e01f"
_OWN: tuple[tuple[str, int, str, int, int, str], ...] = (
    ("audio", 111, "opus", 48_000, 2, OPUS_FMTP),
    ("video", 96, "VP8", 90_000, 1, ""),
    ("video", 102, "H264", 90_000, 1, _H264.format(1)),
    ("video", 98, "VP9", 90_000, 1, "profile-id=0"),
    ("video", 45, "AV1", 90_000, 1, ""),
    ("video", 104, "H264", 90_000, 1, _H264.format(0)),
)
"""Kind, payload type, name, clock rate, channels, fmtp; RTX of video has the next number."""

OWN_EXTENSION_IDS: Mapping[str, int] = {
    MID: 1,
    ABS_SEND_TIME: 2,
    ABS_CAPTURE_TIME: 3,
    DEPENDENCY_DESCRIPTOR: 4,
    PLAYOUT_DELAY: 5,
}
"""Ids in our own offers, the same for audio and video."""


def own_formats(kind: str, capabilities: Capabilities) -> dict[int, RtpFormat]:
    """What our own offers list for a section of this kind, in our order."""
    formats: dict[int, RtpFormat] = {}
    names = capabilities.codecs.get(kind, ())
    feedback = tuple(name for name in capabilities.feedback.get(kind, ()) if name != "transport-cc")
    for of_kind, pt, name, rate, channels, fmtp in _OWN:
        if of_kind != kind or name.lower() not in names:
            continue
        formats[pt] = RtpFormat(pt, name, rate, channels, fmtp, feedback)
        if kind == "video" and capabilities.rtx:
            formats[pt + 1] = RtpFormat(pt + 1, "rtx", rate, 1, f"apt={pt}")
    return formats


def own_extensions(kind: str, capabilities: Capabilities) -> dict[str, int]:
    """The header extensions our own offers list for a section of this kind."""
    accepted = capabilities.extensions.get(kind, ())
    return {
        name: identifier
        for name, identifier in OWN_EXTENSION_IDS.items()
        if name in capabilities.sent and name in accepted
    }
