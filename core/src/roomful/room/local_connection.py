"""The connection of a participant whose media is local: packets by calls, not over a socket.

    room ──deliver──▶ sinks of the media plane ──▶ the guest's `TrackSink`s
    guest ─publish──▶ local sources of the media plane, publications of the room

The guest is whatever stands behind the participant: a media worker's job, or a test. It enters by
`server.join` like everybody else; its transport's factory makes this connection.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from roomful.auth.check import check
from roomful.errors import MediaError, NotFound, RequestError, ResourceExhausted
from roomful.ids import TRACK, new_sid
from roomful.model.enums import DisconnectReason, TrackKind
from roomful.model.events import (
    MuteRequested,
    Notice,
    SubscriptionEnded,
    SubscriptionSettingsChanged,
    SubscriptionStarted,
    TrackRemoved,
)
from roomful.model.media import LocalSource, MediaPlane, QueuePolicy, SinkHandle, TrackSink, Want
from roomful.model.participant import Participant
from roomful.model.subscription import Subscription
from roomful.model.track import Publication, TrackCodec, TrackInfo, VideoLayer
from roomful.room.session import RoomSession

log = logging.getLogger(__name__)


class LocalGuest(Protocol):
    """Who publishes and subscribes through a `LocalConnection`. Plain calls on the loop.

    One that raises ends its participant.
    """

    queue: QueuePolicy
    """of its sinks, where they are behind a link"""

    def sink_for(self, subscription: Subscription) -> TrackSink | None:
        """Return where this track's packets go; None: it is not wanted."""
        ...

    def on_notice(self, notice: Notice) -> None:
        """Something happened in the room; media has been seen to already.

        Of this participant's own tracks: `MuteRequested`, and `TrackRemoved` once one is over,
        unless the guest itself unpublished it.
        """
        ...

    def on_close(self, reason: DisconnectReason) -> None:
        """The participant is out of the room, its sources and sinks are gone. Called once."""
        ...


