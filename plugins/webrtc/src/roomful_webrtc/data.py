"""Data packets of one client, both ways (`livekit-wire.md` 8)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from roomful.api.data_packet import message_from_client
from roomful.errors import RemoteProtocolError, RequestError
from roomful.model.events import DataMessage
from roomful.model.participant import Participant
from roomful.room.session import RoomSession
from roomful.token_bucket import TokenBucket
from roomful_rtc.peer import WirePeer

if TYPE_CHECKING:
    from roomful_webrtc.services import Services

log = logging.getLogger(__name__)

RELIABLE, LOSSY = "_reliable", "_lossy"
MAX_PACKET = 65_535


class DataChannels:
    """Takes what the client sends within its budget, sends it what the room relays."""

    def __init__(
        self, session: RoomSession, participant: Participant, downstream: WirePeer,
        services: Services,
    ) -> None:
        self._session, self._participant = session, participant
        self._downstream = downstream
        self._clock = services.clock
        limits = services.server.settings.limits
        self._messages = TokenBucket(limits.data_messages_per_s, 2 * limits.data_messages_per_s)
        self._bytes = TokenBucket(limits.data_bytes_per_s, 2 * limits.data_bytes_per_s)
        self._joined_at = self._clock.monotonic()
        self._open = False
        self.last_sequence = 0
        """number of the last reliable packet taken; a resuming client sends what follows it"""
        self.refused = 0

    def receive(self, label: str, data: bytes) -> None:
        """Relay one packet of the client. Raises `RemoteProtocolError` for one that is none."""
        if label not in (RELIABLE, LOSSY):
            return
        now = self._clock.monotonic()
        if not (self._messages.take(now) and self._bytes.take(now, max(1, len(data)))):
            self.refused += 1
            return
        if not self._participant.permission.can_publish_data:
            self.refused += 1
            return
        try:
            message = message_from_client(data, self._participant, reliable=label == RELIABLE)
        except RemoteProtocolError:
            raise
        except RequestError as error:
            self.refused += 1
            log.debug("data packet refused", extra={"problem": error.message})
            return
        if message is None or self._seen(message):
            return
        self._session.relay(message)

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
