"""Messages on their way to one peer, within a budget of bytes; sans-IO.

Over the budget a lossy message is dropped. A reliable one is kept, up to a second bound at which
the peer must go, as it must when one has waited too long: it does not read.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from roomful.errors import RemoteProtocolError

SEND_BYTES = 1 << 20
SEND_BYTES_RELIABLE = 4 << 20
MESSAGE_OVERHEAD = 64
"""What a message counts beside its bytes, so that many tiny ones are bounded too."""
RELIABLE_WAITS_S = 10.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message."""

    channel: Any
    data: bytes
    reliable: bool
    since: float


class SendQueue:
    """First in, first out."""

    def __init__(self) -> None:
        self._messages: deque[Waiting] = deque()
        """bounded by the budget"""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def bytes(self) -> int:
        """What waits, overhead included."""
        return self._bytes

    def offer(self, message: Waiting, under_way: int) -> bool:
        """Take a message in, or drop it.

        Args:
            message: to be sent.
            under_way: bytes that were sent and are not acknowledged yet.

        Raises:
            RemoteProtocolError: too much waits that must not be lost.
        """
        cost = len(message.data) + MESSAGE_OVERHEAD
        total = self._bytes + under_way + cost
        if total > SEND_BYTES and not message.reliable:
            return False
        if total > SEND_BYTES_RELIABLE:
            raise RemoteProtocolError("the peer does not read, its buffer is full")
        self._messages.append(message)
        self._bytes += cost
        return True

    def pop(self) -> Waiting:
        """Take the oldest out."""
        message = self._messages.popleft()
        self._bytes -= len(message.data) + MESSAGE_OVERHEAD
        return message

    def check(self, now: float) -> None:
        """Look at the oldest reliable message.

        Raises:
            RemoteProtocolError: it waited too long.
        """
        oldest = next((message for message in self._messages if message.reliable), None)
        if oldest is not None and now - oldest.since > RELIABLE_WAITS_S:
            limit = f"{RELIABLE_WAITS_S:g} s"
            raise RemoteProtocolError(f"a message waited more than {limit} to be sent")

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
        self._bytes = 0
