"""SCTP packets, right and wrong (RFC 9260, 3758, 6525, 8832), with a correct checksum."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from google_crc32c import value as crc32c

DATA, INIT, SACK, HEARTBEAT, ERROR, COOKIE_ECHO = 0, 1, 3, 4, 9, 10
SHUTDOWN, RE_CONFIG, FORWARD_TSN = 7, 130, 192
BEGIN, END, UNORDERED = 2, 1, 4
DCEP, BINARY = 50, 53
LIMIT = 1 << 32
UNUSED = 40
"""a stream without a channel"""


def packet(tag: int, *chunks: bytes) -> bytes:
    """A packet of these chunks."""
    head, body = struct.pack("!HHL", 5000, 5000, tag), b"".join(chunks)
    return head + struct.pack("<L", crc32c(head + bytes(4) + body)) + body


def chunk(kind: int, body: bytes = b"", flags: int = 0, length: int | None = None) -> bytes:
    """A chunk, padded; `length` instead of the true one."""
    size = 4 + len(body) if length is None else length
    return struct.pack("!BBH", kind, flags, size) + body + bytes(-len(body) % 4)


def data(
    tsn: int,
    payload: bytes = b"x",
    *,
    stream: int = UNUSED,
    sequence: int = 0,
    kind: int = BINARY,
    flags: int = BEGIN | END,
) -> bytes:
    """A DATA chunk."""
    return chunk(DATA, struct.pack("!LHHL", tsn % LIMIT, stream, sequence, kind) + payload, flags)


def sack(cumulative: int, gaps: Sequence[tuple[int, int]] = (), duplicates: int = 0) -> bytes:
    """A SACK chunk."""
    body = struct.pack("!LLHH", cumulative % LIMIT, 1 << 17, len(gaps), duplicates)
    body += b"".join(struct.pack("!HH", *gap) for gap in gaps) + bytes(4 * duplicates)
    return chunk(SACK, body)


def opening(label: bytes, *, size: int | None = None, kind: int = 0) -> bytes:
    """A DATA_CHANNEL_OPEN message."""
    return struct.pack("!BBHLHH", 3, kind, 0, 0, len(label) if size is None else size, 0) + label


def init(parameters: bytes = b"", *, tag: int = 9) -> bytes:
    """An INIT chunk."""
    return chunk(INIT, struct.pack("!LLHHL", tag, 1 << 17, 9, 9, 9) + parameters)


def refused(tag: int, heard: int) -> dict[str, bytes]:
    """Packets that break one rule each; `heard` is the last TSN of the server."""
    half = struct.pack("!HH", 0x8000, 3)
    return {
        "a parameter of length 0": packet(0, init(bytes(4))),
        "a parameter of length 3": packet(0, init(half + bytes(4))),
        "a parameter beyond its chunk": packet(0, init(struct.pack("!HH", 0x8000, 900))),
        "a parameter of length 0 in a HEARTBEAT": packet(tag, chunk(HEARTBEAT, bytes(8))),
        "a parameter of length 0 in a RE-CONFIG": packet(tag, chunk(RE_CONFIG, bytes(8))),
        "INIT beside another chunk": packet(0, init(), chunk(HEARTBEAT, b"\x00\x01\x00\x08abcd")),
        "INIT with a tag": packet(tag, init()),
        "INIT without streams": packet(0, chunk(INIT, struct.pack("!LLHHL", 9, 9, 0, 0, 9))),
        "a chunk of length 0": packet(tag, chunk(ERROR, length=0)),
        "a chunk of length 3": packet(tag, chunk(ERROR, length=3)),
        "a chunk beyond the packet": packet(tag, chunk(DATA, bytes(12), length=60_000)),
        "DATA of 11 bytes": packet(tag, chunk(DATA, bytes(11))),
        "INIT of 15 bytes": packet(0, chunk(INIT, bytes(15))),
        "SACK of 11 bytes": packet(tag, chunk(SACK, bytes(11))),
        "SHUTDOWN of 3 bytes": packet(tag, chunk(SHUTDOWN, bytes(3))),
        "FORWARD-TSN with half a stream": packet(tag, chunk(FORWARD_TSN, bytes(6))),
        "FORWARD-TSN with 65 streams": packet(tag, chunk(FORWARD_TSN, bytes(4 + 4 * 65))),
        "SACK with 65 gaps": packet(tag, sack(0, [(2 * n + 2, 2 * n + 2) for n in range(65)])),
        "SACK with descending gaps": packet(tag, sack(0, [(9, 10), (3, 4)])),
        "SACK with a backward gap": packet(tag, sack(0, [(9, 2)])),
        "SACK with gaps that leave it": packet(
            tag, chunk(SACK, struct.pack("!LLHH", 0, 9, 60, 0) + bytes(8))
        ),
        "SACK with 65 duplicates": packet(tag, sack(0, duplicates=65)),
        "SACK of what was not sent": packet(tag, sack(heard + 1000)),
        "an outgoing reset of 11 bytes": packet(
            tag, chunk(RE_CONFIG, struct.pack("!HH", 13, 15) + bytes(12))
        ),
        "a reset with half a stream": packet(
            tag, chunk(RE_CONFIG, struct.pack("!HH", 13, 17) + bytes(16))
        ),
        "33 chunks": packet(tag, *[chunk(ERROR)] * 33),
        "12 bytes": struct.pack("!HHLL", 5000, 5000, tag, 0),
    }
