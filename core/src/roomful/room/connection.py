"""What the core tells the far side of one participant; every transport brings its own."""

from __future__ import annotations

from typing import Protocol

from roomful.model.enums import DisconnectReason
from roomful.model.events import Notice


class Connection(Protocol):
    """What the core tells the far side of one participant.

    `deliver` is called on the loop, in order, and must neither wait nor take long: a connection
    queues what it cannot send at once, within a bound. An exception ends this participant only.
    """

    def deliver(self, notice: Notice) -> None: ...

    async def close(self, reason: DisconnectReason) -> None:
        """Tell the far side and free everything; the participant is out of the room already."""
        ...
