"""Which streams a section may bring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomful.model.enums import VideoQuality
from roomful.model.track import VideoLayer
from roomful_rtc.layer_plan import LayerPlan
from roomful_rtc.offer_answer.negotiated import AnnouncedSsrc

from .rig import AUDIO, CAMERA, LAYERS, SIMULCAST

LOW, MEDIUM, HIGH = VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH


@pytest.mark.parametrize("order", [("q", "h", "f"), ("f", "h", "q"), ("h", "q", "f")])
def test_rids_are_ordered_by_quality_whatever_the_offer_says(order: tuple[str, ...]):
    plan = LayerPlan(replace(SIMULCAST, rids=order))
    assert [(p.spatial, p.rid, p.quality, p.width) for p in plan.layers] == [
        (0, "q", LOW, 320),
        (1, "h", MEDIUM, 640),
        (2, "f", HIGH, 1280),
    ]


def test_two_rids_make_two_layers():
    plan = LayerPlan(replace(SIMULCAST, rids=("h", "q")))
    assert [(p.spatial, p.rid, p.bitrate) for p in plan.layers] == [
        (0, "q", 150_000),
        (1, "h", 500_000),
    ]


def test_other_rids_are_named_by_the_publisher():
    layers = (VideoLayer(HIGH, 1280, 720, rid="big"), VideoLayer(LOW, 320, 180, rid="small"))
    plan = LayerPlan(replace(SIMULCAST, rids=("big", "small"), layers=layers))
    assert [(p.rid, p.quality, p.width) for p in plan.layers] == [
        ("small", LOW, 320),
        ("big", HIGH, 1280),
    ]


def test_rids_that_nobody_explains_keep_their_order():
    plan = LayerPlan(replace(SIMULCAST, rids=("a", "b"), layers=()))
    assert [(p.rid, p.quality) for p in plan.layers] == [("a", LOW), ("b", MEDIUM)]


def test_more_than_three_layers_are_left_out():
    plan = LayerPlan(replace(SIMULCAST, rids=("q", "h", "f", "x", "y")))
    assert [p.rid for p in plan.layers] == ["q", "h", "f"]
    assert plan.find("x", 1) is None


def test_announced_streams_are_layers_from_low_to_high():
    announced = (AnnouncedSsrc(1, 11), AnnouncedSsrc(2, 12), AnnouncedSsrc(3))
    plan = LayerPlan(replace(CAMERA, announced=announced, layers=LAYERS))
    assert [(p.ssrc, p.rtx_ssrc, p.quality) for p in plan.layers] == [
        (1, 11, LOW),
        (2, 12, MEDIUM),
        (3, 0, HIGH),
    ]
    assert plan.find("", 2) == plan.layers[1]
    assert plan.find("", 99) is None
    assert plan.find_repaired("", 12) == plan.layers[1]
    assert plan.announces(11)
    assert not plan.announces(99)


def test_a_single_stream_takes_whatever_ssrc_comes():
    plan = LayerPlan(replace(CAMERA, announced=(AnnouncedSsrc(5),), layers=LAYERS))
    assert plan.find("", 6) == plan.layers[0]
    assert plan.find_repaired("", 7) == plan.layers[0]
    assert (plan.layers[0].quality, plan.layers[0].width) == (HIGH, 1280)


def test_audio_is_one_layer():
    (layer,) = LayerPlan(AUDIO).layers
    assert (layer.spatial, layer.rid) == (0, "")


def test_a_simulcast_packet_without_a_rid_belongs_to_no_layer():
    assert LayerPlan(SIMULCAST).find("", 7) is None
    assert LayerPlan(SIMULCAST).find_repaired("", 7) is None
    assert LayerPlan(SIMULCAST).find_repaired("h", 7).rid == "h"
