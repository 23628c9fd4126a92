"""Containers, judged by decoding what they hold."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from roomful.errors import MediaError
from roomful_media.mux import Container, Muxer

FILES = [
    (Container.MP4, "h264", "aac"),
    (Container.MP4, "h264", "opus"),
    (Container.MP4, "av1", "aac"),
    (Container.FMP4, "h264", "aac"),
    (Container.MATROSKA, "h264", "opus"),
    (Container.WEBM, "vp8", "opus"),
    (Container.WEBM, "vp9", "opus"),
    (Container.WEBM, "av1", "opus"),
    (Container.MPEGTS, "h264", "aac"),
    (Container.FLV, "h264", "aac"),
]


@pytest.mark.parametrize(("container", "video", "audio"), FILES)
def test_a_file_shows_and_sounds_as_what_was_encoded(
    container, video, audio, tmp_path, media_studio, media_watch, media_expect
) -> None:
    studio, path = media_studio(video, audio), tmp_path / f"a{container.suffix}"
    with Muxer(container, path, studio.encoders) as muxer:
        for packet in studio.packets(3.0) + studio.rest():
            muxer.write(packet)

    media_expect(media_watch(path), 3.0)


@pytest.mark.parametrize("container", [Container.OGG, Container.MP4])
def test_sound_alone_needs_no_picture(
    container, tmp_path, media_studio, media_watch, media_expect
) -> None:
    studio, path = media_studio(None, "opus"), tmp_path / f"a{container.suffix}"
    with Muxer(container, path, studio.encoders) as muxer:
        for packet in studio.packets(3.0) + studio.rest():
            muxer.write(packet)

    media_expect(media_watch(path), 3.0, picture=False)


@pytest.mark.parametrize("container", [Container.FLV, Container.MPEGTS, Container.FMP4])
def test_a_stream_to_memory_is_never_sought_in(
    container, media_studio, media_watch, media_expect
) -> None:
    studio, written = media_studio(), bytearray()

    class Stream:
        def write(self, data: bytes) -> None:
            written.extend(data)

    muxer = Muxer(container, Stream(), studio.encoders)
    for packet in studio.packets(4.5):
        muxer.write(packet)
    before_the_end = len(written)
    for packet in studio.rest():
        muxer.write(packet)
    muxer.close()
    muxer.close()

    assert before_the_end > 20_000
    media_expect(media_watch(io.BytesIO(bytes(written))), 4.5)


def test_profiles_are_what_was_asked_for(tmp_path, media_studio) -> None:
    import av

    found = []
    for profile in ("baseline", "main", "high"):
        studio, path = media_studio("h264", None, profile=profile), tmp_path / f"{profile}.mp4"
        with Muxer(Container.MP4, path, studio.encoders) as muxer:
            for packet in studio.packets(0.5) + studio.rest():
                muxer.write(packet)
        with av.open(str(path)) as source:
            found.append(source.streams.video[0].codec_context.profile)

    assert found == ["Constrained Baseline", "Main", "High"]


def test_one_that_begins_later_begins_at_a_key_frame_at_time_zero(
    tmp_path, media_studio, media_watch, media_expect
) -> None:
    studio = media_studio()
    late = Muxer(Container.FMP4, tmp_path / "late.mp4", studio.encoders)
    whole = Muxer(Container.MP4, tmp_path / "whole.mp4", studio.encoders)
    packets = studio.packets(1.2)
    studio.video.force_key()
    after = studio.packets(2.0) + studio.rest()
    for packet in packets + after:
        whole.write(packet)
    for packet in after:
        late.write(packet)
    whole.close()
    late.close()

    watched = media_watch(tmp_path / "late.mp4")
    assert watched.frames[0][0] == pytest.approx(0.0, abs=0.03)
    assert watched.flashes_s == pytest.approx([0.8, 1.8], abs=0.04)
    media_expect(watched, 2.0)
    media_expect(media_watch(tmp_path / "whole.mp4"), 3.2)


def test_codecs_that_do_not_belong_into_a_container_are_refused(
    tmp_path: Path, media_studio
) -> None:
    studio = media_studio("vp8", "opus")

    with pytest.raises(MediaError, match=r"FLV does not take 'vp8', but \['h264', 'aac'\]"):
        Muxer(Container.FLV, tmp_path / "a.flv", studio.encoders)


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path: Path, media_studio) -> None:
    with pytest.raises(OSError, match="No such file"):
        Muxer(Container.MP4, tmp_path / "not" / "a.mp4", media_studio().encoders)


def test_time_that_goes_backwards_is_an_error_of_the_media(tmp_path: Path, media_studio) -> None:
    studio = media_studio("h264", None)
    muxer = Muxer(Container.FMP4, tmp_path / "a.mp4", studio.encoders)
    packets = studio.packets(1.0) + studio.rest()
    with pytest.raises(MediaError, match="cannot be written"):
        for packet in [*packets, packets[3]]:
            muxer.write(packet)
    muxer.close()
