"""In which order runs of a line are seen, where scripts of both directions meet; sans-IO.

Source: Unicode Standard Annex #9. Levels come from python-bidi; only their runs are turned here, for a
shaper wants each run in the order in which it is read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, TypeVar

from bidi import algorithm

# the parts of the algorithm have no types
_bidi: Any = algorithm

_BRACKETS = {"(": ")", "[": "]", "{": "}"}
Run = TypeVar("Run")


def levels(text: str) -> list[int]:
    """Return the embedding level of each character (UAX #9, rules P2 to I2)."""
    # what this Unicode does not know yet has no class, which python-bidi does not bear
    text = "".join(c if unicodedata.bidirectional(c) else "x" for c in text)
    storage: Any = _bidi.get_empty_storage()
    storage["base_level"] = _bidi.get_base_level(text)
    storage["base_dir"] = ("L", "R")[storage["base_level"]]
    _bidi.get_embedding_levels(text, storage)
    _bidi.explicit_embed_and_overrides(storage)
    _bidi.resolve_weak_types(storage)
    _resolve_brackets(storage["chars"], storage["base_dir"])
    _bidi.resolve_neutral_types(storage, debug=False)
    _bidi.resolve_implicit_levels(storage, debug=False)
    found = iter(storage["chars"])
    found_levels: list[int] = []
    for character in text:
        if unicodedata.bidirectional(character) in _bidi.X9_REMOVED:
            found_levels.append(found_levels[-1] if found_levels else storage["base_level"])
        else:
            found_levels.append(next(found)["level"])
    return found_levels


def _resolve_brackets(chars: list[dict[str, Any]], base: str) -> None:
    """Give both brackets of a pair one direction (rule N0), which python-bidi leaves out."""
    open_at: list[int] = []
    pairs: list[tuple[int, int]] = []
    for index, char in enumerate(chars):
        if char["type"] != "ON":
            continue
        if char["ch"] in _BRACKETS:
            open_at.append(index)
        elif open_at and char["ch"] == _BRACKETS[chars[open_at[-1]]["ch"]]:
            pairs.append((open_at.pop(), index))
    for first, last in sorted(pairs):
        inside = {_strong(char["type"]) for char in chars[first + 1 : last]} - {""}
        if not inside:
            continue
        before = [d for char in chars[:first] if (d := _strong(char["type"]))]
        opposite = base not in inside and (before[-1] if before else base) != base
        direction = base if not opposite else "LR"[base == "L"]
        chars[first]["type"] = chars[last]["type"] = direction


def _strong(kind: str) -> str:
    """Return the direction that a resolved type pulls to; numbers pull to the right."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind, "")


def in_sight(runs: Sequence[Run], run_levels: Sequence[int]) -> list[Run]:
    """Return runs of a line from left to right (rule L2)."""
    ordered = list(zip(run_levels, runs, strict=True))
    for level in range(max(run_levels, default=0), 0, -1):
        begin = 0
        while begin < len(ordered):
            end = begin
            while end < len(ordered) and ordered[end][0] >= level:
                end += 1
            ordered[begin:end] = ordered[begin:end][::-1]
            begin = max(end, begin + 1)
    return [run for _, run in ordered]
