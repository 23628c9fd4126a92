"""Everything that happens in a room, as frozen records.

Two families:

- **life-cycle events** (`LifeCycleEvent`): written to the durable log in order per room, then told
  to plugins (`on_event`) and webhooks;
- **notices** (`Notice`): told to participants' connections only. `to` names the one identity that
  is meant, empty means everybody in the room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomful.model.enums import ConnectionQuality, DisconnectReason
from roomful.model.participant import Participant, ParticipantInfo
from roomful.model.subscription import Subscription
from roomful.model.track import Publication, TrackInfo


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """What a room is made with; times in seconds, 0 participants means no limit."""

    empty_timeout_s: int = 300
    departure_timeout_s: int = 20
    max_participants: int = 0
    metadata: str = ""
    min_playout_delay_ms: int = 0
    max_playout_delay_ms: int = 0
    sync_streams: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    agents: tuple[Mapping[str, object], ...] = ()
    """agent dispatches to make at room start; refused when no plugin offers them"""
    egress: Mapping[str, object] | None = None
    """automatic recording; refused when no plugin offers it"""


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """A snapshot of a room."""

    sid: str
    name: str
    options: RoomOptions
    metadata: str
    created_at_ms: int
    num_participants: int = 0
    num_publishers: int = 0
    active_recording: bool = False


# --- life-cycle events -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoomStarted:
    room: RoomInfo


@dataclass(frozen=True, slots=True)
class RoomFinished:
    room: RoomInfo
    reason: DisconnectReason = DisconnectReason.UNKNOWN_REASON


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """A participant of any kind became ACTIVE."""

    room: RoomInfo
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """A participant that was ACTIVE left; comes once for each `ParticipantJoined`."""

    room: RoomInfo
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantConnectionAborted:
    """A participant left before it became ACTIVE."""

    room: RoomInfo
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class TrackPublished:
    room: RoomInfo
    participant: ParticipantInfo
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    room: RoomInfo
    participant: ParticipantInfo
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class PluginEvent:
    """An event that a plugin adds (egress, ingress, job, call)."""

    name: str
    """as in webhooks: `egress_started`"""
    room: RoomInfo | None
    webhook: Mapping[str, object]
    """what webhooks render beside name, id and time: proto3 JSON fields of WebhookEvent"""


LifeCycleEvent = (
    RoomStarted
    | RoomFinished
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantConnectionAborted
    | TrackPublished
    | TrackUnpublished
    | PluginEvent
)


# --- notices ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """Metadata, counts or the recording flag changed."""

    room: RoomInfo
    to: str = ""


@dataclass(frozen=True, slots=True)
class ParticipantChanged:
    """Something in this participant's snapshot changed, its state and tracks included."""

    participant: ParticipantInfo
    to: str = ""


@dataclass(frozen=True, slots=True)
class PermissionChanged:
    """The participant's own permission was changed by the API."""

    participant: Participant
    to: str


@dataclass(frozen=True, slots=True)
class MuteRequested:
    """The API muted (or unmuted) a track: its publisher is told to do so."""

    track_sid: str
    muted: bool
    to: str


@dataclass(frozen=True, slots=True)
class TrackRemoved:
    """A publication ended by the server (permission revoked); its publisher is told."""

    track_sid: str
    to: str


@dataclass(frozen=True, slots=True)
class FirstSubscriber:
    """Somebody subscribed to the publication for the first time; its publisher is told."""

    publication: Publication
    to: str


@dataclass(frozen=True, slots=True)
class SubscriptionStarted:
    """Media of a publication shall flow to the subscriber."""

    subscription: Subscription
    to: str


@dataclass(frozen=True, slots=True)
class SubscriptionEnded:
    subscription: Subscription
    to: str


@dataclass(frozen=True, slots=True)
class SubscriptionSettingsChanged:
    subscription: Subscription
    to: str


@dataclass(frozen=True, slots=True)
class SubscriptionAllowed:
    """Whether the subscriber may have a track, by its publisher's word."""

    publisher_sid: str
    track_sid: str
    allowed: bool
    to: str


@dataclass(frozen=True, slots=True)
class TrackChanged:
    """A publication's mute state or layers changed; its subscribers' media may have to."""

    publication: Publication
    to: str = ""


@dataclass(frozen=True, slots=True)
class Speaker:
    participant_sid: str
    level: float
    """0 (silent) to 1 (loud)"""
    active: bool


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Those whose speaking changed, the ones that fell silent included."""

    speakers: tuple[Speaker, ...]
    to: str = ""


@dataclass(frozen=True, slots=True)
class QualityChanged:
    """Connection quality by participant SID: (quality, score 1 to 5)."""

    qualities: Mapping[str, tuple[ConnectionQuality, float]]
    to: str = ""


@dataclass(frozen=True, slots=True)
class DataMessage:
    """One encoded DataPacket on its way through a room; encoded once for all receivers."""

    payload: bytes
    reliable: bool
    sender_sid: str = ""
    sender_identity: str = ""
    sequence: int = 0
    """the sender's number of a reliable packet, from 1; 0 when it has none"""
    destinations: frozenset[str] = frozenset()
    """identities; empty means all but the sender"""


@dataclass(frozen=True, slots=True)
class DataReceived:
    message: DataMessage
    to: str


Notice = (
    RoomChanged
    | ParticipantChanged
    | PermissionChanged
    | MuteRequested
    | TrackRemoved
    | FirstSubscriber
    | SubscriptionStarted
    | SubscriptionEnded
    | SubscriptionSettingsChanged
    | SubscriptionAllowed
    | TrackChanged
    | SpeakersChanged
    | QualityChanged
    | DataReceived
)

Event = LifeCycleEvent | Notice
