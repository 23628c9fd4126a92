"""Messages between the parts of a server, and later between servers: topics and bytes.

Delivery is at most once: whoever is not subscribed, or reads too slowly, misses messages. What must
not be lost is in the store or the event log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from types import TracebackType
from typing import Protocol

log = logging.getLogger(__name__)

WAITING_MESSAGES = 1024
"""of one subscription; the oldest go when there are more"""
MESSAGE_BYTES = 4 << 20


class Subscription(Protocol):
    """Messages of one topic, from now on: `async with bus.subscribe(t) as s: async for m in s`."""

    async def __aenter__(self) -> Subscription: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __aiter__(self) -> Subscription: ...

    async def __anext__(self) -> bytes: ...


class MessageBus(Protocol):
    """Offered by the hook `message_bus`; in memory where nobody offers one."""

    async def publish(self, topic: str, message: bytes) -> None:
        """Send to everybody subscribed to the topic. Raises `ValueError` above 4 MiB."""
        ...

    def subscribe(self, topic: str) -> Subscription: ...

    async def close(self) -> None:
        """End all subscriptions."""
        ...


class MemoryBus:
    """The bus of a server that is alone."""

    def __init__(self) -> None:
        self._topics: dict[str, set[_MemorySubscription]] = {}

    async def publish(self, topic: str, message: bytes) -> None:
        """Send to everybody subscribed to the topic."""
        if len(message) > MESSAGE_BYTES:
            raise ValueError(f"message of {len(message)} bytes exceeds {MESSAGE_BYTES}")
        for subscription in self._topics.get(topic, ()):
            subscription.put(message)

    def subscribe(self, topic: str) -> Subscription:
        """Return a subscription; it begins when it is entered."""
        return _MemorySubscription(self._topics, topic)

    async def close(self) -> None:
        """End all subscriptions."""
        for subscriptions in list(self._topics.values()):
            for subscription in list(subscriptions):
                subscription.end()


class _MemorySubscription:
    def __init__(self, topics: dict[str, set[_MemorySubscription]], topic: str) -> None:
        self._topics, self._topic = topics, topic
        self._messages: deque[bytes] = deque(maxlen=WAITING_MESSAGES)
        self._news = asyncio.Event()
        self._ended = False

    async def __aenter__(self) -> Subscription:
        self._topics.setdefault(self._topic, set()).add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._messages.popleft()

    def put(self, message: bytes) -> None:
        if len(self._messages) == WAITING_MESSAGES:
            log.warning("slow reader of the bus lost a message", extra={"topic": self._topic})
        self._messages.append(message)
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()
        others = self._topics.get(self._topic, set())
        others.discard(self)
        if not others:
            self._topics.pop(self._topic, None)
