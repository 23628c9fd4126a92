"""Which streams a section may bring, by its description and AddTrack. Sans-IO.

Layers are ordered by quality, never by their place in the offer: clients differ in the order of
rids (`livekit-wire.md` 7.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roomful.model.enums import VideoQuality
from roomful.model.track import VideoLayer
from roomful_rtc.engine import Codec
from roomful_rtc.offer_answer.negotiated import AnnouncedSsrc
from roomful_rtc.sdp import RtpFormat

QUALITY_OF_RID = {
    "q": VideoQuality.LOW,
    "h": VideoQuality.MEDIUM,
    "f": VideoQuality.HIGH,
}
MAX_LAYERS = 3


@dataclass(frozen=True, slots=True)
class ReceiveParameters:
    """What the negotiation and AddTrack say about one section that the peer publishes in."""

    kind: str
    """`audio` or `video`"""
    codecs: Mapping[int, Codec]
    """payload type → codec, rtx included, preferred first"""
    extensions: Mapping[str, int] = field(default_factory=dict[str, int])
    """kind as in `Engine.set_extensions` → id"""
    formats: tuple[RtpFormat, ...] = ()
    """the same payload types with their parameters, to find a subscriber's that means the same"""
    rids: tuple[str, ...] = ()
    """accepted simulcast layers in the offer's order (which means nothing)"""
    announced: tuple[AnnouncedSsrc, ...] = ()
    """streams named in the description; of several, the first is the lowest layer"""
    layers: tuple[VideoLayer, ...] = ()
    """sizes, bitrates and qualities as the publisher announced them"""
    remb: bool = False
    """`goog-remb` is negotiated; used where the transport-wide extension is not"""
    nack: bool = True
    """the publisher answers requests for lost packets"""


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One stream that may come."""

    spatial: int
    quality: VideoQuality
    rid: str = ""
    ssrc: int = 0
    """announced; 0: learnt from the packets"""
    rtx_ssrc: int = 0
    width: int = 0
    height: int = 0
    bitrate: int = 0
    """as announced, bit/s"""


class LayerPlan:
    """The streams of one section, lowest first."""

    def __init__(self, parameters: ReceiveParameters) -> None:
        qualities = {layer.rid: layer.quality for layer in parameters.layers if layer.rid}
        self._sizes = {layer.quality: layer for layer in parameters.layers}
        if parameters.rids:
            self.layers = self._of_rids(parameters.rids, QUALITY_OF_RID | qualities)
        elif len(parameters.announced) > 1:
            self.layers = self._of_ssrcs(parameters.announced[:MAX_LAYERS])
        else:
            self.layers = (self._single(parameters.announced),)

    def take(self, layers: Sequence[PlannedLayer]) -> None:
        """Take layers that turned out to stand in another order; told apart by rid, else SSRC."""
        known = {layer.rid or layer.ssrc: layer for layer in layers}
        changed = (known.get(layer.rid or layer.ssrc, layer) for layer in self.layers)
        self.layers = tuple(sorted(changed, key=lambda layer: layer.spatial))

    def find(self, rid: str, ssrc: int) -> PlannedLayer | None:
        """Return the layer that a media packet belongs to; None when it cannot be told."""
        if len(self.layers) == 1 and not self.layers[0].rid:
            return self.layers[0]
        return next(
            (p for p in self.layers if (rid and p.rid == rid) or (p.ssrc and p.ssrc == ssrc)), None
        )

    def find_repaired(self, repaired_rid: str, rtx_ssrc: int) -> PlannedLayer | None:
        """Return the layer that an RTX packet repairs; None when it cannot be told."""
        if len(self.layers) == 1 and not self.layers[0].rid:
            return self.layers[0]
        return next(
            (
                p
                for p in self.layers
                if (repaired_rid and p.rid == repaired_rid)
                or (p.rtx_ssrc and p.rtx_ssrc == rtx_ssrc)
            ),
            None,
        )

    def announces(self, ssrc: int) -> bool:
        """Whether the description named this SSRC, as media or as RTX."""
        return any(ssrc in (p.ssrc, p.rtx_ssrc) for p in self.layers)

    def _of_rids(
        self, rids: Sequence[str], qualities: Mapping[str, VideoQuality]
    ) -> tuple[PlannedLayer, ...]:
        known = sorted((r for r in rids if r in qualities), key=lambda rid: qualities[rid])
        ordered = [*known, *(rid for rid in rids if rid not in qualities)][:MAX_LAYERS]
        return tuple(
            self._planned(index, qualities.get(rid, VideoQuality(index)), rid=rid)
            for index, rid in enumerate(ordered)
        )

    def _of_ssrcs(self, announced: Sequence[AnnouncedSsrc]) -> tuple[PlannedLayer, ...]:
        return tuple(
            self._planned(index, VideoQuality(index), ssrc=one.ssrc, rtx_ssrc=one.rtx_ssrc)
            for index, one in enumerate(announced)
        )

    def _single(self, announced: Sequence[AnnouncedSsrc]) -> PlannedLayer:
        largest = max(self._sizes, default=VideoQuality.HIGH)
        one = announced[0] if announced else AnnouncedSsrc(0)
        return self._planned(0, largest, ssrc=one.ssrc, rtx_ssrc=one.rtx_ssrc)

    def _planned(
        self,
        spatial: int,
        quality: VideoQuality,
        *,
        rid: str = "",
        ssrc: int = 0,
        rtx_ssrc: int = 0,
    ) -> PlannedLayer:
        size = self._sizes.get(quality)
        return PlannedLayer(
            spatial=spatial,
            quality=quality,
            rid=rid,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc,
            width=size.width if size else 0,
            height=size.height if size else 0,
            bitrate=size.bitrate if size else 0,
        )
