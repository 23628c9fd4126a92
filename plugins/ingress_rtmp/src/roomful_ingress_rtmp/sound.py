"""The audio of one publisher."""

from __future__ import annotations

from roomful.model.enums import TrackKind
from roomful_ingress_rtmp.messages import Work
from roomful_ingress_rtmp.mode import AUDIO_DECODABLE
from roomful_ingress_rtmp.stage import Stage, Unsupported
from roomful_ingress_rtmp.tracks import Offered, PlainTrack, Sample, Track
from roomful_rtmp.tag import Part, Tag

CORES = 0.03
"""estimate for admission"""


class Sound:
    """Takes audio tags: Opus goes on as it is, the rest through a worker."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._configuration: tuple[str, bytes] | None = None
        self.track: Track | None = None

    def take(self, tag: Tag, time_ms: int) -> None:
        """Take one tag; `time_ms`: media time.

        Raises:
            Unsupported: no decoder for its codec.
            RequestError: the track cannot be published, or no CPU is free.
        """
        if tag.part is Part.CONFIGURATION:
            self._configuration = (tag.codec, tag.data)
            if self.track is not None:
                self.track.configure(tag.codec, tag.data)
        elif tag.part is Part.FRAME and tag.data:
            self.track = self.track or self._begun(tag)
            if self.track is not None:
                time_us = self._stage.times.time_us(time_ms)
                self.track.send(Sample(tag.data, time_us, time_us, True))

    def _begun(self, tag: Tag) -> Track | None:
        if tag.codec not in AUDIO_DECODABLE:
            raise Unsupported(f"unsupported audio codec {tag.codec!r}")
        if tag.codec == "aac" and self._configuration is None:
            return None  # nothing can be decoded before it
        stage = self._stage
        session = stage.session
        session.note_audio(f"audio/{tag.codec}")
        offered = Offered(stage.info(TrackKind.AUDIO, "audio/opus"))
        if tag.codec == "opus" and not session.audio.asks_for_encoding:
            track = PlainTrack(stage.connection, offered, "opus", 48_000, stage.times)
            stage.owner.on_published()
            return track
        target = session.audio_target
        work = Work(
            "audio", stage.times.ntp_offset_us, channels=target.channels, bitrate=target.bitrate,
            dtx=target.dtx,
        )  # fmt: skip
        return stage.work(offered, work, self._configuration or (tag.codec, b""), CORES)
