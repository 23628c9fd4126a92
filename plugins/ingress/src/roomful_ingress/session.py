"""One publisher on its way through an ingress, from its accepted key to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from roomful.auth.grants import Grants
from roomful.errors import AlreadyExists, NotFound, ResourceExhausted
from roomful.limits import Lease, Refused
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.model.events import RoomInfo
from roomful.model.participant import Participant
from roomful.model.track import TrackInfo
from roomful.room.connection import Connection
from roomful.room.factories import JoinRequest
from roomful.room.session import RoomSession
from roomful_ingress.definition import Definition
from roomful_ingress.encoding import AudioOptions, LayerOptions, VideoOptions
from roomful_ingress.presets import AudioTarget, VideoTarget, audio_target, fitted, video_target
from roomful_ingress.state import AudioState, State, VideoState, ended, publishing

if TYPE_CHECKING:
    from roomful.server import RoomServer


class Publisher(Protocol):
    """The far side of a session, as its input knows it."""

    def last_media_at(self) -> float:
        """Return when media came last, monotonic seconds; before the first: when it connected."""
        ...

    async def stop(self, reason: str) -> None:
        """Tell the client why and let go of it; the participant has left already. Within 2 s."""
        ...


class SessionHost(Protocol):
    """Where sessions are kept."""

    server: RoomServer

    @property
    def takes_over(self) -> bool:
        """Whether the newest of two publishers, or participants of one identity, wins."""
        ...

    async def changed(self, session: Session, event: str = "") -> None:
        """Keep the session's state; `event`: webhook to send."""
        ...

    def over(self, session: Session) -> None:
        """Forget it."""
        ...


