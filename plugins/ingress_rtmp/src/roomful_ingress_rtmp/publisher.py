"""One RTMP publisher: between its socket, its ingress session, and its participant.

Answers to `Publisher` of the session, to `LocalGuest` of the room, to `Owner` of its tracks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from roomful.clock import Clock
from roomful.errors import MediaError, RemoteProtocolError, RequestError
from roomful.model.enums import DisconnectReason
from roomful.model.events import Notice, TrackRemoved
from roomful.model.media import LIVE, TrackSink
from roomful.model.subscription import Subscription
from roomful.room.local_connection import LocalConnection
from roomful_ingress_rtmp.clockwork import Clockwork
from roomful_ingress_rtmp.config import RtmpConfig
from roomful_ingress_rtmp.figures import Figures
from roomful_ingress_rtmp.picture import Picture
from roomful_ingress_rtmp.sound import Sound
from roomful_ingress_rtmp.stage import Stage, Unsupported
from roomful_ingress_rtmp.timeline import Timeline
from roomful_ingress_rtmp.tracks import Jobs
from roomful_rtmp.server import Media
from roomful_rtmp.tag import read_audio, read_video

if TYPE_CHECKING:
    from roomful_ingress.session import Session

log = logging.getLogger(__name__)

BROKEN_IN_A_ROW = 10


class RtmpPublisher:
    """Made when a client asks to publish; media comes once it is in the room."""

    queue = LIVE

    def __init__(
        self, config: RtmpConfig, jobs: Jobs, clock: Clock, hang_up: Callable[[str], None]
    ) -> None:
        """`hang_up`: tells the client why and closes its socket."""
        self._config, self._jobs, self._clock, self._hang_up = config, jobs, clock, hang_up
        self.session: Session | None = None
        self._timeline = Timeline()
        self._figures = Figures()
        self._media_at = clock.monotonic()
        self._picture: Picture | None = None
        self._sound: Sound | None = None
        self._broken = {True: 0, False: 0}
        self._error = ""
        self._over = False
        self._tasks: set[asyncio.Task[None]] = set()

    def enter(self, connection: LocalConnection) -> None:
        """The participant is in the room: media may come."""
        stage = Stage(
            self._session, connection, self._jobs, Clockwork(self._clock), self._config,
            self._figures, self, self._spawn,
        )  # fmt: skip
        self._picture, self._sound = Picture(stage), Sound(stage)

    @property
    def _session(self) -> Session:
        assert self.session is not None, "set before it joins"
        return self.session

    # --- Publisher ---------------------------------------------------------------------------

    def last_media_at(self) -> float:
        return self._media_at

    async def stop(self, reason: str) -> None:
        self._end_tracks()
        self._hang_up(reason)

    # --- the socket --------------------------------------------------------------------------

    def describe(self, values: dict[str, Any]) -> None:
        """Take what the encoder says about itself."""
        self._figures.describe(values)
        self._session.note_video(framerate=self._figures.fps)

    def take(self, media: Media) -> None:
        """Take one tag. A broken one is left out; many in a row end the session."""
        if self._over or self._picture is None or self._sound is None:
            return
        self._media_at = self._clock.monotonic()
        is_video = media.is_video
        self._figures.count(len(media.payload), is_video=is_video)
        time_ms = self._timeline.take("video" if is_video else "audio", media.timestamp)
        try:
            if is_video:
                self._picture.take(read_video(media.payload), time_ms)
            else:
                self._sound.take(read_audio(media.payload), time_ms)
        except (RemoteProtocolError, MediaError) as error:
            self._broken[is_video] += 1
            if self._broken[is_video] >= BROKEN_IN_A_ROW:
                self.fail(f"{BROKEN_IN_A_ROW} broken frames in a row: {error.message}")
        except RequestError as error:
            self.fail(error.message)
        except Unsupported as error:
            self.fail(str(error))
        else:
            self._broken[is_video] = 0

    def lost(self) -> None:
        """The socket is gone."""
        self._end_tracks()
        self._spawn(self._session.end(self._error))

    def fail(self, error: str) -> None:
        """End the session with an error, and tell the client."""
        if self._over:
            return
        log.info("an encoder was ended", extra={"problem": error})
        self._error = error
        self._end_tracks()
        self._spawn(self._session.end(error))
        self._hang_up(error)

    def each_second(self) -> None:
        """Tell ingress the figures, now and then."""
        rates = self._figures.each_second()
        if rates is None:
            return
        if rates.video_bps:
            self._session.note_video(bitrate=rates.video_bps, framerate=rates.fps)
        if rates.audio_bps:
            self._session.note_audio(bitrate=rates.audio_bps)

    # --- Owner -------------------------------------------------------------------------------

    def on_published(self) -> None:
        self._spawn(self._session.publishing())

    def on_track_failed(self, error: str) -> None:
        self.fail(error)

    # --- LocalGuest --------------------------------------------------------------------------

    def sink_for(self, subscription: Subscription) -> TrackSink | None:
        """An encoder takes nothing from the room."""
        return None

    def on_notice(self, notice: Notice) -> None:
        """A track that was taken away ends the session: its encoder sends the same again."""
        if isinstance(notice, TrackRemoved):
            self.fail("the track was removed from the room")

    def on_close(self, reason: DisconnectReason) -> None:
        """The participant is out of the room."""
        self._end_tracks()
        self._spawn(self._session.end(self._error))
        self._hang_up(f"the participant left: {reason.name.lower()}")

    # --- inside ------------------------------------------------------------------------------

    def _end_tracks(self) -> None:
        self._over = True
        for one in (self._picture, self._sound):
            if one is not None and one.track is not None:
                one.track.stop()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
