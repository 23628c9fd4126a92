"""The one permission check: `check(who, action, …)`, and the table that is its data.

`who` is the grants of a token (or of the server itself) or, for what a participant does in its
room, its live `Permission`, which the API may have changed since it joined.

A grant that is missing is `Unauthenticated` for API calls and joins, as the wire protocol has it,
and `PermissionDenied` for what a participant tries inside its room. The error's `needs` says what
would have been enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from roomful.auth.grants import Grants
from roomful.errors import PermissionDenied, RequestError, Unauthenticated
from roomful.model.enums import ParticipantKind, TrackSource
from roomful.model.permission import Permission

SIP_PREFIX, RESERVED_PREFIX = "sip.", "lk."
_BY_API = "permissions denied"


class GrantMissing(Unauthenticated):
    """A token is valid and does not allow this; `meta` tells the caller what would."""

    def __init__(self, needs: str) -> None:
        super().__init__(_BY_API)
        self.needs = needs
        self.meta = {"needs": needs}


@dataclass(frozen=True, slots=True)
class ApiRule:
    """What a token needs for one action."""

    needs: tuple[str, ...]
    """fields of `Grants`, all of them; the names tokens use are derived from them"""
    room: bool = False
    """the token's room must be the one acted on"""
    destination: bool = False
    """the token's destination room must be `target`"""

    def missing(self, grants: Grants, room: str, target: str) -> list[str]:
        """Return what is not there, in the words of tokens."""
        absent = [claim_name(need) for need in self.needs if not getattr(grants, need)]
        if self.room and (not room or grants.room != room):
            absent.append("video.room")
        if self.destination and (not target or grants.destination_room != target):
            absent.append("video.destinationRoom")
        return absent


API_RULES: dict[str, ApiRule] = {
    "join": ApiRule(("room_join",), room=True),
    "create_room_by_joining": ApiRule(("room_create",)),
    "create_room": ApiRule(("room_create",)),
    "delete_room": ApiRule(("room_create",)),
    "list_rooms": ApiRule(("room_list",)),
    "list_participants": ApiRule(("room_admin",), room=True),
    "get_participant": ApiRule(("room_admin",), room=True),
    "remove_participant": ApiRule(("room_admin",), room=True),
    "mute_track": ApiRule(("room_admin",), room=True),
    "update_participant": ApiRule(("room_admin",), room=True),
    "update_subscriptions": ApiRule(("room_admin",), room=True),
    "send_data_by_api": ApiRule(("room_admin",), room=True),
    "perform_rpc": ApiRule(("room_admin",), room=True),
    "update_room_metadata": ApiRule(("room_admin",), room=True),
    "forward_participant": ApiRule(("room_admin",), room=True, destination=True),
    "move_participant": ApiRule(("room_admin",), room=True, destination=True),
    "dispatch_agent": ApiRule(("room_admin",), room=True),
    "egress": ApiRule(("room_record",)),
    "ingress": ApiRule(("ingress_admin",)),
    "sip_admin": ApiRule(("sip_admin",)),
    "sip_call": ApiRule(("sip_call",)),
    "transfer_call": ApiRule(("sip_call", "room_admin"), room=True),
    "agent_worker": ApiRule(("agent",)),
    "console": ApiRule(("room_list", "room_admin")),
}
"""Action → what a token needs for it."""


def _publish(permission: Permission, target: object) -> bool:
    if isinstance(target, TrackSource):
        return permission.may_publish(target)
    return permission.may_publish_anything


RoomRule = Callable[[Permission, object], bool]

ROOM_RULES: dict[str, tuple[str, RoomRule]] = {
    "publish": ("canPublish, canPublishSources", _publish),
    "subscribe": ("canSubscribe", lambda p, _: p.can_subscribe),
    "send_data": ("canPublishData", lambda p, _: p.can_publish_data),
    "update_own_metadata": ("canUpdateOwnMetadata", lambda p, _: p.can_update_metadata),
    "read_metrics": ("canSubscribeMetrics", lambda p, _: p.can_subscribe_metrics),
}
"""Action of a participant → (grants that allow it, the rule); `target` of publish: a source."""


def check(
    who: Grants | Permission,
    action: str,
    *,
    room: str = "",
    target: object = "",
    strict: bool = False,
) -> None:
    """Raise `GrantMissing` or `PermissionDenied` unless `who` may do `action`.

    `room`: name of the room acted on. `target`: destination room, or source of a track.
    `strict`: CreateRoom and DeleteRoom ask for the token's own room too. An unknown action is a
    bug of the caller and a `KeyError`.
    """
    if action in ROOM_RULES:
        _check_in_room(who, action, target)
        return
    rule = API_RULES[action]
    if not isinstance(who, Grants):
        raise TypeError(f"{action!r} is decided by grants, not by a participant's permission")
    absent = rule.missing(who, room, str(target))
    if strict and action in ("create_room", "delete_room") and who.room != room:
        absent.append("video.room")
    if action == "join" and who.sha256:
        absent.append("a token without sha256")
    if absent:
        raise GrantMissing(", ".join(absent))


def check_attribute(kind: ParticipantKind, name: str, *, from_token: bool = False) -> None:
    """Raise `PermissionDenied` for an attribute that this participant may not set on itself.

    `sip.*` belongs to the SIP transport, which does not ask here; `lk.*` comes from tokens and
    from agents.
    """
    if name.startswith(SIP_PREFIX):
        raise PermissionDenied(f"attribute {name!r} is set by the SIP transport alone")
    agent = kind is ParticipantKind.AGENT
    if name.startswith(RESERVED_PREFIX) and not from_token and not agent:
        raise PermissionDenied(f"attribute {name!r} comes from tokens and agents alone")


def allows(who: Grants | Permission, action: str, *, room: str = "", target: object = "") -> bool:
    """Whether `check` would pass."""
    try:
        check(who, action, room=room, target=target)
    except RequestError:
        return False
    return True


def claim_name(field: str) -> str:
    """Return how tokens write a grant: `room_admin` → `video.roomAdmin`."""
    table, _, rest = field.partition("_")
    if table == "sip":
        return f"sip.{rest}"
    head, *tail = field.split("_")
    return "video." + head + "".join(word.capitalize() for word in tail)


def _check_in_room(who: Grants | Permission, action: str, target: object) -> None:
    permission = who.permission if isinstance(who, Grants) else who
    needs, rule = ROOM_RULES[action]
    if not rule(permission, target):
        raise PermissionDenied(f"not allowed to {action.replace('_', ' ')}: needs {needs}")
