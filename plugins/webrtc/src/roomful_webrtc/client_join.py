"""What a client says when it knocks: query parameters (v0) or one join_request (v1)."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from livekit.protocol import rtc
from pydantic import TypeAdapter, ValidationError

from roomful.errors import InvalidArgument

MAX_ENCODED = 32 << 10
MAX_INFLATED = 1 << 20
MAX_TRACKS = 64
"""announced with the join; more are asked for afterwards"""
_STRINGS = TypeAdapter(dict[str, str])
_TRUE = frozenset({"1", "true", "True", "yes"})


@dataclass(frozen=True, slots=True)
class ClientJoin:
    """A client's wishes and what it says about itself."""

    single_pc: bool
    """one peer connection, the client offers; else a second one on which we offer"""
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    may_pause: bool = False
    """congestion may stop a track altogether"""
    reconnect: bool = False
    participant_sid: str = ""
    sdk: str = ""
    version: str = ""
    protocol: int = 0
    client_protocol: int = 0
    capabilities: tuple[int, ...] = ()
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    offer: rtc.SessionDescription | None = None
    add_tracks: tuple[rtc.AddTrackRequest, ...] = ()
    sync_state: rtc.SyncState | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str], *, v1: bool) -> ClientJoin:
        """Read the query of `/rtc` or `/rtc/v1`. Raises `InvalidArgument`."""
        encoded = query.get("join_request")
        if encoded is not None:
            return cls._from_request(_unwrap(encoded))
        if v1:
            raise InvalidArgument("join_request is required")
        return cls(
            single_pc=False,
            auto_subscribe=query.get("auto_subscribe", "1") in _TRUE,
            adaptive_stream=query.get("adaptive_stream", "") in _TRUE,
            may_pause=query.get("subscriber_allow_pause", "") in _TRUE,
            reconnect=query.get("reconnect", "") in _TRUE,
            participant_sid=query.get("sid", ""),
            sdk=query.get("sdk", ""),
            version=query.get("version", ""),
            protocol=_number(query, "protocol"),
            client_protocol=_number(query, "client_protocol"),
            attributes=_attributes(query.get("attributes", "")),
        )

    @classmethod
    def _from_request(cls, request: rtc.JoinRequest) -> ClientJoin:
        info, settings = request.client_info, request.connection_settings
        if len(request.add_track_requests) > MAX_TRACKS:
            raise InvalidArgument(f"a join announces more than {MAX_TRACKS} tracks")
        return cls(
            single_pc=True,
            auto_subscribe=settings.auto_subscribe,
            adaptive_stream=settings.adaptive_stream,
            may_pause=settings.subscriber_allow_pause,
            reconnect=request.reconnect,
            participant_sid=request.participant_sid,
            sdk=str(info.sdk),
            version=info.version,
            protocol=info.protocol,
            client_protocol=info.client_protocol,
            capabilities=tuple(int(capability) for capability in info.capabilities),
            metadata=request.metadata,
            attributes=dict(request.participant_attributes),
            offer=request.publisher_offer if request.publisher_offer.sdp else None,
            add_tracks=tuple(request.add_track_requests),
            sync_state=request.sync_state if request.HasField("sync_state") else None,
        )


def _unwrap(encoded: str) -> rtc.JoinRequest:
    wrapped = rtc.WrappedJoinRequest()
    request = rtc.JoinRequest()
    try:
        wrapped.ParseFromString(_decode(encoded, "join_request"))
        body = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            body = _inflate(body)
        request.ParseFromString(body)
    except DecodeError as error:
        raise InvalidArgument("join_request is not a WrappedJoinRequest") from error
    return request


def _decode(text: str, name: str) -> bytes:
    if len(text) > MAX_ENCODED:
        raise InvalidArgument(f"{name} is longer than {MAX_ENCODED} characters")
    try:
        # some clients leave the padding out, some use the ordinary alphabet
        plain = text.replace("+", "-").replace("/", "_").rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f"{name} is not URL-safe base64") from error


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        # stops at the cap: nothing beyond it is ever inflated
        body = inflater.decompress(data, MAX_INFLATED)
    except zlib.error as error:
        raise InvalidArgument("join_request is not gzip") from error
    if not inflater.eof:
        raise InvalidArgument(f"join_request inflates beyond {MAX_INFLATED} bytes or is cut")
    return body


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidArgument(f"{name} is {text!r}, not a number")
    return int(text)


def _attributes(encoded: str) -> dict[str, str]:
    if not encoded:
        return {}
    try:
        return _STRINGS.validate_json(_decode(encoded, "attributes"), strict=True)
    except ValidationError as error:
        raise InvalidArgument("attributes are not a JSON object of strings") from error
