"""What the demo's meter is judged by, and when its scene is there."""

from __future__ import annotations

from typing import Any

import pytest

from roomful_media_plane import demo_scene
from roomful_media_plane.demo_scene import findings, scenes_of

GOOD: dict[str, Any] = {
    "pictures": 90,
    "fps": 29.7,
    "wrong_colours": 0,
    "hertz": 440.2,
    "level_dbfs": -12.1,
    "sync": {"pairs": 3, "last_ms": -7.0},
}


def unwell(**changed: Any) -> list[str]:
    return [label for label, _, well in findings({**GOOD, **changed}) if not well]


def test_what_was_sent_is_well() -> None:
    assert unwell() == []
    assert [label for label, _, _ in findings(GOOD)] == ["picture", "sound", "together"]


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        ({"fps": 12.0}, "picture"),
        ({"wrong_colours": 1}, "picture"),
        ({"hertz": 0.0}, "sound"),
        ({"sync": {"pairs": 3, "last_ms": 90.0}}, "together"),
        ({"sync": None}, "together"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], label: str) -> None:
    assert unwell(**changed) == [label]


def test_silence_of_the_meter_is_not_well() -> None:
    assert [well for _, _, well in findings({})] == [False]


def test_without_the_test_kit_there_is_no_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = object()
    assert len(scenes_of(server)) == 1
    monkeypatch.setattr(demo_scene, "entry_points", lambda group: [])
    assert scenes_of(server) == []
