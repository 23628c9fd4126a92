"""What a Twirp service is: methods with their messages, the action they need, and a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from roomful.auth.grants import Grants


def room_field(request: Any) -> str:
    """The room that a request names in its field `room`."""
    return str(getattr(request, "room", ""))


def destination_field(request: Any) -> str:
    """The other room that a request names in its field `destination_room`."""
    return str(getattr(request, "destination_room", ""))


@dataclass(frozen=True, slots=True)
class RpcMethod:
    """One method. The core has checked the token for `action` before `handler` runs."""

    request: type[Message]
    response: type[Message]
    action: str
    """key of `roomful.auth.check.API_RULES`"""
    handler: Callable[[Any, Grants], Awaitable[Message]]
    """(request, grants) → response; raises `RoomfulError`s"""
    room: Callable[[Any], str] = room_field
    """the room the request is about, where the action needs a token for that room"""


@dataclass(frozen=True, slots=True)
class RpcService:
    """One service, offered by the hook `rpc_services`."""

    name: str
    """as in the path: `livekit.RoomService`"""
    methods: Mapping[str, RpcMethod] = field(default_factory=dict[str, RpcMethod])
