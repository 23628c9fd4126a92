from dataclasses import dataclass

import pytest

from roomful.model.enums import VideoQuality
from roomful_rtc.selection import ALL_TEMPORAL, Want, best_live, wanted_spatial

LOW, MEDIUM, HIGH = VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH


@dataclass
class Layer:
    spatial: int
    quality: VideoQuality
    width: int = 0
    height: int = 0
    live: bool = True


THREE = [
    Layer(0, LOW, 320, 180),
    Layer(1, MEDIUM, 640, 360),
    Layer(2, HIGH, 1280, 720),
]


@pytest.mark.parametrize(("quality", "spatial"), [(LOW, 0), (MEDIUM, 1), (HIGH, 2)])
def test_a_quality_names_its_layer(quality: VideoQuality, spatial: int):
    assert wanted_spatial(THREE, Want(quality=quality)) == spatial


def test_the_best_below_serves_a_quality_that_is_not_published():
    assert wanted_spatial(THREE[:2], Want(quality=HIGH)) == 1


def test_the_lowest_serves_a_quality_below_all():
    assert wanted_spatial([Layer(0, HIGH)], Want(quality=LOW)) == 0


@pytest.mark.parametrize(
    ("size", "spatial"),
    [
        ((160, 90), 0),
        ((320, 180), 0),
        ((330, 190), 0),
        ((400, 225), 1),
        ((360, 640), 1),
        ((1000, 500), 2),
        ((3840, 2160), 2),
    ],
)
def test_a_size_gets_the_smallest_layer_that_about_fills_it(size: tuple[int, int], spatial: int):
    want = Want(quality=LOW, width=size[0], height=size[1])
    assert wanted_spatial(THREE, want) == spatial


def test_a_size_means_the_best_while_sizes_are_unknown():
    layers = [Layer(0, LOW), Layer(1, MEDIUM)]
    assert wanted_spatial(layers, Want(width=100, height=100)) == 1


def test_a_silent_layer_is_replaced_by_the_best_live_below():
    layers = [THREE[0], Layer(1, MEDIUM), Layer(2, HIGH, live=False)]
    assert best_live(layers, 2) == 1


def test_the_lowest_live_above_serves_when_none_is_below():
    layers = [Layer(0, LOW, live=False), Layer(1, MEDIUM), Layer(2, HIGH)]
    assert best_live(layers, 0) == 1


def test_nothing_live_gives_nothing():
    assert best_live([Layer(0, LOW, live=False)], 0) is None


@pytest.mark.parametrize(
    ("fps", "temporal"), [(0, ALL_TEMPORAL), (5, 0), (15, 1), (24, ALL_TEMPORAL)]
)
def test_fewer_frames_cap_the_temporal_layers(fps: int, temporal: int):
    assert Want(fps=fps).max_temporal == temporal


def test_the_area_is_the_size_or_what_the_quality_usually_has():
    assert Want(width=10, height=20).area == 200
    assert Want(quality=LOW).area < Want(quality=HIGH).area
