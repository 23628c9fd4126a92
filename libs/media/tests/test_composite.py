"""The compositor's behaviour; how it looks is in `test_golden`."""

from __future__ import annotations

import time

import av
import numpy as np
import pytest

from roomful.errors import AlreadyExists, MediaError, NotFound
from roomful_media.canvas import planes_of
from roomful_media.colour import DARK, LIGHT, yuv
from roomful_media.composite import Compositor, Look, State, frame_time_us
from roomful_media.fonts import Typefaces
from roomful_media.frames import Picture
from roomful_media.label import Lettering

FRAME_US = 33_333


@pytest.fixture(scope="module")
def lettering() -> Lettering:
    return Lettering(Typefaces(system=False))


@pytest.fixture
def compositor(lettering: Lettering) -> Compositor:
    return Compositor(640, 360, "grid", lettering)


def plain(luma: int, width: int = 640, height: int = 360, form: str = "yuv420p") -> av.VideoFrame:
    frame = av.VideoFrame(width, height, form)
    for view, value in zip(planes_of(frame), (luma, 110, 140), strict=True):
        view[:] = value
    return frame


def seated(compositor: Compositor, count: int) -> Compositor:
    for number in range(count):
        compositor.add(f"p{number}", Look(f"P {number}"))
        compositor.put(f"p{number}", Picture(plain(100 + 10 * number), 0))
    return compositor


