"""The presenter's picture."""

import numpy as np
import pytest

from roomful_demo.melody import NOTE_S, TUNE, TUNE_S
from roomful_demo.picture import HEIGHT, MARKER, RADIUS, WIDTH, paint
from roomful_demo.seeing import COLOUR_TOLERANCE, WARMTH, distance

MOMENTS = np.linspace(0, TUNE_S, 120, endpoint=False)


@pytest.mark.parametrize("seconds", MOMENTS[::8])
def test_only_the_ball_is_warm_and_all_of_it_is_in_the_picture(seconds: float) -> None:
    picture = paint(seconds)[:, :, :3].astype(int)

    ball = np.all(picture == MARKER, axis=2)
    warm = picture[:, :, 0] - picture[:, :, 2] > WARMTH
    rows, columns = np.nonzero(warm)
    assert 0.8 * np.pi * RADIUS**2 < ball.sum() < np.pi * RADIUS**2
    assert ball.sum() <= warm.sum() < 1.1 * np.pi * RADIUS**2
    assert np.ptp(rows) + 1 <= 2 * RADIUS + 2
    assert np.ptp(columns) + 1 <= 2 * RADIUS + 2
    assert 0 < rows.min() and rows.max() < HEIGHT - 1
    assert 0 < columns.min() and columns.max() < WIDTH - 1


def test_the_ball_moves_without_leaps_from_picture_to_picture() -> None:
    places = []
    for seconds in MOMENTS:
        picture = paint(seconds)
        rows, columns = np.nonzero(np.all(picture[:, :, :3] == MARKER, axis=2))
        places.append((columns.mean(), rows.mean()))
    steps = np.linalg.norm(np.diff(np.array(places), axis=0), axis=1)

    assert steps.max() < 25
    assert steps.min() > 0.2


def test_the_bar_of_the_note_that_sounds_is_lit() -> None:
    def bright(seconds: float) -> int:
        return int((paint(seconds)[:, :, 1] > 150).sum())

    first = paint(0.0)
    assert (first[:, :, 3] == 255).all()
    assert bright(0.0) > 200
    assert bright(NOTE_S * 3) > 2 * bright(0.0)
    assert bright(NOTE_S * (len(TUNE) + 0.5)) == 0


def test_painting_leaves_earlier_pictures_alone() -> None:
    before = paint(0.1)
    kept = before.copy()
    paint(0.2)

    assert np.array_equal(before, kept)


def test_distance_is_of_the_worst_channel() -> None:
    assert distance(MARKER) == 0
    assert distance((MARKER[0], MARKER[1] - 50, MARKER[2] + 10)) == 50 > COLOUR_TOLERANCE
