"""Drawn names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from roomful_media import fonts, stamp
from roomful_media.fonts import Typefaces
from roomful_media.label import Lettering


@pytest.fixture(scope="module")
def lettering() -> Lettering:
    return Lettering(Typefaces(system=False))


@pytest.mark.parametrize(
    "name", ["Anna", "Ωμέγα", "Жанна", "محمد", "דנה", "अनन्या", "สมชาย", "🦊", "🇩🇪", "1️⃣", "Ngô Thị", "ልዑል", "გია", "Արամ"]
)  # fmt: skip
def test_fonts_of_the_package_have_the_script(name: str, lettering: Lettering) -> None:
    ink = lettering.draw(name, 40)
    box = lettering.draw("\ue000" * len(name), 40)

    assert 0.03 < (ink.alpha > 128).mean() < 0.6
    assert ink.alpha.shape != box.alpha.shape or not np.array_equal(ink.alpha, box.alpha)


def test_arabic_letters_join(lettering: Lettering) -> None:
    inked = lettering.draw("محمد", 40).alpha.any(axis=0)
    first, last = np.flatnonzero(inked)[[0, -1]]

    assert inked[first : last + 1].all()


def test_a_family_is_one_picture(lettering: Lettering) -> None:
    assert lettering.draw("👨‍👩‍👧", 40).width < 1.3 * lettering.draw("👩", 40).width


def test_right_to_left_is_drawn_from_the_right(lettering: Lettering) -> None:
    begin, whole = lettering.draw("דנה", 40).alpha, lettering.draw("דנה כבוד", 40).alpha

    assert np.abs(whole[:, -begin.shape[1] :].astype(int) - begin).mean() < 8


@pytest.mark.parametrize(
    "name", ["A conference room with a long name", "ضيف الشرف من بعيد", "🦊" * 20]
)
@pytest.mark.parametrize("most", [10, 60, 150])
def test_what_is_too_long_ends_in_an_ellipsis(name: str, most: int, lettering: Lettering) -> None:
    whole, cut = lettering.draw(name, 24), lettering.draw(name, 24, most_width=most)

    assert cut.width <= max(most, lettering.draw("…", 24).width)
    assert cut.width > min(most - 40, 20)
    assert cut.width < whole.width
    assert cut.height == whole.height


def test_texts_are_drawn_once(lettering: Lettering) -> None:
    assert lettering.draw("Anna", 20) is lettering.draw("Anna", 20)


def test_kept_texts_are_bounded(lettering: Lettering) -> None:
    for number in range(600):
        lettering.draw(f"n{number}", 8)

    assert len(lettering._drawn) == 512


def test_nothing_is_drawn_of_nothing(lettering: Lettering) -> None:
    assert lettering.draw("", 20).alpha.any() == False  # noqa: E712
    assert stamp.label(lettering, "", 20, 200) is None
    assert stamp.label(lettering, "Anna", 20, 10) is None


def test_a_label_says_who_is_muted(lettering: Lettering) -> None:
    plain = stamp.label(lettering, "Anna", 20, 300)
    muted = stamp.label(lettering, "Anna", 20, 300, muted=True)
    nameless = stamp.label(lettering, "", 20, 300, muted=True)

    assert plain is not None and muted is not None and nameless is not None
    assert muted.width > plain.width > nameless.width
    assert muted.height == plain.height
    assert all(side % 2 == 0 for side in (plain.width, plain.height, muted.width))


def answering(path: str, index: int = 0):
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, f"{index} {path}", "")

    return run


def test_a_font_of_the_machine_is_asked_for_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """fontconfig is not on every machine, so its answer is given here."""
    (latin,) = [face for face in Typefaces(system=False)._faces if "Hebrew" in face.path.name]
    monkeypatch.setattr(fonts.shutil, "which", lambda _: "/usr/bin/fc-match")
    monkeypatch.setattr(fonts.subprocess, "run", answering(str(latin.path)))
    typefaces = Typefaces()
    typefaces._faces = typefaces._faces[:1]

    assert typefaces.pick("ד").path == latin.path
    assert typefaces.pick("王").path == typefaces._faces[0].path


@pytest.mark.parametrize("answer", ["/nowhere/font.ttf", __file__])
def test_what_fontconfig_says_may_be_wrong(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may name files that are gone or no fonts."""
    monkeypatch.setattr(fonts.shutil, "which", lambda _: "/usr/bin/fc-match")
    monkeypatch.setattr(fonts.subprocess, "run", answering(answer))
    typefaces = Typefaces()

    assert typefaces.pick("\U0010fffd").path == typefaces._faces[0].path
    assert Path(answer) not in [face.path for face in typefaces._faces]