class Session:
    """What an input holds for one publisher. `end` is called exactly once by whoever is first."""

    def __init__(
        self, host: SessionHost, definition: Definition, state: State, publisher: Publisher,
        lease: Lease,
    ) -> None:  # fmt: skip
        self._host = host
        self._publisher = publisher
        self._lease = lease
        self._room: RoomSession | None = None
        self._participant: Participant | None = None
        self._ended = False
        self.definition = definition
        self.state = state
        self.room_info: RoomInfo | None = None
        """of the room it joined, as last seen"""
        self.started = False
        """whether `ingress_started` was told"""

    # --- what inputs read --------------------------------------------------------------------

    @property
    def ingress_id(self) -> str:
        return self.definition.ingress_id

    @property
    def resource_id(self) -> str:
        """New for each session."""
        return self.state.resource_id

    @property
    def video(self) -> VideoOptions:
        """Name and source of the video track, and the encoding that was asked for."""
        return self.definition.video or VideoOptions()

    @property
    def audio(self) -> AudioOptions:
        """Name and source of the audio track, and the encoding that was asked for."""
        return self.definition.audio or AudioOptions()

    @property
    def may_transcode(self) -> bool | None:
        """What the definition says of transcoding; None: nothing."""
        return self.definition.enable_transcoding

    @property
    def video_target(self) -> VideoTarget:
        """How video is encoded where it must be."""
        return video_target(self.definition.video)

    @property
    def audio_target(self) -> AudioTarget:
        """How audio is encoded where it must be."""
        return audio_target(self.definition.audio)

    def video_layers(self, width: int, height: int) -> tuple[LayerOptions, ...]:
        """Fit a source of this size into the layers that are wanted, lowest first."""
        return fitted(self.video_target.layers, width, height)

    def admit(self, cores: float) -> Lease:
        """Set cores aside for encoding; the caller releases them, or gives them to a job.

        Raises:
            ResourceExhausted: none are free.
        """
        lease = self._host.server.limits.admit("ingress", cores, self.definition.room_name)
        if isinstance(lease, Refused):
            raise ResourceExhausted(f"server busy: {lease.error().message}")
        return lease

    @property
    def is_over(self) -> bool:
        return self._ended

    @property
    def publisher(self) -> Publisher:
        return self._publisher

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """What it has in the room now."""
        there = self._participant
        return tuple(p.info for p in there.publications.values()) if there else ()

    # --- what inputs say ---------------------------------------------------------------------

    async def join(self, transport: str, context: object) -> Connection:
        """Enter the definition's room as a participant of kind INGRESS, by `server.join`.

        Raises:
            AlreadyExists: somebody else has this identity there.
            RequestError: whatever refuses participants.
        """
        server, definition = self._host.server, self.definition
        identity, room = definition.participant_identity, definition.room_name
        there = server.rooms.find(room)
        if there is not None and identity in there.room.participants and not self._host.takes_over:
            raise AlreadyExists("the participant's identity is in the room by another way")
        connection = await server.join(
            JoinRequest(
                transport=transport,
                room=room,
                identity=identity,
                grants=Grants.internal(
                    issuer="ingress", kind=ParticipantKind.INGRESS, room=room, identity=identity
                ),
                name=definition.participant_name,
                metadata=definition.participant_metadata,
                attributes={
                    "ingress.ingressID": self.ingress_id,
                    "ingress.resourceID": self.resource_id,
                },
                auto_subscribe=False,
                context=context,
            )
        )
        self._room = server.rooms.find(room)
        if self._room is None or self._ended:
            await self._leave("")
            raise NotFound("the session ended while it joined")
        self._participant = self._room.participant(identity)
        self.room_info = self._room.info
        return connection

    async def publishing(self) -> None:
        """Say that the first track is in the room. Idempotent."""
        if self._ended or self.started or self._room is None:
            return
        self.started = True
        self.room_info = self._room.info
        self.state = publishing(self.state, self._room.room.sid, self._now_ns())
        await self._host.changed(self, "ingress_started")

    def note_video(
        self, mime_type: str = "", width: int = 0, height: int = 0, framerate: float = 0.0,
        bitrate: int = 0,
    ) -> None:  # fmt: skip
        """Say what video comes in; what is 0 or empty stays as it was. Bit/s, pictures a second."""
        was = self.state.video or VideoState()
        self._note(
            video=VideoState(
                mime_type or was.mime_type, bitrate or was.average_bitrate, width or was.width,
                height or was.height, framerate or was.framerate,
            )
        )  # fmt: skip

    def note_audio(
        self, mime_type: str = "", channels: int = 0, sample_rate: int = 0, bitrate: int = 0
    ) -> None:
        """Say what audio comes in; what is 0 or empty stays as it was."""
        was = self.state.audio or AudioState()
        self._note(
            audio=AudioState(
                mime_type or was.mime_type, bitrate or was.average_bitrate,
                channels or was.channels, sample_rate or was.sample_rate,
            )
        )  # fmt: skip

    async def end(self, error: str = "") -> None:
        """End it: the participant leaves, the state becomes INACTIVE, or ERROR with a text.

        Does nothing where it is over. The publisher is not told: whoever ends it does that.
        """
        if self._ended:
            return
        self._ended = True
        self._lease.release()
        if self._room is not None:
            self.room_info = self._room.info
        try:
            await self._leave(error)
        finally:
            self.state = ended(self.state, error, self._now_ns())
            self._host.over(self)
            await self._host.changed(self, "ingress_ended" if self.started else "")

    # --- what the API says -------------------------------------------------------------------

    async def stop(self, reason: str, error: str = "") -> None:
        """End it from this side: the participant leaves, the client is told."""
        await self.end(error)
        await self._publisher.stop(reason)

    def redefine(self, definition: Definition) -> None:
        """Take a changed definition: names count at once, the rest from the next session on."""
        was, self.definition = self.definition, replace(
            definition, audio=self.definition.audio, video=self.definition.video,
            room_name=self.definition.room_name,
            participant_identity=self.definition.participant_identity,
            enable_transcoding=self.definition.enable_transcoding,
        )  # fmt: skip
        new = self.definition
        there = self._participant
        if self._room is None or there is None or not self._room.is_live(there):
            return
        self._room.update_participant(
            there.identity,
            name=_changed(was.participant_name, new.participant_name),
            metadata=_changed(was.participant_metadata, new.participant_metadata),
        )

    # --- inside ------------------------------------------------------------------------------

    async def _leave(self, error: str) -> None:
        room, there = self._room, self._participant
        if room is not None and there is not None and room.is_live(there):
            reason = DisconnectReason.MEDIA_FAILURE if error else DisconnectReason.CLIENT_INITIATED
            await room.remove(there.identity, reason)

    def _note(self, *, video: VideoState | None = None, audio: AudioState | None = None) -> None:
        if not self._ended:
            self.state = replace(
                self.state,
                video=video or self.state.video,
                audio=audio or self.state.audio,
                updated_at_ns=self._now_ns(),
            )

    def _now_ns(self) -> int:
        return self._host.server.clock.wall_ms() * 1_000_000


def _changed(was: str, new: str) -> str | None:
    return new if new != was else None
