from itertools import pairwise

import pytest

from roomful_rtc.bandwidth import (
    MAX_ESTIMATE,
    MIN_ESTIMATE,
    PAUSED,
    Demand,
    Downlink,
    UplinkAdvice,
)

CAMERA = Demand("camera", (150_000, 500_000, 1_700_000), area=1280 * 720)
THUMB = Demand("thumb", (150_000, 500_000, 1_700_000), area=320 * 180)


def congested(downlink: Downlink, estimate: int, now: float = 0.0) -> None:
    """Tell the estimate in the way that counts: it does not climb."""
    for second in range(3):
        downlink.report(estimate, now + second)


def steps(
    downlink: Downlink, demands: list[Demand], start: int, seconds: int, estimate: int
) -> list[dict[object, int]]:
    result: list[dict[object, int]] = []
    for second in range(start, start + seconds):
        downlink.report(estimate, float(second))
        result.append(dict(downlink.allocate(demands, 0, float(second))))
    return result


def test_without_an_estimate_everybody_gets_what_is_wanted():
    assert Downlink().allocate([CAMERA, THUMB], 50_000, 0.0) == {"camera": 2, "thumb": 2}


def test_an_estimate_that_does_not_climb_takes_layers_away_at_once():
    downlink = Downlink()
    congested(downlink, 1_000_000)
    assert downlink.allocate([CAMERA], 50_000, 2.0) == {"camera": 1}


def test_a_low_estimate_that_climbs_takes_nothing_away():
    downlink = Downlink()
    for second, estimate in enumerate((400_000, 432_000, 466_000, 503_000)):
        downlink.report(estimate, float(second))
        assert downlink.allocate([CAMERA], 0, float(second)) == {"camera": 2}


def test_a_falling_estimate_counts_at_the_first_report():
    downlink = Downlink()
    downlink.report(2_500_000, 0.0)
    downlink.allocate([CAMERA], 0, 0.0)

    downlink.report(1_200_000, 1.0)

    assert downlink.allocate([CAMERA], 0, 1.0) == {"camera": 1}


def test_audio_and_a_reserve_come_first():
    downlink = Downlink()
    congested(downlink, 560_000)
    assert downlink.allocate([CAMERA], 0, 2.0) == {"camera": 1}

    downlink = Downlink()
    congested(downlink, 560_000)
    assert downlink.allocate([CAMERA], 40_000, 2.0) == {"camera": 0}


def test_everybody_gets_the_lowest_layer_before_anybody_gets_more():
    downlink = Downlink()
    congested(downlink, 400_000)
    assert downlink.allocate([CAMERA, THUMB], 0, 2.0) == {"camera": 0, "thumb": 0}


def test_the_larger_picture_gets_what_is_left():
    downlink = Downlink()
    congested(downlink, 800_000)
    assert downlink.allocate([THUMB, CAMERA], 0, 2.0) == {"camera": 1, "thumb": 0}


def test_priority_wins_over_area():
    downlink = Downlink()
    first = Demand("thumb", THUMB.rates, priority=1, area=1)
    congested(downlink, 800_000)
    assert downlink.allocate([CAMERA, first], 0, 2.0) == {"camera": 0, "thumb": 1}


def test_the_lowest_layer_is_kept_where_pausing_is_not_allowed():
    downlink = Downlink()
    congested(downlink, 50_000)
    assert downlink.allocate([CAMERA], 0, 2.0) == {"camera": 0}


def test_a_stream_that_may_pause_does_when_not_even_the_lowest_fits():
    downlink = Downlink()
    pausable = Demand("thumb", THUMB.rates, area=1, may_pause=True)
    congested(downlink, 200_000)
    assert downlink.allocate([CAMERA, pausable], 0, 2.0) == {"camera": 0, "thumb": PAUSED}


