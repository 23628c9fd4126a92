"""A participant of a room: identity, state, permission, what it publishes and subscribes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomful.model.enums import DisconnectReason, ParticipantKind, ParticipantState
from roomful.model.permission import Permission
from roomful.model.subscription import Subscription
from roomful.model.track import Publication, TrackInfo


@dataclass(frozen=True, slots=True)
class ParticipantInfo:
    """A snapshot of a participant, as others and the API see it."""

    sid: str
    identity: str
    name: str
    kind: ParticipantKind
    state: ParticipantState
    metadata: str
    attributes: Mapping[str, str]
    permission: Permission
    joined_at_ms: int
    version: int
    tracks: tuple[TrackInfo, ...] = ()
    client_protocol: int = 0
    capabilities: tuple[int, ...] = ()
    disconnect_reason: DisconnectReason = DisconnectReason.UNKNOWN_REASON

    @property
    def is_publisher(self) -> bool:
        return bool(self.tracks)


@dataclass(slots=True, eq=False)
class Participant:
    """The live state; changed by `Room` only, so that every change gives an event."""

    sid: str
    identity: str
    kind: ParticipantKind
    permission: Permission
    joined_at_ms: int
    name: str = ""
    metadata: str = ""
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    client_protocol: int = 0
    capabilities: tuple[int, ...] = ()
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    state: ParticipantState = ParticipantState.JOINING
    disconnect_reason: DisconnectReason = DisconnectReason.UNKNOWN_REASON
    version: int = 0
    publications: dict[str, Publication] = field(default_factory=dict[str, Publication])
    subscriptions: dict[str, Subscription] = field(default_factory=dict[str, Subscription])
    wanted: dict[str, bool] = field(default_factory=dict[str, bool])
    """track SID → explicit wish to (not) subscribe; others follow `auto_subscribe`"""
    allows_all: bool = True
    allowed: dict[str, frozenset[str] | None] = field(
        default_factory=dict[str, "frozenset[str] | None"]
    )
    """identity → track SIDs it may subscribe to (None: all); counts when `allows_all` is off"""

    @property
    def is_dependent(self) -> bool:
        """Whether this participant does not keep its room open by itself."""
        return (
            self.kind in (ParticipantKind.EGRESS, ParticipantKind.AGENT)
            or self.permission.agent
            or self.permission.recorder
        )

    @property
    def info(self) -> ParticipantInfo:
        return ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            name=self.name,
            kind=self.kind,
            state=self.state,
            metadata=self.metadata,
            attributes=dict(self.attributes),
            permission=self.permission,
            joined_at_ms=self.joined_at_ms,
            version=self.version,
            tracks=tuple(p.info for p in self.publications.values()),
            client_protocol=self.client_protocol,
            capabilities=self.capabilities,
            disconnect_reason=self.disconnect_reason,
        )
