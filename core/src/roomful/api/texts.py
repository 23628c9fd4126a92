"""Lengths of what the API may set, refused in the words that API clients know."""

from __future__ import annotations

from collections.abc import Mapping

from roomful.bounds import ATTRIBUTES_BYTES, METADATA_BYTES, NAME_BYTES, ROOM_NAME_BYTES
from roomful.errors import InvalidArgument


class TooLong(InvalidArgument):
    """A text exceeds its bound; `meta` names which, as clients of the wire protocol expect."""

    def __init__(self, problem: str, bound: int) -> None:
        super().__init__(f"{problem} {bound}")
        self.meta = {"argument": problem}


def check_room_name(name: str) -> None:
    """Raise `InvalidArgument` for a name that no room can have."""
    if not name:
        raise InvalidArgument("room name cannot be empty")
    if len(name.encode()) > ROOM_NAME_BYTES:
        raise InvalidArgument(f"room name length exceeds limits: max length {ROOM_NAME_BYTES}")


def check_metadata(metadata: str) -> None:
    """Raise `TooLong` for metadata of a room or a participant."""
    if len(metadata.encode()) > METADATA_BYTES:
        raise TooLong("metadata size exceeds limits", METADATA_BYTES)


def check_name(name: str) -> None:
    """Raise `TooLong` for a participant's name."""
    if len(name.encode()) > NAME_BYTES:
        raise TooLong("name length exceeds limits", NAME_BYTES)


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Raise `TooLong` for attributes of a participant, names and values counted together."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in attributes.items())
    if size > ATTRIBUTES_BYTES:
        raise TooLong("attribute size exceeds limits", ATTRIBUTES_BYTES)
