"""Tracks on their way to one client: a leg per subscription, from wish to sink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from roomful.model.enums import TrackKind, VideoQuality
from roomful.model.subscription import Subscription, TrackSettings
from roomful_rtc.offer_answer import Negotiation, Subscribe
from roomful_rtc.offer_answer.negotiated import NegotiatedSection
from roomful_rtc.peer import WirePeer
from roomful_rtc.sdp import MediaSection
from roomful_rtc.sink import SendParameters, Want, WireSink
from roomful_rtc.source import Source

_KIND = {TrackKind.AUDIO: "audio", TrackKind.VIDEO: "video"}


@dataclass(slots=True, eq=False)
class Leg:
    """One subscription; placed when it has a section, flowing when it has a sink."""

    subscription: Subscription
    ssrc: int
    rtx_ssrc: int
    mid: str = ""
    sink: WireSink | None = None

    @property
    def kind(self) -> str:
        return _KIND[self.subscription.publication.info.kind]

    def fits(self, section: MediaSection) -> bool:
        """Whether the section is of its kind and offers a codec it may come in.

        A section in which the client published before offers that track's codec alone.
        """
        if section.kind != self.kind:
            return False
        source = self.subscription.publication.source
        if not isinstance(source, Source):
            return True
        offered = {offered.codec for offered in section.codecs.values()}
        return any(f.codec in offered for f in source.formats if f.codec != "rtx")

    @property
    def described(self) -> Subscribe:
        """How the section names the track: clients find participant and track by the stream id."""
        publication = self.subscription.publication
        return Subscribe(
            stream_id=f"{publication.publisher_sid}|{publication.sid}",
            track_id=publication.sid,
            ssrc=self.ssrc,
            rtx_ssrc=self.rtx_ssrc,
            cname=publication.publisher_sid,
            stereo=publication.info.stereo,
        )


class Subscriber:
    """What one client receives. Which section a leg gets is the peer connection's business."""

    def __init__(
        self, peer: Callable[[], WirePeer], *, adaptive: bool, may_pause: bool,
        unsupported: Callable[[str], None],
    ) -> None:
        """`unsupported` is told the SID of a track that the client has no codec for."""
        self._peer = peer
        self._adaptive = adaptive
        self._may_pause = may_pause
        self._unsupported = unsupported
        self._legs: dict[str, Leg] = {}

    @property
    def mid_to_track(self) -> dict[str, str]:
        """Mid → track SID of every section that carries a track."""
        return {leg.mid: sid for sid, leg in self._legs.items() if leg.mid}

    def unplaced(self) -> Iterator[Leg]:
        """Legs without a section, oldest first."""
        return (leg for leg in self._legs.values() if not leg.mid)

    def at(self, mid: str) -> Leg | None:
        """The leg that has this section."""
        return next((leg for leg in self._legs.values() if leg.mid == mid), None)

    def start(self, subscription: Subscription) -> Leg:
        """Begin a leg."""
        if self._adaptive and subscription.settings == TrackSettings():
            # an adaptive client says what it needs once its element is laid out
            subscription.settings = TrackSettings(quality=VideoQuality.LOW)
        peer = self._peer()
        is_video = subscription.publication.info.kind is TrackKind.VIDEO
        leg = Leg(subscription, peer.new_ssrc(), peer.new_ssrc() if is_video else 0)
        self._legs[subscription.track_sid] = leg
        return leg

    def end(self, track_sid: str) -> Leg | None:
        """End a leg at once; its section is the caller's to clear."""
        leg = self._legs.pop(track_sid, None)
        if leg is not None and leg.sink is not None:
            leg.sink.close()
            leg.sink = None
        return leg

    def apply_settings(self, subscription: Subscription) -> None:
        """The client changed what it wants of a track."""
        leg = self._legs.get(subscription.track_sid)
        if leg is not None and leg.sink is not None:
            leg.sink.set(Want.of(subscription.settings))

    def connect(self, negotiation: Negotiation) -> None:
        """Let media flow in the sections that both ends agreed on."""
        for leg in self._legs.values():
            section = negotiation.section(leg.mid) if leg.mid else None
            if section is None or not isinstance(section.decision, Subscribe):
                continue
            parameters = self._parameters(leg, section, negotiation)
            if parameters is None:
                self._unsupported(leg.subscription.track_sid)
            elif leg.sink is not None:
                leg.sink.update(parameters)
            else:
                self._flow(leg, parameters)

    def _flow(self, leg: Leg, parameters: SendParameters) -> None:
        source = leg.subscription.publication.source
        if not isinstance(source, Source):
            return
        leg.sink = self._peer().send(source, parameters)
        leg.sink.set(Want.of(leg.subscription.settings))

    def _parameters(
        self, leg: Leg, section: NegotiatedSection, negotiation: Negotiation
    ) -> SendParameters | None:
        pts = payload_types(leg.subscription.publication.source, section)
        if not pts:
            return None
        rtx = section.rtx_payload_types
        return SendParameters(
            mid=section.mid,
            ssrc=leg.ssrc,
            pts=pts,
            rtx_ssrc=leg.rtx_ssrc if any(pt in rtx for pt in pts.values()) else 0,
            rtx_pts=rtx,
            extensions=negotiation.send_extensions,
            may_pause=self._may_pause,
        )


def named_anew(track: Subscribe, returns: int) -> Subscribe:
    """Name a track that returns to its section: participant, and a word that is no track's SID.

    Clients take the track's SID from its track id then.
    """
    participant = track.stream_id.partition("|")[0]
    return replace(track, stream_id=f"{participant}|again-{returns}")


def payload_types(source: object, section: NegotiatedSection) -> dict[str, int]:
    """Codec → the subscriber's payload type, for what the publisher may send.

    H.264 and VP9 must agree in profile; the publisher's preferred format decides.
    """
    if not isinstance(source, Source):
        return section.payload_types
    found: dict[str, int] = {}
    for theirs in source.formats:
        if theirs.codec == "rtx" or theirs.codec in found:
            continue
        pt = section.payload_type_for(theirs)
        if pt is not None:
            found[theirs.codec] = pt
    return found
