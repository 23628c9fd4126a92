"""What both sides of a connection share: handshake, chunks, flow control, pings.

After the handshake every whole message goes to `_on_message`; control messages are answered here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from roomful.errors import RemoteProtocolError
from roomful_rtmp import amf0, message
from roomful_rtmp.chunk import ChunkReader, ChunkWriter
from roomful_rtmp.handshake import Handshake
from roomful_rtmp.message import Message

WINDOW = 2_500_000
"""bytes we let the far side send before it hears an acknowledgement"""
CHUNK = 4096
MAX_MESSAGE = 8 << 20
MAX_COMMAND = 64 << 10
"""of a message before media may come"""
CONTROL, COMMANDS, AUDIO, VIDEO = 2, 3, 4, 6
"""chunk streams we send on"""
_PING, _PONG = 6, 7

E = TypeVar("E")


class Link(Generic[E]):
    """Base of `ServerConnection` and `ClientConnection`."""

    def __init__(self, *, is_client: bool) -> None:
        self._handshake = Handshake(is_client=is_client)
        self._reader = ChunkReader(MAX_COMMAND)
        self._writer = ChunkWriter()
        self._out = bytearray()
        self._window = WINDOW
        self._received = self._acknowledged = 0

    @property
    def is_ready(self) -> bool:
        """Whether the handshake is over."""
        return self._handshake.done

    def take_output(self) -> bytes:
        """Return what is to be sent now."""
        if self._handshake.output:
            self._out[:0] = self._handshake.output
            self._handshake.output.clear()
        output = bytes(self._out)
        self._out.clear()
        return output

    def receive(self, data: bytes) -> Iterator[E]:
        """Take bytes; yield what happened. Raises `RemoteProtocolError`, which ends the connection.

        To be read to its end: what was not yielded is not handled.
        """
        if not self._handshake.done:
            data = self._handshake.receive(data)
            if not self._handshake.done:
                return
            self._on_handshake()
        self._count(len(data))
        for one in self._reader.receive(data):
            if not self._control(one):
                yield from self._on_message(one)

    def _on_handshake(self) -> None:
        """The handshake is over."""

    def _on_message(self, one: Message) -> Iterator[E]:
        """Handle a message that is no control message."""
        raise NotImplementedError

    # --- sending -----------------------------------------------------------------------------

    def _send(self, one: Message, csid: int) -> None:
        self._out += self._writer.write(one, csid)

    def _send_command(self, *values: object, stream_id: int = 0) -> None:
        payload = amf0.encode(*values)
        self._send(Message(message.COMMAND, payload, stream_id=stream_id), COMMANDS)

    def _set_chunk_size(self) -> None:
        self._send(Message(message.SET_CHUNK_SIZE, CHUNK.to_bytes(4, "big")), CONTROL)
        self._writer.chunk = CHUNK

    # --- control -----------------------------------------------------------------------------

    def _count(self, size: int) -> None:
        self._received += size
        if self._received - self._acknowledged >= max(self._window // 2, 1024):
            self._acknowledged = self._received
            number = (self._received % (1 << 32)).to_bytes(4, "big")
            self._send(Message(message.ACKNOWLEDGEMENT, number), CONTROL)

    def _control(self, one: Message) -> bool:
        match one.type:
            case message.SET_CHUNK_SIZE | message.ABORT | message.ACKNOWLEDGEMENT:
                return True
            case message.PEER_BANDWIDTH:
                return True
            case message.WINDOW_SIZE:
                if len(one.payload) < 4:
                    raise RemoteProtocolError("a window size is cut off")
                self._window = int.from_bytes(one.payload[:4], "big") or WINDOW
                return True
            case message.USER_CONTROL:
                if one.payload[:2] == _PING.to_bytes(2, "big") and len(one.payload) >= 6:
                    pong = _PONG.to_bytes(2, "big") + one.payload[2:6]
                    self._send(Message(message.USER_CONTROL, pong), CONTROL)
                return True
            case _:
                return False


def command_values(one: Message) -> list[amf0.Value]:
    """Return the values of a command or data message. Raises `RemoteProtocolError`."""
    payload = one.payload
    if one.type in (message.COMMAND_AMF3, message.DATA_AMF3):
        payload = payload[1:]  # a format byte; what follows is AMF0 in all that is in use
    return amf0.decode(payload)


def text_of(values: list[amf0.Value], index: int) -> str:
    """Return the text at a place, empty where there is none."""
    value = values[index] if len(values) > index else None
    return value if isinstance(value, str) else ""


def number_of(values: list[amf0.Value], index: int) -> float:
    """Return the number at a place, 0 where there is none."""
    value = values[index] if len(values) > index else None
    return value if isinstance(value, float) else 0.0


def object_of(values: list[amf0.Value], index: int) -> dict[str, amf0.Value]:
    """Return the object at a place, empty where there is none."""
    value = values[index] if len(values) > index else None
    return value if isinstance(value, dict) else {}
