"""What a scene of the demo is: it plays on a stage, and can be checked.

A scene acts as outsiders do: it gets the server's address, a room and an API key, and speaks public
protocols. Everything here is a shape, so plugins that bring scenes need nothing of this package.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple, Protocol, TypeVar

from livekit.api import AccessToken, VideoGrants

PlayT = TypeVar("PlayT")


class Finding(NamedTuple):
    """One thing that a check looked at; a plain tuple of the same three does as well."""

    label: str
    text: str
    """the figure, or what is missing; a colour written `rgb(1, 2, 3)` is shown as one"""
    well: bool


class Line(NamedTuple):
    """One line about a running scene; a plain tuple does as well."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scenes play."""

    url: str
    """ws://… or wss://…"""
    room: str
    api_key: str
    api_secret: str = field(repr=False)

    def token(self, identity: str, *, name: str = "", **grants: object) -> str:
        """Return a token that joins the room; `grants` as in `livekit.api.VideoGrants`."""
        video = VideoGrants(room_join=True, room=self.room, **grants)  # pyright: ignore[reportArgumentType]
        token = AccessToken(self.api_key, self.api_secret).with_ttl(timedelta(hours=12))
        return token.with_identity(identity).with_name(name or identity).with_grants(video).to_jwt()


class Scene(Protocol[PlayT]):
    """One scene."""

    @property
    def name(self) -> str:
        """A few words: `two participants`."""
        ...

    def start(self, stage: Stage) -> AbstractAsyncContextManager[PlayT]:
        """Begin to play; whatever was started ends with the context."""
        ...

    def check(self, play: PlayT) -> Awaitable[Iterable[tuple[str, str, bool]]]:
        """Find out whether all is well, within `CHECK_LIMIT_S`; an exception means it is not."""
        ...

    def watch(self, play: PlayT) -> Iterable[tuple[str, str]]:
        """Say what is going on right now, for the terminal; called twice a second."""
        ...


START_LIMIT_S = 20.0
CHECK_LIMIT_S = 25.0
STOP_LIMIT_S = 10.0
