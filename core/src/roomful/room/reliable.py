"""Reliable data packets of the last moments, kept for those who are joining or resuming."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from roomful.model.events import DataMessage

KEEP_S = 2.0
_MAX_BYTES = 4 << 20
_MAX_MESSAGES = 4096


class ReliableLog:
    """A room's reliable messages not older than `KEEP_S`, at most 4 MiB; the oldest leave first."""

    def __init__(self) -> None:
        self._messages: deque[tuple[float, DataMessage]] = deque(maxlen=_MAX_MESSAGES)
        self._bytes = 0

    def append(self, message: DataMessage, now: float) -> None:
        """Keep a message; `now` in monotonic seconds."""
        if len(self._messages) == _MAX_MESSAGES:
            self._drop_oldest()
        self._messages.append((now, message))
        self._bytes += len(message.payload)
        while self._messages and (
            self._bytes > _MAX_BYTES or now - self._messages[0][0] > KEEP_S
        ):
            self._drop_oldest()

    def since(
        self, identity: str, seen: Mapping[str, int], now: float, joined_at: float = 0.0
    ) -> Iterator[DataMessage]:
        """Messages for `identity` that it has not seen.

        `seen`: sender SID → last sequence received. `joined_at`: only messages from then on.
        """
        for at, message in self._messages:
            if now - at > KEEP_S or at < joined_at or message.sender_identity == identity:
                continue
            if message.destinations and identity not in message.destinations:
                continue
            if message.sequence > seen.get(message.sender_sid, 0):
                yield message

    def _drop_oldest(self) -> None:
        _, message = self._messages.popleft()
        self._bytes -= len(message.payload)
