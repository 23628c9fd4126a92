"""What a token (or the server itself) grants.

Three-state permissions are `None` when the token does not name them: `can_publish`,
`can_subscribe` and `can_publish_data` then mean yes, `can_update_own_metadata` means no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from roomful.model.enums import ParticipantKind, TrackSource
from roomful.model.events import RoomOptions
from roomful.model.permission import Permission


@dataclass(frozen=True, slots=True)
class Grants:
    """Claims of an access token, checked; or what the server grants its own participants."""

    issuer: str
    """API key that signed the token, or the plugin that asked for internal grants"""
    identity: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    kind: ParticipantKind = ParticipantKind.STANDARD
    expires_at: int = 0
    """seconds since the epoch; 0 for internal grants"""

    room: str = ""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    ingress_admin: bool = False
    sip_admin: bool = False
    sip_call: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    destination_room: str = ""

    can_publish: bool | None = None
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    can_update_own_metadata: bool | None = None
    can_subscribe_metrics: bool | None = None
    can_publish_sources: tuple[TrackSource, ...] = ()

    room_config: RoomOptions | None = None
    """applied only when this join makes the room"""
    room_preset: str = ""
    sha256: str = ""
    """base64 hash of a webhook's body; such a token joins nothing"""
    claims: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    """the token's claims as they came, for the refreshed token to repeat"""
    internal_grant: bool = False

    @classmethod
    def internal(
        cls, *, issuer: str, kind: ParticipantKind, room: str, identity: str = ""
    ) -> Grants:
        """Return grants for a participant without a token, by its kind.

        EGRESS: hidden recorder that only subscribes. INGRESS: publishes, updates itself. SIP:
        publishes audio and data, subscribes.
        """
        base = cls(
            issuer=issuer, kind=kind, room=room, identity=identity, room_join=True,
            room_create=True, internal_grant=True,
        )
        if kind is ParticipantKind.EGRESS:
            return replace(
                base, hidden=True, recorder=True, can_publish=False, can_publish_data=False
            )
        if kind is ParticipantKind.INGRESS:
            return replace(base, can_subscribe=False, can_update_own_metadata=True)
        if kind is ParticipantKind.SIP:
            return replace(base, can_publish_sources=(TrackSource.MICROPHONE,))
        return base

    @property
    def permission(self) -> Permission:
        """The participant's permission that follows from these grants."""
        return Permission(
            can_subscribe=self.can_subscribe is not False,
            can_publish=self.can_publish is not False,
            can_publish_data=self.can_publish_data is not False,
            can_publish_sources=self.can_publish_sources,
            can_update_metadata=self.can_update_own_metadata is True,
            can_subscribe_metrics=self.can_subscribe_metrics is True,
            hidden=self.hidden,
            recorder=self.recorder,
            agent=self.agent,
        )
