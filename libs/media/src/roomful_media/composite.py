"""Many pictures in one, on a clock of its own.

    put(key, picture) ──▶ tile … ──┐
    add, remove, change, speak ────┼─ compose(time_us) ──▶ frame, 1280×720 yuv420p BT.709
    set_layout ────────────────────┘

The canvas stays; a frame of it is a copy. Only tiles whose picture changed are drawn, and nothing but
a tile is rebuilt when its source changes size or codec. Frame n is of the time start + n / fps.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from roomful.errors import AlreadyExists, MediaError, NotFound
from roomful_media import stamp
from roomful_media.canvas import Canvas
from roomful_media.colour import DARK, LIGHT
from roomful_media.label import Lettering
from roomful_media.layout import Layout, Rect, Seat, arrange, is_light
from roomful_media.tile import Look, State, Tile

if TYPE_CHECKING:
    import av

    from roomful_media.frames import Picture

__all__ = ["Compositor", "Look", "State", "frame_time_us"]

_MOST_ASPECT = 4.0
"""A panorama gets no flatter tile than this."""
_MOST_TILES = 512


def frame_time_us(start_us: int, number: int, fps: int) -> int:
    """Return the common media time of a frame of the fixed clock."""
    return start_us + int(Fraction(number * 1_000_000, fps))


class Compositor:
    """Tiles come and go; each call of `compose` gives a frame."""

    def __init__(
        self, width: int, height: int, layout: str = "grid", lettering: Lettering | None = None
    ) -> None:
        """Make an empty canvas.

        Args:
            width: even.
            height: even.
            layout: a name of `roomful_media.layout`; an unknown one is a grid.
            lettering: draws names; one of our own, if none is given.

        Raises:
            MediaError: the size cannot be.
        """
        arrange(layout, width, height, ())
        self._canvas = Canvas(width, height)
        self._lettering = lettering or Lettering()
        self._name = layout
        self._tiles: dict[str, Tile] = {}
        self._aspects: dict[str, float] = {}
        self._speaker: str | None = None
        self._speaking: frozenset[str] = frozenset()
        self._layout: Layout | None = None
        self._drawn: Layout | None = None
        """the layout that is on the canvas"""

    @property
    def layout(self) -> Layout:
        """Where everybody is now: which videos are wanted, and how large."""
        if self._layout is None:
            self._layout = self._arranged()
        return self._layout

    def state(self, key: str) -> State:
        """Return what a tile shows."""
        return self._tile(key).state

    def add(self, key: str, look: Look) -> None:
        """Let somebody be seen, last in order.

        Raises:
            AlreadyExists: the key has a tile.
            MediaError: too many.
        """
        if key in self._tiles:
            raise AlreadyExists(f"tile {key!r} is there")
        if len(self._tiles) >= _MOST_TILES:
            raise MediaError(f"more than {_MOST_TILES} tiles")
        self._tiles[key] = Tile(look)
        self._layout = None

    def remove(self, key: str) -> None:
        """Take somebody out; unknown keys are none."""
        if self._tiles.pop(key, None) is not None:
            self._aspects.pop(key, None)
            self._layout = None

    def change(self, key: str, look: Look) -> None:
        """Rename, mute, hide: what is new is seen with the next frame. Raises `NotFound`."""
        tile = self._tile(key)
        moves = look.screen != tile.look.screen
        tile.change(look)
        if moves:
            self._layout = None

    def mute(self, key: str, *, muted: bool) -> None:
        """Say whether there is sound of them. Raises `NotFound`."""
        self.change(key, replace(self._tile(key).look, muted=muted))

    def put(self, key: str, picture: Picture) -> None:
        """Give a tile a picture that is due at its time. Raises `NotFound`."""
        self._tile(key).put(picture)

    def speak(self, speaking: frozenset[str], speaker: str | None) -> None:
        """Say who is heard (they get a border) and who counts as the active speaker."""
        for key in speaking ^ self._speaking:
            if key in self._tiles:
                self._tiles[key].spoil()
        self._speaking = speaking
        if speaker != self._speaker:
            self._speaker = speaker
            self._layout = None if self._name.startswith(("speaker", "single")) else self._layout

    def set_layout(self, name: str) -> None:
        """Change to another layout with the next frame."""
        if name != self._name:
            self._name, self._layout = name, None

    def compose(self, time_us: int) -> av.VideoFrame:
        """Return the frame of that time, which does not go back.

        It is a copy: the encoder may keep it.
        """
        changed = [key for key, tile in self._tiles.items() if tile.advance(time_us)]
        self._note_aspects()
        layout = self.layout
        if layout is not self._drawn:
            self._clear(layout)
            self._drawn, changed = layout, list(layout.places)
        theme = LIGHT if is_light(self._name) else DARK
        for key in changed:
            area = layout.places.get(key)
            if area is not None:
                self._tiles[key].draw(
                    self._canvas, area, theme, self._lettering, speaking=self._border(key)
                )
        return self._canvas.frame()

    def _border(self, key: str) -> bool:
        """Whether a tile has the speaker's border; who is alone on the canvas needs none."""
        return key in self._speaking and len(self.layout.places) > 1

    def _note_aspects(self) -> None:
        """Arrange anew when a shared screen has another shape; cameras do not move others."""
        for key, tile in self._tiles.items():
            aspect = tile.aspect if tile.look.screen else None
            if aspect is not None and abs(aspect - self._aspects.get(key, 0.0)) > 0.01:
                self._aspects[key] = aspect
                self._layout = None

    def _arranged(self) -> Layout:
        seats = [Seat(key, tile.look.screen, self._shape(key)) for key, tile in self._tiles.items()]
        canvas = self._canvas
        return arrange(self._name, canvas.width, canvas.height, seats, self._speaker)

    def _shape(self, key: str) -> float:
        aspect = self._aspects.get(key, 16 / 9)
        return min(_MOST_ASPECT, max(1 / _MOST_ASPECT, aspect))

    def _clear(self, layout: Layout) -> None:
        canvas, theme = self._canvas, LIGHT if is_light(self._name) else DARK
        canvas.fill(Rect(0, 0, canvas.width, canvas.height), theme.canvas)
        if layout.more is not None:
            area, count = layout.more
            canvas.fill(area, theme.tile)
            size = max(8, int(area.height * 0.28))
            words = stamp.text(self._lettering, f"+{count}", size, area.width, theme.text)
            x, y = (area.width - words.width) // 2, (area.height - words.height) // 2
            canvas.stamp(words, (area.x + max(0, x)) // 2 * 2, (area.y + max(0, y)) // 2 * 2)

    def _tile(self, key: str) -> Tile:
        tile = self._tiles.get(key)
        if tile is None:
            raise NotFound(f"no tile {key!r}: {sorted(self._tiles)!r}")
        return tile
