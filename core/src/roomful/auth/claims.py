"""Claims of an access token, as the wire names them, to `Grants`, and a permission back to claims.

Shape: `livekit-wire.md` section 2 of the design pages. What a token does not name is absent, not
false: three-state permissions stay None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from roomful.auth.grants import Grants
from roomful.auth.room_config import options_from_token
from roomful.errors import InvalidArgument
from roomful.model.enums import ParticipantKind, TrackSource
from roomful.model.events import RoomOptions
from roomful.model.permission import Permission

_VIDEO = {
    "roomJoin": "room_join",
    "roomCreate": "room_create",
    "roomList": "room_list",
    "roomRecord": "room_record",
    "roomAdmin": "room_admin",
    "ingressAdmin": "ingress_admin",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
    "canPublish": "can_publish",
    "canSubscribe": "can_subscribe",
    "canPublishData": "can_publish_data",
    "canUpdateOwnMetadata": "can_update_own_metadata",
    "canSubscribeMetrics": "can_subscribe_metrics",
}
"""boolean video grants: name in the token → field of `Grants`"""

_VIDEO_TEXTS = {"room": "room", "destinationRoom": "destination_room"}
_SIP = {"admin": "sip_admin", "call": "sip_call"}
_TEXTS = {"name": "name", "metadata": "metadata", "roomPreset": "room_preset", "sha256": "sha256"}

_PERMISSION = {
    "canPublish": "can_publish",
    "canSubscribe": "can_subscribe",
    "canPublishData": "can_publish_data",
    "canUpdateOwnMetadata": "can_update_metadata",
    "canSubscribeMetrics": "can_subscribe_metrics",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
}
"""name in the token → field of `Permission`"""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the operator decided about tokens."""

    room_defaults: RoomOptions = field(default_factory=RoomOptions)
    """options that a token's `roomConfig` does not state"""
    allow_credentials: bool = False
    """whether `roomConfig` may carry what opens a storage"""


def grants_from_claims(claims: Mapping[str, Any], rules: ClaimRules | None = None) -> Grants:
    """Return the grants of verified claims.

    Raises `InvalidArgument` naming the claim that is malformed. Unknown claims are kept for the
    refreshed token and mean nothing.
    """
    video, sip = _table(claims, "video"), _table(claims, "sip")
    return Grants(
        issuer=str(claims["iss"]),
        identity=_text(claims, "sub"),
        expires_at=int(claims["exp"]),
        attributes=_attributes(claims),
        kind=_kind(claims),
        can_publish_sources=_sources(video),
        room_config=_room_config(claims, rules or ClaimRules()),
        claims=dict(claims),
        **_texts(claims, _TEXTS),
        **_texts(video, _VIDEO_TEXTS),
        **_flags(video, "video", _VIDEO),
        **_flags(sip, "sip", _SIP),
    )


def video_of(permission: Permission) -> dict[str, object]:
    """Return the video grants that state this permission in full."""
    stated: dict[str, object] = {
        name: getattr(permission, grant) for name, grant in _PERMISSION.items()
    }
    stated["canPublishSources"] = [s.name.lower() for s in permission.can_publish_sources]
    return stated


def _room_config(claims: Mapping[str, Any], rules: ClaimRules) -> RoomOptions | None:
    config = claims.get("roomConfig")
    if config is None:
        return None
    return options_from_token(
        config, rules.room_defaults, allow_credentials=rules.allow_credentials
    )


def _table(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"claim {name} is not an object")
    return cast("dict[str, Any]", value)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgument(f"claim {name} is not a text")
    return value


def _texts(claims: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {grant: _text(claims, name) for name, grant in names.items()}


def _flags(claims: Mapping[str, Any], table: str, names: Mapping[str, str]) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    for name, grant in names.items():
        value = claims.get(name)
        if value is None:
            continue
        if not isinstance(value, bool):
            raise InvalidArgument(f"claim {table}.{name} is neither true nor false")
        flags[grant] = value
    return flags


def _kind(claims: Mapping[str, Any]) -> ParticipantKind:
    """Return the kind; words of newer protocols mean an ordinary participant."""
    return ParticipantKind.__members__.get(_text(claims, "kind").upper(), ParticipantKind.STANDARD)


def _sources(video: Mapping[str, Any]) -> tuple[TrackSource, ...]:
    names = video.get("canPublishSources")
    if names is None:
        return ()
    if not isinstance(names, list):
        raise InvalidArgument("claim video.canPublishSources is not a list")
    return tuple(_source(name) for name in cast("list[object]", names))


def _source(name: object) -> TrackSource:
    source = TrackSource.__members__.get(str(name).upper())
    if source is None:
        known = ", ".join(member.name.lower() for member in TrackSource)
        raise InvalidArgument(f"claim video.canPublishSources names {name!r}; known are {known}")
    return source


def _attributes(claims: Mapping[str, Any]) -> dict[str, str]:
    attributes = _table(claims, "attributes")
    for name, value in attributes.items():
        if not isinstance(value, str):
            raise InvalidArgument(f"claim attributes: the value of {name!r} is not a text")
        if name.startswith("sip."):
            raise InvalidArgument(f"claim attributes: {name!r} is set by the SIP transport alone")
    return dict(attributes)
