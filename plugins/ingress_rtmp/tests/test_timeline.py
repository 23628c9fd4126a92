"""Timestamps that wrap, jump and go back become one time."""

import pytest

from roomful_ingress_rtmp.timeline import STEP_MS, Timeline


def run(*stamps, track="video"):
    timeline = Timeline()
    return [timeline.take(track, stamp) for stamp in stamps], timeline


def test_begins_at_0_wherever_the_encoder_begins():
    assert run(23, 56, 90)[0] == [0, 33, 67]


def test_wrap_is_continuous():
    times, timeline = run(2**32 - 40, 2**32 - 7, 26)

    assert times == [0, 33, 66]
    assert timeline.jumps == 0


@pytest.mark.parametrize("after", [0, 5_000_000, 2**31 + 7])
def test_a_jump_goes_on_by_one_step(after):
    times, timeline = run(10_000, 10_033, after, after + 33)

    assert times == [0, 33, 33 + STEP_MS, 66 + STEP_MS]
    assert timeline.jumps == 1


def test_both_tracks_move_by_the_same_amount():
    timeline = Timeline()
    for stamp in range(0, 400, 40):
        timeline.take("video", stamp)
        timeline.take("audio", stamp + 10)

    video = timeline.take("video", 50_000)
    audio = timeline.take("audio", 50_010)

    assert audio - video == 10
    assert timeline.jumps == 1


def test_a_track_that_pauses_moves_nobody():
    timeline = Timeline()
    timeline.take("audio", 0)
    for stamp in range(0, 5000, 40):
        assert timeline.take("video", stamp) == stamp

    assert timeline.take("audio", 4980) == 4980
    assert timeline.jumps == 0


def test_small_steps_back_stand_still():
    assert run(0, 100, 60, 140)[0] == [0, 100, 100, 140]
