"""How fast one client's requests are taken: a client that sends faster is read more slowly.

Nothing is refused for its rate: what a client sends too fast waits in its own socket, and behind
that in the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from roomful.token_bucket import TokenBucket

MESSAGES_PER_S, MESSAGE_BURST = 100, 300
BYTES_PER_S, BYTES_BURST = 1 << 20, 4 << 20
OFFERS_PER_S, OFFER_BURST = 10, 20
CHANGES_PER_S, CHANGE_BURST = 20, 40

CHANGES = frozenset(
    {"mute", "update_layers", "update_video_track", "update_audio_track", "update_metadata"}
)
"""requests whose outcome the whole room is told"""


class Pace:
    """One client's buckets."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: monotonic seconds."""
        self._now = now
        self._messages = TokenBucket(MESSAGES_PER_S, MESSAGE_BURST)
        self._bytes = TokenBucket(BYTES_PER_S, BYTES_BURST)
        self._offers = TokenBucket(OFFERS_PER_S, OFFER_BURST)
        self._changes = TokenBucket(CHANGES_PER_S, CHANGE_BURST)

    async def message(self, size: int) -> None:
        """Wait until a message of so many bytes may be parsed, and let others have their turn."""
        await asyncio.sleep(0)
        await self._wait(self._messages, 1, MESSAGES_PER_S)
        await self._wait(self._bytes, size, BYTES_PER_S)

    async def request(self, kind: str) -> None:
        """Wait until a request of this kind may be handled."""
        if kind == "offer":
            await self._wait(self._offers, 1, OFFERS_PER_S)
        elif kind in CHANGES:
            await self._wait(self._changes, 1, CHANGES_PER_S)

    async def _wait(self, bucket: TokenBucket, units: int, per_s: int) -> None:
        """Time fills a bucket, so there is no event to wait for."""
        while not bucket.take(self._now(), units):  # noqa: ASYNC110
            await asyncio.sleep(max(units / per_s, 0.01))
