"""Names of people, as text: cleaned, split where they may be cut, shortened to initials; sans-IO."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

MOST_CHARACTERS = 64
_MOST_MARKS = 3
"""accents on one letter; more is no name"""
_JOINERS = "\u200c\u200d"
_VARIANTS = "\ufe0e\ufe0f"
_AS_EMOJI = "\ufe0f"


def clean(name: str) -> str:
    """Return a name that can be drawn on one line.

    Without control characters and overrides of direction, which would let one pass for another; with
    few accents a letter; of at most `MOST_CHARACTERS` characters.
    """
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", name[: 4 * MOST_CHARACTERS]):
        kind = unicodedata.category(character)
        if kind == "Cf" and (character in _JOINERS or _is_tag(character)):
            kept.append(character)
        elif kind.startswith("Z") or character in "\t\r\n":
            kept.append(" ")
        elif kind in ("Mn", "Me") and character not in _VARIANTS:
            marks += 1
            if marks <= _MOST_MARKS:
                kept.append(character)
        elif not kind.startswith("C"):
            kept.append(character)
            marks = 0
    return "".join(list(clusters(" ".join("".join(kept).split())))[:MOST_CHARACTERS])


def clusters(text: str) -> Iterator[str]:
    """Split a text where it may be cut: after a letter with its marks, after a whole emoji."""
    cluster = ""
    for character in text:
        if cluster and not _continues(cluster, character):
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def initials(name: str) -> str:
    """Return the first letters of the first and last word; one where letters join or are emoji."""
    words = clean(name).split()
    if not words:
        return ""
    first = next(clusters(words[0]))
    last = next(clusters(words[-1])) if len(words) > 1 else ""
    if not (_stands_alone(first) and _stands_alone(last)):
        last = ""
    return (first + last).upper()


def drawn_characters(cluster: str) -> str:
    """Return what a font must have: without joiners, variant selectors and tags."""
    return "".join(c for c in cluster if c not in _JOINERS + _VARIANTS and not _is_tag(c))


def is_picture(cluster: str) -> bool:
    """Whether it is meant as a picture rather than a letter."""
    return cluster[0] >= "\U0001f000" or _AS_EMOJI in cluster


def _continues(cluster: str, character: str) -> bool:
    """Whether a character belongs to the cluster before it."""
    if unicodedata.category(character) in ("Mn", "Me", "Mc"):
        return True
    if character in _JOINERS or cluster[-1] == "\u200d" or _is_tag(character):
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff":
        return True
    return _is_flag_half(character) and len(cluster) == 1 and _is_flag_half(cluster)


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_tag(character: str) -> bool:
    return "\U000e0020" <= character <= "\U000e007f"


def _stands_alone(letter: str) -> bool:
    """Whether letters like this one stand side by side without joining: Latin, Greek, Cyrillic."""
    wide = letter and unicodedata.east_asian_width(letter[0]) in ("W", "F")
    return len(letter) == 1 and letter.isalpha() and letter.lower() != letter.upper() and not wide
