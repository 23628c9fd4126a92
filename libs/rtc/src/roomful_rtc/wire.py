"""The datagrams of one peer, as aiortc's DTLS wants them: a bounded way in, whole records out."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

WAITING_BEFORE_KEYS, WAITING = 8, 64
DATAGRAM_BYTES = 1200
"""Size to which flights are cut; fits any path of RFC 8200's minimum MTU."""

_RECORD_HEADER = 13


class Wire:
    """What `RTCDtlsTransport` knows of ICE: a role, a state, and datagrams in and out.

    Datagrams in wait in a bounded queue, of which the oldest is dropped.
    """

    role = "controlled"
    state = "completed"

    def __init__(self, write: Callable[[bytes], object], drops: Counter[str]) -> None:
        self._write, self._drops = write, drops
        self._waiting: deque[bytes] = deque()
        """bounded by `limit`"""
        self._ready: asyncio.Future[None] | None = None
        self._closed = False
        self.limit = WAITING_BEFORE_KEYS

    def feed(self, datagram: bytes) -> None:
        """Take a datagram of the peer in."""
        if self._closed or not datagram:
            return
        while len(self._waiting) >= self.limit:
            self._waiting.popleft()
            self._drops["dtls_queue"] += 1
        self._waiting.append(datagram)
        self._wake()

    def close(self) -> None:
        """End the reader with `ConnectionError`."""
        self._closed = True
        self._waiting.clear()
        self._wake()

    def _wake(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def wait(self) -> None:
        """Return when a datagram waits."""
        while not self._waiting:
            if self._closed:
                raise ConnectionError("closed")
            self._ready = asyncio.get_running_loop().create_future()
            try:
                await self._ready
            finally:
                self._ready = None

    def take(self) -> bytes:
        """Take the datagram that `wait` announced."""
        if not self._waiting:
            raise ConnectionError("closed")
        return self._waiting.popleft()

    async def _recv(self) -> bytes:
        await self.wait()
        return self.take()

    def send(self, data: bytes) -> None:
        """Send a datagram, unless closed."""
        if not self._closed:
            self._write(data)

    async def _send(self, data: bytes) -> None:
        self.send(data)


def datagrams(records: bytes, limit: int = DATAGRAM_BYTES) -> list[bytes]:
    """Cut concatenated DTLS records into datagrams of whole records, filled up to the limit."""
    cut: list[bytes] = []
    start = position = 0
    while position < len(records):
        length = int.from_bytes(records[position + 11 : position + 13], "big")
        end = position + _RECORD_HEADER + length
        if end - start > limit and position > start:
            cut.append(records[start:position])
            start = position
        position = end
    if start < len(records):
        cut.append(records[start:])
    return cut
