"""A participant that a media worker embodies: what its link says becomes commands in a room.

    worker ──publish, mute, subscribe, want, keyframe──▶ LocalConnection ──▶ room and media plane
    worker ◀──published, track, muted, participants──── notices of the room
           ◀──keyframe, demand───────────────────────── sources of the media plane

A lost worker takes its subscriptions with it. What it published is muted until its successor
publishes under the same `ref`; with the job's end the participant leaves.
"""

from __future__ import annotations

import itertools
import logging
from typing import cast

from roomful.errors import MediaError, RemoteProtocolError, RequestError
from roomful.model.enums import DisconnectReason, ParticipantState
from roomful.model.events import (
    MuteRequested,
    Notice,
    ParticipantChanged,
    SpeakersChanged,
    SubscriptionEnded,
    TrackChanged,
    TrackRemoved,
)
from roomful.model.media import QueuePolicy, TrackSink
from roomful.model.participant import ParticipantInfo
from roomful.model.subscription import Subscription
from roomful.room.local_connection import LocalConnection
from roomful_media.job import Job
from roomful_media.link_socket import LinkSocket
from roomful_media_plane import worker_messages as messages
from roomful_media_plane.worker_messages import Match
from roomful_media_plane.worker_tracks import GivenTrack, PublishedTrack
from roomful_rtc.link.control import Message, field, stream_field
from roomful_rtc.local_codecs import codec_of

log = logging.getLogger(__name__)

MAX_MATCHES = 100
STOP_WITHIN_S = 5.0
WATCHES = frozenset({"participants", "speakers"})


