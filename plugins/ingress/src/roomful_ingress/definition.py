"""The stored record of an ingress, and how its stream key is found again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from roomful.ids import random_text
from roomful.store import sealed
from roomful_ingress.encoding import AudioOptions, VideoOptions

KEY_LETTERS = 24
"""of a stream key: 142 bits"""
RESERVED_KEYS = frozenset({"resource"})
"""words that stand where keys stand in the paths of inputs"""


class InputType(IntEnum):
    """How publishers come in; numbers of livekit.IngressInput."""

    RTMP = 0
    WHIP = 1
    URL = 2


@dataclass(frozen=True, slots=True)
class Definition:
    """What was created by the API. Empty texts and None were not said."""

    ingress_id: str
    input_type: InputType
    stream_key: str = sealed()
    """encrypted at rest; `key_digest` is what it is found by"""
    key_digest: str = ""
    name: str = ""
    room_name: str = ""
    participant_identity: str = ""
    participant_name: str = ""
    participant_metadata: str = ""
    enable_transcoding: bool | None = None
    enabled: bool | None = None
    audio: AudioOptions | None = None
    video: VideoOptions | None = None

    @property
    def transcodes(self) -> bool:
        """What answers of the API say: whether media is encoded anew where it has to be."""
        if self.enable_transcoding is None:
            return self.input_type is not InputType.WHIP
        return self.enable_transcoding

    @property
    def is_enabled(self) -> bool:
        """Whether publishers are let in."""
        return self.enabled is not False


def new_stream_key() -> str:
    """Return an unguessable stream key."""
    while (key := random_text(KEY_LETTERS)) in RESERVED_KEYS:
        pass
    return key


def key_digest(stream_key: str) -> str:
    """Return what a stream key is looked up by: the table holds no key in the clear."""
    return hashlib.sha256(stream_key.encode()).hexdigest()
