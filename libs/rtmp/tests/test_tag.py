"""Tags and H.264 configurations, of real encoders and broken ones."""

import random
from pathlib import Path

import pytest

from roomful.errors import RemoteProtocolError
from roomful_rtmp.avc import AvcConfiguration, read_sps
from roomful_rtmp.server import Media, PublishRequested, ServerConnection
from roomful_rtmp.tag import (
    Part,
    aac_configuration,
    aac_frame,
    h264_configuration,
    h264_frame,
    read_audio,
    read_video,
)

DATA = Path(__file__).with_name("data")


def media(name):
    server, found = ServerConnection(), []
    for event in server.receive((DATA / name).read_bytes()):
        if isinstance(event, PublishRequested):
            server.accept_publish()
        elif isinstance(event, Media):
            found.append(event)
    return found


def record(name):
    tags = (read_video(m.payload) for m in media(name) if m.is_video)
    return next(tag.data for tag in tags if tag.part is Part.CONFIGURATION)


@pytest.mark.parametrize(
    ("name", "profile"), [("ffmpeg_baseline_aac.bin", 66), ("ffmpeg_high_bframes.bin", 100)]
)
def test_configuration_of_ffmpeg(name, profile):
    configuration = AvcConfiguration.parse(record(name))
    info = read_sps(configuration.sps[0])

    assert configuration.length_size == 4 and len(configuration.pps) == 1
    assert (info.profile, info.width, info.height) == (profile, 64, 48)
    assert info.is_progressive and info.is_420_8bit
    assert info.profile_level_id.startswith(f"{profile:02x}")


def test_frames_are_nal_units():
    configuration = AvcConfiguration.parse(record("ffmpeg_baseline_aac.bin"))
    tags = [read_video(m.payload) for m in media("ffmpeg_baseline_aac.bin") if m.is_video]
    frames = [tag for tag in tags if tag.part is Part.FRAME]

    kinds = [[unit[0] & 31 for unit in configuration.nal_units(tag.data)] for tag in frames]

    assert 5 in kinds[0] and all(set(k) <= {1, 5, 6, 7, 8} for k in kinds)


def test_cropping_counts():
    # 1920x1088 coded, 8 lines cropped: made by x264 for 1920x1080
    sps = bytes.fromhex("6764002aacd940780227e5c044000003000400000300f03c60c658")

    info = read_sps(sps)

    assert (info.width, info.height, info.profile) == (1920, 1080, 100)


def test_what_is_written_is_read():
    assert read_video(h264_configuration(b"r")).part is Part.CONFIGURATION
    tag = read_video(h264_frame(b"nal", is_key=True, composition_ms=-67))
    assert (tag.part, tag.data, tag.is_key, tag.composition_ms) == (Part.FRAME, b"nal", True, -67)
    assert not read_video(h264_frame(b"nal", is_key=False)).is_key
    assert read_audio(aac_configuration(b"c")).part is Part.CONFIGURATION
    assert read_audio(aac_frame(b"d")).data == b"d"


@pytest.mark.parametrize(
    ("payload", "part", "codec", "offset"),
    [
        (b"\x90hvc1r", Part.CONFIGURATION, "h265", 0),
        (b"\x91avc1\0\0\x43d", Part.FRAME, "h264", 67),
        (b"\xa1avc1\xff\xff\xffd", Part.FRAME, "h264", -1),
        (b"\x93avc1d", Part.FRAME, "h264", 0),
        (b"\x91av01d", Part.FRAME, "av1", 0),
        (b"\x92vp09", Part.END, "vp9", 0),
        (b"\x94avc1x", Part.OTHER, "h264", 0),
        (b"\x96x", Part.OTHER, "multitrack", 0),
        (b"\x91zzzzd", Part.FRAME, "unknown 'zzzz'", 0),
        (b"\x22d", Part.FRAME, "h263", 0),
    ],
)
def test_video_tags(payload, part, codec, offset):
    tag = read_video(payload)

    assert (tag.part, tag.codec, tag.composition_ms) == (part, codec, offset)


@pytest.mark.parametrize(
    ("payload", "part", "codec"),
    [
        (b"\x90Opusc", Part.CONFIGURATION, "opus"),
        (b"\x91Opusd", Part.FRAME, "opus"),
        (b"\x92mp4a", Part.END, "aac"),
        (b"\x94Opus", Part.OTHER, "opus"),
        (b"\x95x", Part.OTHER, "multitrack"),
        (b"\x2fd", Part.FRAME, "mp3"),
        (b"\x7fd", Part.FRAME, "pcma"),
        (b"\xcfd", Part.FRAME, "unknown 12"),
    ],
)
def test_audio_tags(payload, part, codec):
    tag = read_audio(payload)

    assert (tag.part, tag.codec) == (part, codec)


@pytest.mark.parametrize("payload", [b"", b"\x17", b"\x17\x01\0", b"\x91av", b"\x91avc1\0"])
def test_broken_video_tags(payload):
    with pytest.raises(RemoteProtocolError):
        read_video(payload)


@pytest.mark.parametrize("payload", [b"", b"\xaf", b"\x91Op"])
def test_broken_audio_tags(payload):
    with pytest.raises(RemoteProtocolError):
        read_audio(payload)


@pytest.mark.parametrize(
    "broken",
    [b"", b"\x02" + bytes(20), b"\x01\x42\0\x1f\xfe\xe1\0\x01", b"\x01\x42\0\x1f\xff\xe0\x00"],
)
def test_broken_configurations(broken):
    with pytest.raises(RemoteProtocolError):
        AvcConfiguration.parse(broken)


def test_a_length_past_the_end_is_refused():
    configuration = AvcConfiguration(4, (b"s",), (b"p",))

    with pytest.raises(RemoteProtocolError, match="past the end"):
        list(configuration.nal_units(b"\0\0\0\x09abc"))


@pytest.mark.parametrize("seed", range(500))
def test_mutated_configurations_are_read_or_refused(seed):
    chance = random.Random(seed)
    body = bytearray(record("ffmpeg_high_bframes.bin"))
    for _ in range(chance.randint(1, 6)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    try:
        for unit in AvcConfiguration.parse(bytes(body[: chance.randint(4, len(body))])).sps:
            read_sps(unit)
    except RemoteProtocolError:
        pass
