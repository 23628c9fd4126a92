"""The fixed list of RoomService calls whose answers are recorded from a reference.

Names in capitals with a dollar sign are replaced when a call is made: ``$ROOM`` (the room with
the two participants), ``$NEW`` (a room nobody has made yet), ``$EMPTY`` (a made room with
nobody in it), ``$CAMEL`` (another new room), ``$MIC`` (the microphone's sid). The order matters: later calls see what earlier
ones did.
"""

from dataclasses import dataclass
from typing import Any

JSON, PROTOBUF = "application/json", "application/protobuf"

UNKNOWN_TRACK = "TR_AMxxxxxxxxxxxx"


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    `body` is a message as a dict, or raw bytes that are sent as they are. `token` names one of
    the tokens of `recording.Tokens`; None sends none. `content_type` None means the one of the run.
    """

    name: str
    method: str
    body: dict[str, Any] | bytes
    token: str | None = "admin"
    content_type: str | None = None
    service: str = "livekit.RoomService"
    verb: str = "POST"


_MESSAGES: dict[str, dict[str, Any]] = {
    "CreateRoom": {"name": "$ROOM"},
    "ListRooms": {},
    "DeleteRoom": {"room": "$ROOM"},
    "ListParticipants": {"room": "$ROOM"},
    "GetParticipant": {"room": "$ROOM", "identity": "talker"},
    "RemoveParticipant": {"room": "$ROOM", "identity": "talker"},
    "MutePublishedTrack": {
        "room": "$ROOM",
        "identity": "talker",
        "track_sid": "$MIC",
        "muted": True,
    },
    "UpdateParticipant": {"room": "$ROOM", "identity": "talker", "name": "No"},
    "UpdateSubscriptions": {
        "room": "$ROOM",
        "identity": "listener",
        "track_sids": ["$MIC"],
        "subscribe": False,
    },
    "SendData": {"room": "$ROOM", "data": "aGk=", "kind": "RELIABLE"},
    "UpdateRoomMetadata": {"room": "$ROOM", "metadata": "no"},
    "PerformRpc": {"room": "$ROOM", "destination_identity": "listener", "method": "greet"},
    "ForwardParticipant": {"room": "$ROOM", "identity": "talker", "destination_room": "$EMPTY"},
    "MoveParticipant": {"room": "$ROOM", "identity": "talker", "destination_room": "$EMPTY"},
}
"""A call of each method that would be carried out, were it allowed."""


def _without_grant() -> list[Call]:
    """Each method without its grant, and those of one room with the grant of another."""
    refused = [
        Call(f"{method} without its grant", method, body, "join")
        for method, body in _MESSAGES.items()
    ]
    elsewhere = [
        Call(f"{method} with the grant of another room", method, body, "elsewhere")
        for method, body in _MESSAGES.items()
        if method not in ("CreateRoom", "ListRooms", "DeleteRoom")
    ]
    return refused + elsewhere


_WRONG_TOKENS = [
    Call(f"ListRooms with {what}", "ListRooms", {}, token)
    for what, token in [
        ("no token", None),
        ("a token that is none", "garbage"),
        ("a token of an unknown key", "unknown_key"),
        ("a token with a wrong signature", "wrong_signature"),
        ("an expired token", "expired"),
        ("a token not valid yet", "not_yet"),
    ]
]

_WRONG_REQUESTS = [
    Call("unknown method", "Nowhere", {}),
    Call("unknown service", "ListRooms", {}, service="livekit.Nowhere"),
    Call("GET", "ListRooms", {}, verb="GET"),
    Call("text as content type", "ListRooms", b"{}", content_type="text/plain"),
    Call(
        "JSON with character set",
        "ListRooms",
        b'{"names": ["nowhere"]}',
        content_type="application/json; charset=utf-8",
    ),
    Call("broken JSON", "ListRooms", b"{", content_type=JSON),
    Call("JSON list", "ListRooms", b"[]", content_type=JSON),
    Call("JSON of a wrong type", "ListRooms", b'{"names": 3}', content_type=JSON),
    Call("JSON with an unknown field", "ListRooms", b'{"names": ["-"], "x": 1}', content_type=JSON),
    Call(
        "JSON in camel case",
        "CreateRoom",
        b'{"name": "$CAMEL", "emptyTimeout": 3}',
        content_type=JSON,
    ),
    Call("empty JSON body", "ListRooms", b"", content_type=JSON),
    Call("broken protobuf", "ListRooms", b"\x0a\xff\x01", content_type=PROTOBUF),
    Call("protobuf of a wrong type", "CreateRoom", b"\x0a\x02\xff\xfe", content_type=PROTOBUF),
    Call("protobuf sent as JSON", "ListRooms", b"\x0a\x01a", content_type=JSON),
]

_ROOMS = [
    Call(
        "create with options",
        "CreateRoom",
        {
            "name": "$NEW",
            "empty_timeout": 120,
            "departure_timeout": 30,
            "max_participants": 7,
            "metadata": "first",
        },
    ),
    Call(
        "create again with other options",
        "CreateRoom",
        {"name": "$NEW", "empty_timeout": 60, "max_participants": 9, "metadata": "second"},
    ),
    Call("create without a name", "CreateRoom", {}),
    Call("create with a name too long", "CreateRoom", {"name": "n" * 257}),
    Call("create with metadata too long", "CreateRoom", {"name": "$NEW", "metadata": "m" * 524_289}),
    Call("create the room that is in use", "CreateRoom", {"name": "$ROOM"}),
    Call("list by name", "ListRooms", {"names": ["$NEW", "$ROOM", "nowhere"]}),
    Call("list unknown name", "ListRooms", {"names": ["nowhere"]}),
    Call("update metadata", "UpdateRoomMetadata", {"room": "$NEW", "metadata": "third"}),
    Call("update metadata of unknown room", "UpdateRoomMetadata", {"room": "nowhere", "metadata": "x"}, "nowhere"),
    Call("update with metadata too long", "UpdateRoomMetadata", {"room": "$NEW", "metadata": "m" * 524_289}),
    Call("participants of an empty room", "ListParticipants", {"room": "$NEW"}),
    Call("participants of an unknown room", "ListParticipants", {"room": "nowhere"}, "nowhere"),
    Call("participants without a room", "ListParticipants", {}),
    Call("delete", "DeleteRoom", {"room": "$NEW"}),
    Call("delete again", "DeleteRoom", {"room": "$NEW"}),
    Call("delete without a name", "DeleteRoom", {}),
]  # fmt: skip

_PARTICIPANTS = [
    Call("participants", "ListParticipants", {"room": "$ROOM"}),
    Call("participant", "GetParticipant", {"room": "$ROOM", "identity": "talker"}),
    Call("unknown participant", "GetParticipant", {"room": "$ROOM", "identity": "nobody"}),
    Call("participant without identity", "GetParticipant", {"room": "$ROOM"}),
    Call("participant of unknown room", "GetParticipant", {"room": "nowhere", "identity": "talker"}, "nowhere"),
    Call("update metadata, name, attributes", "UpdateParticipant", {"room": "$ROOM", "identity": "talker", "metadata": "about", "name": "Talker", "attributes": {"a": "1", "b": "2"}}),
    Call("remove an attribute", "UpdateParticipant", {"room": "$ROOM", "identity": "talker", "attributes": {"a": ""}}),
    Call("update permission", "UpdateParticipant", {"room": "$ROOM", "identity": "talker", "permission": {"can_subscribe": True, "can_publish": True, "can_publish_data": True, "can_publish_sources": ["MICROPHONE", "CAMERA"], "can_update_metadata": True}}),
    Call("update nothing", "UpdateParticipant", {"room": "$ROOM", "identity": "talker"}),
    Call("update unknown participant", "UpdateParticipant", {"room": "$ROOM", "identity": "nobody", "name": "x"}),
    Call("update without identity", "UpdateParticipant", {"room": "$ROOM", "name": "x"}),
    Call("update with metadata too long", "UpdateParticipant", {"room": "$ROOM", "identity": "talker", "metadata": "m" * 524_289}),
    Call("update with attributes too long", "UpdateParticipant", {"room": "$ROOM", "identity": "talker", "attributes": {"a": "m" * 65_537}}),
    Call("update with a name too long", "UpdateParticipant", {"room": "$ROOM", "identity": "talker", "name": "n" * 257}),
    Call("mute", "MutePublishedTrack", {"room": "$ROOM", "identity": "talker", "track_sid": "$MIC", "muted": True}),
    Call("mute again", "MutePublishedTrack", {"room": "$ROOM", "identity": "talker", "track_sid": "$MIC", "muted": True}),
    Call("unmute", "MutePublishedTrack", {"room": "$ROOM", "identity": "talker", "track_sid": "$MIC", "muted": False}),
    Call("mute unknown track", "MutePublishedTrack", {"room": "$ROOM", "identity": "talker", "track_sid": UNKNOWN_TRACK, "muted": True}),
    Call("mute track of unknown participant", "MutePublishedTrack", {"room": "$ROOM", "identity": "nobody", "track_sid": "$MIC", "muted": True}),
    Call("mute without track", "MutePublishedTrack", {"room": "$ROOM", "identity": "talker", "muted": True}),
    Call("unsubscribe", "UpdateSubscriptions", {"room": "$ROOM", "identity": "listener", "track_sids": ["$MIC"], "subscribe": False}),
    Call("subscribe", "UpdateSubscriptions", {"room": "$ROOM", "identity": "listener", "track_sids": ["$MIC"], "subscribe": True}),
    Call("subscribe to unknown track", "UpdateSubscriptions", {"room": "$ROOM", "identity": "listener", "track_sids": [UNKNOWN_TRACK], "subscribe": True}),
    Call("subscribe unknown participant", "UpdateSubscriptions", {"room": "$ROOM", "identity": "nobody", "track_sids": ["$MIC"], "subscribe": True}),
    Call("subscribe to nothing", "UpdateSubscriptions", {"room": "$ROOM", "identity": "listener", "subscribe": True}),
]  # fmt: skip

_DATA = [
    Call("send", "SendData", {"room": "$ROOM", "data": "aGk=", "kind": "RELIABLE", "topic": "t"}),
    Call("send to one", "SendData", {"room": "$ROOM", "data": "aGk=", "kind": "LOSSY", "destination_identities": ["talker"]}),
    Call("send to nobody there", "SendData", {"room": "$ROOM", "data": "aGk=", "destination_identities": ["nobody"]}),
    Call("send nothing", "SendData", {"room": "$ROOM"}),
    Call("send with nonce", "SendData", {"room": "$ROOM", "data": "aGk=", "nonce": "MDEyMzQ1Njc4OWFiY2RlZg=="}),
    Call("send with short nonce", "SendData", {"room": "$ROOM", "data": "aGk=", "nonce": "MDEy"}),
    Call("send to unknown room", "SendData", {"room": "nowhere", "data": "aGk="}, "nowhere"),
    Call("send to empty room", "SendData", {"room": "$EMPTY", "data": "aGk="}),
    Call("call", "PerformRpc", {"room": "$ROOM", "destination_identity": "listener", "method": "greet", "payload": "hi"}),
    Call("call that fails", "PerformRpc", {"room": "$ROOM", "destination_identity": "listener", "method": "fail"}),
    Call("call unknown method", "PerformRpc", {"room": "$ROOM", "destination_identity": "listener", "method": "nowhere"}),
    Call("call unknown participant", "PerformRpc", {"room": "$ROOM", "destination_identity": "nobody", "method": "greet", "response_timeout_ms": 1500}),
    Call("call without method", "PerformRpc", {"room": "$ROOM", "destination_identity": "listener", "response_timeout_ms": 1500}),
    Call("call too slow", "PerformRpc", {"room": "$ROOM", "destination_identity": "listener", "method": "sleep", "response_timeout_ms": 1000}),
    Call("call in unknown room", "PerformRpc", {"room": "nowhere", "destination_identity": "listener", "method": "greet", "response_timeout_ms": 1500}, "nowhere"),
]  # fmt: skip

_LAST = [
    Call("forward", "ForwardParticipant", {"room": "$ROOM", "identity": "talker", "destination_room": "$EMPTY"}, "moving"),
    Call("forward to another room than granted", "ForwardParticipant", {"room": "$ROOM", "identity": "talker", "destination_room": "$NEW"}, "moving"),
    Call("move", "MoveParticipant", {"room": "$ROOM", "identity": "talker", "destination_room": "$EMPTY"}, "moving"),
    Call("remove unknown participant", "RemoveParticipant", {"room": "$ROOM", "identity": "nobody"}),
    Call("remove from unknown room", "RemoveParticipant", {"room": "nowhere", "identity": "talker"}, "nowhere"),
    Call("remove", "RemoveParticipant", {"room": "$ROOM", "identity": "listener"}),
    Call("remove again", "RemoveParticipant", {"room": "$ROOM", "identity": "listener"}),
    Call("delete the room in use", "DeleteRoom", {"room": "$ROOM"}),
]  # fmt: skip

CALLS: list[Call] = [
    *_WRONG_TOKENS,
    *_WRONG_REQUESTS,
    *_without_grant(),
    *_ROOMS,
    *_PARTICIPANTS,
    *_DATA,
    *_LAST,
]
