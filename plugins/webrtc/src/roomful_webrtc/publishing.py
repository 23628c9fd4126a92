"""Tracks of one client on their way from AddTrack to a publication.

    add_track ─► pending (by cid) ─► bound to a section (by mid) ─► publication ─► unpublished

A client may offer before it asked, ask before it offers, and rewrite the track id in its
description: a section that names no pending track takes the oldest pending one of its kind.
Unpublishing shows only in the description: the section no longer sends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from livekit.protocol import rtc

from roomful.auth.check import check
from roomful.errors import InvalidArgument, RequestError, ResourceExhausted
from roomful.model.enums import TrackKind
from roomful.model.track import Publication, TrackCodec, TrackInfo
from roomful.room.session import RoomSession
from roomful_rtc.offer_answer import Inactive, Negotiation, Publish
from roomful_rtc.offer_answer.negotiated import NegotiatedSection
from roomful_rtc.peer import WirePeer
from roomful_rtc.sdp import MediaSection, SessionDescription
from roomful_rtc.source import ReceiveParameters, WireSource
from roomful_webrtc.track_request import MAX_BYTES, track_from_request

log = logging.getLogger(__name__)

MAX_PENDING = 20
_REASON = {
    "invalid_argument": rtc.RequestResponse.UNSUPPORTED_TYPE,
    "permission_denied": rtc.RequestResponse.NOT_ALLOWED,
    "resource_exhausted": rtc.RequestResponse.LIMIT_EXCEEDED,
}
"""code of the refusal → what the client is told"""
_KINDS = {"audio": TrackKind.AUDIO, "video": TrackKind.VIDEO}


@dataclass(slots=True)
class _Bound:
    """A section that carries a track of ours to be."""

    mid: str
    cid: str
    info: TrackInfo
    source: WireSource | None = None


class Publisher:
    """What one client publishes."""

    def __init__(
        self, session: RoomSession, identity: str, sid: str, max_tracks: int
    ) -> None:
        self._session = session
        self._identity = identity
        self._sid = sid
        self._max_tracks = max_tracks
        self._pending: dict[str, TrackInfo] = {}
        self._bound: dict[str, _Bound] = {}

    # --- asked for ---------------------------------------------------------------------------

    def add(self, request: rtc.AddTrackRequest) -> TrackInfo | rtc.RequestResponse:
        """Note a track the client is about to send; a refusal is the response to give."""
        if there := self._pending.get(request.cid):
            return there
        try:
            info = self._accepted(request)
        except RequestError as error:
            return rtc.RequestResponse(
                reason=_REASON.get(error.code, rtc.RequestResponse.UNCLASSIFIED_ERROR),
                message=error.message,
                add_track=request if request.ByteSize() <= MAX_BYTES else None,
            )
        self._pending[request.cid] = info
        return info

    def _accepted(self, request: rtc.AddTrackRequest) -> TrackInfo:
        if request.sid:
            raise InvalidArgument("backup codecs are not offered here")
        info = track_from_request(request)
        permission = self._session.participant(self._identity).permission
        check(permission, "publish", target=info.source)
        if len(self._pending) >= MAX_PENDING:
            raise ResourceExhausted(f"more than {MAX_PENDING} pending tracks")
        if len(self._bound) >= self._max_tracks:
            raise ResourceExhausted(f"more than {self._max_tracks} tracks")
        return info

    # --- negotiated --------------------------------------------------------------------------

    def end_missing(self, offer: SessionDescription, peer: WirePeer) -> None:
        """Unpublish what the client's new description no longer sends."""
        sections = {section.mid: section for section in offer.sections}
        for mid in list(self._bound):
            section = sections.get(mid)
            if section is None or section.rejected or not section.sends:
                self.end(mid, peer)

    def decide(self, section: MediaSection, peer: WirePeer) -> Publish | Inactive:
        """What to answer to a section that sends."""
        bound = self._bound.get(section.mid)
        if bound is not None and section.track_id in self._pending:
            # the section was given to another track without a pause in between
            self.end(section.mid, peer)
            bound = None
        if bound is None:
            bound = self._take_pending(section)
        if bound is None:
            return Inactive()
        mime = bound.info.mime_type
        return Publish(
            prefer=mime.partition("/")[2],
            dtx=not bound.info.disable_dtx,
            stereo=bound.info.stereo,
        )

    def bind(self, negotiation: Negotiation, peer: WirePeer) -> None:
        """Receive and publish what was agreed on; called when the answer is on its way."""
        for section in negotiation.sections:
            bound = self._bound.get(section.mid)
            if bound is None or section.rejected or not isinstance(section.decision, Publish):
                continue
            parameters = receive_parameters(section, bound.info)
            if bound.source is not None:
                peer.update_receive(section.mid, parameters)
            else:
                self._publish(bound, section, parameters, peer)

    def _take_pending(self, section: MediaSection) -> _Bound | None:
        cid = section.track_id
        if cid not in self._pending:
            kind = _KINDS.get(section.kind)
            of_kind = (c for c, info in self._pending.items() if info.kind is kind)
            cid = next(of_kind, "")
        info = self._pending.pop(cid, None)
        if info is None:
            return None
        bound = self._bound[section.mid] = _Bound(section.mid, cid, info)
        return bound

    def _publish(
        self, bound: _Bound, section: NegotiatedSection, parameters: ReceiveParameters,
        peer: WirePeer,
    ) -> None:
        preferred = next(iter(section.formats.values()), None)
        mime = bound.info.mime_type or (
            mime_type(section.kind, preferred.codec) if preferred else ""
        )
        bound.source = peer.receive(section.mid, parameters)
        bound.source.set_muted(bound.info.muted)
        if section.kind == "audio":
            bound.source.on_level = self._level
        codecs = tuple(replace(c, mid=section.mid) for c in bound.info.codecs) or (
            TrackCodec(mime, section.mid, bound.cid),
        )
        bound.info = replace(bound.info, mid=section.mid, mime_type=mime, codecs=codecs)
        publication = Publication(self._identity, self._sid, bound.info, bound.source)
        try:
            self._session.publish(self._identity, publication)
        except RequestError:
            # the permission went between asking and publishing
            log.info("publication refused", extra={"track": bound.info.sid})
            self._forget(bound, peer)

    def bound_to(self, source: WireSource) -> None:
        """First packets came: codec and SSRCs are known."""
        bound = self._bound.get(source.mid)
        if bound is None or bound.source is not source:
            return
        ssrcs = {layer.quality: layer.ssrc for layer in source.layers}

        def with_media(info: TrackInfo) -> TrackInfo:
            layers = tuple(
                replace(layer, ssrc=ssrcs.get(layer.quality, layer.ssrc)) for layer in info.layers
            )
            first, *rest = info.codecs
            codec = replace(first, mime_type=source.mime_type, layers=layers)
            return replace(
                info, mime_type=source.mime_type, layers=layers, codecs=(codec, *rest)
            )

        self._session.update_track(self._identity, bound.info.sid, with_media)

    # --- changed and ended -------------------------------------------------------------------

    def mute(self, track_sid: str, muted: bool) -> None:
        """The client muted or unmuted one of its tracks, published or pending."""
        for cid, info in self._pending.items():
            if info.sid == track_sid:
                self._pending[cid] = replace(info, muted=muted)
                return
        if self.apply_mute(track_sid, muted):
            self._session.mute_own(self._identity, track_sid, muted)

    def apply_mute(self, track_sid: str, muted: bool) -> bool:
        """Stop or resume the track's media; False when there is no such track."""
        bound = self._by_sid(track_sid)
        if bound is None or bound.source is None:
            return False
        bound.source.set_muted(muted)
        return True

    def change(self, track_sid: str, change: Callable[[TrackInfo], TrackInfo]) -> None:
        """The client described one of its tracks anew; an unknown one is ignored."""
        bound = self._by_sid(track_sid)
        if bound is not None and bound.source is not None:
            self._session.update_track(self._identity, track_sid, change)

    def drop(self, track_sid: str, peer: WirePeer) -> None:
        """The room ended the publication: stop receiving it."""
        bound = self._by_sid(track_sid)
        if bound is not None:
            self._forget(bound, peer)

    def end(self, mid: str, peer: WirePeer) -> None:
        """The client ended the publication."""
        bound = self._bound.get(mid)
        if bound is None:
            return
        published = bound.source is not None
        self._forget(bound, peer)
        if published:
            self._session.unpublish(self._identity, bound.info.sid)

    def _forget(self, bound: _Bound, peer: WirePeer) -> None:
        self._bound.pop(bound.mid, None)
        peer.stop_receiving(bound.mid)

    def _by_sid(self, track_sid: str) -> _Bound | None:
        return next((b for b in self._bound.values() if b.info.sid == track_sid), None)

    def _level(self, dbov: int, active: float) -> None:
        self._session.observe_level(self._sid, dbov, active)


def receive_parameters(section: NegotiatedSection, info: TrackInfo) -> ReceiveParameters:
    """What the media side needs of a section that publishes."""
    return ReceiveParameters(
        kind=section.kind,
        codecs=section.codecs,
        formats=tuple(section.formats.values()),
        extensions=section.extensions,
        rids=section.rids,
        announced=section.announced,
        layers=info.layers,
        remb=any("goog-remb" in f.feedback for f in section.formats.values()),
    )


_MIME_SPELLING = {"vp8": "VP8", "vp9": "VP9", "h264": "H264", "av1": "AV1", "h265": "H265"}


def mime_type(kind: str, codec: str) -> str:
    """As on the wire: `video/VP8`, `audio/opus`."""
    return f"{kind}/{_MIME_SPELLING.get(codec, codec)}"
