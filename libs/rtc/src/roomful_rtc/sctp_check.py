"""Is a packet well-formed SCTP (RFC 9260, 3758, 6525)? Asked before a parser sees it, sans-IO.

Structure only: what depends on the association (tags, windows, what is outstanding) is `sctp`'s.
The checksum is not looked at; the parser drops what fails it.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from roomful.errors import RemoteProtocolError

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN = range(8)
SHUTDOWN_ACK, ERROR, COOKIE_ECHO, COOKIE_ACK = range(8, 12)
SHUTDOWN_COMPLETE, RE_CONFIG, FORWARD_TSN = 14, 130, 192

MAX_CHUNKS = 32
MAX_SACK_BLOCKS = 64
MAX_FORWARDED_STREAMS = 64

_COMMON_HEADER = 12
_CHUNK_HEADER = 4
_MINIMUM = {DATA: 12, INIT: 16, INIT_ACK: 16, SACK: 12, SHUTDOWN: 4, FORWARD_TSN: 4}
"""Bytes of a chunk's body at least."""
_PARAMETERS_FROM = {
    INIT: 16, INIT_ACK: 16, HEARTBEAT: 0, HEARTBEAT_ACK: 0, ABORT: 0, ERROR: 0, RE_CONFIG: 0,
}  # fmt: skip
"""Where the parameters of a chunk's body begin."""
_RE_CONFIG_MINIMUM = {13: 12, 14: 4, 15: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a re-configuration parameter's value at least (RFC 6525 section 4)."""
_OUTGOING_RESET = 13

_CHUNK = Struct("!BBH")
_PARAMETER = Struct("!HH")
_SACK = Struct("!LLHH")
_GAP = Struct("!HH")
_INIT = Struct("!LLHHL")


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """Where a chunk of a checked packet lies."""

    kind: int
    body: int
    """offset of the body in the packet"""
    end: int
    """offset behind the body, before padding"""


class SctpError(RemoteProtocolError):
    """The packet breaks a rule and must not be parsed; the message names the rule."""


def sctp_check(data: memoryview) -> list[ChunkRef]:
    """Check a packet and return its chunks.

    Raises:
        SctpError: refused.
    """
    size = len(data)
    if size < _COMMON_HEADER + _CHUNK_HEADER:
        raise SctpError("packet is too short")
    chunks: list[ChunkRef] = []
    position = _COMMON_HEADER
    while position < size:
        if len(chunks) == MAX_CHUNKS:
            raise SctpError("too many chunks")
        chunk, position = _chunk(data, position, size)
        chunks.append(chunk)
    _check_init_alone(data, chunks)
    return chunks


def _chunk(data: memoryview, position: int, size: int) -> tuple[ChunkRef, int]:
    if size - position < _CHUNK_HEADER:
        raise SctpError("a chunk without room for its header")
    kind, _, length = _CHUNK.unpack_from(data, position)
    if not _CHUNK_HEADER <= length <= size - position:
        raise SctpError("a chunk leaves the packet")
    body, end = position + _CHUNK_HEADER, position + length
    if end - body < _MINIMUM.get(kind, 0):
        raise SctpError("a chunk is shorter than its fields")
    if kind in _PARAMETERS_FROM:
        _check_parameters(data, kind, body + _PARAMETERS_FROM[kind], end)
    elif kind == SACK:
        _check_sack(data, body, end)
    elif kind == FORWARD_TSN:
        _check_forward_tsn(body, end)
    return ChunkRef(kind, body, end), end + (-length % 4)


def _check_parameters(data: memoryview, kind: int, position: int, end: int) -> None:
    while position < end:
        if end - position < 4:
            raise SctpError("a parameter without room for its header")
        parameter, length = _PARAMETER.unpack_from(data, position)
        if not 4 <= length <= end - position:
            raise SctpError("a parameter leaves its chunk")
        if kind == RE_CONFIG:
            _check_re_config(parameter, length - 4)
        position += length + (-length % 4)


def _check_re_config(parameter: int, size: int) -> None:
    if size < _RE_CONFIG_MINIMUM.get(parameter, 0):
        raise SctpError("a re-configuration is shorter than its fields")
    if parameter == _OUTGOING_RESET and size % 2:
        raise SctpError("a re-configuration with half a stream number")


def _check_sack(data: memoryview, body: int, end: int) -> None:
    _, _, gaps, duplicates = _SACK.unpack_from(data, body)
    if gaps > MAX_SACK_BLOCKS or duplicates > MAX_SACK_BLOCKS:
        raise SctpError("too many blocks in a SACK")
    if 12 + 4 * (gaps + duplicates) > end - body:
        raise SctpError("the blocks of a SACK leave it")
    former = 0
    for index in range(gaps):
        first, last = _GAP.unpack_from(data, body + 12 + 4 * index)
        if not former < first <= last:
            raise SctpError("the gap blocks of a SACK do not ascend")
        former = last


def _check_forward_tsn(body: int, end: int) -> None:
    if (end - body) % 4:
        raise SctpError("a FORWARD-TSN with half a stream")
    if (end - body) // 4 - 1 > MAX_FORWARDED_STREAMS:
        raise SctpError("a FORWARD-TSN with too many streams")


def _check_init_alone(data: memoryview, chunks: list[ChunkRef]) -> None:
    """RFC 9260 section 3.3.2: alone in its packet, with tag 0; 3.3.2 and 3.3.3: values not 0."""
    for chunk in chunks:
        if chunk.kind not in (INIT, INIT_ACK):
            continue
        if len(chunks) > 1:
            raise SctpError("INIT is not alone in its packet")
        if chunk.kind == INIT and any(data[4:8]):
            raise SctpError("INIT with a verification tag")
        tag, _, outgoing, incoming, _ = _INIT.unpack_from(data, chunk.body)
        if not (tag and outgoing and incoming):
            raise SctpError("INIT without a tag or without streams")


def highest_gap(data: memoryview, sack: ChunkRef) -> int:
    """Return how far beyond its cumulative TSN a checked SACK reaches, 0 without gap blocks."""
    gaps = _SACK.unpack_from(data, sack.body)[2]
    return _GAP.unpack_from(data, sack.body + 8 + 4 * gaps)[1] if gaps else 0
