"""Messages of the chunk stream and their types (RTMP 1.0 section 5.4, 6, 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
AUDIO, VIDEO = 8, 9
DATA_AMF3, COMMAND_AMF3, DATA, COMMAND = 15, 17, 18, 20
AGGREGATE = 22


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message."""

    type: int
    payload: bytes
    timestamp: int = 0
    """ms, 32 bits, wraps"""
    stream_id: int = 0
    """message stream; 0: the connection itself"""
