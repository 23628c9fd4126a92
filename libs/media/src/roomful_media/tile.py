"""One participant's or screen's area: the newest picture that is due, or what stands for it.

waiting ──picture──▶ live ──2 s without──▶ dimmed ──3 s more──▶ avatar
                       ▲───────────────picture──────────────────────┘     muted: avatar at once
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from roomful_media import stamp
from roomful_media.frames import Picture
from roomful_media.layout import Rect
from roomful_media.name_text import clean

if TYPE_CHECKING:
    import av

    from roomful_media.canvas import Canvas
    from roomful_media.colour import Theme
    from roomful_media.label import Lettering

DIM_AFTER_US, AVATAR_AFTER_US = 2_000_000, 5_000_000
_SCREEN_PATIENCE = 5
"""A screen on which nothing moves sends few frames."""
_WAITING = 8
"""pictures that are not due yet; a ninth pushes out the oldest"""
_LEAST_TEXT = 9
"""pixels of a letter that can be read"""
_JUMP_US = 5_000_000
_LEAST_KEPT = 0.6
"""A picture is cut to the shape of its tile while this much of it stays; else it is seen whole."""
_OURS = (Colorspace.ITU709, ColorRange.MPEG)
_SOURCE_SPACES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601}


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of who is in a tile."""

    name: str = ""
    screen: bool = False
    muted: bool = False
    """no sound: the label says so"""
    hidden: bool = False
    """no picture: an avatar"""


class State(Enum):
    """What a tile shows."""

    LIVE = "live"
    DIMMED = "dimmed"
    AVATAR = "avatar"


