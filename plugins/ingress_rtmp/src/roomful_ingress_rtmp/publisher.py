"""One RTMP publisher: its tags become tracks of its participant.

Answers to `Publisher` of the ingress session, to `LocalGuest` of the room, to `Owner` of its tracks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roomful.clock import Clock
from roomful.errors import MediaError, RemoteProtocolError, RequestError
from roomful.ids import new_sid
from roomful.model.enums import DisconnectReason, TrackKind, TrackSource, VideoQuality
from roomful.model.events import Notice, TrackRemoved
from roomful.model.media import LIVE, TrackSink
from roomful.model.subscription import Subscription
from roomful.model.track import TrackInfo, VideoLayer
from roomful.room.local_connection import LocalConnection
from roomful_ingress_rtmp.clockwork import Clockwork
from roomful_ingress_rtmp.config import RtmpConfig
from roomful_ingress_rtmp.messages import Layer, Work
from roomful_ingress_rtmp.mode import AUDIO_DECODABLE, DECODABLE, why_transcode
from roomful_ingress_rtmp.timeline import Timeline
from roomful_ingress_rtmp.tracks import Jobs, Offered, PlainTrack, Sample, Track, WorkerTrack
from roomful_rtmp.avc import DELIMITER, FILLER, PPS, SPS, AvcConfiguration, SpsInfo, read_sps
from roomful_rtmp.server import Media
from roomful_rtmp.tag import Part, Tag, read_audio, read_video

if TYPE_CHECKING:
    from roomful_ingress.session import Session

log = logging.getLogger(__name__)

JOB_PREFIX = "TC_"
BROKEN_IN_A_ROW = 10
MAX_KEY_INTERVAL_MS = 4000
AUDIO_CORES, ONE_LAYER_CORES, LAYERS_CORES, B_FRAMES = 0.03, 0.25, 0.40, 1.4
"""estimates for admission: sound; video per 720p30, one layer and more; factor of B-frames"""
MIN_SIDE, MIN_BITRATE, MAX_FPS = 16, 10_000, 120.0
"""of what encoders make"""
USUAL_AREA, USUAL_FPS = 1280 * 720, 30.0
FIRST_FIGURES_S, FIGURES_EVERY_S = 3, 60
_START = b"\0\0\0\1"
_LEFT_OUT = frozenset({SPS, PPS, DELIMITER, FILLER})
_SPELLING = {"h264": "H264", "h265": "H265", "vp8": "VP8", "vp9": "VP9", "av1": "AV1"}


class RtmpPublisher:
    """Made for one accepted connection; `session` and `connection` are set while it joins."""

    queue = LIVE

    def __init__(
        self, config: RtmpConfig, jobs: Jobs, clock: Clock, hang_up: Callable[[str], None]
    ) -> None:
        """`hang_up`: tells the client why and closes its socket."""
        self._config, self._jobs, self._clock, self._hang_up = config, jobs, clock, hang_up
        self.session: Session | None = None
        self.connection: LocalConnection | None = None
        self._times = Clockwork(clock)
        self._timeline = Timeline()
        self._media_at = clock.monotonic()
        self._video: Track | None = None
        self._audio: Track | None = None
        self._avc: AvcConfiguration | None = None
        self._sps: SpsInfo | None = None
        self._video_config: tuple[str, bytes] | None = None
        self._audio_config: tuple[str, bytes] | None = None
        self._is_plain_video = False
        self._must_transcode = ""
        """why, once a stream that went on as it was turned out not to fit"""
        self._key_ms = 0
        self._broken = 0
        self._error = ""
        self._over = False
        self._seconds = 0
        self._bytes = {True: 0, False: 0}
        self._frames = 0
        self._size_hint = (0, 0)
        self._fps_hint = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _session(self) -> Session:
        assert self.session is not None, "set before media comes"
        return self.session

    @property
    def _here(self) -> LocalConnection:
        assert self.connection is not None, "set before media comes"
        return self.connection

    # --- Publisher ---------------------------------------------------------------------------

    def last_media_at(self) -> float:
        return self._media_at

    async def stop(self, reason: str) -> None:
        self._end_tracks()
        self._hang_up(reason)

    # --- the socket --------------------------------------------------------------------------

    def describe(self, values: dict[str, Any]) -> None:
        """Take what the encoder says about itself; used where nothing better is known."""
        width, height, fps = (values.get(n) for n in ("width", "height", "framerate"))
        if isinstance(width, float) and isinstance(height, float):
            if 16 <= width <= 8192 and 16 <= height <= 8192:
                self._size_hint = (int(width) // 2 * 2, int(height) // 2 * 2)
        if isinstance(fps, float) and 1 <= fps <= 240:
            self._fps_hint = fps
            self._session.note_video(framerate=fps)

    def take(self, media: Media) -> None:
        """Take one tag. A broken one is left out; many in a row end the session."""
        if self._over:
            return
        self._media_at = self._clock.monotonic()
        self._bytes[media.is_video] += len(media.payload)
        track = "video" if media.is_video else "audio"
        time_ms = self._timeline.take(track, media.timestamp)
        try:
            if media.is_video:
                self._take_video(read_video(media.payload), time_ms)
            else:
                self._take_audio(read_audio(media.payload), time_ms)
        except (RemoteProtocolError, MediaError) as error:
            self._broken += 1
            if self._broken >= BROKEN_IN_A_ROW:
                self.fail(f"{BROKEN_IN_A_ROW} broken frames in a row: {error.message}")
        except RequestError as error:
            self.fail(error.message)
        else:
            self._broken = 0

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
        self._seconds += 1
        if self._seconds == FIRST_FIGURES_S or self._seconds % FIGURES_EVERY_S == 0:
            span_s = FIRST_FIGURES_S if self._seconds == FIRST_FIGURES_S else FIGURES_EVERY_S
            if self._bytes[True]:
                fps = self._fps_hint or round(self._frames / span_s, 1)
                self._session.note_video(bitrate=self._bytes[True] * 8 // span_s, framerate=fps)
            if self._bytes[False]:
                self._session.note_audio(bitrate=self._bytes[False] * 8 // span_s)
        if self._seconds % FIGURES_EVERY_S in (0, FIRST_FIGURES_S):
            self._bytes, self._frames = {True: 0, False: 0}, 0

    # --- video -------------------------------------------------------------------------------

    def _take_video(self, tag: Tag, time_ms: int) -> None:
        if tag.part is Part.CONFIGURATION:
            self._configure_video(tag)
        elif tag.part is Part.FRAME and tag.data:
            self._frames += 1
            self._take_picture(tag, time_ms)

    def _configure_video(self, tag: Tag) -> None:
        if tag.codec == "h264":
            avc = AvcConfiguration.parse(tag.data)
            sps = read_sps(avc.sps[0])
            changed = self._sps is not None and sps != self._sps
            self._avc, self._sps = avc, sps
            self._session.note_video("video/H264", sps.width, sps.height)
            if changed and self._is_plain_video:
                self._restyle(sps)
        self._video_config = (tag.codec, tag.data)
        if self._video is not None:
            self._video.configure(tag.codec, tag.data)

    def _restyle(self, sps: SpsInfo) -> None:
        """A stream that goes on as it is has another size, or must be transcoded from now on."""
        if reason := why_transcode(sps, 0):
            self._transcode_from_now_on(reason)
        elif self._video is not None:
            layers = (VideoLayer(VideoQuality.HIGH, sps.width, sps.height),)
            self._here.session.update_track(
                self._here.participant.identity,
                self._video.sid,
                lambda info: _resized(info, sps.width, sps.height, layers),
            )

    def _take_picture(self, tag: Tag, time_ms: int) -> None:
        if tag.codec == "h264" and self._avc is None:
            return  # nothing can be decoded before its configuration
        if tag.is_key:
            self._key_ms = time_ms
        if self._video is not None and self._is_plain_video:
            self._watch_fitness(tag, time_ms)
        if self._video is None:
            if not tag.is_key:
                return
            self._video = self._begin_video(tag)
        if self._video is None:
            return
        data = self._annexed(tag) if self._is_plain_video else tag.data
        pts_us = self._times.time_us(time_ms + tag.composition_ms)
        if data:
            self._video.send(Sample(data, pts_us, self._times.time_us(time_ms), tag.is_key))

    def _watch_fitness(self, tag: Tag, time_ms: int) -> None:
        if tag.composition_ms:
            self._transcode_from_now_on("B-frames")
        elif time_ms - self._key_ms > MAX_KEY_INTERVAL_MS:
            self._transcode_from_now_on(
                f"more than {MAX_KEY_INTERVAL_MS // 1000} s between key frames"
            )

    def _transcode_from_now_on(self, reason: str) -> None:
        log.warning("video no longer fits as it is", extra={"reason": reason})
        if self._config.transcode == "never" or self._session.may_transcode is False:
            return
        if self._video is not None:
            self._here.unpublish(self._video.sid)
        self._must_transcode, self._video = reason, None

    def _begin_video(self, tag: Tag) -> Track | None:
        reason = self._reason(tag)
        if not reason:
            self._is_plain_video = True
            return self._plain_video()
        self._is_plain_video = False
        if self._config.transcode == "never" or self._session.may_transcode is False:
            self.fail(f"video would have to be transcoded, which is switched off: {reason}")
            return None
        return self._worked_video(tag, reason)

    def _reason(self, tag: Tag) -> str:
        """Why video must be transcoded; empty where it goes on as it is."""
        if tag.codec not in DECODABLE:
            raise MediaError(f"unsupported video codec {tag.codec!r}")
        if self._must_transcode:
            return self._must_transcode
        if tag.codec != "h264" or self._sps is None:
            return f"{tag.codec} is not passed on"
        if self._config.transcode == "always" or self._session.video.asks_for_encoding:
            return "the settings or the ingress ask for it"
        return why_transcode(self._sps, tag.composition_ms)

    def _plain_video(self) -> Track:
        sps = self._sps
        assert sps is not None, "decided by it"
        info = self._info(TrackKind.VIDEO, "video/H264", (sps.width, sps.height))
        layers = (VideoLayer(VideoQuality.HIGH, sps.width, sps.height),)
        fmtp = f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={sps.profile_level_id}"
        offered = Offered(_resized(info, sps.width, sps.height, layers), fmtp=fmtp)
        track = PlainTrack(self._here, offered, "h264", 90_000, self._times)
        self.on_published()
        return track

    def _worked_video(self, tag: Tag, reason: str) -> Track | None:
        size = (self._sps.width, self._sps.height) if self._sps else self._size_hint
        if not all(size):
            self.fail(f"{tag.codec}: the encoder does not tell the size of its picture")
            return None
        log.info("video is transcoded", extra={"reason": reason})
        target = self._session.video_target
        layers = self._session.video_layers(*size)
        fps = min(target.frame_rate, self._fps_hint or target.frame_rate, MAX_FPS)
        cores = ONE_LAYER_CORES if len(layers) == 1 else LAYERS_CORES
        cores *= size[0] * size[1] * fps / (USUAL_AREA * USUAL_FPS)
        lease = self._session.admit(max(0.05, cores * (B_FRAMES if tag.composition_ms else 1.0)))
        top = layers[-1]
        mime = "video/VP8" if target.codec == "vp8" else "video/H264"
        shown = tuple(
            VideoLayer(la.quality, la.width, la.height, la.bitrate, spatial_layer=index)
            for index, la in enumerate(layers)
        )
        info = _resized(self._info(TrackKind.VIDEO, mime, size), top.width, top.height, shown)
        work = Work(
            "video", self._times.ntp_offset_us, target.codec, fps=fps,
            layers=tuple(
                Layer(max(MIN_SIDE, la.width), max(MIN_SIDE, la.height), max(MIN_BITRATE, la.bitrate))
                for la in layers
            ),
        )  # fmt: skip
        fmtp = "packetization-mode=1;profile-level-id=42e01f" if target.codec == "h264" else ""
        offered = Offered(info, shown if len(shown) > 1 else (), fmtp)
        track = WorkerTrack(self._here, offered, work, self, self._times)
        if self._video_config is not None:
            track.configure(*self._video_config)
        else:
            track.configure(tag.codec, b"")
        if self._sps is None:
            spelled = _SPELLING.get(tag.codec, tag.codec)
            self._session.note_video(f"video/{spelled}", *size)
        self._spawn(track.start(self._jobs, new_sid(JOB_PREFIX), lease))
        return track

    def _annexed(self, tag: Tag) -> bytes:
        """An access unit with start codes; before each key frame the parameter sets of now."""
        avc = self._avc
        assert avc is not None, "checked before"
        units = [u for u in avc.nal_units(tag.data) if u[0] & 0x1F not in _LEFT_OUT]
        if not units:
            return b""
        sets = [*avc.sps, *avc.pps] if tag.is_key else []
        return b"".join(_START + unit for unit in (*sets, *units))

    # --- audio -------------------------------------------------------------------------------

    def _take_audio(self, tag: Tag, time_ms: int) -> None:
        if tag.part is Part.CONFIGURATION:
            self._audio_config = (tag.codec, tag.data)
            if self._audio is not None:
                self._audio.configure(tag.codec, tag.data)
        elif tag.part is Part.FRAME and tag.data:
            if self._audio is None:
                self._audio = self._begin_audio(tag)
            if self._audio is not None:
                time_us = self._times.time_us(time_ms)
                self._audio.send(Sample(tag.data, time_us, time_us, True))

    def _begin_audio(self, tag: Tag) -> Track | None:
        if tag.codec not in AUDIO_DECODABLE:
            raise MediaError(f"unsupported audio codec {tag.codec!r}")
        if tag.codec == "aac" and self._audio_config is None:
            return None
        self._session.note_audio(f"audio/{tag.codec}")
        info = self._info(TrackKind.AUDIO, "audio/opus", (0, 0))
        if tag.codec == "opus" and not self._session.audio.asks_for_encoding:
            track = PlainTrack(self._here, Offered(info), "opus", 48_000, self._times)
            self.on_published()
            return track
        if self._config.transcode == "never":
            log.info("sound is encoded anew though video never is")
        target = self._session.audio_target
        work = Work(
            "audio", self._times.ntp_offset_us, channels=target.channels, bitrate=target.bitrate,
            dtx=target.dtx,
        )  # fmt: skip
        worked = WorkerTrack(self._here, Offered(info), work, self, self._times)
        worked.configure(*(self._audio_config or (tag.codec, b"")))
        lease = self._session.admit(AUDIO_CORES)
        self._spawn(worked.start(self._jobs, new_sid(JOB_PREFIX), lease))
        return worked

    def _info(self, kind: TrackKind, mime: str, size: tuple[int, int]) -> TrackInfo:
        audio = kind is TrackKind.AUDIO
        options = self._session.audio if audio else self._session.video
        usual = TrackSource.MICROPHONE if audio else TrackSource.CAMERA
        return TrackInfo(
            sid="", kind=kind, source=options.source or usual, name=options.name, mime_type=mime,
            width=size[0], height=size[1], stream="camera",
            stereo=audio and self._session.audio_target.channels == 2,
            disable_dtx=audio and not self._session.audio_target.dtx,
        )  # fmt: skip

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
        for track in (self._video, self._audio):
            if track is not None:
                track.stop()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _resized(info: TrackInfo, width: int, height: int, layers: tuple[VideoLayer, ...]) -> TrackInfo:
    return replace(info, width=width, height=height, layers=layers)
