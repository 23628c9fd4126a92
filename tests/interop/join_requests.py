"""The fixed list of refused joins whose answers are recorded from a reference."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
from livekit import api
from livekit.protocol import rtc as rtc_proto

from .server import RoomServer

NAME_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Knock:
    """One request to a validate path.

    `says` is what the answer's words must contain for us; where it is empty they must be the
    reference's. `token` makes the token (None: none is sent); `query` are further parameters; `request` says
    whether a well-formed ``join_request`` goes along where the path is that of version 1.
    """

    name: str
    says: str
    token: Callable[[RoomServer], str] | None
    query: dict[str, str] | None = None
    request: bool = True


def _token(identity: str = "x", *, key: str = "", secret: str = "", **video: Any):
    grants = {"room_join": True, "room": "somewhere"} | video

    def make(server: RoomServer) -> str:
        token = api.AccessToken(key or server.key, secret or server.secret)
        return token.with_identity(identity).with_grants(api.VideoGrants(**grants)).to_jwt()

    return make


def _expired(server: RoomServer) -> str:
    token = api.AccessToken(server.key, server.secret).with_identity("x")
    token = token.with_grants(api.VideoGrants(room_join=True, room="somewhere"))
    return token.with_ttl(timedelta(hours=-1)).to_jwt()


def _claims(**changes: Any) -> Callable[[RoomServer], str]:
    """A token with claims changed (None removes one)."""

    def make(server: RoomServer) -> str:
        claims = jwt.decode(_token()(server), options={"verify_signature": False})
        claims = {k: v for k, v in (claims | changes).items() if v is not None}
        return jwt.encode(claims, server.secret, "HS256")

    return make


def _join_request(**fields: Any) -> str:
    inner = rtc_proto.JoinRequest(**fields).SerializeToString()
    wrapped = rtc_proto.WrappedJoinRequest(join_request=inner)
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


JOIN_REQUEST = _join_request(
    client_info={"protocol": 16, "sdk": "PYTHON", "version": "1.2.0"},
    connection_settings={"auto_subscribe": True},
)

KNOCKS: list[Knock] = [
    Knock("welcome", "", _token()),
    Knock("no token", "no access token", None),
    Knock("a token that is none", "no JSON web token", lambda _: "garbage"),
    Knock("an empty token", "token", lambda _: ""),
    Knock("a wrong signature", "signature", _token(secret="w" * 40)),
    Knock("an unknown key", "unknown", _token(key="unknown")),
    Knock("an expired token", "expired", _expired),
    Knock("no room join", "roomJoin", _token(room_join=False)),
    Knock("a list token", "roomJoin", _token(room_join=False, room="", room_list=True)),
    Knock("no video grant", "roomJoin", _claims(video=None)),
    Knock("an empty identity", "identity cannot be empty", _claims(sub="")),
    Knock("no identity", "identity cannot be empty", _claims(sub=None)),
    Knock(
        "an empty room", "room name cannot be empty", _claims(video={"roomJoin": True, "room": ""})
    ),
    Knock("an identity too long", "identity length exceeds limits", _token("i" * (NAME_LIMIT + 1))),
    Knock("an identity of the longest", "", _token("i" * NAME_LIMIT)),
    Knock(
        "a room name too long",
        "room name length exceeds limits",
        _token(room="r" * (NAME_LIMIT + 1)),
    ),
    Knock("no join request", "", _token(), request=False),
    Knock("a join request that is none", "join_request", _token(), {"join_request": "%%%"}),
    Knock("a join request of other bytes", "join_request", _token(), {"join_request": "AAAA"}),
    Knock(
        "attributes without permission",
        "canUpdateOwnMetadata",
        _token(),
        {"join_request": _join_request(participant_attributes={"a": "b"})},
    ),
    Knock(
        "metadata without permission",
        "canUpdateOwnMetadata",
        _token(),
        {"join_request": _join_request(metadata="about")},
    ),
    Knock("the room in the query", "", _token(), {"room": "somewhere"}),
]
