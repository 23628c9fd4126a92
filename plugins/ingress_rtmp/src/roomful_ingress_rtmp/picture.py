"""The video of one publisher: as it is where it fits, through a worker where not.

Decided at the first key frame. A stream that stops to fit is unpublished and published again from a
worker at its next key frame: a publication never changes what it is.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from roomful.errors import RemoteProtocolError
from roomful.model.enums import TrackKind, VideoQuality
from roomful.model.track import TrackInfo, VideoLayer
from roomful_ingress_rtmp.messages import Layer, Work
from roomful_ingress_rtmp.mode import DECODABLE, why_transcode
from roomful_ingress_rtmp.stage import Stage, Unsupported
from roomful_ingress_rtmp.tracks import Offered, PlainTrack, Sample, Track
from roomful_rtmp.avc import DELIMITER, FILLER, PPS, SPS, AvcConfiguration, SpsInfo, read_sps
from roomful_rtmp.tag import Part, Tag

log = logging.getLogger(__name__)

MAX_KEY_INTERVAL_MS = 4000
ONE_LAYER_CORES, LAYERS_CORES, B_FRAMES, LEAST_CORES = 0.25, 0.40, 1.4, 0.05
"""estimates for admission: per 720p30, one layer and more; factor of B-frames"""
USUAL_AREA, USUAL_FPS = 1280 * 720, 30.0
MIN_SIDE, MIN_BITRATE, MAX_FPS = 16, 10_000, 120.0
"""of what encoders make"""
_START = b"\0\0\0\1"
_LEFT_OUT = frozenset({SPS, PPS, DELIMITER, FILLER})
_SPELLING = {"h264": "H264", "h265": "H265", "vp8": "VP8", "vp9": "VP9", "av1": "AV1"}


class Picture:
    """Takes video tags."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._avc: AvcConfiguration | None = None
        self._sps: SpsInfo | None = None
        self._configuration: tuple[str, bytes] | None = None
        self._is_plain = False
        self._unfit = ""
        """why a stream that went on as it was no longer does"""
        self._warned = False
        self._key_ms = 0
        self.track: Track | None = None

    def take(self, tag: Tag, time_ms: int) -> None:
        """Take one tag; `time_ms`: media time of its decoding.

        Raises:
            RemoteProtocolError: it is broken, and is left out.
            Unsupported: it cannot be decoded, or would have to be encoded and must not.
            RequestError: the track cannot be published, or no CPU is free.
        """
        if tag.part is Part.CONFIGURATION:
            self._configure(tag)
        elif tag.part is Part.FRAME and tag.data:
            self._frame(tag, time_ms)

    # --- configuration -----------------------------------------------------------------------

    def _configure(self, tag: Tag) -> None:
        if tag.codec == "h264":
            avc = AvcConfiguration.parse(tag.data)
            sps = read_sps(avc.sps[0])
            if not sps.width or not sps.height:
                raise RemoteProtocolError("a picture without size")
            changed = self._sps not in (None, sps)
            self._avc, self._sps = avc, sps
            self._stage.session.note_video("video/H264", sps.width, sps.height)
            if changed and self._is_plain and self.track is not None:
                self._resize(sps, self.track)
        self._configuration = (tag.codec, tag.data)
        if self.track is not None:
            self.track.configure(tag.codec, tag.data)

    def _resize(self, sps: SpsInfo, track: Track) -> None:
        """A stream that goes on as it is changed its size."""
        if reason := why_transcode(sps, 0):
            self._withdraw(reason)
            return
        connection = self._stage.connection
        connection.session.update_track(
            connection.participant.identity, track.sid, lambda info: _of_size(info, sps)
        )

    # --- frames ------------------------------------------------------------------------------

    def _frame(self, tag: Tag, time_ms: int) -> None:
        if tag.codec == "h264" and self._avc is None:
            return  # nothing can be decoded before its configuration
        if tag.is_key:
            self._key_ms = time_ms
        if self.track is not None and self._is_plain:
            self._watch(tag, time_ms)
        if self.track is None:
            if not tag.is_key:
                return
            self.track = self._begun(tag)
        data = self._annexed(tag) if self._is_plain else tag.data
        if data:
            times = self._stage.times
            pts_us = times.time_us(time_ms + tag.composition_ms)
            self.track.send(Sample(data, pts_us, times.time_us(time_ms), tag.is_key))

    def _watch(self, tag: Tag, time_ms: int) -> None:
        if tag.composition_ms:
            self._withdraw("B-frames")
        elif time_ms - self._key_ms > MAX_KEY_INTERVAL_MS:
            self._withdraw(f"more than {MAX_KEY_INTERVAL_MS // 1000} s between key frames")

    def _withdraw(self, reason: str) -> None:
        """Begin again with a worker at the next key frame, where that is allowed."""
        if not self._warned:
            self._warned = True
            log.warning("video no longer fits as it is", extra={"reason": reason})
        if self._stage.may_transcode_video and self.track is not None:
            self._stage.connection.unpublish(self.track.sid)
            self._unfit, self.track = reason, None

    def _annexed(self, tag: Tag) -> bytes:
        """An access unit with start codes; before each key frame the parameter sets of now."""
        assert self._avc is not None, "checked before"
        units = [u for u in self._avc.nal_units(tag.data) if u[0] & 0x1F not in _LEFT_OUT]
        if not units:
            return b""
        sets = (*self._avc.sps, *self._avc.pps) if tag.is_key else ()
        return b"".join(_START + unit for unit in (*sets, *units))

    # --- the decision ------------------------------------------------------------------------

    def _begun(self, tag: Tag) -> Track:
        reason = self._reason(tag)
        if reason and not self._stage.may_transcode_video:
            raise Unsupported(f"video would have to be transcoded, which is switched off: {reason}")
        self._is_plain = not reason
        if not reason:
            return self._plain()
        log.info("video is transcoded", extra={"reason": reason})
        return self._worked(tag)

    def _reason(self, tag: Tag) -> str:
        """Why video must be transcoded; empty where it goes on as it is."""
        if tag.codec not in DECODABLE:
            raise Unsupported(f"unsupported video codec {tag.codec!r}")
        if self._unfit:
            return self._unfit
        if tag.codec != "h264" or self._sps is None:
            return f"{tag.codec} is not passed on"
        stage = self._stage
        if stage.config.transcode == "always" or stage.session.video.asks_for_encoding:
            return "the settings or the ingress ask for it"
        return why_transcode(self._sps, tag.composition_ms)

    def _plain(self) -> Track:
        sps, stage = self._sps, self._stage
        assert sps is not None, "decided by it"
        level = sps.profile_level_id
        fmtp = f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={level}"
        info = _of_size(stage.info(TrackKind.VIDEO, "video/H264"), sps)
        track = PlainTrack(stage.connection, Offered(info, fmtp=fmtp), "h264", 90_000, stage.times)
        stage.owner.on_published()
        return track

    def _worked(self, tag: Tag) -> Track:
        stage = self._stage
        size = (self._sps.width, self._sps.height) if self._sps else stage.figures.size
        if not all(size):
            raise Unsupported(f"{tag.codec}: the encoder does not tell the size of its picture")
        if self._sps is None:
            stage.session.note_video(f"video/{_SPELLING[tag.codec]}", *size)
        target = stage.session.video_target
        layers = tuple(
            VideoLayer(
                la.quality, max(MIN_SIDE, la.width), max(MIN_SIDE, la.height),
                max(MIN_BITRATE, la.bitrate), spatial_layer=index,
            )
            for index, la in enumerate(stage.session.video_layers(*size))
        )  # fmt: skip
        fps = min(target.frame_rate, stage.figures.fps or target.frame_rate, MAX_FPS)
        work = Work(
            "video", stage.times.ntp_offset_us, target.codec, fps=fps,
            layers=tuple(Layer(la.width, la.height, la.bitrate) for la in layers),
        )  # fmt: skip
        is_h264 = target.codec == "h264"
        mime = "video/H264" if is_h264 else "video/VP8"
        fmtp = "packetization-mode=1;profile-level-id=42e01f" if is_h264 else ""
        top = layers[-1]
        info = replace(
            stage.info(TrackKind.VIDEO, mime), width=top.width, height=top.height, layers=layers
        )
        cores = ONE_LAYER_CORES if len(layers) == 1 else LAYERS_CORES
        cores *= size[0] * size[1] * fps / (USUAL_AREA * USUAL_FPS)
        cores *= B_FRAMES if tag.composition_ms else 1.0
        offered = Offered(info, layers if len(layers) > 1 else (), fmtp)
        configuration = self._configuration or (tag.codec, b"")
        return stage.work(offered, work, configuration, max(LEAST_CORES, cores))


def _of_size(info: TrackInfo, sps: SpsInfo) -> TrackInfo:
    layers = (VideoLayer(VideoQuality.HIGH, sps.width, sps.height),)
    return replace(info, width=sps.width, height=sps.height, layers=layers)
