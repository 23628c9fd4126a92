"""`livekit.RoomService`: rooms and participants from outside (`livekit-wire.md` 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models, room

from roomful.api.data_packet import message_from_api
from roomful.api.rpc import ServerRpc
from roomful.api.service import RpcMethod, RpcService
from roomful.api.texts import check_attributes, check_metadata, check_name, check_room_name
from roomful.api.wire import (
    options_from_wire,
    participant_to_wire,
    permission_from_wire,
    room_to_wire,
    track_to_wire,
)
from roomful.auth.check import check_attribute
from roomful.auth.grants import Grants
from roomful.errors import InvalidArgument, NotFound, Unimplemented
from roomful.model.enums import DisconnectReason
from roomful.room.session import RoomSession

if TYPE_CHECKING:
    from roomful.server import RoomServer


class RoomService:
    """Handlers, one a method; the token was checked before."""

    def __init__(self, server: RoomServer) -> None:
        self._server = server
        self._codecs = tuple(server.settings.room.enabled_codecs)
        self._rpc = ServerRpc()

    def service(self) -> RpcService:
        """All methods by name."""
        info = models.ParticipantInfo
        target = room.RoomParticipantIdentity
        return RpcService(
            "livekit.RoomService",
            {
                "CreateRoom": RpcMethod(
                    room.CreateRoomRequest,
                    models.Room,
                    "create_room",
                    self.create,
                    room=lambda request: request.name,
                ),
                "ListRooms": RpcMethod(
                    room.ListRoomsRequest, room.ListRoomsResponse, "list_rooms", self.list_rooms
                ),
                "DeleteRoom": RpcMethod(
                    room.DeleteRoomRequest, room.DeleteRoomResponse, "delete_room", self.delete
                ),
                "ListParticipants": RpcMethod(
                    room.ListParticipantsRequest,
                    room.ListParticipantsResponse,
                    "list_participants",
                    self.list_participants,
                ),
                "GetParticipant": RpcMethod(target, info, "get_participant", self.get_participant),
                "RemoveParticipant": RpcMethod(
                    target,
                    room.RemoveParticipantResponse,
                    "remove_participant",
                    self.remove_participant,
                ),
                "MutePublishedTrack": RpcMethod(
                    room.MuteRoomTrackRequest, room.MuteRoomTrackResponse, "mute_track", self.mute
                ),
                "UpdateParticipant": RpcMethod(
                    room.UpdateParticipantRequest,
                    info,
                    "update_participant",
                    self.update_participant,
                ),
                "UpdateSubscriptions": RpcMethod(
                    room.UpdateSubscriptionsRequest,
                    room.UpdateSubscriptionsResponse,
                    "update_subscriptions",
                    self.update_subscriptions,
                ),
                "SendData": RpcMethod(
                    room.SendDataRequest, room.SendDataResponse, "send_data_by_api", self.send_data
                ),
                "UpdateRoomMetadata": RpcMethod(
                    room.UpdateRoomMetadataRequest,
                    models.Room,
                    "update_room_metadata",
                    self.update_metadata,
                ),
                "PerformRpc": RpcMethod(
                    room.PerformRpcRequest,
                    room.PerformRpcResponse,
                    "perform_rpc",
                    self.perform_rpc,
                ),
                "ForwardParticipant": RpcMethod(
                    room.ForwardParticipantRequest,
                    room.ForwardParticipantResponse,
                    "forward_participant",
                    self.not_here,
                ),
                "MoveParticipant": RpcMethod(
                    room.MoveParticipantRequest,
                    room.MoveParticipantResponse,
                    "move_participant",
                    self.not_here,
                ),
            },
        )

    # --- rooms -------------------------------------------------------------------------------

    async def create(self, request: room.CreateRoomRequest, grants: Grants) -> models.Room:
        """Make a room; one that exists is returned as it is."""
        check_room_name(request.name)
        check_metadata(request.metadata)
        options = options_from_wire(request, self._server.rooms.defaults)
        session = await self._server.rooms.get_or_create(request.name, options)
        return room_to_wire(session.info, self._codecs)

    async def list_rooms(
        self, request: room.ListRoomsRequest, grants: Grants
    ) -> room.ListRoomsResponse:
        """All rooms, or those named."""
        names = set(request.names)
        return room.ListRoomsResponse(
            rooms=[
                room_to_wire(session.info, self._codecs)
                for session in self._server.rooms.sessions()
                if not names or session.name in names
            ]
        )

    async def delete(
        self, request: room.DeleteRoomRequest, grants: Grants
    ) -> room.DeleteRoomResponse:
        """End a room for everybody in it."""
        await self._server.rooms.delete(request.room)
        return room.DeleteRoomResponse()

    async def update_metadata(
        self, request: room.UpdateRoomMetadataRequest, grants: Grants
    ) -> models.Room:
        """Change a room's metadata; everybody in it is told."""
        check_metadata(request.metadata)
        return room_to_wire(
            self._session(request.room).set_metadata(request.metadata), self._codecs
        )

    # --- participants ------------------------------------------------------------------------

    async def list_participants(
        self, request: room.ListParticipantsRequest, grants: Grants
    ) -> room.ListParticipantsResponse:
        """Everybody in a room, hidden ones too; nobody in a room that does not exist."""
        session = self._server.rooms.find(request.room)
        there = session.room.participants.values() if session else ()
        return room.ListParticipantsResponse(
            participants=[participant_to_wire(participant.info) for participant in there]
        )

    async def get_participant(
        self, request: room.RoomParticipantIdentity, grants: Grants
    ) -> models.ParticipantInfo:
        session = self._of_participant(request.room)
        return participant_to_wire(session.participant(request.identity).info)

    async def remove_participant(
        self, request: room.RoomParticipantIdentity, grants: Grants
    ) -> room.RemoveParticipantResponse:
        """Send a participant away; its token stays good."""
        session = self._of_participant(request.room)
        await session.remove(request.identity, DisconnectReason.PARTICIPANT_REMOVED)
        return room.RemoveParticipantResponse()

    async def mute(
        self, request: room.MuteRoomTrackRequest, grants: Grants
    ) -> room.MuteRoomTrackResponse:
        session = self._of_participant(request.room)
        track = session.mute(
            request.identity,
            request.track_sid,
            request.muted,
            unmute_allowed=self._server.settings.room.remote_unmute,
        )
        return room.MuteRoomTrackResponse(track=track_to_wire(track))

    async def update_participant(
        self, request: room.UpdateParticipantRequest, grants: Grants
    ) -> models.ParticipantInfo:
        """Change what the request names: empty text means unchanged."""
        check_name(request.name)
        check_metadata(request.metadata)
        check_attributes(request.attributes)
        session = self._of_participant(request.room)
        participant = session.participant(request.identity)
        for name in request.attributes:
            check_attribute(participant.kind, name, from_token=True)
        check_attributes({**participant.attributes, **request.attributes})
        permission = None
        if request.HasField("permission"):
            permission = permission_from_wire(request.permission)
        session.update_participant(
            request.identity,
            name=request.name or None,
            metadata=request.metadata or None,
            attributes=dict(request.attributes),
            permission=permission,
        )
        return participant_to_wire(participant.info)

    async def update_subscriptions(
        self, request: room.UpdateSubscriptionsRequest, grants: Grants
    ) -> room.UpdateSubscriptionsResponse:
        session = self._of_participant(request.room)
        sids = [
            *request.track_sids,
            *(sid for tracks in request.participant_tracks for sid in tracks.track_sids),
        ]
        session.subscribe(request.identity, sids, request.subscribe)
        return room.UpdateSubscriptionsResponse()

    # --- data --------------------------------------------------------------------------------

    async def send_data(
        self, request: room.SendDataRequest, grants: Grants
    ) -> room.SendDataResponse:
        """Send a data packet that comes from nobody in the room."""
        session = self._session(request.room)
        session.relay(message_from_api(request, session.room.participants.values()))
        return room.SendDataResponse()

    async def perform_rpc(
        self, request: room.PerformRpcRequest, grants: Grants
    ) -> room.PerformRpcResponse:
        """Call a method that a participant registered, and wait for its answer."""
        if not request.destination_identity:
            raise InvalidArgument("destination identity is required")
        payload = await self._rpc.perform(
            self._of_participant(request.room),
            request.destination_identity,
            request.method,
            request.payload,
            request.response_timeout_ms / 1000,
        )
        return room.PerformRpcResponse(payload=payload)

    async def not_here(self, request: object, grants: Grants) -> models.Room:
        """Rooms are not joined with each other, participants not moved between them."""
        raise Unimplemented("forwarding and moving participants between rooms is not offered yet")

    # --- inside ------------------------------------------------------------------------------

    def _session(self, name: str) -> RoomSession:
        return self._server.rooms.of(name)

    def _of_participant(self, name: str) -> RoomSession:
        """The room of a participant that a request names: one that is not there has none."""
        session = self._server.rooms.find(name)
        if session is None:
            raise NotFound("participant does not exist")
        return session
