"""The order in which a line is seen."""

from __future__ import annotations

import pytest

from roomful_media.bidi_order import in_sight, levels


def seen(text: str) -> str:
    """The line from left to right, a character a run; brackets are not turned round here."""
    found = levels(text)
    return "".join(in_sight(text, found))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Anna", "Anna"),
        ("אבג", "גבא"),
        ("Dana אבג 3", "Dana 3 גבא"),
        ("אבג Dana", "Dana גבא"),
        ("אבג (TLV) 42", "42 )TLV( גבא"),
        ("אבג 42", "42 גבא"),
        ("a (אב) c", "a (בא) c"),
        ("אב [ab", "ab] בא".replace("]", "[")),
        ("אב ()", ")( בא"),
        ("א\u200dב", "ב\u200dא"),
        ("א\U0010ffff", "א\U0010ffff"[::-1]),
        ("", ""),
    ],
)
def test_runs_are_seen_in_the_order_of_the_standard(text: str, wanted: str) -> None:
    assert seen(text) == wanted
