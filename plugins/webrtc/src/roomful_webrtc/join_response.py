"""The first message to a client (`livekit-wire.md` 3.1), and what a resumed one gets."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from roomful.api.wire import participant_to_wire, room_to_wire
from roomful.model.participant import Participant
from roomful.room.session import RoomSession

if TYPE_CHECKING:
    from roomful_webrtc.client_join import ClientJoin
    from roomful_webrtc.services import Services

COMPATIBLE_VERSION = "1.9.12"
"""what clients compare with the versions of the server they were written for: RPC and text streams
need at least 1.8"""
PROTOCOL = 17
PING_INTERVAL_S, PING_TIMEOUT_S = 5, 15


def server_info(node_id: str) -> models.ServerInfo:
    """Who we are, in the incumbent's numbers; our own name and version are in `debug_info`."""
    return models.ServerInfo(
        edition=models.ServerInfo.Standard,
        version=COMPATIBLE_VERSION,
        protocol=PROTOCOL,
        node_id=node_id,
        debug_info=f"roomful {_version()}",
        agent_protocol=1,
    )


@cache
def _version() -> str:
    """Read from the disk once: it takes a millisecond, and every join tells it."""
    return version("roomful-webrtc")


def join_response(
    services: Services, session: RoomSession, participant: Participant, join: ClientJoin
) -> rtc.JoinResponse:
    """Everything a client needs to begin; hidden participants are left out."""
    others = (
        p
        for p in session.room.participants.values()
        if p is not participant and not p.permission.hidden
    )
    return rtc.JoinResponse(
        room=room_to_wire(session.info, services.codecs),
        participant=participant_to_wire(participant.info),
        other_participants=[participant_to_wire(other.info) for other in others],
        server_version=COMPATIBLE_VERSION,
        server_info=server_info(services.node_id),
        ice_servers=services.ice_servers(participant.identity),
        subscriber_primary=not join.single_pc and participant.permission.can_subscribe,
        fast_publish=True,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        sif_trailer=services.sif_trailer(session),
        enabled_publish_codecs=[models.Codec(mime=mime) for mime in services.codecs],
    )


def reconnect_response(
    services: Services, identity: str, last_message_seq: int
) -> rtc.ReconnectResponse:
    """What a resumed client gets first."""
    return rtc.ReconnectResponse(
        ice_servers=services.ice_servers(identity),
        server_info=server_info(services.node_id),
        last_message_seq=last_message_seq,
    )
