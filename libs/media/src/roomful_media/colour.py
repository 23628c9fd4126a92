"""Colours of the composite: BT.709, limited range, as its frames are tagged."""

from __future__ import annotations

from dataclasses import dataclass

BT709, LIMITED = 1, 1
"""of FFmpeg's AVColorSpace, AVColorPrimaries and AVColorTransferCharacteristic; AVColorRange"""
Rgb = tuple[int, int, int]
Yuv = tuple[int, int, int]


def yuv(rgb: Rgb) -> Yuv:
    """Return Y (16 to 235) and U, V (16 to 240) of a colour. ITU-R BT.709-6, items 3.2 to 3.4."""
    red, green, blue = (value / 255 for value in rgb)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (
        round(16 + 219 * luma),
        round(128 + 224 * (blue - luma) / 1.8556),
        round(128 + 224 * (red - luma) / 1.5748),
    )


@dataclass(frozen=True, slots=True)
class Theme:
    """What is drawn around and instead of pictures."""

    canvas: Yuv
    tile: Yuv
    """behind avatars, and beside pictures of another shape"""
    text: Yuv
    """on tiles"""
    speaker: Yuv
    """the border of who speaks"""


DARK = Theme(yuv((13, 15, 20)), yuv((32, 36, 46)), yuv((214, 219, 230)), yuv((58, 160, 255)))
LIGHT = Theme(yuv((246, 247, 249)), yuv((221, 225, 233)), yuv((58, 65, 80)), yuv((20, 110, 245)))
WHITE, BLACK, RED = yuv((255, 255, 255)), yuv((10, 12, 16)), yuv((255, 107, 107))
AVATARS = tuple(
    yuv(rgb)
    for rgb in (
        (66, 103, 212),
        (0, 128, 128),
        (160, 74, 178),
        (192, 84, 52),
        (58, 125, 68),
        (184, 62, 104),
        (96, 86, 196),
        (138, 106, 30),
    )
)
