"""Numbers of presets, and layers that fit a source."""

import pytest

from roomful.model.enums import VideoQuality
from roomful_ingress.encoding import AudioEncoding, AudioOptions, VideoEncoding, VideoOptions
from roomful_ingress.presets import audio_target, fitted, video_target


def rows(options):
    return [
        (la.quality.name, la.width, la.height, la.bitrate) for la in video_target(options).layers
    ]


def test_nothing_said_is_preset_0():
    assert rows(None) == rows(VideoOptions(preset=0)) == rows(VideoOptions(name="x"))
    assert rows(None) == [
        ("LOW", 320, 180, 237_500),
        ("MEDIUM", 640, 360, 671_751),
        ("HIGH", 1280, 720, 1_900_000),
    ]


@pytest.mark.parametrize(
    ("preset", "fps", "qualities", "low"),
    [
        (2, 25.0, ["LOW", "HIGH"], (480, 270, 353_553)),
        (4, 30.0, ["HIGH"], (1920, 1080, 3_500_000)),
        (6, 30.0, ["LOW", "MEDIUM", "HIGH"], (480, 270, 562_500)),
        (7, 25.0, ["LOW", "HIGH"], (480, 270, 459_619)),
    ],
)
def test_presets(preset, fps, qualities, low):
    target = video_target(VideoOptions(preset=preset))

    assert target.frame_rate == fps
    assert [layer.quality.name for layer in target.layers] == qualities
    lowest = target.layers[0]
    assert (lowest.width, lowest.height, lowest.bitrate) == low


def test_numbers_without_layers_make_three():
    target = video_target(VideoOptions(encoding=VideoEncoding(codec=4)))

    assert (target.codec, target.frame_rate) == ("vp8", 30.0)
    assert [(la.width, la.bitrate) for la in target.layers][-1] == (1280, 1_700_000)


def test_audio():
    assert audio_target(None) == audio_target(AudioOptions(preset=0))
    mono = audio_target(AudioOptions(encoding=AudioEncoding(channels=1, disable_dtx=True)))
    assert (mono.channels, mono.bitrate, mono.dtx) == (1, 64_000, False)


def test_a_source_is_fitted_never_enlarged_and_higher_layers_left_out():
    layers = video_target(None).layers

    assert [(la.width, la.height) for la in fitted(layers, 1280, 720)] == [
        (320, 180), (640, 360), (1280, 720),
    ]  # fmt: skip
    assert [(la.width, la.height) for la in fitted(layers, 640, 480)] == [
        (240, 180),
        (480, 360),
        (640, 480),
    ]
    small = fitted(layers, 300, 100)
    assert [(la.quality, la.width, la.height) for la in small] == [(VideoQuality.LOW, 300, 100)]