def test_a_stream_goes_up_one_layer_after_five_seconds_of_head_room():
    downlink = Downlink()
    steps(downlink, [CAMERA], 0, 3, 200_000)

    levels = [s["camera"] for s in steps(downlink, [CAMERA], 3, 40, 5_000_000)]

    assert levels[0] == 0
    assert 1 in levels
    assert levels.index(1) >= 5
    assert levels[-1] == 2
    assert levels == sorted(levels)


def test_without_head_room_it_stays_down():
    downlink = Downlink()
    steps(downlink, [CAMERA], 0, 3, 170_000)
    levels = [s["camera"] for s in steps(downlink, [CAMERA], 3, 60, 175_000)]
    assert set(levels) == {0}


def test_an_estimate_bounded_by_what_is_sent_allows_a_trial():
    downlink = Downlink()
    steps(downlink, [CAMERA], 0, 3, 180_000)
    levels = [s["camera"] for s in steps(downlink, [CAMERA], 3, 30, 225_000)]
    assert 1 in levels


def test_a_failed_trial_is_not_repeated_soon():
    downlink = Downlink()
    steps(downlink, [CAMERA], 0, 3, 180_000)
    now, ups = 3.0, []
    level = 0
    for _ in range(200):
        now += 1
        downlink.report(225_000 if level == 0 else 190_000, now)
        before, level = level, downlink.allocate([CAMERA], 0, now)["camera"]
        if level > before:
            ups.append(now)
    gaps = [later - earlier for earlier, later in pairwise(ups)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 15
    assert gaps[-1] >= 60


def test_heavy_loss_counts_like_congestion():
    downlink = Downlink()
    downlink.report(1_000_000, 0.0)
    downlink.loss(0.2)
    assert downlink.allocate([CAMERA], 0, 0.0) == {"camera": 1}


def test_a_wider_want_is_served_at_once_when_nothing_is_congested():
    downlink = Downlink()
    small = Demand("camera", CAMERA.rates[:1])
    congested(downlink, 225_000)
    assert downlink.allocate([small], 0, 2.0) == {"camera": 0}
    downlink.report(226_000 * 2, 3.0)
    assert downlink.allocate([CAMERA], 0, 3.0) == {"camera": 2}


def test_a_stream_lowered_by_congestion_does_not_jump_when_more_is_wanted():
    downlink = Downlink()
    congested(downlink, 300_000)
    downlink.allocate([CAMERA], 0, 2.0)
    downlink.report(300_000, 3.0)
    assert downlink.allocate([CAMERA], 0, 3.0) == {"camera": 0}


def test_estimates_are_clamped():
    downlink = Downlink()
    downlink.report(0, 0.0)
    assert downlink.estimate == MIN_ESTIMATE
    downlink.report(1 << 64, 1.0)
    assert downlink.estimate == MAX_ESTIMATE


def test_an_estimate_that_is_not_repeated_is_forgotten():
    downlink = Downlink()
    congested(downlink, 100_000)
    assert downlink.allocate([CAMERA], 0, 2.0) == {"camera": 0}
    assert downlink.allocate([CAMERA], 0, 20.0) == {"camera": 2}
    assert downlink.estimate is None


def test_advice_grows_slowly_while_nothing_is_lost():
    advice = UplinkAdvice(20_000_000)
    values = [advice.advise(2_000_000, 0.0) for _ in range(30)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(1_081_000)
    assert values[-1] == 3_000_000


def test_advice_falls_below_what_comes_when_much_is_lost():
    advice = UplinkAdvice(20_000_000)
    for _ in range(30):
        advice.advise(3_000_000, 0.0)
    assert advice.advise(2_000_000, 0.2) == 1_800_000


def test_advice_stays_between_floor_and_ceiling():
    advice = UplinkAdvice(1_500_000)
    for _ in range(50):
        high = advice.advise(9_000_000, 0.0)
    assert high == 1_500_000
    for _ in range(50):
        low = advice.advise(0, 0.9)
    assert low == UplinkAdvice.FLOOR
