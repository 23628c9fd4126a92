"""One WHIP publisher: its participant, its peer, and what ingress is told of its media.

Answers to three sides: `Connection` of the room, `PeerObserver` of the media plane, `Publisher` of
the ingress session.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roomful.clock import Clock
from roomful.errors import RequestError
from roomful.ids import TRACK, random_text
from roomful.model.enums import DisconnectReason, TrackKind, TrackSource
from roomful.model.events import MuteRequested, Notice, TrackRemoved
from roomful.model.participant import Participant
from roomful.model.track import Publication, TrackCodec, TrackInfo, VideoLayer
from roomful.room.session import RoomSession
from roomful_ingress_whip.offer import Offer, layers
from roomful_ingress_whip.sdpfrag import LocalIce
from roomful_rtc.offer_answer import Capabilities, LocalTransport, Negotiation, Origin, answer
from roomful_rtc.offer_answer.negotiated import NegotiatedSection
from roomful_rtc.peer import WirePeer
from roomful_rtc.quality import PeerQuality
from roomful_rtc.sink import WireSink
from roomful_rtc.source import Layer, ReceiveParameters, WireSource

if TYPE_CHECKING:
    from roomful_ingress.session import Session
    from roomful_rtc.plane import Plane

FIRST_FIGURES_S, FIGURES_EVERY_S = 3, 60
_KINDS = {"audio": TrackKind.AUDIO, "video": TrackKind.VIDEO}
_SOURCES = {"audio": TrackSource.MICROPHONE, "video": TrackSource.CAMERA}


class WhipConnection:
    """Made by the factory of the transport, within `Session.join`."""

    def __init__(
        self,
        plane: Plane,
        clock: Clock,
        room: RoomSession,
        participant: Participant,
        ingress: Session,
        offer: Offer,
    ) -> None:
        self._clock, self._room, self._participant = clock, room, participant
        self._ingress, self._offer = ingress, offer
        self._sections: dict[str, NegotiatedSection] = {}
        self._published: dict[str, TrackInfo] = {}
        """by mid"""
        self._connected_at: float | None = None
        self._media_at = clock.monotonic()
        self._error = ""
        self._closed = False
        self._seconds = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._remote = offer.remote
        self._session_id = secrets.randbits(62)
        self.etag = _new_etag()
        """of the present ICE generation, quoted"""
        self.peer: WirePeer = plane.peer(self)

    # --- negotiating -------------------------------------------------------------------------

    def begin(self, capabilities: Capabilities) -> str:
        """Enter the room and return the answer. Raises `RemoteProtocolError`."""
        remote, transport = self._remote, self.peer.transport
        transport.set_remote(remote.setup, remote.ufrag, remote.pwd, remote.fingerprint)
        local = LocalTransport(
            transport.ufrag, transport.pwd, transport.fingerprint, transport.setup,
            transport.candidates,
        )  # fmt: skip
        result = answer(
            self._offer.description, local, self._offer.decide,
            origin=Origin(self._session_id, 1), capabilities=capabilities,
        )  # fmt: skip
        self._receive(result.negotiation)
        identity = self._participant.identity
        self._room.connect(identity, self)
        self._room.joined(identity)
        return result.sdp

    def _receive(self, negotiation: Negotiation) -> None:
        for section in negotiation.sections:
            if section.rejected or section.direction != "recvonly":
                continue
            self._sections[section.mid] = section
            source = self.peer.receive(
                section.mid,
                ReceiveParameters(
                    kind=section.kind,
                    codecs=section.codecs,
                    formats=tuple(section.formats.values()),
                    extensions=section.extensions,
                    rids=section.rids,
                    announced=section.announced,
                    layers=layers(section.rids),
                    remb=section.remb,
                    nack=any("nack" in f.feedback for f in section.formats.values()),
                ),
            )
            if section.kind == "audio":
                source.on_level = self._level

    @property
    def mids(self) -> tuple[str, ...]:
        """Of what is published."""
        return tuple(self._sections)

    def is_present(self, ufrag: str, pwd: str) -> bool:
        """Whether these are the client's ICE credentials of now."""
        return (ufrag, pwd) == (self._remote.ufrag, self._remote.pwd)

    def has_ufrag(self, ufrag: str) -> bool:
        return ufrag == self._remote.ufrag

    def restart(self, ufrag: str, pwd: str) -> LocalIce:
        """Begin another generation of ICE; DTLS and media go on. Raises `RemoteProtocolError`."""
        remote, transport = self._remote, self.peer.transport
        transport.set_remote(remote.setup, ufrag, pwd, remote.fingerprint)
        self._remote = replace(remote, ufrag=ufrag, pwd=pwd)
        self.etag = _new_etag()
        return LocalIce(transport.ufrag, transport.pwd, transport.candidates)

    # --- Connection --------------------------------------------------------------------------

    def deliver(self, notice: Notice) -> None:
        """A publisher subscribes to nothing; its tracks may be muted or taken away."""
        match notice:
            case MuteRequested(track_sid=sid, muted=muted):
                if source := self._source(self._mid_of(sid)):
                    source.set_muted(muted)
            case TrackRemoved(track_sid=sid):
                mid = self._mid_of(sid)
                self._published.pop(mid, None)
                self.peer.stop_receiving(mid)
            case _:
                pass

    async def close(self, reason: DisconnectReason) -> None:
        """The participant is out of the room: free everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        await self.peer.close(reason.name.lower())
        await self._ingress.end(self._error)

    # --- Publisher ---------------------------------------------------------------------------

    def last_media_at(self) -> float:
        """When a stream was last seen live, monotonic seconds; looked at once a second."""
        self._look()
        return self._media_at

    async def stop(self, reason: str) -> None:
        """Nothing is left to tell: the resource is gone, DTLS said goodbye."""
        await self.close(DisconnectReason.PARTICIPANT_REMOVED)

    # --- PeerObserver ------------------------------------------------------------------------

    def on_connected(self) -> None:
        self._connected_at = self._media_at = self._clock.monotonic()
        if self._room.is_live(self._participant):
            self._room.activate(self._participant.identity)

    def on_disconnected(self) -> None:
        """Nothing: it may come back until the transport fails."""

    def on_reconnected(self) -> None:
        """Nothing to do: packets flow again by themselves."""

    def on_failed(self, reason: str) -> None:
        if self._connected_at is None:
            self._error = f"the publisher did not connect: {reason}"
        self._leave(DisconnectReason.CLIENT_INITIATED)

    def on_channel_open(self, label: str) -> None:
        """Nothing: publishers send media only."""

    def on_message(self, label: str, data: bytes) -> None:
        """Nothing: publishers send media only."""

    def on_source_bound(self, source: WireSource) -> None:
        """First packets came: codec and stream are known, the track is published."""
        section = self._sections.get(source.mid)
        if section is None or source.mid in self._published or self._connected_at is None:
            return
        self._look()
        info = self._track(section, source)
        self._published[source.mid] = info
        identity = self._participant.identity
        try:
            self._room.publish(identity, Publication(identity, self._participant.sid, info, source))
        except RequestError:
            # the permission was taken away meanwhile, or the participant
            self._published.pop(source.mid, None)
            self.peer.stop_receiving(source.mid)
            return
        self._note(source)
        self._spawn(self._ingress.publishing())

    def on_source_changed(self, source: WireSource) -> None:
        """Another layer is known, or a picture's size."""
        info = self._published.get(source.mid)
        if info is None:
            return
        source.order_by_size()
        change = _described(info, source)
        if change != info:
            self._published[source.mid] = change
            self._room.update_track(
                self._participant.identity, info.sid,
                lambda there: replace(change, muted=there.muted, name=there.name),
            )  # fmt: skip
        self._note(source)

    def on_stream_state(self, sink: WireSink, paused: bool) -> None:
        """Nothing: nothing is sent to publishers."""

    def on_quality(self, quality: PeerQuality) -> None:
        self._room.note_quality(self._participant.sid, quality.quality, quality.score)

    # --- the second --------------------------------------------------------------------------

    def each_second(self, media_timeout_s: float) -> None:
        """Look whether media comes, and tell ingress what it is."""
        if self._closed or self._connected_at is None:
            return
        self._seconds += 1
        self._look()
        if not self._published and self._clock.monotonic() - self._connected_at > media_timeout_s:
            self._error = "no media received"
            self._leave(DisconnectReason.MEDIA_FAILURE)
        elif self._seconds == FIRST_FIGURES_S or self._seconds % FIGURES_EVERY_S == 0:
            for source in self.peer.sources:
                self._note(source)

    # --- inside ------------------------------------------------------------------------------

    def _track(self, section: NegotiatedSection, source: WireSource) -> TrackInfo:
        options = self._ingress.audio if section.kind == "audio" else self._ingress.video
        kind = _KINDS[section.kind]
        planned = layers(section.rids)
        letter = "A" if kind is TrackKind.AUDIO else "V"
        info = TrackInfo(
            sid=f"{TRACK}{letter}{random_text(12)}",
            kind=kind,
            source=options.source or _SOURCES[section.kind],
            name=options.name,
            mime_type=source.mime_type,
            mid=section.mid,
            simulcast=len(planned) > 1,
            stereo=kind is TrackKind.AUDIO and self._offer.stereo,
            disable_dtx=kind is TrackKind.AUDIO,
            stream="camera",
            layers=planned,
            codecs=(TrackCodec(source.mime_type, section.mid, layers=planned),),
        )
        return _described(info, source)

    def _note(self, source: WireSource) -> None:
        bitrate = sum(layer.bitrate for layer in source.layers)
        if source.kind == "audio":
            self._ingress.note_audio(
                source.mime_type, 2 if self._offer.stereo else 1,
                source.layers[0].clock_rate if source.layers else 0, bitrate,
            )  # fmt: skip
        else:
            top = max(source.layers, key=lambda la: la.width * la.height, default=None)
            size = (top.width, top.height) if top else (0, 0)
            self._ingress.note_video(source.mime_type, *size, bitrate=bitrate)

    def _look(self) -> None:
        sources = self.peer.sources
        if any(layer.live for source in sources for layer in source.layers):
            self._media_at = self._clock.monotonic()

    def _level(self, dbov: int, active: float) -> None:
        self._room.observe_level(self._participant.sid, dbov, active)

    def _source(self, mid: str) -> WireSource | None:
        return next((s for s in self.peer.sources if s.mid == mid), None)

    def _mid_of(self, track_sid: str) -> str:
        return next((mid for mid, info in self._published.items() if info.sid == track_sid), "")

    def _leave(self, reason: DisconnectReason) -> None:
        if self._room.is_live(self._participant):
            self._room.remove_soon(self._participant, reason)
        else:
            self._spawn(self.close(reason))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _described(info: TrackInfo, source: WireSource) -> TrackInfo:
    """The track with the sizes, bitrates and SSRCs that are known."""
    known = {layer.rid: layer for layer in source.layers}
    top = max(source.layers, key=lambda la: la.width * la.height, default=None)
    updated = sorted(
        (_sized(layer, known) for layer in info.layers), key=lambda la: la.spatial_layer
    )
    layers_now = tuple(updated)
    return replace(
        info,
        mime_type=source.mime_type,
        width=top.width if top else 0,
        height=top.height if top else 0,
        layers=layers_now,
        codecs=(replace(info.codecs[0], mime_type=source.mime_type, layers=layers_now),),
    )


def _sized(announced: VideoLayer, known: Mapping[str, Layer]) -> VideoLayer:
    there = known.get(announced.rid)
    if there is None:
        return announced
    return VideoLayer(
        there.quality, there.width, there.height, ssrc=there.ssrc, rid=there.rid,
        spatial_layer=there.spatial,
    )  # fmt: skip


def _new_etag() -> str:
    return f'"{random_text(16)}"'
