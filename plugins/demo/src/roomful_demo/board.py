"""What the terminal shows of the room: facts of the server, as rows of text.

Names come from strangers: what is not printable in them never reaches the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from roomful.model.enums import ParticipantKind, ParticipantState, TrackKind, TrackSource
from roomful.model.participant import Participant
from roomful.model.track import Publication

NAME_CHARACTERS = 32

_KINDS = {ParticipantKind.STANDARD: "participant"}
_SOURCES = {
    TrackSource.CAMERA: "camera",
    TrackSource.MICROPHONE: "microphone",
    TrackSource.SCREEN_SHARE: "screen",
    TrackSource.SCREEN_SHARE_AUDIO: "screen sound",
}
_STATES = {
    ParticipantState.JOINING: "joining",
    ParticipantState.JOINED: "connecting",
    ParticipantState.ACTIVE: "here",
    ParticipantState.DISCONNECTED: "left",
}


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One track and what flows in it."""

    what: str
    codec: str
    size: str
    """of a picture: `640×360`"""
    kbit_per_s: int | None
    """None while unknown"""
    muted: bool

    @property
    def flow(self) -> str:
        """How much flows."""
        if self.muted:
            return "muted"
        return "–" if self.kbit_per_s is None else f"{self.kbit_per_s} kbit/s"

    @property
    def still(self) -> str:
        """What stays the same while it flows."""
        return " ".join(part for part in (self.what, self.codec, self.size) if part)


@dataclass(frozen=True, slots=True)
class Row:
    """One participant."""

    identity: str
    name: str
    kind: str
    state: str
    tracks: tuple[TrackRow, ...]


def rows(participants: Iterable[Participant]) -> list[Row]:
    """Return who is in a room."""
    return [_row(participant) for participant in participants]


def printable(text: str) -> str:
    """Return a stranger's text as a short line without control characters."""
    shown = "".join(letter if letter.isprintable() else "·" for letter in text)
    return shown if len(shown) <= NAME_CHARACTERS else shown[: NAME_CHARACTERS - 1] + "…"


def _row(participant: Participant) -> Row:
    kind = participant.kind
    return Row(
        identity=printable(participant.identity),
        name=printable(participant.name or participant.identity),
        kind=_KINDS.get(kind, kind.name.lower()),
        state=_STATES[participant.state],
        tracks=tuple(_track(publication) for publication in participant.publications.values()),
    )


def _track(publication: Publication) -> TrackRow:
    info = publication.info
    layers = _layers(publication)
    width, height = info.width, info.height
    for layer in layers:
        width, height = max(width, layer.width), max(height, layer.height)
    bits = sum(layer.bitrate for layer in layers if layer.live)
    return TrackRow(
        what=_SOURCES.get(info.source, info.kind.name.lower()),
        codec=printable(info.mime_type.partition("/")[2]),
        size=f"{width}×{height}" if info.kind is TrackKind.VIDEO and width else "",
        kbit_per_s=round(bits / 1000) if layers else None,
        muted=info.muted,
    )


def _layers(publication: Publication) -> tuple[Any, ...]:
    """Return the streams of a publication's source (`roomful_rtc.source.Layer`), if it has some."""
    return tuple(getattr(publication.source, "layers", ()))
