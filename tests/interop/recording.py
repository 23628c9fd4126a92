"""Makes recorded calls and brings the answers into a form that can be compared."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import jwt
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from livekit import api
from livekit.protocol import room as room_proto

from .room_calls import JSON, PROTOBUF, Call
from .server import RoomServer

Answer = dict[str, Any]
"""`status`, `content_type`, `body`: JSON, or text where it is none."""

_SID = re.compile(r"\b(RM|PA|ND|CO|EV)_[A-Za-z0-9]{12}\b")
_TRACK_SID = re.compile(r"\bTR_([A-Z][A-Za-z])[A-Za-z0-9]{12}\b")
_TIMES = {"creation_time", "creation_time_ms", "joined_at", "joined_at_ms"}
_CHANCE = _TIMES | {"turn_password", "version", "ssrc", "cid", "sdp_cid"}
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_SORTED_BY = {"rooms": "name", "participants": "identity", "tracks": "name"}
_WRAPPED = "twirp error unknown: "  # the reference passes errors on between its own services


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of every kind that a call may name."""

    server: RoomServer
    room: str
    empty: str
    new: str

    def named(self, name: str) -> str:
        """A signed token (or what is sent in its place)."""
        grants: dict[str, dict[str, Any]] = {
            "admin": {"room_admin": True, "room_create": True, "room_list": True},
            "join": {"room_join": True, "room": self.room},
            "elsewhere": {"room_admin": True, "room": "elsewhere"},
            "moving": {"room_admin": True, "room": self.room, "destination_room": self.empty},
            "nowhere": {"room_admin": True, "room": "nowhere"},
        }
        if name in grants:
            return self.server.grant("operator", **grants[name]).to_jwt()
        if name == "garbage":
            return "garbage"
        return self._spoiled(name)

    def of(self, call: Call) -> str | None:
        """The token of a call; an administrator's is for the room the call is about."""
        if call.token != "admin" or isinstance(call.body, bytes):
            return self.named(call.token) if call.token else None
        about = filled(call.body, self.names).get("room", self.room)
        grants = {"room_admin": True, "room": about, "room_create": True, "room_list": True}
        return self.server.grant("operator", **grants).to_jwt()

    def _spoiled(self, name: str) -> str:
        key = "unknown" if name == "unknown_key" else self.server.key
        secret = "w" * 40 if name == "wrong_signature" else self.server.secret
        token = api.AccessToken(key, secret).with_identity("operator")
        token = token.with_grants(api.VideoGrants(room_list=True))
        if name == "expired":
            token = token.with_ttl(timedelta(hours=-1))
        signed = token.to_jwt()
        if name != "not_yet":
            return signed
        claims = jwt.decode(signed, options={"verify_signature": False})
        claims["nbf"] += 3600
        claims["exp"] += 7200
        return jwt.encode(claims, secret, "HS256")

    @property
    def names(self) -> dict[str, str]:
        """What stands for the rooms in a call's body."""
        return {
            "$ROOM": self.room,
            "$EMPTY": self.empty,
            "$NEW": self.new,
            "$CAMEL": f"{self.room}-camel",
        }


def filled(body: Any, names: dict[str, str]) -> Any:
    """A message with real names in place of ``$…``."""
    if isinstance(body, dict):
        return {key: filled(value, names) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value, names) for value in body]
    return names.get(body, body) if isinstance(body, str) else body


def _messages(method: str) -> tuple[type[Message], type[Message]] | None:
    """Request and answer of a method, None for an unknown one."""
    found = room_proto.DESCRIPTOR.services_by_name["RoomService"].methods_by_name.get(method)
    if found is None:
        return None
    return GetMessageClass(found.input_type), GetMessageClass(found.output_type)


async def make(
    session: aiohttp.ClientSession,
    call: Call,
    tokens: Tokens,
    names: dict[str, str],
    content_type: str,
) -> Answer:
    """Make one call; the answer in comparable form."""
    content_type = call.content_type or content_type
    messages = _messages(call.method)
    if isinstance(call.body, bytes):
        data = call.body.replace(b"$CAMEL", names["$CAMEL"].encode())
    elif content_type == JSON or messages is None:
        data = json.dumps(filled(call.body, names)).encode()
    else:
        message = json_format.ParseDict(filled(call.body, names), messages[0]())
        data = message.SerializeToString()
    headers = {"Content-Type": content_type}
    token = tokens.of(call)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    # the longest first: the other rooms' names begin with that of $ROOM
    words = {names[name]: name for name in sorted(names, key=lambda n: -len(names[n]))}
    url = f"{tokens.server.http_url}/twirp/{call.service}/{call.method}"
    async with session.request(call.verb, url, data=data, headers=headers) as response:
        raw = await response.read()
        answer_type = response.headers.get("Content-Type", "")
        body: Any
        if answer_type == PROTOBUF and messages is not None:
            body = json_format.MessageToDict(
                messages[1].FromString(raw),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
        else:
            body = text_or_json(raw)
        return {
            "status": response.status,
            "content_type": answer_type,
            "body": comparable(body, words),
        }


def text_or_json(raw: bytes) -> Any:
    """A body as JSON, or as text where it is none."""
    text = raw.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def comparable(value: Any, words: dict[str, str], key: str = "") -> Any:
    """A value with what changes from run to run replaced (rules: `data/README.md`)."""
    if key in _CHANCE and value not in (0, "0", "", None):
        return f"<{key}>"
    if isinstance(value, dict):
        return {name: comparable(value[name], words, name) for name in sorted(value)}
    if isinstance(value, list):
        if key in _SORTED_BY:
            value = sorted(value, key=lambda entry: entry[_SORTED_BY[key]])
        return [comparable(entry, words, key) for entry in value]
    if isinstance(value, str):
        for word, name in words.items():
            value = value.replace(word, name)
        value = _JWT.sub("<token>", value.removeprefix(_WRAPPED))
        return _TRACK_SID.sub(r"TR_\1*", _SID.sub(r"\1_*", value))
    return value


def differences(ours: Any, reference: Any, path: str = "") -> list[str]:
    """Where two comparable values differ, one line a field."""
    if isinstance(ours, dict) and isinstance(reference, dict):
        found: list[str] = []
        for key in sorted(ours.keys() | reference.keys()):
            if key not in ours:
                found.append(f"{path}.{key}: missing, the reference has {reference[key]!r}")
            elif key not in reference:
                found.append(f"{path}.{key}: {ours[key]!r}, the reference has none")
            else:
                found += differences(ours[key], reference[key], f"{path}.{key}")
        return found
    if isinstance(ours, list) and isinstance(reference, list) and len(ours) == len(reference):
        pairs = enumerate(zip(ours, reference, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{path}[{i}]")]
    return [] if ours == reference else [f"{path}: {ours!r}, the reference has {reference!r}"]
