"""How a participant of one transport comes to be: the protocols that a transport plugin offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from roomful.auth.grants import Grants
from roomful.errors import ConfigError, Unimplemented
from roomful.model.enums import ParticipantKind
from roomful.model.events import RoomOptions
from roomful.model.participant import Participant
from roomful.room.connection import Connection
from roomful.room.session import RoomSession

EXTRA_OF_TRANSPORT = {
    "webrtc": "webrtc", "whip": "whip", "rtmp": "rtmp-in", "sip": "sip", "egress": "file",
}
"""transport → the extra of the `roomful` distribution that brings it"""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What somebody who wants into a room says; the same for every transport."""

    transport: str
    room: str
    identity: str
    grants: Grants
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    options: RoomOptions | None = None
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    client_protocol: int = 0
    capabilities: tuple[int, ...] = ()
    context: object = None
    """the transport's own"""


class ParticipantFactory(Protocol):
    """Makes the connections of one transport; offered by the hook `participant_factories`."""

    transport: str
    kinds: frozenset[ParticipantKind]

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> Connection:
        """Connect a participant that is in the room as JOINING.

        Must call `session.activate` once its media can flow, and `session.remove` when it is gone.
        """
        ...


class Factories:
    """The factories of a server, one per transport."""

    def __init__(self) -> None:
        self._factories: dict[str, tuple[ParticipantFactory, str]] = {}

    def register(self, factory: ParticipantFactory, plugin: str) -> None:
        """Raises `ConfigError` naming both plugins when the transport is taken."""
        if there := self._factories.get(factory.transport):
            raise ConfigError(
                f"transport {factory.transport!r} is offered by both {there[1]!r} and {plugin!r}; "
                f"disable one of them in [plugins] disabled"
            )
        self._factories[factory.transport] = (factory, plugin)

    def unregister(self, transport: str) -> None:
        """From now on this transport refuses."""
        self._factories.pop(transport, None)

    def __bool__(self) -> bool:
        return bool(self._factories)

    def of(self, transport: str, kind: ParticipantKind) -> ParticipantFactory:
        """Raises `Unimplemented` naming the extra that would bring the transport."""
        there = self._factories.get(transport)
        if there is None:
            extra = EXTRA_OF_TRANSPORT.get(transport, transport)
            raise Unimplemented(
                f"no transport {transport!r} here: install roomful[{extra}] and enable its plugin"
            )
        if kind not in there[0].kinds:
            raise Unimplemented(f"transport {transport!r} makes no {kind.name} participants")
        return there[0]
