"""The client's side: connects and publishes. Used to push streams, and by tests.

handshake ─▶ connect ─▶ createStream ─▶ publish ─▶ Publishing ─▶ send_audio, send_video …
                                           └ Refused
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from roomful.errors import LocalProtocolError
from roomful_rtmp import amf0, message
from roomful_rtmp.link import (
    AUDIO,
    MAX_MESSAGE,
    VIDEO,
    Link,
    command_values,
    number_of,
    object_of,
    text_of,
)
from roomful_rtmp.message import Message

_CONNECT, _CREATE = 1.0, 4.0


@dataclass(frozen=True, slots=True)
class Publishing:
    """The server takes the stream."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server does not take it, or no longer."""

    code: str
    text: str


ClientEvent = Publishing | Refused


class ClientConnection(Link[ClientEvent]):
    """Publishes one stream."""

    def __init__(self, app: str, tc_url: str, stream_key: str) -> None:
        super().__init__(is_client=True)
        self._app, self._tc_url, self._key = app, tc_url, stream_key
        self._stream = 0
        self._publishing = False
        self._reader.max_message = MAX_MESSAGE

    # --- sending -----------------------------------------------------------------------------

    def send_video(self, payload: bytes, timestamp: int) -> None:
        """Queue the body of a video tag; `timestamp` in ms."""
        self._send_media(Message(message.VIDEO, payload, timestamp, self._stream), VIDEO)

    def send_audio(self, payload: bytes, timestamp: int) -> None:
        """Queue the body of an audio tag; `timestamp` in ms."""
        self._send_media(Message(message.AUDIO, payload, timestamp, self._stream), AUDIO)

    def send_metadata(self, values: Mapping[str, object]) -> None:
        """Queue onMetaData."""
        payload = amf0.encode("@setDataFrame", "onMetaData", values)
        self._send_media(Message(message.DATA, payload, 0, self._stream), AUDIO)

    def unpublish(self) -> None:
        """Queue the end of the stream."""
        if self._publishing:
            self._publishing = False
            self._send_command("FCUnpublish", 6, None, self._key)
            self._send_command("deleteStream", 7, None, self._stream)

    def _send_media(self, one: Message, csid: int) -> None:
        if not self._publishing:
            raise LocalProtocolError("media before the server took the stream")
        self._send(one, csid)

    # --- receiving ---------------------------------------------------------------------------

    def _on_handshake(self) -> None:
        self._set_chunk_size()
        properties = {
            "app": self._app, "type": "nonprivate", "flashVer": "FMLE/3.0 (compatible; Roomful)",
            "tcUrl": self._tc_url,
        }  # fmt: skip
        self._send_command("connect", _CONNECT, properties)

    def _on_message(self, one: Message) -> Iterator[ClientEvent]:
        if one.type not in (message.COMMAND, message.COMMAND_AMF3):
            return
        values = command_values(one)
        match text_of(values, 0), number_of(values, 1):
            case "_result", 1.0:
                self._send_command("releaseStream", 2, None, self._key)
                self._send_command("FCPublish", 3, None, self._key)
                self._send_command("createStream", _CREATE, None)
            case "_result", 4.0:
                self._stream = int(number_of(values, 3)) or 1
                self._send_command("publish", 5, None, self._key, "live", stream_id=self._stream)
            case "_error", _:
                yield _refused(values)
            case "onStatus", _:
                yield from self._on_status(values)
            case _:
                pass

    def _on_status(self, values: list[amf0.Value]) -> Iterator[ClientEvent]:
        info = object_of(values, 3)
        if info.get("code") == "NetStream.Publish.Start":
            self._publishing = True
            yield Publishing()
        elif info.get("level") == "error":
            self._publishing = False
            yield _refused(values)


def _refused(values: list[amf0.Value]) -> Refused:
    info = object_of(values, 3)
    return Refused(str(info.get("code", "")), str(info.get("description", "")))