class LocalConnection:
    """Connects one participant. Answers to `roomful.room.connection.Connection`."""

    def __init__(
        self,
        plane: MediaPlane,
        session: RoomSession,
        participant: Participant,
        guest: LocalGuest,
        *,
        max_tracks: int,
    ) -> None:
        self.session = session
        self.participant = participant
        self._plane = plane
        self._guest = guest
        self._max_tracks = max_tracks
        self._sources: dict[str, LocalSource] = {}
        self._sinks: dict[str, SinkHandle] = {}
        self._closed = False

    def begin(self) -> None:
        """Take part: there is no transport to wait for."""
        identity = self.participant.identity
        self.session.connect(identity, self)
        self.session.joined(identity)
        self.session.activate(identity)

    # --- publishing --------------------------------------------------------------------------

    def publish(
        self, info: TrackInfo, layers: Sequence[VideoLayer] = (), *, fmtp: str = ""
    ) -> tuple[str, LocalSource]:
        """Publish a track; return its SID and the source to write to.

        `info.mime_type` says the codec; an empty SID gets a new one. `layers`: of simulcast video,
        lowest first, the index of `LocalSource.write`.

        Raises:
            PermissionDenied: the participant may not publish this.
            ResourceExhausted: it publishes too many tracks, or the engine is full.
            MediaError: a codec that is not forwarded here.
            ValueError: too many layers, or not lowest first.
            NotFound: the participant left.
        """
        self._check_here()
        check(self.participant.permission, "publish", target=info.source)
        if len(self._sources) >= self._max_tracks:
            raise ResourceExhausted(f"more than {self._max_tracks} tracks")
        publication = Publication(
            self.participant.identity, self.participant.sid, _completed(info, tuple(layers))
        )
        source = self._plane.source(publication, layers, fmtp=fmtp)
        try:
            self.session.publish(self.participant.identity, publication)
        except RequestError:
            source.end()
            raise
        sid = publication.sid
        self._sources[sid] = source
        source.on_ended = lambda reason: self._source_ended(sid)
        if info.kind is TrackKind.AUDIO:
            source.on_level = self._level
        return sid, source

    def unpublish(self, track_sid: str) -> None:
        """End a publication of this participant. Raises `NotFound`."""
        source = self._sources.pop(track_sid, None)
        if source is None:
            raise NotFound(f"track {track_sid!r} is not published here")
        source.end()
        self.session.unpublish(self.participant.identity, track_sid)

    def mute(self, track_sid: str, muted: bool) -> None:
        """Mute or unmute a track of this participant. Raises `NotFound`."""
        source = self._sources.get(track_sid)
        if source is None:
            raise NotFound(f"track {track_sid!r} is not published here")
        source.set_muted(muted)
        self.session.mute_own(self.participant.identity, track_sid, muted)

    def _source_ended(self, track_sid: str) -> None:
        """The media plane ended a source of ours."""
        if self._sources.pop(track_sid, None) is not None:
            self.session.unpublish(self.participant.identity, track_sid)
            self._guest.on_notice(TrackRemoved(track_sid, to=self.participant.identity))

    def _level(self, dbov: int, active: float) -> None:
        self.session.observe_level(self.participant.sid, dbov, active)

    # --- subscribing -------------------------------------------------------------------------

    def want(self, track_sid: str, want: Want) -> None:
        """Change what is wanted of a track that is subscribed to. Raises `NotFound`."""
        self._sink(track_sid).set(want)

    def keyframe(self, track_sid: str) -> None:
        """Ask for a key frame of a track that is subscribed to. Raises `NotFound`."""
        self._sink(track_sid).keyframe()

    def subscribe(self, track_sids: Sequence[str], wanted: bool) -> None:
        """Begin or end subscriptions; permissions decide, `sink_for` follows."""
        self._check_here()
        self.session.subscribe(self.participant.identity, track_sids, wanted)

    def _sink(self, track_sid: str) -> SinkHandle:
        sink = self._sinks.get(track_sid)
        if sink is None:
            raise NotFound(f"track {track_sid!r} is not subscribed to")
        return sink

    def _start(self, subscription: Subscription) -> None:
        self._end(subscription.track_sid)
        to = self._guest.sink_for(subscription)
        if to is None:
            return
        try:
            sink = self._plane.sink(subscription, to, queue=self._guest.queue)
        except (MediaError, ResourceExhausted) as error:
            log.warning(
                "a track cannot be received",
                extra={"track": subscription.track_sid, "problem": error.message},
            )
            to.end()
            return
        self._sinks[subscription.track_sid] = sink

    def _end(self, track_sid: str) -> None:
        sink = self._sinks.pop(track_sid, None)
        if sink is not None:
            sink.close()

    # --- the room ----------------------------------------------------------------------------

    def deliver(self, notice: Notice) -> None:
        """Take a notice of the room (`Connection`)."""
        match notice:
            case SubscriptionStarted(subscription=subscription):
                self._start(subscription)
            case SubscriptionEnded(subscription=subscription):
                self._end(subscription.track_sid)
            case SubscriptionSettingsChanged(subscription=subscription):
                if sink := self._sinks.get(subscription.track_sid):
                    sink.set(Want.of(subscription.settings))
            case MuteRequested(track_sid=sid, muted=muted):
                if source := self._sources.get(sid):
                    source.set_muted(muted)
            case TrackRemoved(track_sid=sid):
                source = self._sources.pop(sid, None)
                if source is None:
                    return  # the guest unpublished it
                source.end()
            case _:
                pass
        self._guest.on_notice(notice)

    def leave(self, reason: DisconnectReason = DisconnectReason.CLIENT_INITIATED) -> None:
        """Take this participant out of the room, soon."""
        self.session.remove_soon(self.participant, reason)

    async def close(self, reason: DisconnectReason) -> None:
        """Free sources and sinks (`Connection`). Idempotent."""
        if self._closed:
            return
        self._closed = True
        for sid in list(self._sinks):
            self._end(sid)
        sources, self._sources = self._sources, {}
        for source in sources.values():
            source.end()
        self._guest.on_close(reason)

    def _check_here(self) -> None:
        if self._closed or not self.session.is_live(self.participant):
            raise NotFound("the participant left")


def _completed(info: TrackInfo, layers: tuple[VideoLayer, ...]) -> TrackInfo:
    """Add what follows from the rest: SID, codec and layers as clients are told them."""
    return replace(
        info,
        sid=info.sid or new_sid(TRACK),
        layers=layers or info.layers,
        simulcast=len(layers) > 1,
        codecs=info.codecs or (TrackCodec(info.mime_type, layers=layers or info.layers),),
    )
