"""Session descriptions of clients, parsed before anybody acts on them.

A short one is parsed at once. A long one takes tens of milliseconds, so it is parsed in a thread,
one at a time: meanwhile the loop goes on with everybody's media.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from livekit.protocol import rtc

from roomful_rtc.sdp import SessionDescription

LONG = 32 << 10
"""characters"""


@dataclass(frozen=True, slots=True)
class Description:
    """An offer or an answer; `id` is what its answer repeats."""

    id: int
    session: SessionDescription


class DescriptionReader:
    """Reads for all clients of a server."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def read(self, message: rtc.SessionDescription) -> Description:
        """Parse. Raises `RemoteProtocolError`."""
        if len(message.sdp) <= LONG:
            return Description(message.id, SessionDescription.parse(message.sdp))
        async with self._turn:
            session = await asyncio.to_thread(SessionDescription.parse, message.sdp)
        return Description(message.id, session)
