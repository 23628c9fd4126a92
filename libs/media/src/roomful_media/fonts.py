"""Which font has a character: open fonts that come as a package, then those of the machine.

`manimgx-fonts` brings Noto Sans for two dozen scripts and Noto Emoji (one colour, as labels are).
Chinese, Japanese and Korean are 20 MB more: `manimgx-fonts-cjk`, or any font that fontconfig knows.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

import uharfbuzz

# a Cython module without types
_hb: Any = uharfbuzz

_PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")
_FIRST, _EMOJI = "NotoSans[", "NotoEmoji"
_SLANTED = "Italic"
_ASK_S = 3.0
_MOST_SYSTEM = 32
"""fonts of the machine that are opened, and characters that are asked for in vain"""


class Typeface:
    """One font file, opened when it is looked into."""

    def __init__(self, path: Path, index: int = 0) -> None:
        """`index`: of the font in a collection."""
        self.path, self._index = path, index
        self._fonts: dict[tuple[int, int], Any] = {}

    @cached_property
    def _face(self) -> Any:
        return _hb.Face(_hb.Blob.from_file_path(str(self.path)), self._index)

    @cached_property
    def _characters(self) -> Any:
        return self._face.unicodes

    def has(self, characters: str) -> bool:
        """Whether all of these are in it."""
        return all(ord(character) in self._characters for character in characters)

    def font(self, size: int, weight: int) -> Any:
        """Return it at a size in pixels; lengths are in 1/64 of one."""
        font = self._fonts.get((size, weight))
        if font is None:
            font = _hb.Font(self._face)
            font.scale = (size * 64, size * 64)
            font.set_variations({"wght": weight})
            self._fonts[size, weight] = font
        return font


class Typefaces:
    """All fonts that are there."""

    def __init__(self, *, system: bool = True) -> None:
        """`system`: ask fontconfig, where it is, for what the packages do not have."""
        paths = [path for name in _PACKAGES for path in _package_fonts(name)]
        self._faces = [Typeface(path) for path in sorted(paths, key=_rank)]
        self._emoji = [face for face in self._faces if face.path.name.startswith(_EMOJI)]
        self._asks = shutil.which("fc-match") if system else None
        self._found: dict[str, Typeface | None] = {}

    def pick(self, characters: str, *, emoji: bool = False) -> Typeface:
        """Return the first font that has all of them; one that has none draws boxes.

        Args:
            characters: of one cluster, without those that are never drawn.
            emoji: whether it is meant as a picture where it could be a letter.
        """
        for face in [*self._emoji, *self._faces] if emoji else self._faces:
            if face.has(characters):
                return face
        return self._of_system(characters) or self._faces[0]

    def _of_system(self, characters: str) -> Typeface | None:
        key = characters[:1]
        if key in self._found or self._asks is None or len(self._found) >= _MOST_SYSTEM:
            return self._found.get(key)
        face = self._asked(self._asks, ord(key)) if key else None
        self._found[key] = face if face is not None and face.has(key) else None
        return self._found[key]

    @staticmethod
    def _asked(program: str, code: int) -> Typeface | None:
        query = f"sans:charset={code:x}:scalable=true:color=false"
        try:
            done = subprocess.run(  # noqa: S603 - fontconfig's own program, no text of a user in it
                [program, "-f", "%{index} %{file}", query],
                capture_output=True,
                text=True,
                timeout=_ASK_S,
                check=True,
            )
            index, path = done.stdout.split(" ", 1)
            # above 16 bits stands which instance of a variable font it is
            face = Typeface(Path(path), int(index) & 0xFFFF)
            face.has("a")
        except (OSError, ValueError, subprocess.SubprocessError, _hb.HarfBuzzError):
            return None
        return face


def _package_fonts(name: str) -> list[Path]:
    spec = importlib.util.find_spec(name)
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    return [
        path
        for folder in folders
        for path in folder.iterdir()
        if path.suffix in (".ttf", ".otf", ".ttc") and _SLANTED not in path.name
    ]


def _rank(path: Path) -> tuple[int, str]:
    """Latin, Greek and Cyrillic first, the large ones last."""
    if path.name.startswith(_FIRST):
        return 0, path.name
    return (2 if path.suffix == ".ttc" or path.name.startswith(_EMOJI) else 1), path.name
