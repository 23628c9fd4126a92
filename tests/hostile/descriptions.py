"""Sections that raw clients offer."""

from __future__ import annotations

from roomful_testing.peer.description import RIDS, Answer, Remote, Section

CHANNELS = Section("application", mid="0")
MICROPHONE = Section("audio", "sendonly", "mic", mid="1")
CAMERA = Section("video", "sendonly", "cam", mid="1")
LAYERS = Section("video", "sendonly", "cam", mid="1", rids=RIDS)
EAR = Section("audio", mid="2")
EYE = Section("video", mid="3")


def remote_of(answer: str) -> Remote:
    """The server's end in an answer."""
    remote = Answer.parse(answer).remote()
    assert remote is not None, "the answer names no address"
    return remote
