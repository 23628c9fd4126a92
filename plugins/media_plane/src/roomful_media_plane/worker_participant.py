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
from collections.abc import Callable, Iterable
from contextlib import suppress

from roomful.errors import (
    MediaError,
    NotFound,
    RemoteProtocolError,
    RequestError,
    ResourceExhausted,
)
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
from roomful.token_bucket import TokenBucket
from roomful_media.job import Job
from roomful_media.link_socket import LinkSocket
from roomful_media_plane import worker_messages as messages
from roomful_media_plane.worker_messages import Match
from roomful_media_plane.worker_publications import WorkerPublications
from roomful_media_plane.worker_tracks import GivenTrack
from roomful_rtc.link.control import Message, stream_field
from roomful_rtc.local_codecs import codec_of

log = logging.getLogger(__name__)

MAX_MATCHES = 100
COMMANDS_PER_S, COMMANDS_BURST = 100, 1000
"""that a worker may give: most are told to everybody in the room"""
STOP_WITHIN_S = 5.0


class WorkerParticipant:
    """Between a job's link (`LinkUser`) and a `LocalConnection` (`LocalGuest`)."""

    def __init__(self, queue: QueuePolicy) -> None:
        self.queue = queue
        self.connection: LocalConnection | None = None
        """set by the factory before the first worker is there"""
        self._job: Job | None = None
        self._link: LinkSocket | None = None
        self._streams = itertools.count(1)
        self._publications = WorkerPublications(self._streams)
        self._given: dict[str, GivenTrack] = {}
        """track SID → what goes to the present worker"""
        self._matches: list[Match] = []
        self._watched: frozenset[str] = frozenset()
        self._pace = TokenBucket(COMMANDS_PER_S, COMMANDS_BURST)
        self._closed: DisconnectReason | None = None
        self._commands: dict[str, Callable[[Message], None]] = {
            "publish": self._publish,
            "unpublish": lambda message: self._publications.unpublish(self._here, message),
            "mute": lambda message: self._publications.mute(self._here, message),
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe_from,
            "want": self._want,
            "keyframe": self._keyframe,
            "watch": self._watch,
        }

    def embody(self, job: Job) -> None:
        """Learn whose workers these are: theirs who must stop when the participant is out."""
        self._job = job
        self._stop_if_closed()

    # --- the link (LinkUser) -------------------------------------------------------------------

    def on_ready(self, link: LinkSocket) -> None:
        """A worker listens: the first one brings the participant into the room."""
        self._link = link
        here = self._here.participant
        if not self._is_in_room:
            return  # it was removed meanwhile; who lets it in sees that, and the job is stopped
        if here.state is not ParticipantState.ACTIVE:
            self._here.begin()
            return
        self._unsubscribe_all()  # from what came while no worker was there to take it
        if here.auto_subscribe:
            self._match(Match())

    def on_control(self, message: Message, stream: int) -> bool:
        """Do what the worker says; False: it is for the job's owner."""
        command = self._commands.get(message["t"])
        if command is None:
            return False
        if self._is_in_room:
            assert self._link is not None, "a worker speaks after it is ready"
            if not self._pace.take(self._link.heard_at):
                raise RemoteProtocolError(f"more than {COMMANDS_PER_S} commands a second")
            command(message)
        return True

    def on_lost(self) -> None:
        """Its worker is gone: nothing is given to it, what it published is silent."""
        self._link = None
        self._matches, self._watched = [], frozenset()
        if not self._is_in_room:
            return
        self._unsubscribe_all()
        self._publications.lost(self._here)

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
                self._publications.mute_asked(sid, muted)
                self._send({"t": "mute_wanted", "track_sid": sid, "muted": muted})
            case TrackRemoved(track_sid=sid) if self._publications.removed(sid):
                self._send({"t": "unpublished", "track_sid": sid})
            case SpeakersChanged(speakers=speakers) if "speakers" in self._watched:
                self._tell(messages.speakers(speakers))
            case _:
                pass

    def on_close(self, reason: DisconnectReason) -> None:
        """The participant is out: the job has nothing to do any more."""
        self._closed = reason
        self._publications.close()
        self._given.clear()
        self._stop_if_closed()

    # --- commands of the worker ----------------------------------------------------------------

    def _publish(self, message: Message) -> None:
        assert self._link is not None, "a worker speaks after it is ready"
        self._publications.publish(self._here, self._link, message)

    def _subscribe(self, message: Message) -> None:
        if "track_sid" not in message:
            self._match(messages.read_match(message))
            return
        try:
            self._here.subscribe([messages.text(message, "track_sid")], True)
        except RequestError as error:
            raise RemoteProtocolError(f"'subscribe': {error.message}") from error

    def _match(self, match: Match) -> None:
        if match not in self._matches:
            if len(self._matches) >= MAX_MATCHES:
                raise RemoteProtocolError(f"'subscribe': more than {MAX_MATCHES} wishes")
            self._matches.append(match)
        for info in self._others():
            wanted = (track.sid for track in info.tracks if match.wants(info.identity, track))
            self._subscribe_to(wanted)

    def _unsubscribe_from(self, message: Message) -> None:
        if given := self._given_as(message):
            self._here.subscribe([given.track_sid], False)

    def _want(self, message: Message) -> None:
        want = messages.read_want(message)
        if given := self._given_as(message):
            with suppress(NotFound):  # the media plane could not give it
                self._here.want(given.track_sid, want)

    def _keyframe(self, message: Message) -> None:
        if given := self._given_as(message):
            self._ask_key_frame(given.track_sid)

    def _watch(self, message: Message) -> None:
        self._watched = messages.read_watch(message)
        if "participants" in self._watched:
            self._tell(messages.participants(self._others()))

    # --- inside --------------------------------------------------------------------------------

    @property
    def _here(self) -> LocalConnection:
        assert self.connection is not None, "the factory gives the connection first"
        return self.connection

    @property
    def _is_in_room(self) -> bool:
        here = self._here
        return self._closed is None and here.session.is_live(here.participant)

    def _stop_if_closed(self) -> None:
        if self._job is not None and self._closed is not None:
            reason = f"the participant left: {self._closed.name.lower()}"
            self._job.ask_to_stop(STOP_WITHIN_S, reason)

    def _send(self, message: Message) -> None:
        if self._link is not None:
            self._link.send(message)

    def _tell(self, told: Iterable[Message]) -> None:
        for message in told:
            self._send(message)

    def _given_as(self, message: Message) -> GivenTrack | None:
        """The track that goes out on a stream; None when it ended meanwhile."""
        stream = stream_field(message, "sink")
        return next((g for g in self._given.values() if g.stream == stream), None)

    def _others(self) -> list[ParticipantInfo]:
        here = self._here.participant
        everybody = self._here.session.room.participants.values()
        return [each.info for each in everybody if each is not here and not each.permission.hidden]

    def _someone_changed(self, info: ParticipantInfo) -> None:
        if info.sid == self._here.participant.sid:
            return
        wishes = self._here.participant.wanted
        self._subscribe_to(
            track.sid
            for track in info.tracks
            if track.sid not in wishes  # what the worker said of this very track stands
            and any(match.wants(info.identity, track) for match in self._matches)
        )
        if "participants" in self._watched and not info.permission.hidden:
            self._tell(messages.participants([info]))

    def _subscribe_to(self, track_sids: Iterable[str]) -> None:
        wanted = [sid for sid in track_sids if sid not in self._given]
        try:
            if wanted:
                self._here.subscribe(wanted, True)
        except ResourceExhausted as error:
            log.warning("a worker gets no more tracks", extra={"problem": error.message})

    def _unsubscribe_all(self) -> None:
        """Begin with no wishes, as a new worker does."""
        here = self._here.participant
        wanted = [sid for sid, wish in here.wanted.items() if wish]
        self._here.subscribe([*here.subscriptions, *wanted], False)

    def _ask_key_frame(self, track_sid: str) -> None:
        with suppress(NotFound):
            self._here.keyframe(track_sid)
