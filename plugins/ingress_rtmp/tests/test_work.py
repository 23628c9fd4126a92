"""Decoding and encoding of one track, without processes: frames of real encoders in, packets out."""

from itertools import pairwise
from pathlib import Path

import av
import pytest

from roomful.errors import MediaError
from roomful_ingress_rtmp.audio_work import AudioWork
from roomful_ingress_rtmp.messages import Layer, Work
from roomful_ingress_rtmp.video_work import VideoWork
from roomful_rtc.link.record import Frame
from roomful_rtmp.server import Media, PublishRequested, ServerConnection
from roomful_rtmp.tag import Part, read_audio, read_video

DATA = Path(__file__).parents[3] / "libs/rtmp/tests/data"


def fed(name, work, *, video):
    """Everything that a worker makes of one track of a capture."""
    server, made = ServerConnection(), []
    for event in server.receive((DATA / name).read_bytes()):
        if isinstance(event, PublishRequested):
            server.accept_publish()
        if not isinstance(event, Media) or event.is_video is not video:
            continue
        tag = (read_video if video else read_audio)(event.payload)
        if tag.part is Part.CONFIGURATION:
            work.configure(tag.codec, tag.data)
        elif tag.part is Part.FRAME and tag.data:
            pts = (event.timestamp + tag.composition_ms) * 1000
            frame = Frame(tag.data, 0, pts, event.timestamp * 1000, 1, tag.is_key)
            made += work.take(frame)
    return made


def decoded(packets, codec="h264"):
    decoder = av.CodecContext.create(codec, "r")
    return [frame for data in packets for frame in decoder.decode(av.Packet(data))]


@pytest.mark.parametrize(
    ("name", "codec"), [("ffmpeg_high_bframes.bin", "h264"), ("ffmpeg8_hevc_opus.bin", "vp8")]
)
def test_pictures_become_layers_in_order(name, codec):
    work = VideoWork(
        Work("video", 0, codec, fps=15, layers=(Layer(32, 24, 40_000), Layer(64, 48, 90_000)))
    )

    made = fed(name, work, video=True)

    for layer, size in ((0, (32, 24)), (1, (64, 48))):
        times = [time for one, _, time in made if one == layer]
        assert len(times) >= 5 and times == sorted(set(times))
        pictures = decoded([data for one, data, _ in made if one == layer], codec)
        assert {(p.width, p.height) for p in pictures} == {size}


def test_layers_that_nobody_wants_are_not_encoded_and_come_back_with_a_key_frame():
    work = VideoWork(
        Work("video", 0, "h264", fps=15, layers=(Layer(32, 24, 40_000), Layer(64, 48, 90_000)))
    )
    work.demand(1, False)

    made = fed("ffmpeg_high_bframes.bin", work, video=True)
    assert {layer for layer, _, _ in made} == {0}

    work.demand(1, True)
    work.key_frame(7)
    work._number, work._begin_us = -1, None
    again = fed("ffmpeg_baseline_aac.bin", work, video=True)
    top = [data for layer, data, _ in again if layer == 1]
    assert {(p.width, p.height) for p in decoded(top)} == {(64, 48)}


def test_frames_beyond_the_wanted_rate_are_left_out():
    work = VideoWork(Work("video", 0, "h264", fps=5, layers=(Layer(64, 48, 90_000),)))

    made = fed("ffmpeg_baseline_aac.bin", work, video=True)

    assert 4 <= len(made) <= 6


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_becomes_opus_of_20_ms(channels):
    work = AudioWork(Work("audio", 0, channels=channels, bitrate=64_000))

    made = fed("ffmpeg_baseline_aac.bin", work, video=False)

    times = [time for _, _, time in made]
    assert 45 <= len(made) <= 52
    assert {later - before for before, later in pairwise(times)} == {20_000}
    assert sum(f.samples for f in decoded([d for _, d, _ in made], "libopus")) > 40_000


def test_time_begins_anew_where_messages_and_samples_disagree():
    work = AudioWork(Work("audio", 0))
    work.configure("pcmu", b"")
    first = work.take(Frame(bytes(320), 0, 1_000_000, 1_000_000, 1, True))
    second = work.take(Frame(bytes(320), 0, 3_000_000, 3_000_000, 1, True))

    assert first[0][2] == 1_000_000
    assert second[0][2] == 3_000_000


def test_what_cannot_be_decoded():
    work = AudioWork(Work("audio", 0))
    assert work.take(Frame(b"x", 0, 0, 0, 1, True)) == []
    with pytest.raises(MediaError, match="no decoder for nonsense"):
        work.configure("nonsense", b"")
    video = VideoWork(Work("video", 0, "h264", layers=(Layer(64, 48, 90_000),)))
    video.configure("h264", b"")
    with pytest.raises(MediaError, match="cannot be decoded"):
        video.take(Frame(b"\xff" * 50, 0, 0, 0, 1, True))


def test_work_survives_the_way_as_json():
    work = Work("video", 5, "vp8", fps=25.0, layers=(Layer(64, 48, 90_000),))

    assert Work.read(work.spec()) == work
    with pytest.raises(MediaError, match="no work"):
        Work.read({"kind": "video"})
