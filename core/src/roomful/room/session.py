"""One live room: the state machine, its connections, its timers.

Every command runs the machine and then hands out the events it returned, in order: notices to
connections, life-cycle events to the log. A connection that raises ends its participant only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from roomful.clock import Clock
from roomful.errors import ResourceExhausted
from roomful.model.enums import ConnectionQuality, DisconnectReason, ParticipantState
from roomful.model.events import (
    DataMessage,
    DataReceived,
    Event,
    LifeCycleEvent,
    Notice,
    QualityChanged,
    RoomChanged,
    RoomInfo,
    SpeakersChanged,
)
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.model.room import Room
from roomful.model.speakers import SpeakerDetector
from roomful.model.subscription import TrackSettings
from roomful.model.track import Publication, TrackInfo
from roomful.room.connection import Connection
from roomful.room.reliable import ReliableLog

log = logging.getLogger(__name__)

JOIN_DEADLINE_S = 60.0
CLOSE_DEADLINE_S = 5.0
COUNT_UPDATE_S = 5.0
"""changes of the participant counts alone are told at most this often"""


class RoomSession:
    """Commands on one live room; all are called on the loop's thread."""

    def __init__(
        self,
        room: Room,
        clock: Clock,
        record: Callable[[LifeCycleEvent], None],
        on_vacant: Callable[[RoomSession], None],
    ) -> None:
        self.room = room
        self.clock = clock
        self.connections: dict[str, Connection] = {}
        self.taps: dict[str, Callable[[DataMessage], None]] = {}
        """identity → function that gets the messages addressed to it, instead of a participant"""
        self.reliable = ReliableLog()
        self.speakers = SpeakerDetector()
        self.seats = asyncio.Lock()
        """held while somebody is let in, so that two of one identity follow each other"""
        self.finished = False
        self._record = record
        self._on_vacant = on_vacant
        # bounded by what one command causes; drained before the command returns
        self._events: deque[Event] = deque()
        self._draining = False
        self._qualities: dict[str, tuple[ConnectionQuality, float]] = {}
        self._told: RoomInfo = room.info
        self._count_timer: asyncio.TimerHandle | None = None
        self._join_timers: dict[str, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self.room.name

    @property
    def info(self) -> RoomInfo:
        return self.room.info

    @property
    def counted(self) -> int:
        """Participants that count towards limits: all but recorders and agents."""
        return sum(1 for p in self.room.participants.values() if not p.is_dependent)

    def participant(self, identity: str) -> Participant:
        """Raises `NotFound`."""
        return self.room.participant(identity)

    # --- coming and going --------------------------------------------------------------------

    def enter(self, participant: Participant) -> None:
        """Put a participant in; called by the door only (`roomful.room.door`)."""
        limit = self.room.options.max_participants
        if limit and not participant.is_dependent and self.counted >= limit:
            raise ResourceExhausted(f"room {self.name!r} is full: max_participants is {limit}")
        self._hand_out(self.room.add(participant))
        sid, identity = participant.sid, participant.identity
        self._join_timers[sid] = asyncio.get_running_loop().call_later(
            JOIN_DEADLINE_S, self._end_if_not_active, identity, sid
        )

    def connect(self, identity: str, connection: Connection) -> None:
        """From now on notices for this participant go to `connection`."""
        self.connections[identity] = connection

    def joined(self, identity: str) -> None:
        """The participant was told it is in."""
        self._hand_out(self.room.joined(identity))

    def activate(self, identity: str) -> None:
        """The participant's media can flow."""
        participant = self.room.participant(identity)
        self._stop_join_timer(participant.sid)
        self._hand_out(self.room.activate(identity))

    def is_live(self, participant: Participant) -> bool:
        """Whether this very participant (not a later one of its identity) is in the room."""
        return self.room.participants.get(participant.identity) is participant

    async def remove(self, identity: str, reason: DisconnectReason) -> None:
        """Take a participant out and close its connection. Raises `NotFound`."""
        participant = self.room.participant(identity)
        connection = self.connections.pop(identity, None)
        self._stop_join_timer(participant.sid)
        self.speakers.forget(participant.sid)
        self._hand_out(self.room.remove(identity, reason))
        if not self.room.holds_open:
            self._on_vacant(self)
        if connection is not None:
            await self._close(participant, connection, reason)

    def remove_soon(self, participant: Participant, reason: DisconnectReason) -> None:
        """Like `remove`, from a place that cannot wait; does nothing when it is gone already."""
        if self.is_live(participant):
            task = asyncio.get_running_loop().create_task(
                self._remove_if_live(participant, reason)
            )
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def finish(self, reason: DisconnectReason) -> None:
        """End the room for everybody."""
        self.finished = True
        await asyncio.gather(
            *(self._remove_if_live(p, reason) for p in list(self.room.participants.values()))
        )
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_DEADLINE_S)
        if self._count_timer:
            self._count_timer.cancel()

    # --- publishing and subscribing ----------------------------------------------------------

    def publish(self, identity: str, publication: Publication) -> None:
        self._hand_out(self.room.publish(identity, publication))

    def unpublish(self, identity: str, track_sid: str) -> None:
        self._hand_out(self.room.unpublish(identity, track_sid))

    def update_track(
        self, identity: str, track_sid: str, change: Callable[[TrackInfo], TrackInfo]
    ) -> None:
        self._hand_out(self.room.update_track(identity, track_sid, change))

    def mute_own(self, identity: str, track_sid: str, muted: bool) -> None:
        """The publisher itself muted or unmuted."""
        self._hand_out(self.room.mute(identity, track_sid, muted))

    def mute(
        self, identity: str, track_sid: str, muted: bool, *, unmute_allowed: bool = False
    ) -> TrackInfo:
        """Mute (or, where allowed, unmute) somebody's track from outside."""
        self._hand_out(
            self.room.request_mute(identity, track_sid, muted, unmute_allowed=unmute_allowed)
        )
        return self.room.participant(identity).publications[track_sid].info

    def subscribe(self, identity: str, track_sids: Iterable[str], wanted: bool) -> None:
        self._hand_out(self.room.subscribe(identity, track_sids, wanted))

    update_subscriptions = subscribe

    def allow_subscribers(
        self, identity: str, everybody: bool, allowed: Mapping[str, frozenset[str] | None]
    ) -> None:
        self._hand_out(self.room.allow_subscribers(identity, everybody, allowed))

    def set_track_settings(self, identity: str, track_sid: str, settings: TrackSettings) -> None:
        self._hand_out(self.room.set_track_settings(identity, track_sid, settings))

    # --- what is said ------------------------------------------------------------------------

    def update_participant(
        self,
        identity: str,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permission: Permission | None = None,
    ) -> Participant:
        """Change what is given; an attribute with an empty value is deleted."""
        participant = self.room.participant(identity)
        events: list[Event] = []
        if name is not None or metadata is not None or attributes:
            events += self.room.update_participant(
                identity, name=name, metadata=metadata, attributes=attributes
            )
        if permission is not None:
            events += self.room.set_permission(identity, permission)
        self._hand_out(events)
        return participant

    def set_metadata(self, metadata: str) -> RoomInfo:
        self._hand_out(self.room.set_metadata(metadata))
        return self.room.info

    def relay(self, message: DataMessage) -> None:
        """Deliver a data message to those it is for; the sender never gets its own."""
        if message.reliable and message.sequence:
            self.reliable.append(message, self.clock.monotonic())
        for identity in message.destinations & self.taps.keys():
            self.taps[identity](message)
        targets = message.destinations or self.connections.keys()
        self._hand_out(
            DataReceived(message, to=identity)
            for identity in list(targets)
            if identity != message.sender_identity and identity in self.connections
        )

    def observe_level(self, participant_sid: str, dbov: int, share: float) -> None:
        """Note the loudness of one 100 ms window of a participant's audio."""
        self.speakers.observe(participant_sid, dbov, share)

    def tell_speakers(self) -> None:
        """Tell everybody whose speaking changed; called every 400 ms."""
        if changed := self.speakers.changes():
            self._hand_out([SpeakersChanged(changed)])

    def note_quality(self, participant_sid: str, quality: ConnectionQuality, score: float) -> None:
        """Note a reading of a participant's connection quality (score 1 to 5)."""
        self._qualities[participant_sid] = (quality, score)

    def tell_quality(self) -> None:
        """Tell everybody the readings since the last time; called every 5 s."""
        if self._qualities:
            qualities, self._qualities = self._qualities, {}
            self._hand_out([QualityChanged(qualities)])

    # --- inside ------------------------------------------------------------------------------

    def _hand_out(self, events: Iterable[Event]) -> None:
        self._events.extend(events)
        if self._draining:
            return  # a connection gave a command while being told: its events follow in order
        self._draining = True
        try:
            while self._events:
                self._tell(self._events.popleft())
        finally:
            self._draining = False

    def _tell(self, event: Event) -> None:
        if isinstance(event, LifeCycleEvent):
            self._record(event)
        elif isinstance(event, RoomChanged):
            self._tell_room(event)
        elif event.to:
            self._deliver(event.to, event)
        else:
            for identity in list(self.connections):
                self._deliver(identity, event)

    def _deliver(self, identity: str, notice: Notice) -> None:
        connection = self.connections.get(identity)
        if connection is None:
            return
        try:
            connection.deliver(notice)
        except Exception:  # one participant's failure is contained here
            log.exception("connection failed", extra={"pii_identity": identity})
            participant = self.room.participants.get(identity)
            if participant is not None:
                self.remove_soon(participant, DisconnectReason.UNKNOWN_REASON)

    def _tell_room(self, event: RoomChanged) -> None:
        now, before = event.room, self._told
        if (now.metadata, now.active_recording) != (before.metadata, before.active_recording):
            self._tell_room_now()
        elif self._count_timer is None:
            self._count_timer = asyncio.get_running_loop().call_later(
                COUNT_UPDATE_S, self._tell_room_now
            )

    def _tell_room_now(self) -> None:
        if self._count_timer:
            self._count_timer.cancel()
            self._count_timer = None
        info = self.room.info
        if info != self._told:
            self._told = info
            for identity in list(self.connections):
                self._deliver(identity, RoomChanged(info))

    def _stop_join_timer(self, sid: str) -> None:
        if timer := self._join_timers.pop(sid, None):
            timer.cancel()

    def _end_if_not_active(self, identity: str, sid: str) -> None:
        self._join_timers.pop(sid, None)
        participant = self.room.participants.get(identity)
        if (
            participant is not None
            and participant.sid == sid
            and participant.state is not ParticipantState.ACTIVE
        ):
            self.remove_soon(participant, DisconnectReason.JOIN_FAILURE)

    async def _remove_if_live(self, participant: Participant, reason: DisconnectReason) -> None:
        if self.is_live(participant):
            await self.remove(participant.identity, reason)

    @staticmethod
    async def _close(
        participant: Participant, connection: Connection, reason: DisconnectReason
    ) -> None:
        try:
            async with asyncio.timeout(CLOSE_DEADLINE_S):
                await connection.close(reason)
        except TimeoutError:
            log.warning("connection did not close in time", extra={"participant": participant.sid})
        except Exception:  # one participant's failure is contained here
            log.exception("connection failed to close", extra={"participant": participant.sid})
