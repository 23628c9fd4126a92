"""AddTrack requests as tracks."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from roomful.errors import InvalidArgument
from roomful.model.enums import TrackKind, TrackSource, VideoQuality
from roomful_webrtc.track_request import track_from_request


def test_camera_in_simulcast():
    request = rtc.AddTrackRequest(
        cid="c", name="cam", type=models.VIDEO, source=models.CAMERA, width=1280, height=720,
        layers=[
            models.VideoLayer(quality=models.LOW, width=320, height=180),
            models.VideoLayer(quality=models.HIGH, width=1280, height=720),
        ],
        simulcast_codecs=[rtc.SimulcastCodec(codec="vp8", cid="c")],
    )

    track = track_from_request(request)

    assert track.sid.startswith("TR_VC")
    assert (track.kind, track.source) == (TrackKind.VIDEO, TrackSource.CAMERA)
    assert track.mime_type == "video/VP8"
    assert track.simulcast
    assert track.stream == "camera"
    assert [layer.quality for layer in track.layers] == [VideoQuality.LOW, VideoQuality.HIGH]
    assert [codec.cid for codec in track.codecs] == ["c"]


def test_microphone_features():
    request = rtc.AddTrackRequest(
        cid="c", type=models.AUDIO, source=models.MICROPHONE,
        audio_features=[models.TF_STEREO, models.TF_NO_DTX],
    )

    track = track_from_request(request)

    assert track.sid.startswith("TR_AM")
    assert track.stereo
    assert track.disable_dtx
    assert track.layers == ()


def test_svc_codecs_are_one_stream_and_no_simulcast():
    request = rtc.AddTrackRequest(
        cid="c", type=models.VIDEO,
        layers=[models.VideoLayer(quality=q) for q in (0, 1, 2)],
        simulcast_codecs=[
            rtc.SimulcastCodec(codec="vp9", cid="c"), rtc.SimulcastCodec(codec="vp8"),
        ],
    )

    track = track_from_request(request)

    assert [codec.mime_type for codec in track.codecs] == ["video/VP9"]
    assert track.codecs[0].svc
    assert not track.simulcast


@pytest.mark.parametrize(
    "request_",
    [
        rtc.AddTrackRequest(type=models.VIDEO),
        rtc.AddTrackRequest(cid="c", type=models.DATA),
        rtc.AddTrackRequest(cid="c", name="n" * 257),
    ],
)
def test_what_makes_no_track_is_refused(request_: rtc.AddTrackRequest):
    with pytest.raises(InvalidArgument):
        track_from_request(request_)