class Tile:
    """Pictures in, an area of the canvas out. Only this one is rebuilt when its source changes."""

    def __init__(self, look: Look) -> None:
        """Show an avatar until the first picture is due."""
        self.look = replace(look, name=clean(look.name))
        self.state = State.AVATAR
        self.dropped = 0
        self._waiting: deque[Picture] = deque(maxlen=_WAITING)
        self._shown: Picture | None = None
        self._scaler = VideoReformatter()
        self._stale = True
        self._label: stamp.Stamp | None = None
        self._label_of: tuple[str, bool, int, int] | None = None
        """what the label that is kept was made of"""

    @property
    def aspect(self) -> float | None:
        """Width by height of the picture, None before the first."""
        if self._shown is None:
            return None
        return self._shown.frame.width / self._shown.frame.height

    def put(self, picture: Picture) -> None:
        """Take a picture that is to be shown at its time; one older than the newest is left out."""
        newest = self._waiting[-1] if self._waiting else self._shown
        if self._waiting and newest and newest.time_us - picture.time_us > _JUMP_US:
            # a clock that was wrong for a moment must not shut out all that follows
            self.dropped += len(self._waiting)
            self._waiting.clear()
            newest = self._shown
        if newest is not None and picture.time_us <= newest.time_us:
            self.dropped += 1
            return
        self.dropped += len(self._waiting) == _WAITING
        self._waiting.append(picture)

    def change(self, look: Look) -> None:
        """Be somebody else, or as muted as they are now."""
        look = replace(look, name=clean(look.name))
        self._stale |= look != self.look
        self.look = look

    def spoil(self) -> None:
        """Be drawn anew at the next occasion."""
        self._stale = True

    def advance(self, time_us: int) -> bool:
        """Take what is due; say whether the area must be drawn."""
        shown = self._shown
        while self._waiting and self._waiting[0].time_us <= time_us:
            self._shown = self._waiting.popleft()
        state = self._state_at(time_us)
        changed = self._stale or state is not self.state
        changed |= state is State.LIVE and self._shown is not shown
        self.state, self._stale = state, False
        return changed

    def _state_at(self, time_us: int) -> State:
        if self._shown is None or self.look.hidden:
            return State.AVATAR
        age_us = time_us - self._shown.time_us
        patience = _SCREEN_PATIENCE if self.look.screen else 1
        if age_us > AVATAR_AFTER_US * patience:
            return State.AVATAR
        return State.DIMMED if age_us > DIM_AFTER_US * patience else State.LIVE

    def draw(
        self, canvas: Canvas, area: Rect, theme: Theme, lettering: Lettering, *, speaking: bool
    ) -> None:
        """Draw all of the area."""
        if self.state is State.AVATAR or self._shown is None:
            canvas.fill(area, theme.tile)
            self._draw_avatar(canvas, area, lettering)
        else:
            self._draw_picture(canvas, area, theme, self._shown.frame)
            if self.state is State.DIMMED:
                canvas.dim(area)
        self._draw_label(canvas, area, lettering)
        if speaking:
            canvas.border(area, theme.speaker, _thickness(canvas))

    def _draw_picture(self, canvas: Canvas, area: Rect, theme: Theme, frame: av.VideoFrame) -> None:
        width, height = _scaled(frame.width, frame.height, area, whole=self.look.screen)
        cut_width, cut_height = min(width, area.width), min(height, area.height)
        cut = Rect(_even((width - cut_width) / 2), _even((height - cut_height) / 2),
                   cut_width, cut_height)  # fmt: skip
        if (cut_width, cut_height) != (area.width, area.height):
            canvas.fill(area, theme.tile)
        x = area.x + _even((area.width - cut_width) / 2)
        y = area.y + _even((area.height - cut_height) / 2)
        canvas.blit(self._converted(frame, width, height), x, y, cut)

    def _converted(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        """Scale; colours that say that they are not ours are converted as well."""
        space = _SOURCE_SPACES.get(frame.colorspace, Colorspace.ITU709)
        full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        source_range = ColorRange.JPEG if full else ColorRange.MPEG
        same = (space, source_range) == _OURS and frame.format.name == "yuv420p"
        if same and (frame.width, frame.height) == (width, height):
            return frame
        how = Interpolation.AREA if self.look.screen else Interpolation.FAST_BILINEAR
        if width > frame.width:
            how = Interpolation.BICUBIC
        if same:
            return self._scaler.reformat(
                frame, width, height, "yuv420p", interpolation=how, threads=1
            )
        return self._scaler.reformat(
            frame,
            width,
            height,
            "yuv420p",
            src_colorspace=space,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=source_range,
            dst_color_range=ColorRange.MPEG,
            interpolation=how,
            threads=1,
        )

    def _draw_avatar(self, canvas: Canvas, area: Rect, lettering: Lettering) -> None:
        side = _even(min(area.width, area.height) * 0.46)
        if side >= 16:
            disc = stamp.avatar(lettering, self.look.name, side)
            x, y = area.x + (area.width - side) / 2, area.y + (area.height - side) / 2
            canvas.stamp(disc, _even(x), _even(y))

    def _draw_label(self, canvas: Canvas, area: Rect, lettering: Lettering) -> None:
        margin = _margin(area)
        size = _text_size(canvas, area)
        room = area.width - 2 * margin
        if area.height < 3 * size:
            return
        wanted = self.look.name, self.look.muted, size, room
        if self._label_of != wanted:
            muted = self.look.muted
            self._label = stamp.label(lettering, self.look.name, size, room, muted=muted)
            self._label_of = wanted
        label = self._label
        if label is not None:
            canvas.stamp(label, area.x + margin, _even(area.bottom - margin - label.height))


def _scaled(width: int, height: int, area: Rect, *, whole: bool) -> tuple[int, int]:
    """Return the even size of a picture that covers an area, or fits into it."""
    across, down = area.width / width, area.height / height
    kept = min(across, down) / max(across, down)
    scale = min(across, down) if whole or kept < _LEAST_KEPT else max(across, down)
    # an area has the shape of its picture up to a line or two: those are cut, not left free
    near = 0.98 < kept
    if near:
        scale = max(across, down)
    return max(2, _even_up(width * scale)), max(2, _even_up(height * scale))


def _margin(area: Rect) -> int:
    return max(2, _even(min(area.width, area.height) * 0.035))


def _text_size(canvas: Canvas, area: Rect) -> int:
    """Readable on the whole canvas, smaller where tiles are small."""
    base = min(canvas.width, canvas.height) / 36
    return max(_LEAST_TEXT, int(min(base, max(base * 0.6, area.height / 8.5))))


def _thickness(canvas: Canvas) -> int:
    return max(2, _even(min(canvas.width, canvas.height) / 180))


def _even(value: float) -> int:
    return int(value) // 2 * 2


def _even_up(value: float) -> int:
    return -(-round(value) // 2) * 2
