"""Data packets of one client, both ways (`livekit-wire.md` 8).

A client that sends more than its budget, or whose packets go to more readers than the server has
time for, is slowed down: what is lossy is dropped, and of what is reliable nothing more is taken
until the time is worked off. Nothing reliable that was taken is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from roomful.api.data_packet import message_from_client
from roomful.errors import RemoteProtocolError, RequestError
from roomful.model.events import DataMessage
from roomful.model.participant import Participant
from roomful.room.session import RoomSession
from roomful_rtc.peer import WirePeer
from roomful_webrtc.fan_out import Budget

if TYPE_CHECKING:
    from roomful_webrtc.services import Services

log = logging.getLogger(__name__)

RELIABLE, LOSSY = "_reliable", "_lossy"
WAITING = 16
"""packets of one client that wait to be relayed until nothing more is taken of it"""


class DataChannels:
    """Takes what the client sends within its budget, sends it what the room relays."""

    def __init__(
        self,
        session: RoomSession,
        participant: Participant,
        upstream: WirePeer,
        downstream: WirePeer,
        services: Services,
    ) -> None:
        self._session, self._participant = session, participant
        self._downstream = downstream
        self._clock, self._fan_out = services.clock, services.fan_out
        limits = services.server.settings.limits
        self._messages = Budget(limits.data_messages_per_s, 2 * limits.data_messages_per_s)
        self._bytes = Budget(limits.data_bytes_per_s, 2 * limits.data_bytes_per_s)
        self._held_until = self._joined_at = self._clock.monotonic()
        self._waiting = 0
        self._open = False
        self.last_sequence = 0
        """number of the last reliable packet taken; a resuming client sends what follows it"""
        self.refused = 0
        upstream.transport.hold_data(self._holds)

    def _holds(self) -> bool:
        """Whether nothing more is taken now."""
        return self._waiting >= WAITING or self._clock.monotonic() < self._held_until

    def receive(self, label: str, data: bytes) -> None:
        """Relay one packet of the client. Raises `RemoteProtocolError` for one that is none."""
        if label not in (RELIABLE, LOSSY):
            return
        reliable, now = label == RELIABLE, self._clock.monotonic()
        if not reliable and (self._waiting >= WAITING or self._debt_s(now)):
            self.refused += 1
            return
        self._messages.take(1)
        self._bytes.take(len(data))
        message = self._checked(data, reliable=reliable)
        if message is not None and not self._seen(message):
            self._waiting += 1
            self._fan_out.relay(self._session, message, self._relayed)
        self._held_until = now + self._debt_s(now)

    def _relayed(self) -> None:
        self._waiting -= 1

    def _debt_s(self, now: float) -> float:
        return max(
            self._messages.debt_s(now),
            self._bytes.debt_s(now),
            self._fan_out.debt_s(self._session, now),
        )

    def _checked(self, data: bytes, *, reliable: bool) -> DataMessage | None:
        """Return what to relay, None for nothing."""
        if not self._participant.permission.can_publish_data:
            self.refused += 1
            return None
        try:
            return message_from_client(data, self._participant, reliable=reliable)
        except RemoteProtocolError:
            raise
        except RequestError as error:
            self.refused += 1
            log.debug("data packet refused", extra={"problem": error.message})
            return None

    def _seen(self, message: DataMessage) -> bool:
        """Whether a reliable packet came before (a resuming client repeats what it is unsure of)."""
        if not message.sequence:
            return False
        if message.sequence <= self.last_sequence:
            return True
        self.last_sequence = message.sequence
        return False

    def send(self, message: DataMessage) -> None:
        """Send a relayed packet; before the channel opens, `opened` makes up for reliable ones."""
        self._downstream.send_message(RELIABLE if message.reliable else LOSSY, message.payload)

    def opened(self, label: str) -> None:
        """A channel opened: send the reliable packets that were relayed since the join."""
        if label == RELIABLE and not self._open:
            self._open = True
            self._replay({}, self._joined_at)

    def replay(self, seen: Mapping[str, int]) -> None:
        """Send again what a resumed client has not seen: sender SID → last number received."""
        self._replay(seen, 0.0)

    def _replay(self, seen: Mapping[str, int], since: float) -> None:
        now = self._clock.monotonic()
        identity = self._participant.identity
        for message in self._session.reliable.since(identity, seen, now, since):
            self.send(message)
