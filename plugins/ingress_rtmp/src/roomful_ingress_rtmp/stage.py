"""What the tracks of one publisher share: its session, its place in the room, clocks, settings."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roomful.ids import new_sid
from roomful.model.enums import TrackKind, TrackSource
from roomful.model.track import TrackInfo
from roomful.room.local_connection import LocalConnection
from roomful_ingress_rtmp.clockwork import Clockwork
from roomful_ingress_rtmp.config import RtmpConfig
from roomful_ingress_rtmp.figures import Figures
from roomful_ingress_rtmp.messages import Work
from roomful_ingress_rtmp.tracks import Jobs, Offered, Owner, WorkerTrack

if TYPE_CHECKING:
    from roomful_ingress.session import Session

JOB_PREFIX = "TC_"


class Unsupported(Exception):
    """The stream cannot be taken: it ends with this reason."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Made when the publisher is in the room."""

    session: Session
    connection: LocalConnection
    jobs: Jobs
    times: Clockwork
    config: RtmpConfig
    figures: Figures
    owner: Owner
    spawn: Callable[[Coroutine[Any, Any, None]], None]

    @property
    def may_transcode_video(self) -> bool:
        """Whether settings and definition allow it."""
        return self.config.transcode != "never" and self.session.may_transcode is not False

    def info(self, kind: TrackKind, mime: str) -> TrackInfo:
        """A track as the definition names it."""
        audio = kind is TrackKind.AUDIO
        options = self.session.audio if audio else self.session.video
        usual = TrackSource.MICROPHONE if audio else TrackSource.CAMERA
        target = self.session.audio_target
        return TrackInfo(
            sid="", kind=kind, source=options.source or usual, name=options.name, mime_type=mime,
            stream="camera", stereo=audio and target.channels == 2,
            disable_dtx=audio and not target.dtx,
        )  # fmt: skip

    def work(
        self, offered: Offered, work: Work, configuration: tuple[str, bytes], cores: float
    ) -> WorkerTrack:
        """Let a media worker encode a track.

        Raises:
            ResourceExhausted: no CPU is free.
        """
        lease = self.session.admit(cores)
        track = WorkerTrack(self.connection, offered, work, self.owner, self.times)
        track.configure(*configuration)
        self.spawn(track.start(self.jobs, new_sid(JOB_PREFIX), lease))
        return track
