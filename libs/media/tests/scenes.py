"""Pictures of people and of a screen, drawn by rule, and the composites that golden files hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import av
import numpy as np

from roomful_media.composite import Compositor, Look
from roomful_media.fonts import Typefaces
from roomful_media.frames import Picture
from roomful_media.label import Lettering

WIDTH, HEIGHT = 640, 360
NAMES = (
    "Guest House",
    "Αίθουσα Συσκέψεων",
    "Гость Редакции",
    "Kaffihús í Ólafsvík",
    "ضيف الشرف",
    "אורח כבוד (TLV) 42",
    "🦊 Studio",
    "Phòng Họp Ngữ",
    "A conference room with an uncommonly long name",
)
SKINS = ((234, 192, 160), (198, 142, 104), (120, 78, 54), (246, 214, 186))
WALLS = ((92, 112, 128), (126, 104, 92), (84, 116, 100), (112, 98, 130), (134, 128, 104))
SHIRTS = ((52, 70, 110), (150, 60, 66), (60, 108, 84), (206, 176, 92), (70, 70, 78))


def rgb_frame(picture: np.ndarray, pixel_format: str = "yuv420p") -> av.VideoFrame:
    """A frame of BT.709, limited range."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(format=pixel_format, dst_colorspace="ITU709", dst_color_range="MPEG")


@cache
def person(number: int, width: int = 640, height: int = 360) -> av.VideoFrame:
    """Head and shoulders before a wall."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = WALLS[number % len(WALLS)]
    picture[:, : width // 6] = picture[:, : width // 6] * 0.86
    y, x = np.mgrid[0:height, 0:width]
    unit = min(width, height)
    middle = width / 2 + unit * 0.05 * (number % 3 - 1)
    top = height * 0.44
    body = ((x - middle) / (unit * 0.42)) ** 2 + ((y - height * 1.08) / (unit * 0.42)) ** 2 < 1
    picture[body] = SHIRTS[(number * 2) % len(SHIRTS)]
    neck = (abs(x - middle) < unit * 0.07) & (y > top) & (y < top + unit * 0.3)
    picture[neck] = np.array(SKINS[number % len(SKINS)]) * 0.88
    head = ((x - middle) / (unit * 0.15)) ** 2 + ((y - top) / (unit * 0.2)) ** 2 < 1
    hair = ((x - middle) / (unit * 0.17)) ** 2 + ((y - top + unit * 0.05) / (unit * 0.2)) ** 2 < 1
    picture[hair] = (40 + 30 * (number % 4), 30 + 18 * (number % 4), 26)
    picture[head & (y > top - unit * 0.1)] = SKINS[number % len(SKINS)]
    return rgb_frame(picture)


def screen(width: int = 1280, height: int = 800) -> av.VideoFrame:
    """A page with a title, lines of text and bars."""
    picture = np.full((height, width, 3), 250, np.uint8)
    picture[: height // 10] = (38, 66, 120)
    picture[height // 30 : height // 15, width // 20 : width // 3] = (220, 228, 244)
    for line in range(9):
        top = height // 6 + line * height // 14
        right = width // 20 + width * (38 - 7 * (line % 3)) // 100
        picture[top : top + height // 45, width // 20 : right] = (120, 126, 138)
    for bar, share in enumerate((0.35, 0.6, 0.45, 0.8, 0.95)):
        left = width * (54 + 8 * bar) // 100
        picture[int(height * (0.9 - 0.65 * share)) : height * 9 // 10, left : left + width // 18] = (
            52 + 20 * bar, 120, 190 - 18 * bar,
        )  # fmt: skip
    return rgb_frame(picture)


def compositor(layout: str = "grid", width: int = WIDTH, height: int = HEIGHT) -> Compositor:
    """With the fonts of the package alone, so that all machines draw alike."""
    return Compositor(width, height, layout, Lettering(Typefaces(system=False)))


def seat(made: Compositor, count: int, **sizes: tuple[int, int]) -> Compositor:
    """`count` people with their cameras on; `p3=(360, 640)` sets the size of one."""
    for number in range(count):
        name = NAMES[number] if number < len(NAMES) else f"Guest {number + 1}"
        made.add(f"p{number}", Look(name))
        size = sizes.get(f"p{number}", (640, 360))
        made.put(f"p{number}", Picture(person(number, *size), 0))
    return made


def people(count: int, layout: str = "grid") -> Callable[[], Compositor]:
    def make() -> Compositor:
        made = seat(compositor(layout), count)
        made.speak(frozenset({"p1"}) if count > 1 else frozenset({"p0"}), "p1")
        return made

    return make


def share(count: int, layout: str = "grid", size: tuple[int, int] = (1280, 800)):
    def make() -> Compositor:
        made = seat(compositor(layout), count)
        made.add("screen", Look("Guest House", screen=True))
        made.put("screen", Picture(screen(*size), 0))
        made.speak(frozenset({"p0"}), "p0")
        return made

    return make


def speaker_changed() -> Compositor:
    made = seat(compositor("speaker"), 4)
    made.speak(frozenset({"p0"}), "p0")
    made.compose(0)
    made.speak(frozenset({"p2"}), "p2")
    return made


def avatars() -> Compositor:
    """Muted, cameras off, of all scripts."""
    made = compositor()
    for number, name in enumerate(NAMES):
        made.add(f"p{number}", Look(name, muted=number % 2 == 0, hidden=number % 3 == 1))
        if number % 3:
            made.put(f"p{number}", Picture(person(number), 0))
    made.speak(frozenset({"p5"}), "p5")
    return made


def portrait() -> Compositor:
    return seat(compositor(), 3, p1=(360, 640), p2=(640, 480))


def portrait_alone() -> Compositor:
    return seat(compositor(), 1, p0=(360, 640))


def codec_changed() -> Compositor:
    """Sizes and formats of a source change while it is seen."""
    made = seat(compositor(), 4)
    made.compose(0)
    made.put("p0", Picture(person(0, 1280, 720), 1))
    made.put("p1", Picture(person(1, 320, 180), 1))
    made.put("p2", Picture(person(2, 482, 270), 1))
    # a frame of its own: tags are set on it
    full = person(3).reformat(
        format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU601",
        src_color_range="MPEG", dst_color_range="JPEG",
    )  # fmt: skip
    full.colorspace, full.color_range = 5, 2
    made.put("p3", Picture(full, 1))
    return made


def stalled() -> Compositor:
    """One goes on, one has stood for three seconds, one for six."""
    made = compositor()
    for number, at in enumerate((0, -3_000_000, -6_000_000)):
        made.add(f"p{number}", Look(NAMES[number], muted=number == 1))
        made.put(f"p{number}", Picture(person(number), at))
    return made


def upright() -> Compositor:
    made = seat(compositor("speaker-light", 360, 640), 4)
    made.speak(frozenset({"p1"}), "p1")
    return made


SCENES: dict[str, Callable[[], Compositor]] = {
    **{f"grid-{count}": people(count) for count in (1, 2, 3, 5, 9, 25)},
    "grid-light-5": people(5, "grid-light"),
    "share-1": share(1),
    "share-4": share(4),
    "share-12": share(12, "speaker-light"),
    "share-25": share(25),
    "share-upright": share(3, size=(720, 1280)),
    "speaker-5": people(5, "speaker"),
    "speaker-changed": speaker_changed,
    "single-3": people(3, "single-speaker"),
    "single-share": share(2, "single-speaker"),
    "avatars": avatars,
    "portrait": portrait,
    "portrait-alone": portrait_alone,
    "codec-changed": codec_changed,
    "stalled": stalled,
    "upright": upright,
}
