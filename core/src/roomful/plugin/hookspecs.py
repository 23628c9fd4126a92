"""All hooks of the core.

An implementation may take fewer arguments than listed, by name. Which kind a hook is, and what its
failure means: `roomful.plugin.markers`. No hook runs per packet, frame, report or data message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from roomful.plugin.markers import check, choose, life, notify, offer, offer_one, prepare

if TYPE_CHECKING:
    from aiohttp.web import AbstractRouteDef

    from roomful.api.service import RpcService
    from roomful.auth.grants import Grants
    from roomful.bus import MessageBus
    from roomful.model.enums import ParticipantKind
    from roomful.model.events import LifeCycleEvent, RoomOptions
    from roomful.model.media import MediaPlane
    from roomful.plugin.service import Denied, HealthCheck, Service, Subparsers
    from roomful.room.factories import ParticipantFactory
    from roomful.server import Server
    from roomful.store import Store


@offer
def hookspecs() -> Iterable[ModuleType]:
    """Offer modules with hook specifications that this plugin adds for others.

    Offer. Called right after registration, before any other hook. Added in 1.0.
    """
    raise NotImplementedError


@offer
def commands(subparsers: Subparsers) -> None:
    """Add commands to the command line.

    Offer. Called while the command line is built, without a server. Set `run` on the parser:
    `parser.set_defaults(run=function)`, `function(namespace) -> int` (exit code). List the
    command in the entry-point group `roomful.commands`, or nobody will ask for it. Added in 1.0.
    """
    raise NotImplementedError


@offer_one
def store(server: Server) -> Store | None:
    """Offer where state that outlives the process is kept.

    Offer; the first answer that is not None counts, else SQLite in `data_dir`. Added in 1.0.
    """
    raise NotImplementedError


@offer_one
def message_bus(server: Server) -> MessageBus | None:
    """Offer the bus between nodes.

    Offer; the first answer that is not None counts, else one in memory. Added in 1.0.
    """
    raise NotImplementedError


@offer_one
def media_plane(server: Server) -> MediaPlane | None:
    """Offer the media plane: the UDP port, the engine and the workers that transports share.

    Offer; two plugins that answer are an error naming both. Added in 1.0.
    """
    raise NotImplementedError


@offer
def participant_factories(server: Server) -> Iterable[ParticipantFactory]:
    """Offer what makes the connections of participants, one for each transport.

    Offer. Two for one transport are an error naming both distributions. Added in 1.0.
    """
    raise NotImplementedError


@offer
def services(server: Server) -> Iterable[Service]:
    """Offer listeners and loops; the core runs and supervises them.

    Offer. They run after `startup`, until before `shutdown`. Added in 1.0.
    """
    raise NotImplementedError


@offer
def routes(server: Server) -> Iterable[AbstractRouteDef]:
    """Offer routes of the HTTP port (aiohttp route definitions).

    Offer. Added in 1.0.
    """
    raise NotImplementedError


@offer
def rpc_services(server: Server) -> Iterable[RpcService]:
    """Offer Twirp services; the core does authentication, encoding and the error table.

    Offer. Two of one name are an error naming both distributions. Added in 1.0.
    """
    raise NotImplementedError


@offer
def health_checks(server: Server) -> Iterable[HealthCheck]:
    """Offer checks that `GET /` asks.

    Offer. Added in 1.0.
    """
    raise NotImplementedError


@life
def startup(server: Server) -> Awaitable[None] | None:
    """Get ready: called once, plugin by plugin in the order of names, before the first listener.

    Life; may be async; time limit 30 s. An error stops the start, or skips the plugin where
    `plugins.on_error` says so. Added in 1.0.
    """
    raise NotImplementedError


@life
def shutdown(server: Server) -> Awaitable[None] | None:
    """Clean up: called once after the last listener closed, in the reverse order of names.

    Life; may be async; time limit 10 s. An error is logged. Added in 1.0.
    """
    raise NotImplementedError


@choose
def find_api_secret(key: str) -> Awaitable[str | None] | str | None:
    """Find the secret of an API key that the settings do not hold.

    Decide, first answer; may be async; time limit 5 s. No answer refuses the token. Added in 1.0.
    """
    raise NotImplementedError


@check
def check_join(
    room: str, grants: Grants, kind: ParticipantKind
) -> Awaitable[Denied | None] | Denied | None:
    """Refuse a participant of any kind before it enters room `room`.

    Decide, all are asked; may be async; time limit 5 s. One `Denied` is enough; an error refuses.
    Added in 1.0.
    """
    raise NotImplementedError


@prepare
def prepare_room(server: Server, room: str, options: RoomOptions) -> Awaitable[None] | None:
    """Set up what the options of a new room ask for, before `RoomStarted`.

    Decide, all are asked; may be async; time limit 10 s. Raise a `RequestError` to refuse the room;
    any other error refuses it as unavailable. Added in 1.0.
    """
    raise NotImplementedError


@choose
def choose_node(room: str, nodes: tuple[str, ...]) -> Awaitable[str | None] | str | None:
    """Choose the node that shall own a new room, out of `nodes`.

    Decide, first answer; may be async; time limit 5 s. Asked only where there are several nodes.
    Added in 1.0.
    """
    raise NotImplementedError


@choose
def choose_room_options(
    name: str, grants: Grants
) -> Awaitable[RoomOptions | None] | RoomOptions | None:
    """Choose the options of a room that a join makes.

    Decide, first answer; may be async; time limit 5 s. No answer: the token's, then the settings'.
    Added in 1.0.
    """
    raise NotImplementedError


@notify
def on_event(event: LifeCycleEvent) -> Awaitable[None] | None:
    """Hear what happened: rooms, participants, tracks, and the events plugins add.

    Notify; may be async; time limit 30 s an event. Events of one server come in order, through
    this plugin's own queue of 1024; a full queue drops the newest and counts it. What must not be
    lost is read from `server.events` by a cursor instead. Added in 1.0.
    """
    raise NotImplementedError
