"""The room: one state machine that owns participants, publications and subscriptions.

    participant:  add ─► JOINING ─(joined)─► JOINED ─(activate)─► ACTIVE ─(remove)─► DISCONNECTED
    publication:  publish ─► live ─(unpublish, remove)─► ended
    subscription: exists exactly while the subscriber is ACTIVE, wants the track, and both its own
                  permission and the publisher's word allow it

Rules of this file: methods take a command and return the events it causes, in order; nothing here
waits, reads a clock or knows how anybody is connected. `_settle` is the one place that decides
which subscriptions exist; every command that could change the answer calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from roomful.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
)
from roomful.model.enums import DisconnectReason, ParticipantState
from roomful.model.events import (
    Event,
    FirstSubscriber,
    MuteRequested,
    ParticipantChanged,
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    PermissionChanged,
    RoomChanged,
    RoomInfo,
    RoomOptions,
    SubscriptionAllowed,
    SubscriptionEnded,
    SubscriptionSettingsChanged,
    SubscriptionStarted,
    TrackChanged,
    TrackPublished,
    TrackRemoved,
    TrackUnpublished,
)
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.model.subscription import Subscription, TrackSettings
from roomful.model.track import Publication, TrackInfo

MAX_WANTED = 4096
"""tracks that one participant may have said something about, those not yet there included"""


class Room:
    """State of one room. `participants` is by identity; hidden ones are in it too."""

    def __init__(self, sid: str, name: str, options: RoomOptions, created_at_ms: int) -> None:
        self.sid = sid
        self.name = name
        self.options = options
        self.metadata = options.metadata
        self.created_at_ms = created_at_ms
        self.participants: dict[str, Participant] = {}

    # --- looking -----------------------------------------------------------------------------

    @property
    def info(self) -> RoomInfo:
        """Snapshot; hidden participants do not count."""
        seen = [p for p in self.participants.values() if not p.permission.hidden]
        return RoomInfo(
            sid=self.sid,
            name=self.name,
            options=self.options,
            metadata=self.metadata,
            created_at_ms=self.created_at_ms,
            num_participants=len(seen),
            num_publishers=sum(1 for p in seen if p.publications),
            active_recording=any(
                p.permission.recorder and p.state is ParticipantState.ACTIVE
                for p in self.participants.values()
            ),
        )

    def participant(self, identity: str) -> Participant:
        """Raises `NotFound`."""
        try:
            return self.participants[identity]
        except KeyError:
            raise NotFound("participant does not exist") from None

    def publication(self, track_sid: str) -> tuple[Participant, Publication] | None:
        """The live publication of this SID and who publishes it."""
        for participant in self.participants.values():
            if publication := participant.publications.get(track_sid):
                return participant, publication
        return None

    @property
    def holds_open(self) -> bool:
        """Whether somebody here keeps the room from its departure timeout."""
        return any(not p.is_dependent for p in self.participants.values())

    # --- coming and going --------------------------------------------------------------------

    def add(self, participant: Participant) -> list[Event]:
        """Enter a participant. Called by the join road only. Raises `AlreadyExists`."""
        if participant.identity in self.participants:
            raise AlreadyExists(f"identity {participant.identity!r} is in the room")
        self.participants[participant.identity] = participant
        return [] if participant.permission.hidden else [RoomChanged(self.info)]

    def joined(self, identity: str) -> list[Event]:
        """Note that the participant was told it is in."""
        self.participant(identity).state = ParticipantState.JOINED
        return []

    def activate(self, identity: str) -> list[Event]:
        """Note that the participant's media can flow; its subscriptions start."""
        participant = self.participant(identity)
        if participant.state is ParticipantState.ACTIVE:
            return []
        participant.state = ParticipantState.ACTIVE
        events = self._changed(participant)
        events.append(ParticipantJoined(self.info, participant.info))
        if participant.permission.recorder:
            events.append(RoomChanged(self.info))
        return events + self._settle(subscribers=(participant,))

    def remove(self, identity: str, reason: DisconnectReason) -> list[Event]:
        """Take a participant out with all it publishes and subscribes to."""
        participant = self.participant(identity)
        was_active = participant.state is ParticipantState.ACTIVE
        events: list[Event] = []
        for sid in list(participant.publications):
            events += self._end_publication(participant, sid)
        for subscription in list(participant.subscriptions.values()):
            events += self._end_subscription(participant, subscription)
        participant.state = ParticipantState.DISCONNECTED
        participant.disconnect_reason = reason
        events += self._changed(participant)
        del self.participants[identity]
        last = ParticipantLeft if was_active else ParticipantConnectionAborted
        events.append(last(self.info, participant.info))
        if not participant.permission.hidden or participant.permission.recorder:
            events.append(RoomChanged(self.info))
        return events

    # --- publishing --------------------------------------------------------------------------

    def publish(self, identity: str, publication: Publication) -> list[Event]:
        """Offer a track. Raises `PermissionDenied`, `AlreadyExists`."""
        participant = self.participant(identity)
        info = publication.info
        if not participant.permission.may_publish(info.source):
            raise PermissionDenied(f"not allowed to publish {info.source.name.lower()}")
        if info.sid in participant.publications:
            raise AlreadyExists(f"track {info.sid!r} is published")
        participant.publications[info.sid] = publication
        events = self._changed(participant)
        events.append(TrackPublished(self.info, participant.info, info))
        if len(participant.publications) == 1 and not participant.permission.hidden:
            events.append(RoomChanged(self.info))
        return events + self._settle(publications=((participant, publication),))

    def unpublish(self, identity: str, track_sid: str) -> list[Event]:
        """End a publication. Raises `NotFound`."""
        participant = self.participant(identity)
        if track_sid not in participant.publications:
            raise NotFound(f"track {track_sid!r} is not published by {identity!r}")
        events = self._end_publication(participant, track_sid)
        events += self._changed(participant)
        if not participant.publications and not participant.permission.hidden:
            events.append(RoomChanged(self.info))
        return events

    def update_track(
        self, identity: str, track_sid: str, change: Callable[[TrackInfo], TrackInfo]
    ) -> list[Event]:
        """Replace what is known of a track. Raises `NotFound`."""
        participant = self.participant(identity)
        publication = participant.publications.get(track_sid)
        if publication is None:
            raise NotFound(f"track {track_sid!r} is not published by {identity!r}")
        new = change(publication.info)
        if new == publication.info:
            return []
        publication.info = new
        return [*self._changed(participant), TrackChanged(publication)]

    def mute(self, identity: str, track_sid: str, muted: bool) -> list[Event]:
        """Note that the publisher muted or unmuted a track. Raises `NotFound`."""
        return self.update_track(identity, track_sid, lambda info: replace(info, muted=muted))

    def request_mute(
        self, identity: str, track_sid: str, muted: bool, *, unmute_allowed: bool
    ) -> list[Event]:
        """Mute or unmute from outside: the publisher is told too."""
        publication = self.participant(identity).publications.get(track_sid)
        if publication is None:
            raise NotFound("track is not found")
        if not muted and publication.info.muted and not unmute_allowed:
            raise FailedPrecondition("remote unmute not enabled")
        events: list[Event] = [MuteRequested(track_sid, muted, to=identity)]
        return events + self.mute(identity, track_sid, muted)

    # --- what is said about a participant and the room -----------------------------------------

    def update_participant(
        self,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> list[Event]:
        """Change what is given; an attribute with an empty value is deleted."""
        participant = self.participant(identity)
        if name is not None:
            participant.name = name
        if metadata is not None:
            participant.metadata = metadata
        for key, value in (attributes or {}).items():
            if value:
                participant.attributes[key] = value
            else:
                participant.attributes.pop(key, None)
        return self._changed(participant)

    def set_permission(self, identity: str, permission: Permission) -> list[Event]:
        """Change what a participant may do: what it no longer may ends at once."""
        participant = self.participant(identity)
        if permission == participant.permission:
            return []
        participant.permission = permission
        events: list[Event] = [PermissionChanged(participant, to=identity)]
        for sid, publication in list(participant.publications.items()):
            if not permission.may_publish(publication.info.source):
                events += self._end_publication(participant, sid)
                events.append(TrackRemoved(sid, to=identity))
        return events + self._changed(participant) + self._settle(subscribers=(participant,))

    def set_metadata(self, metadata: str) -> list[Event]:
        """Change the room's metadata."""
        self.metadata = metadata
        return [RoomChanged(self.info)]

    # --- subscribing -------------------------------------------------------------------------

    def subscribe(self, identity: str, track_sids: Iterable[str], wanted: bool) -> list[Event]:
        """Note an explicit wish; tracks not yet there are subscribed to when they come."""
        participant = self.participant(identity)
        for sid in track_sids:
            if len(participant.wanted) >= MAX_WANTED and sid not in participant.wanted:
                raise ResourceExhausted(f"wishes about more than {MAX_WANTED} tracks")
            participant.wanted[sid] = wanted
        return self._settle(subscribers=(participant,))

    def allow_subscribers(
        self, identity: str, everybody: bool, allowed: Mapping[str, frozenset[str] | None]
    ) -> list[Event]:
        """Note whom a publisher lets subscribe: identity → track SIDs, None for all its tracks."""
        participant = self.participant(identity)
        before = self._allowances(participant)
        participant.allows_all = everybody
        participant.allowed = dict(allowed)
        after = self._allowances(participant)
        events: list[Event] = [
            SubscriptionAllowed(participant.sid, sid, allow, to=who)
            for (who, sid), allow in after.items()
            if before.get((who, sid)) != allow
        ]
        mine = tuple((participant, p) for p in participant.publications.values())
        return events + self._settle(publications=mine)

    def set_track_settings(
        self, identity: str, track_sid: str, settings: TrackSettings
    ) -> list[Event]:
        """Note what a subscriber wants of a track; unknown tracks are ignored."""
        subscription = self.participant(identity).subscriptions.get(track_sid)
        if subscription is None or subscription.settings == settings:
            return []
        subscription.settings = settings
        return [SubscriptionSettingsChanged(subscription, to=identity)]

    # --- inside ------------------------------------------------------------------------------

    def _changed(self, participant: Participant) -> list[Event]:
        participant.version += 1
        to = participant.identity if participant.permission.hidden else ""
        return [ParticipantChanged(participant.info, to=to)]

    def _end_publication(self, participant: Participant, sid: str) -> list[Event]:
        publication = participant.publications[sid]
        events: list[Event] = []
        for identity in sorted(publication.subscribers):
            subscriber = self.participants[identity]
            events += self._end_subscription(subscriber, subscriber.subscriptions[sid])
        for other in self.participants.values():
            other.wanted.pop(sid, None)
        del participant.publications[sid]
        events.append(TrackUnpublished(self.info, participant.info, publication.info))
        return events

    def _end_subscription(self, who: Participant, subscription: Subscription) -> list[Event]:
        del who.subscriptions[subscription.track_sid]
        subscription.publication.subscribers.discard(who.identity)
        return [SubscriptionEnded(subscription, to=who.identity)]

    @staticmethod
    def _lets(publisher: Participant, identity: str, sid: str) -> bool:
        if publisher.allows_all:
            return True
        tracks = publisher.allowed.get(identity, frozenset())
        return tracks is None or sid in tracks

    def _allowances(self, publisher: Participant) -> dict[tuple[str, str], bool]:
        return {
            (other.identity, sid): self._lets(publisher, other.identity, sid)
            for other in self.participants.values()
            if other is not publisher
            for sid in publisher.publications
        }

    def _wants(self, who: Participant, publisher: Participant, publication: Publication) -> bool:
        return (
            who is not publisher
            and who.state is ParticipantState.ACTIVE
            and who.permission.can_subscribe
            and who.wanted.get(publication.sid, who.auto_subscribe)
            and self._lets(publisher, who.identity, publication.sid)
        )

    def _settle(
        self,
        *,
        subscribers: Iterable[Participant] | None = None,
        publications: Iterable[tuple[Participant, Publication]] | None = None,
    ) -> list[Event]:
        """Start and end the subscriptions that the rules now ask for, among those named."""
        if publications is None:
            publications = [
                (publisher, publication)
                for publisher in self.participants.values()
                for publication in publisher.publications.values()
            ]
        if subscribers is None:
            subscribers = list(self.participants.values())
        events: list[Event] = []
        for publisher, publication in publications:
            for who in subscribers:
                there = who.subscriptions.get(publication.sid)
                wants = self._wants(who, publisher, publication)
                if wants and there is None:
                    events += self._start_subscription(who, publisher, publication)
                elif there is not None and not wants:
                    events += self._end_subscription(who, there)
        return events

    @staticmethod
    def _start_subscription(
        who: Participant, publisher: Participant, publication: Publication
    ) -> list[Event]:
        subscription = Subscription(who.identity, publication)
        who.subscriptions[publication.sid] = subscription
        publication.subscribers.add(who.identity)
        events: list[Event] = [
            SubscriptionAllowed(publisher.sid, publication.sid, True, to=who.identity),
            SubscriptionStarted(subscription, to=who.identity),
        ]
        if not publication.was_subscribed and not who.permission.hidden:
            publication.was_subscribed = True
            events.append(FirstSubscriber(publication, to=publisher.identity))
        return events
