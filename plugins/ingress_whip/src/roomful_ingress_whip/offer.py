"""A publisher's offer: what is refused, what it will send, and in which order its layers stand.

RFC 9725 section 4.2 with RFC 9429; simulcast by RFC 8853. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from roomful.errors import RemoteProtocolError
from roomful.model.enums import VideoQuality
from roomful.model.track import VideoLayer
from roomful_ingress_whip.problem import Problem
from roomful_rtc.offer_answer import (
    CAPABILITIES,
    Capabilities,
    Decision,
    Inactive,
    Publish,
    RemoteTransport,
    remote_transport,
)
from roomful_rtc.offer_answer.codecs import choose
from roomful_rtc.sdp import EXTERNAL_LIMITS, MediaSection, SessionDescription

MAX_BYTES = EXTERNAL_LIMITS.size
MAX_LAYERS = 3
MEDIA = ("audio", "video")
_LOWEST_FIRST: tuple[tuple[str, ...], ...] = (("q", "h", "f"), ("l", "m", "h"))
"""rids in use whose names say the order"""
_QUALITIES = (VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered."""

    description: SessionDescription
    remote: RemoteTransport
    sections: Mapping[str, MediaSection]
    """what is published, by kind: at most one audio and one video"""

    @property
    def stereo(self) -> bool:
        """Whether the publisher's Opus has two channels, by its own word."""
        audio = self.sections.get("audio")
        said = [f.parameters for f in audio.codecs.values() if f.codec == "opus"] if audio else []
        return any(p.get("sprop-stereo") == "1" or p.get("stereo") == "1" for p in said)

    def decide(self, section: MediaSection) -> Decision:
        """What to answer to a section."""
        if self.sections.get(section.kind) is section:
            # a studio's source decides itself about silence
            return Publish(dtx=False, stereo=self.stereo)
        return Inactive()


def read_offer(body: bytes, capabilities: Capabilities) -> Offer:
    """Check a body as an offer. Raises `Problem` that says what is wrong with it."""
    if not body.strip():
        raise Problem(400, "the body is empty; it must be an SDP offer")
    if len(body) > MAX_BYTES:
        raise Problem(413, f"the offer exceeds {MAX_BYTES} bytes")
    try:
        description = SessionDescription.parse(body, EXTERNAL_LIMITS)
        if not description.sections:
            raise RemoteProtocolError("session description has no media")
        remote = remote_transport(description)
    except RemoteProtocolError as error:
        raise Problem(400, error.message) from error
    if remote.ice_lite:
        raise Problem(400, "both sides are ice-lite: nobody would check a path")
    return Offer(description, remote, _published(description, capabilities))


def accepted(mime_types: Iterable[str]) -> Capabilities:
    """What may be published where these MIME types may."""
    allowed = {mime.lower() for mime in mime_types}
    codecs = {
        kind: tuple(name for name in names if f"{kind}/{name}" in allowed)
        for kind, names in CAPABILITIES.codecs.items()
    }
    return Capabilities(codecs=codecs)


def layers(rids: tuple[str, ...]) -> tuple[VideoLayer, ...]:
    """Qualities of simulcast layers, lowest first; of two: MEDIUM and HIGH.

    Names that say the order are believed; of others the first listed is the highest. Where the
    pictures turn out otherwise, `WireSource.order_by_size` puts it right.
    """
    known = next((names for names in _LOWEST_FIRST if set(rids) <= set(names)), None)
    ordered = sorted(rids, key=known.index) if known else [*reversed(rids)]
    qualities = _QUALITIES[len(_QUALITIES) - len(ordered) :]
    return tuple(
        VideoLayer(quality, 0, 0, rid=rid, spatial_layer=index)
        for index, (quality, rid) in enumerate(zip(qualities, ordered, strict=True))
    )


def _published(
    description: SessionDescription, capabilities: Capabilities
) -> dict[str, MediaSection]:
    found: dict[str, MediaSection] = {}
    for section in description.sections:
        if section.rejected or section.kind not in MEDIA or not section.sends:
            continue
        if section.kind in found:
            raise Problem(406, f"two {section.kind} tracks are offered; one of each kind is taken")
        found[section.kind] = section
        if not choose(section, capabilities):
            offered = ", ".join(dict.fromkeys(f.name for f in section.codecs.values()))
            raise Problem(
                406, f"no {section.kind} codec in common: {offered or 'none'} offered, "
                f"{', '.join(capabilities.codecs[section.kind]) or 'none'} accepted",
            )  # fmt: skip
        _check_simulcast(section)
    if not found:
        raise Problem(400, "the offer sends neither audio nor video")
    bundled = description.bundle
    if len(found) > 1 and any(section.mid not in bundled for section in found.values()):
        raise Problem(400, "audio and video are not in one BUNDLE group")
    return found


def _check_simulcast(section: MediaSection) -> None:
    listed = section.simulcast_send
    declared = {rid.id for rid in section.rids if rid.direction == "send"}
    line = ";".join(listed)
    if len(listed) > MAX_LAYERS or (not listed and len(declared) > 1):
        raise Problem(400, f"a=simulcast:send {line} does not list one to {MAX_LAYERS} layers")
    if len(set(listed)) < len(listed) or not declared.issuperset(listed):
        raise Problem(400, f"a=simulcast:send {line} lists rids that no a=rid declares")