def luma_at(frame: av.VideoFrame, compositor: Compositor, key: str) -> int:
    """Brightness at a third of the tile, where neither label nor disc is."""
    area = compositor.layout.places[key]
    return int(planes_of(frame)[0][area.y + area.height // 5, area.x + area.width // 5])


def test_frames_are_tagged_and_belong_to_the_caller(compositor: Compositor) -> None:
    first = seated(compositor, 2).compose(0)
    kept = planes_of(first)[0].copy()
    compositor.put("p0", Picture(plain(200), 1))
    second = compositor.compose(FRAME_US)

    assert (first.width, first.height, first.format.name) == (640, 360, "yuv420p")
    assert (first.colorspace, first.color_range) == (1, 1)
    assert np.array_equal(planes_of(first)[0], kept)
    assert luma_at(second, compositor, "p0") == 200
    assert planes_of(first)[0][0, 0] == DARK.canvas[0]


def test_the_newest_picture_that_is_due_is_shown(compositor: Compositor) -> None:
    seated(compositor, 2)
    for number in range(1, 6):
        compositor.put("p0", Picture(plain(100 + number), number * FRAME_US))

    seen = [luma_at(compositor.compose(at), compositor, "p0")
            for at in (0, FRAME_US, FRAME_US + 1, 3 * FRAME_US, 9 * FRAME_US)]  # fmt: skip
    assert seen == [100, 101, 101, 103, 105]


def test_pictures_that_come_too_early_or_too_late_are_bounded(compositor: Compositor) -> None:
    seated(compositor, 2)
    for number in range(1, 13):
        compositor.put("p0", Picture(plain(100 + number), number * FRAME_US))
    compositor.put("p0", Picture(plain(16), FRAME_US))
    tile = compositor._tiles["p0"]

    assert tile.dropped == 6
    assert luma_at(compositor.compose(12 * FRAME_US), compositor, "p0") == 112


def test_a_picture_of_the_far_future_does_not_shut_out_what_follows(compositor) -> None:
    seated(compositor, 2)
    compositor.put("p0", Picture(plain(200), 3_600_000_000))
    compositor.put("p0", Picture(plain(150), FRAME_US))

    assert luma_at(compositor.compose(FRAME_US), compositor, "p0") == 150


def test_a_source_that_stops_is_dimmed_then_an_avatar_and_comes_back(compositor) -> None:
    seated(compositor, 2)
    for at, state in ((0, State.LIVE), (1_999_999, State.LIVE), (2_100_000, State.DIMMED),
                      (5_100_000, State.AVATAR)):  # fmt: skip
        frame = compositor.compose(at)
        assert compositor.state("p0") is state
    assert luma_at(frame, compositor, "p0") == DARK.tile[0]

    compositor.put("p0", Picture(plain(150), 6_000_000))
    assert luma_at(compositor.compose(6_000_000), compositor, "p0") == 150


def test_a_still_screen_is_not_dimmed_as_early(compositor: Compositor) -> None:
    compositor.add("s", Look("S", screen=True))
    compositor.put("s", Picture(plain(180), 0))
    compositor.compose(8_000_000)

    assert compositor.state("s") is State.LIVE


def test_a_camera_that_is_off_is_an_avatar_at_once(compositor: Compositor) -> None:
    seated(compositor, 2)
    compositor.compose(0)
    compositor.change("p0", Look("P 0", hidden=True))
    frame = compositor.compose(FRAME_US)

    assert compositor.state("p0") is State.AVATAR
    assert luma_at(frame, compositor, "p0") == DARK.tile[0]


def test_others_are_not_touched_when_one_comes_goes_or_changes(compositor: Compositor) -> None:
    seated(compositor, 4)
    compositor.compose(0)
    scalers = [tile._scaler for tile in compositor._tiles.values()]
    compositor.put("p0", Picture(plain(120, 1280, 720), FRAME_US))
    compositor.add("p9", Look("Late"))
    compositor.remove("p1")
    compositor.remove("nobody")
    frame = compositor.compose(FRAME_US)

    kept = [compositor._tiles[key]._scaler for key in ("p0", "p2", "p3")]
    assert kept == [scalers[0], scalers[2], scalers[3]]
    assert luma_at(frame, compositor, "p0") == 120
    assert luma_at(frame, compositor, "p3") == 130


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize(
    "size", [(640, 360), (639, 359), (2, 2), (3840, 2160), (17, 1080), (1000, 30)]
)
def test_sources_of_any_size_and_format_fill_their_tile(size, form, compositor) -> None:
    seated(compositor, 2)
    picture = plain(90, *size).reformat(format=form)
    compositor.put("p1", Picture(picture, 1))
    frame = compositor.compose(1)
    area = compositor.layout.places["p1"]

    middle = planes_of(frame)[0][area.y + area.height // 2, area.x + area.width // 2]
    assert abs(int(middle) - 90) <= 2


def test_full_range_and_other_colours_are_converted(compositor: Compositor) -> None:
    rgb = np.full((360, 640, 3), (200, 60, 40), np.uint8)
    source = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    full = source.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="JPEG")
    full.colorspace, full.color_range = 5, 2
    compositor.add("p0", Look())
    compositor.put("p0", Picture(full, 0))
    planes = planes_of(compositor.compose(0))

    found = int(planes[0][100, 100]), int(planes[1][50, 50]), int(planes[2][50, 50])
    assert np.abs(np.array(found) - yuv((200, 60, 40))).max() <= 3


def test_who_speaks_has_a_border_in_the_frame_after(compositor: Compositor) -> None:
    seated(compositor, 2)
    compositor.compose(0)
    compositor.speak(frozenset({"p1", "gone"}), "p1")
    area = compositor.layout.places["p1"]
    on = planes_of(compositor.compose(1))[0][area.y, area.x]
    compositor.speak(frozenset(), "p1")
    off = planes_of(compositor.compose(2))[0][area.y, area.x]

    assert (on, off) == (DARK.speaker[0], 110)


def test_layout_and_theme_change_while_it_runs(compositor: Compositor) -> None:
    seated(compositor, 4)
    compositor.compose(0)
    compositor.set_layout("speaker-light")
    compositor.speak(frozenset(), "p2")
    frame = compositor.compose(1)

    assert compositor.layout.focus == "p2"
    assert planes_of(frame)[0][0, 0] == LIGHT.canvas[0]
    compositor.speak(frozenset(), "p3")
    compositor.compose(2)
    assert compositor.layout.focus == "p3"


def test_a_shared_screen_is_placed_by_its_shape(compositor: Compositor) -> None:
    seated(compositor, 2)
    compositor.add("s", Look("S", screen=True))
    compositor.put("s", Picture(plain(180, 800, 600), 0))
    compositor.compose(0)
    area = compositor.layout.places["s"]
    assert area.width / area.height == pytest.approx(4 / 3, rel=0.02)

    compositor.put("s", Picture(plain(180, 4000, 100), 1))
    compositor.compose(1)
    area = compositor.layout.places["s"]
    assert area.width / area.height == pytest.approx(4, rel=0.05)


def test_wrong_keys_and_sizes_are_refused(compositor: Compositor) -> None:
    seated(compositor, 1)
    with pytest.raises(AlreadyExists, match="p0"):
        compositor.add("p0", Look())
    with pytest.raises(NotFound, match="'p7'"):
        compositor.put("p7", Picture(plain(1), 0))
    with pytest.raises(NotFound, match="'p7'"):
        compositor.mute("p7", muted=True)
    with pytest.raises(MediaError, match="641x360"):
        Compositor(641, 360)


def test_muting_redraws_the_label_only_once(compositor: Compositor) -> None:
    seated(compositor, 2)
    before = compositor.compose(0)
    compositor.mute("p0", muted=True)
    after = compositor.compose(1)
    again = compositor.compose(2)

    assert not np.array_equal(planes_of(before)[0], planes_of(after)[0])
    assert np.array_equal(planes_of(after)[0], planes_of(again)[0])


def test_a_crowd_of_tiles_is_bounded(compositor: Compositor) -> None:
    for number in range(512):
        compositor.add(f"p{number}", Look(f"P {number}"))
    compositor.compose(0)
    assert compositor.layout.more is not None
    with pytest.raises(MediaError, match="512"):
        compositor.add("one more", Look())


def test_frames_of_the_fixed_clock_do_not_wander() -> None:
    assert frame_time_us(7, 0, 30) == 7
    assert frame_time_us(0, 30 * 3600, 30) == 3_600_000_000
    assert frame_time_us(0, 1, 30) == 33_333


def test_composing_many_tiles_is_cheap(compositor: Compositor) -> None:
    """Half of the bound of the bench, of what a loaded machine takes at worst."""
    seated(compositor, 4)
    best = 1.0
    for attempt in range(5):
        begin = time.process_time()
        for number in range(30):
            at = attempt * 1_000_000 + number * FRAME_US + 1
            for tile in range(4):
                compositor.put(f"p{tile}", Picture(plain(100 + tile), at))
            compositor.compose(at)
        best = min(best, time.process_time() - begin)

    assert best < 0.3