class WorkerParticipant:
    """Between a job's link (`LinkUser`) and a `LocalConnection` (`LocalGuest`)."""

    def __init__(self, queue: QueuePolicy) -> None:
        self.queue = queue
        self.connection: LocalConnection | None = None
        """set by the factory before the first worker is there"""
        self.job: Job | None = None
        self._link: LinkSocket | None = None
        self._streams = itertools.count(1)
        self._published: dict[str, PublishedTrack] = {}
        """ref → track; bounded by the tracks a participant may publish"""
        self._given: dict[str, GivenTrack] = {}
        """track SID → what goes to the present worker"""
        self._matches: list[Match] = []
        self._watched: frozenset[str] = frozenset()
        self._closed = False

    # --- the link (LinkUser) -------------------------------------------------------------------

    def on_ready(self, link: LinkSocket) -> None:
        """A worker listens: the first one brings the participant into the room."""
        first = self._link is None and not self._published and not self._is_active
        self._link = link
        if first:
            self._here.begin()

    def on_control(self, message: Message, stream: int) -> bool:
        """Do what the worker says; False: it is for the job's owner."""
        return self._closed or self._do(message)

    def on_lost(self) -> None:
        """Its worker is gone: nothing is given to it, what it published is silent."""
        self._link = None
        self._matches, self._watched = [], frozenset()
        if self._closed:
            return
        self._unsubscribe(list(self._given))
        for track in self._published.values():
            track.detach()
            self._here.mute(track.sid, True)

    # --- the room (LocalGuest) -----------------------------------------------------------------

    def sink_for(self, subscription: Subscription) -> TrackSink | None:
        """Tell the worker of the track; its packets follow on a stream of their own."""
        if self._link is None:
            return None
        publication, info = subscription.publication, subscription.publication.info
        try:
            codec = codec_of(info.mime_type)
        except MediaError as error:
            log.warning("a worker gets no track", extra={"problem": error.message})
            return None
        sid, stream = publication.sid, next(self._streams)
        self._link.send(messages.track(stream, publication.publisher_identity, info))
        sink = self._link.sink(
            stream, codec=codec.name, ask_key_frame=lambda: self._ask_key_frame(sid)
        )
        self._given[sid] = GivenTrack(sid, sink)
        return sink

    def on_notice(self, notice: Notice) -> None:
        """Tell the worker what concerns it."""
        match notice:
            case ParticipantChanged(participant=info):
                self._someone_changed(info)
            case SubscriptionEnded(subscription=subscription):
                self._given.pop(subscription.track_sid, None)
            case TrackChanged(publication=publication):
                if given := self._given.get(publication.sid):
                    muted = publication.info.muted
                    self._send({"t": "muted", "sink": given.stream, "muted": muted})
            case MuteRequested(track_sid=sid, muted=muted):
                self._send({"t": "mute_wanted", "track_sid": sid, "muted": muted})
            case TrackRemoved(track_sid=sid):
                self._removed(sid)
            case SpeakersChanged(speakers=speakers) if "speakers" in self._watched:
                self._send(messages.speakers(speakers))
            case _:
                pass

    def on_close(self, reason: DisconnectReason) -> None:
        """The participant is out: the job has nothing to do any more."""
        self._closed = True
        self._published.clear()
        self._given.clear()
        if self.job is not None:
            self.job.ask_to_stop(STOP_WITHIN_S, f"the participant left: {reason.name.lower()}")

    # --- commands of the worker ----------------------------------------------------------------

    def _do(self, message: Message) -> bool:
        match message["t"]:
            case "publish":
                self._publish(message)
            case "unpublish":
                self._unpublish(message)
            case "mute":
                self._mute(message)
            case "subscribe":
                self._subscribe(message)
            case "unsubscribe":
                self._unsubscribe_from(message)
            case "want":
                self._want(message)
            case "keyframe":
                self._keyframe(message)
            case "watch":
                self._watch(message)
            case _:
                return False
        return True

    def _publish(self, message: Message) -> None:
        wish = messages.read_publish(message)
        assert self._link is not None
        streams = [next(self._streams) for _ in range(wish.streams)]
        known = self._published.get(wish.ref)
        if known is not None and known.streams:
            raise RemoteProtocolError(f"publish: {wish.ref!r} is published")
        try:
            if known is not None and wish.may_continue(known.info):
                known.source.restart()
                self._here.mute(known.sid, known.muted)
            else:
                if known is not None:
                    self._drop(known)
                known = self._add(wish)
        except (RequestError, MediaError, ValueError) as error:
            self._refuse(wish.ref, error)
            return
        known.attach(self._link, streams)
        self._send({"t": "published", "ref": wish.ref, "track_sid": known.sid, "sources": streams})

    def _add(self, wish: messages.Publish) -> PublishedTrack:
        sid, source = self._here.publish(wish.info, wish.layers, fmtp=wish.fmtp)
        track = PublishedTrack(wish.ref, sid, wish.info, source)
        self._published[wish.ref] = track
        return track

    def _drop(self, track: PublishedTrack) -> None:
        del self._published[track.ref]
        self._detach(track)
        self._here.unpublish(track.sid)

    def _unpublish(self, message: Message) -> None:
        if track := self._own(messages.text(message, "track_sid")):
            self._drop(track)

    def _mute(self, message: Message) -> None:
        muted = field(message, "muted", bool)
        if track := self._own(messages.text(message, "track_sid")):
            track.muted = muted
            self._here.mute(track.sid, muted)

    def _subscribe(self, message: Message) -> None:
        match = messages.read_match(message)
        if len(self._matches) >= MAX_MATCHES:
            raise RemoteProtocolError(f"subscribe: more than {MAX_MATCHES} wishes")
        self._matches.append(match)
        for info in self._others():
            self._subscribe_to(info, [match])

    def _unsubscribe_from(self, message: Message) -> None:
        if given := self._given_as(message):
            self._unsubscribe([given.track_sid])

    def _want(self, message: Message) -> None:
        want = messages.read_want(message)
        if given := self._given_as(message):
            self._here.want(given.track_sid, want)

    def _keyframe(self, message: Message) -> None:
        if given := self._given_as(message):
            self._ask_key_frame(given.track_sid)

    def _watch(self, message: Message) -> None:
        what = cast("list[object]", field(message, "what", list))
        if not WATCHES.issuperset(each for each in what if isinstance(each, str)):
            raise RemoteProtocolError(f"watch: 'what' holds other words than {sorted(WATCHES)}")
        self._watched = frozenset(each for each in what if isinstance(each, str))
        if "participants" in self._watched:
            for told in messages.participants(self._others()):
                self._send(told)

    # --- inside --------------------------------------------------------------------------------

    @property
    def _here(self) -> LocalConnection:
        assert self.connection is not None, "the factory gives the connection first"
        return self.connection

    @property
    def _is_active(self) -> bool:
        return self._here.participant.state is ParticipantState.ACTIVE

    def _send(self, message: Message) -> None:
        if self._link is not None:
            self._link.send(message)

    def _refuse(self, ref: str, error: Exception) -> None:
        code = error.code if isinstance(error, RequestError | MediaError) else "invalid_argument"
        self._send({"t": "refused", "ref": ref, "code": str(code), "message": str(error)[:500]})

    def _own(self, track_sid: str) -> PublishedTrack | None:
        """A track of this worker; None when the room took it away meanwhile."""
        return next((t for t in self._published.values() if t.sid == track_sid), None)

    def _given_as(self, message: Message) -> GivenTrack | None:
        """The track that goes out on a stream; None when it ended meanwhile."""
        stream = stream_field(message, "sink")
        return next((g for g in self._given.values() if g.stream == stream), None)

    def _detach(self, track: PublishedTrack) -> None:
        if self._link is not None:
            for stream in track.streams:
                self._link.close_stream(stream)
        track.detach()

    def _removed(self, sid: str) -> None:
        """The room or the media plane ended a track of ours."""
        track = self._own(sid)
        if track is not None:
            del self._published[track.ref]
            self._detach(track)
            self._send({"t": "unpublished", "track_sid": sid})

    def _others(self) -> list[ParticipantInfo]:
        here = self._here.participant
        everybody = self._here.session.room.participants.values()
        return [each.info for each in everybody if each is not here and not each.permission.hidden]

    def _someone_changed(self, info: ParticipantInfo) -> None:
        if info.sid == self._here.participant.sid:
            return
        self._subscribe_to(info, self._matches)
        if "participants" in self._watched and not info.permission.hidden:
            for told in messages.participants([info]):
                self._send(told)

    def _subscribe_to(self, info: ParticipantInfo, matches: list[Match]) -> None:
        sids = [
            track.sid
            for track in info.tracks
            if track.sid not in self._given
            and any(match.wants(info.identity, track) for match in matches)
        ]
        if sids:
            self._here.subscribe(sids, True)

    def _unsubscribe(self, track_sids: list[str]) -> None:
        if track_sids:
            self._here.subscribe(track_sids, False)

    def _ask_key_frame(self, track_sid: str) -> None:
        if track_sid in self._given:
            self._here.keyframe(track_sid)
