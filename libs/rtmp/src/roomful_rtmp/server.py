"""The server's side: a client connects and publishes (RTMP 1.0 section 7.2).

    handshake ─▶ connect ─▶ createStream ─▶ publish ─▶ PublishRequested
                                                          │ accept_publish ─▶ Media, MetaData …
                                                          └ reject_publish ─▶ close

Before `accept_publish` messages are at most 64 KiB, and media is a protocol error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtmp import amf0, message
from roomful_rtmp.link import (
    CONTROL,
    MAX_MESSAGE,
    WINDOW,
    Link,
    command_values,
    number_of,
    object_of,
    text_of,
)
from roomful_rtmp.message import Message

MAX_STREAMS = 16
FOURCCS = ("avc1", "hvc1", "av01", "vp09", "vp08", "Opus", "mp4a")
"""told to clients that ask, as codecs that may be sent"""
_LEVEL_AND_WORD = {True: "status", False: "error"}


@dataclass(frozen=True, slots=True)
class Connected:
    """A client named its application."""

    app: str
    tc_url: str = field(repr=False)
    """may hold the stream key"""
    properties: dict[str, amf0.Value] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublishRequested:
    """Answer by `accept_publish` or `reject_publish`."""

    name: str = field(repr=False)
    """publishing name as it came: mostly the stream key"""
    kind: str
    """live, record or append"""

    @property
    def stream_key(self) -> str:
        """The last part of the name's path, without its query."""
        return self.name.partition("?")[0].rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Media:
    """The body of one FLV audio or video tag."""

    is_video: bool
    timestamp: int
    """ms, 32 bits, wraps"""
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MetaData:
    """What the encoder says about itself (onMetaData); nothing of it is checked."""

    values: dict[str, amf0.Value]


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The client ended its stream."""


Event = Connected | PublishRequested | Media | MetaData | Unpublished


class ServerConnection(Link[Event]):
    """One client's connection."""

    def __init__(self) -> None:
        super().__init__(is_client=False)
        self._connected = False
        self._streams = 0
        self._publishing = 0
        """number of the message stream that publishes or wants to"""
        self._accepted = False
        self._transaction = 0.0

    # --- answers -----------------------------------------------------------------------------

    def accept_publish(self) -> None:
        """Let media in."""
        self._decide("NetStream.Publish.Start", "publishing", accepted=True)
        self._accepted = True
        self._reader.max_message = MAX_MESSAGE

    def reject_publish(self, text: str, code: str = "NetStream.Publish.BadName") -> None:
        """Refuse with a reason; the caller closes once the output is sent."""
        self._decide(code, text, accepted=False)
        self._publishing = 0

    def end_publish(self, text: str) -> None:
        """Tell the client that its stream is over from this side; the caller closes."""
        if self._publishing:
            self._decide("NetStream.Publish.Failed", text, accepted=False)
            self._publishing, self._accepted = 0, False

    def _decide(self, code: str, text: str, *, accepted: bool) -> None:
        if not self._publishing:
            raise LocalProtocolError("nobody asks to publish")
        info = {"level": _LEVEL_AND_WORD[accepted], "code": code, "description": text}
        self._send_command("onStatus", 0, None, info, stream_id=self._publishing)

    # --- messages ----------------------------------------------------------------------------

    def _on_message(self, one: Message) -> Iterator[Event]:
        match one.type:
            case message.COMMAND | message.COMMAND_AMF3:
                yield from self._on_command(one)
            case message.AUDIO | message.VIDEO:
                yield from self._on_media(one)
            case message.DATA | message.DATA_AMF3:
                yield from self._on_data(one)
            case message.AGGREGATE:
                yield from self._on_aggregate(one)
            case _:
                pass  # types of other services

    def _on_command(self, one: Message) -> Iterator[Event]:
        values = command_values(one)
        name, transaction = text_of(values, 0), number_of(values, 1)
        match name:
            case "connect":
                yield self._on_connect(values, transaction)
            case "createStream":
                self._on_create_stream(transaction)
            case "releaseStream" | "FCPublish" | "_checkbw":
                self._send_command("_result", transaction, None, None)
            case "publish":
                yield self._on_publish(one, values)
            case "FCUnpublish" | "deleteStream" | "closeStream":
                if self._publishing:
                    self._publishing, self._accepted = 0, False
                    yield Unpublished()
            case "play" | "play2":
                info = {"level": "error", "code": "NetStream.Play.Failed",
                        "description": "this server takes streams, it plays none"}  # fmt: skip
                self._send_command("onStatus", 0, None, info, stream_id=one.stream_id)
            case _:
                pass

    def _on_connect(self, values: list[amf0.Value], transaction: float) -> Connected:
        if self._connected:
            raise RemoteProtocolError("connect comes twice")
        self._connected = True
        properties = object_of(values, 2)
        self._send(Message(message.WINDOW_SIZE, WINDOW.to_bytes(4, "big")), CONTROL)
        self._send(Message(message.PEER_BANDWIDTH, WINDOW.to_bytes(4, "big") + b"\x02"), CONTROL)
        self._set_chunk_size()
        info: dict[str, object] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "connected",
            "objectEncoding": 0,
        }
        if "fourCcList" in properties or "videoFourCcInfoMap" in properties:
            info |= {"fourCcList": list(FOURCCS), "capsEx": 0}
        server = {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31}
        self._send_command("_result", transaction, server, info)
        app, url = properties.get("app"), properties.get("tcUrl")
        return Connected(
            app if isinstance(app, str) else "", url if isinstance(url, str) else "", properties
        )

    def _on_create_stream(self, transaction: float) -> None:
        if not self._connected:
            raise RemoteProtocolError("createStream comes before connect")
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise RemoteProtocolError(f"more than {MAX_STREAMS} streams are created")
        self._send_command("_result", transaction, None, self._streams)

    def _on_publish(self, one: Message, values: list[amf0.Value]) -> PublishRequested:
        if not 1 <= one.stream_id <= self._streams:
            raise RemoteProtocolError("publish comes without a stream that was created")
        if self._publishing:
            raise RemoteProtocolError("publish comes while something is published")
        self._publishing = one.stream_id
        return PublishRequested(text_of(values, 3), text_of(values, 4) or "live")

    def _on_media(self, one: Message) -> Iterator[Event]:
        if not self._accepted:
            if self._streams:
                return  # what was on its way when the stream ended, or before it was let in
            raise RemoteProtocolError("media comes before connect and publish")
        if one.payload:
            yield Media(one.type == message.VIDEO, one.timestamp, one.payload)

    def _on_data(self, one: Message) -> Iterator[Event]:
        if not self._accepted:
            return
        values = command_values(one)
        if text_of(values, 0) == "@setDataFrame":
            values = values[1:]
        if text_of(values, 0) == "onMetaData":
            yield MetaData(object_of(values, 1))

    def _on_aggregate(self, one: Message) -> Iterator[Event]:
        """Take a message of messages apart (RTMP 1.0 section 7.1.6)."""
        payload, at, first = one.payload, 0, None
        while at < len(payload):
            if len(payload) < at + 11:
                raise RemoteProtocolError("an aggregate is cut off")
            kind, size = payload[at], int.from_bytes(payload[at + 1 : at + 4], "big")
            stamp = int.from_bytes(payload[at + 4 : at + 7], "big") | payload[at + 7] << 24
            first = stamp if first is None else first
            body = payload[at + 11 : at + 11 + size]
            if len(body) < size or kind not in (message.AUDIO, message.VIDEO, message.DATA):
                raise RemoteProtocolError("an aggregate holds what it must not")
            at += 11 + size + 4
            inner = (one.timestamp + stamp - first) % (1 << 32)
            yield from self._on_message(Message(kind, body, inner, one.stream_id))
