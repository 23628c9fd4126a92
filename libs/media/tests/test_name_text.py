"""Names as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful_media.name_text import MOST_CHARACTERS, clean, clusters, initials


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("  Guest\t\nHouse ", "Guest House"),
        ("Anna\u202e gnp.exe", "Anna gnp.exe"),
        ("\u2066Anna\u2069\x00\x07", "Anna"),
        ("Zoe\u0308", "Zoë"),
        ("A" + "\u0300" * 50, "À" + "\u0300" * 3),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("\ue000\ud800x", "x"),
        ("", ""),
        ("N" * 500, "N" * MOST_CHARACTERS),
    ],
)  # fmt: skip
def test_names_are_cleaned(name: str, wanted: str) -> None:
    assert clean(name) == wanted


@given(st.text(max_size=300))
def test_any_text_can_be_cleaned_and_split(name: str) -> None:
    cleaned = clean(name)

    assert clean(cleaned) == cleaned or len(cleaned) > 4 * MOST_CHARACTERS
    assert "".join(clusters(cleaned)) == cleaned
    assert len(list(clusters(cleaned))) <= MOST_CHARACTERS
    initials(name)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("abc", 3),
        ("e\u0301a", 2),
        ("🇩🇪🇫🇷", 2),
        ("👨‍👩‍👧x", 2),
        ("👍🏽👍", 2),
        ("1️⃣2", 2),
        ("क्षि", 2),
    ],
)
def test_text_is_split_where_it_may_be_cut(text: str, count: int) -> None:
    assert len(list(clusters(text))) == count


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Guest House", "GH"),
        ("guest of the house", "GH"),
        ("Anna", "A"),
        ("Гость Редакции", "ГР"),
        ("ضيف الشرف", "ض"),
        ("אורח כבוד", "א"),
        ("王小明", "王"),
        ("🦊 Fox", "🦊"),
        ("Zoë 42", "Z"),
        ("  ", ""),
    ],
)
def test_initials_are_of_the_first_and_last_word_where_letters_stand_alone(name, wanted) -> None:
    assert initials(name) == wanted
