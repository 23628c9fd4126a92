"""Where everybody is seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful.errors import MediaError
from roomful_media.layout import LAYOUTS, Rect, Seat, arrange, is_light, known


def seats(count: int, screens: int = 0) -> list[Seat]:
    return [Seat(f"screen{n}", True, 1.6) for n in range(screens)] + [
        Seat(f"p{n}") for n in range(count)
    ]


def apart(a: Rect, b: Rect) -> bool:
    return a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y


@given(
    name=st.sampled_from([*LAYOUTS, "grid-light", "speaker-light", "nonsense"]),
    width=st.integers(60, 1000),
    height=st.integers(60, 1000),
    count=st.integers(0, 80),
    screens=st.integers(0, 2),
    speaker=st.integers(0, 90),
)
def test_all_rectangles_are_even_inside_and_apart(
    name: str, width: int, height: int, count: int, screens: int, speaker: int
) -> None:
    width, height = 2 * width, 2 * height
    everybody = seats(count, screens)
    layout = arrange(name, width, height, everybody, f"p{speaker}")

    areas = [*layout.places.values(), *([layout.more[0]] if layout.more else [])]
    for area in areas:
        assert all(side % 2 == 0 for side in (area.x, area.y, area.width, area.height))
        assert area.x >= 0 and area.y >= 0 and area.width > 0 and area.height > 0
        assert area.right <= width and area.bottom <= height
    assert all(apart(a, b) for n, a in enumerate(areas) for b in areas[n + 1 :])
    hidden = layout.hidden(everybody)
    assert len(layout.places) + len(hidden) == len(everybody)
    if layout.more:
        assert layout.more[1] == len(hidden)
    assert bool(everybody) == bool(layout.places)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (25, 5)])
def test_grid_is_as_wide_as_makes_tiles_large(count: int, columns: int) -> None:
    layout = arrange("grid", 1280, 720, seats(count))

    assert len({area.x for area in list(layout.places.values())[:columns]}) == columns
    assert len({(area.width, area.height) for area in layout.places.values()}) == 1
    assert layout.more is None


def test_one_alone_has_the_whole_canvas() -> None:
    assert arrange("grid", 1280, 720, seats(1)).places == {"p0": Rect(0, 0, 1280, 720)}


def test_grid_becomes_speaker_while_a_screen_is_shared() -> None:
    layout = arrange("grid-light", 1280, 720, seats(4, screens=1), "p2")

    assert layout.focus == "screen0"
    large = layout.places["screen0"]
    assert large.width / large.height == pytest.approx(1.6, rel=0.01)
    assert large.width > 3 * layout.places["p0"].width


def test_speaker_is_large_and_the_others_keep_their_order() -> None:
    layout = arrange("speaker", 1280, 720, seats(4), "p2")

    assert layout.focus == "p2"
    assert list(layout.places) == ["p2", "p0", "p1", "p3"]
    assert arrange("speaker", 1280, 720, seats(4), "gone").focus == "p0"


def test_single_speaker_shows_one_and_a_screen_first() -> None:
    assert list(arrange("single-speaker", 1280, 720, seats(4), "p2").places) == ["p2"]
    assert list(arrange("single-speaker", 1280, 720, seats(4, 1), "p2").places) == ["screen0"]


def test_those_who_do_not_fit_are_counted() -> None:
    layout = arrange("grid", 1280, 720, seats(80))

    assert layout.more is not None
    assert layout.more[1] == 32
    assert len(layout.hidden(seats(80))) == 32


def test_names_are_known_or_a_grid() -> None:
    assert known("grid") and known("single-speaker-light")
    assert not known("carousel")
    assert is_light("speaker-light") and not is_light("speaker")
    assert arrange("carousel", 1280, 720, seats(4)) == arrange("grid", 1280, 720, seats(4))


@pytest.mark.parametrize("size", [(1281, 720), (1280, 721), (8, 8), (0, 0)])
def test_a_canvas_that_cannot_be_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(MediaError, match="sides are even"):
        arrange("grid", *size, seats(1))
