"""The chunk stream: messages cut into chunks, several streams interleaved (RTMP 1.0 section 5.3).

    basic header 1-3 bytes │ message header 11, 7, 3 or 0 bytes │ extended timestamp 0 or 4 │ data

A message of format 3 repeats the delta before it; after a format 0 that is the timestamp itself,
which is the specification's rule. Memory is taken as bytes come, never as they are announced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from roomful.errors import RemoteProtocolError
from roomful_rtmp.message import ABORT, SET_CHUNK_SIZE, Message

DEFAULT_CHUNK = 128
MAX_CHUNK = 0xFFFFFF
MAX_STREAMS = 64
MAX_PENDING = 16 << 20
"""bytes of unfinished messages together"""
_EXTENDED = 0xFFFFFF
_WRAP = 1 << 32


@dataclass(slots=True)
class _Stream:
    timestamp: int = 0
    delta: int = 0
    length: int = 0
    type: int = 0
    stream_id: int = 0
    is_extended: bool = False
    data: bytearray = field(default_factory=bytearray)
    in_message: bool = False


@dataclass(frozen=True, slots=True)
class _Head:
    """A chunk's header that is complete."""

    size: int
    """bytes it takes"""
    csid: int
    form: int
    fields: bytes
    extended: int | None


class ChunkReader:
    """Puts messages together."""

    def __init__(self, max_message: int) -> None:
        """`max_message`: bytes; may be changed between messages."""
        self.max_message = max_message
        self._chunk = DEFAULT_CHUNK
        self._buffer = bytearray()
        self._streams: dict[int, _Stream] = {}
        self._pending = 0

    def receive(self, data: bytes) -> Iterator[Message]:
        """Yield whole messages; SetChunkSize and Abort count already and come out too.

        Raises `RemoteProtocolError`.
        """
        self._buffer += data
        at = 0
        try:
            while True:
                head = self._head(at)
                if head is None:
                    return
                stream = self._begin(head)
                wanted = min(self._chunk, stream.length - len(stream.data))
                begin = at + head.size
                if len(self._buffer) < begin + wanted:
                    self._undo(stream, head)
                    return
                stream.data += self._buffer[begin : begin + wanted]
                self._pending += wanted
                at = begin + wanted
                if self._pending > MAX_PENDING:
                    raise RemoteProtocolError("too much is unfinished at a time")
                if len(stream.data) >= stream.length:
                    message = self._finish(stream)
                    self._obey(message)
                    yield message
        finally:
            del self._buffer[:at]

    def _head(self, at: int) -> _Head | None:
        buffer = self._buffer
        if len(buffer) <= at:
            return None
        first = buffer[at]
        form, csid, size = first >> 6, first & 0x3F, 1
        if csid < 2:
            size += csid + 1
            if len(buffer) < at + size:
                return None
            csid = 64 + buffer[at + 1] + (buffer[at + 2] << 8 if csid else 0)
        length = (11, 7, 3, 0)[form]
        if len(buffer) < at + size + length:
            return None
        fields = bytes(buffer[at + size : at + size + length])
        size += length
        known = self._streams.get(csid)
        if form == 3:
            if known is None:
                raise RemoteProtocolError("a chunk stream begins without a header")
            is_extended = known.is_extended
        else:
            is_extended = int.from_bytes(fields[:3], "big") == _EXTENDED
        if not is_extended:
            return _Head(size, csid, form, fields, None)
        if len(buffer) < at + size + 4:
            return None
        extended = int.from_bytes(buffer[at + size : at + size + 4], "big")
        if (
            form == 3
            and known is not None
            and known.in_message
            and not self._repeats(known, extended)
        ):
            return _Head(size, csid, form, fields, None)  # old encoders leave it out here
        return _Head(size + 4, csid, form, fields, extended)

    @staticmethod
    def _repeats(stream: _Stream, extended: int) -> bool:
        return extended in (stream.timestamp, stream.delta)

    def _begin(self, head: _Head) -> _Stream:
        stream = self._streams.get(head.csid)
        if stream is None:
            if len(self._streams) >= MAX_STREAMS:
                raise RemoteProtocolError(f"more than {MAX_STREAMS} chunk streams")
            if head.form != 0:
                raise RemoteProtocolError("a chunk stream begins without a full header")
            stream = self._streams[head.csid] = _Stream()
        if stream.in_message:
            if head.form != 3:
                raise RemoteProtocolError("a message begins inside another of its chunk stream")
            return stream
        self._read(stream, head)
        if stream.length > self.max_message:
            raise RemoteProtocolError(
                f"a message of {stream.length} bytes exceeds {self.max_message}"
            )
        stream.in_message = True
        return stream

    @staticmethod
    def _read(stream: _Stream, head: _Head) -> None:
        fields = head.fields
        if head.form < 3:
            stream.is_extended = head.extended is not None
            number = int.from_bytes(fields[:3], "big") if head.extended is None else head.extended
            stream.delta = number
        if head.form < 2:
            stream.length, stream.type = int.from_bytes(fields[3:6], "big"), fields[6]
        if head.form == 0:
            stream.stream_id = int.from_bytes(fields[7:11], "little")
            stream.timestamp = stream.delta
        else:
            stream.timestamp = (stream.timestamp + stream.delta) % _WRAP

    def _undo(self, stream: _Stream, head: _Head) -> None:
        """Forget a chunk whose data has not come: its header is read again."""
        if not stream.data:
            stream.in_message = False
            if head.form != 0:
                stream.timestamp = (stream.timestamp - stream.delta) % _WRAP

    def _finish(self, stream: _Stream) -> Message:
        message = Message(stream.type, bytes(stream.data), stream.timestamp, stream.stream_id)
        self._pending -= len(stream.data)
        stream.data = bytearray()
        stream.in_message = False
        return message

    def _obey(self, message: Message) -> None:
        if message.type == SET_CHUNK_SIZE:
            size = int.from_bytes(message.payload[:4], "big")
            if len(message.payload) < 4 or not 1 <= size <= MAX_CHUNK:
                raise RemoteProtocolError(f"a chunk size of {size} is not possible")
            self._chunk = size
        elif message.type == ABORT:
            csid = int.from_bytes(message.payload[:4], "big")
            stream = self._streams.get(csid)
            if stream is not None and stream.in_message:
                self._finish(stream)


class ChunkWriter:
    """Cuts messages. Every one has a full header, which costs 4 to 10 bytes and no state."""

    def __init__(self) -> None:
        self.chunk = DEFAULT_CHUNK

    def write(self, message: Message, csid: int) -> bytes:
        """Return one message as chunks; `csid`: 2 to 63."""
        stamp = message.timestamp % _WRAP
        extended = stamp.to_bytes(4, "big") if stamp >= _EXTENDED else b""
        head = (
            bytes((csid,))
            + min(stamp, _EXTENDED).to_bytes(3, "big")
            + len(message.payload).to_bytes(3, "big")
            + bytes((message.type,))
            + message.stream_id.to_bytes(4, "little")
            + extended
        )
        parts = [head, message.payload[: self.chunk]]
        follow = bytes((0xC0 | csid,)) + extended
        for at in range(self.chunk, len(message.payload), self.chunk):
            parts += (follow, message.payload[at : at + self.chunk])
        return b"".join(parts)
