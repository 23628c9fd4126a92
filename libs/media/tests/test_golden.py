"""Composites beside pictures that a person looked at.

pytest libs/media/tests/test_golden.py --update-golden     writes them again: look at them then
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).parent / "data"
FAR = 24
"""A pixel that is further off is another one, not another scaler's rounding."""


def _scenes():
    spec = importlib.util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules["scenes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCENES = _scenes().SCENES


def painted(name: str) -> np.ndarray:
    frame = SCENES[name]().compose(1)
    rgb = frame.reformat(
        format="rgb24",
        src_colorspace="ITU709",
        src_color_range="MPEG",
        dst_color_range="JPEG",
        interpolation="BILINEAR",
    )
    return rgb.to_ndarray()


@pytest.mark.parametrize("name", sorted(SCENES))
def test_composite_is_the_golden_one(name: str, update_golden: bool) -> None:
    found, path = painted(name), DATA / f"{name}.png"
    if update_golden:
        Image.fromarray(found).save(path, optimize=True)
    golden = np.asarray(Image.open(path).convert("RGB"))

    assert found.shape == golden.shape
    off = np.abs(found.astype(int) - golden).max(axis=2)
    assert off.mean() < 1.5
    assert (off > FAR).mean() < 0.002


def test_there_is_no_golden_picture_of_nothing() -> None:
    assert {path.stem for path in DATA.glob("*.png")} == set(SCENES)
