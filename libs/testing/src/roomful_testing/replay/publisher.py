"""`replay`: a participant that sends clips over real DTLS and SRTP, for almost no CPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from roomful.errors import InvalidArgument
from roomful_testing.clip import Film, Sound
from roomful_testing.peer.commons import Commons
from roomful_testing.peer.metronome import Metronome
from roomful_testing.peer.participant import Participant
from roomful_testing.peer.player import FilmPlayer
from roomful_testing.replay.cache import ClipCache
from roomful_testing.replay.program import CODECS, FilmProgram, SoundProgram

CLIPS = ClipCache()
LAYERS = 3
SLACK_S = 0.007
"""by which pictures may go out earlier or later, with the packets of sound: waking up costs most"""
TURN_S, EARLY_S = 0.1, 0.05
"""from one reading of feedback to the next, and by how much it may be earlier"""
_SOON_S = 0.05
"""from the last answer to the first packet"""


@dataclass(frozen=True, slots=True)
class Played:
    """Counts so far, of all layers together."""

    packets: int
    octets: int
    """of payload"""
    resent: int
    key_frames_asked: int


class Replay:
    """One publisher that sends; what `replay` yields."""

    def __init__(
        self, participant: Participant, audio_sid: str, video_sid: str, loop_us: int
    ) -> None:
        self.participant = participant
        self.audio_sid, self.video_sid = audio_sid, video_sid
        """SIDs of the tracks; empty where there is none"""
        self.loop_us = loop_us
        """after which the burned clock begins again: what `Measure` wants to know"""

    @property
    def left(self) -> str:
        """Why the server ended this publisher; empty while it sends."""
        return self.participant.left

    @property
    def played(self) -> Played:
        """What was sent."""
        players = self.participant.players
        return Played(
            sum(player.stream.packets for player in players),
            sum(player.stream.octets for player in players),
            sum(player.stream.resent for player in players),
            sum(p.key_frames_asked for p in players if isinstance(p, FilmPlayer)),
        )


@asynccontextmanager
async def replay(
    url: str,
    token: str,
    *,
    video: str | None = "vp8",
    simulcast: bool = False,
    audio: bool = True,
    seconds: int = 2,
    size: tuple[int, int] = (1280, 720),
    per_second: int = 30,
    source: int = 0,
    hertz: int = 440,
    clips: ClipCache = CLIPS,
) -> AsyncIterator[Replay]:
    """Join, publish a test card and a tone with the marks of `card` and `tone`, and send them.

    Flash and chirp are at the same full seconds of media time, and sender reports tell it: who plays
    by them has both together. A key frame that is asked for comes within a sixth of a second; missed
    packets are sent again.

    Args:
        url: `ws://host:port` of any LiveKit-compatible server.
        token: that may join and publish.
        video: vp8 or h264; None for no picture.
        simulcast: send a quarter and half of the size beside it.
        audio: whether to send sound.
        seconds: length of the picture's loop; its burned clock begins again then.
        size: width and height, of the largest layer.
        per_second: pictures.
        source: number that the card tells, 0 to 255.
        hertz: of the tone, a whole number.
        clips: where they come from.

    Raises:
        InvalidArgument: parameters that cannot be, or that the server does not take.
        Refused: the server does not let us in.
        TransportError: the server does not answer, or cannot be reached.
    """
    films, sound = await asyncio.to_thread(
        _clips, clips, video=video, simulcast=simulcast, audio=audio, seconds=seconds, size=size,
        per_second=per_second, source=source, hertz=hertz,
    )  # fmt: skip
    commons = Commons.make(Metronome(TURN_S, EARLY_S))
    participant = Participant(commons, url)
    try:
        await participant.join(token)
        participant.read_in_turns()
        begin = asyncio.get_running_loop().time() + _SOON_S
        audio_sid = await participant.play_sound(sound, begin=begin) if sound else ""
        video_sid = (
            await participant.play_film(films, begin=begin, slack_s=SLACK_S, history=True)
            if films
            else ""
        )
        yield Replay(participant, audio_sid, video_sid, seconds * 1_000_000)
    finally:
        await participant.leave()
        await commons.close()


def _clips(
    clips: ClipCache, *, video: str | None, simulcast: bool, audio: bool, seconds: int,
    size: tuple[int, int], per_second: int, source: int, hertz: int,
) -> tuple[list[Film], Sound | None]:  # fmt: skip
    if video is not None and video not in CODECS:
        raise InvalidArgument(f"video {video!r} is none of {', '.join(CODECS)}")
    if video is None and not audio:
        raise InvalidArgument("neither video nor audio is to be sent")
    sound = clips.sound(SoundProgram(hertz)) if audio else None
    if video is None:
        return [], sound
    width, height = size
    parts = [1 << place for place in reversed(range(LAYERS if simulcast else 1))]
    programs = [
        FilmProgram(video, width // part, height // part, per_second, seconds, source)
        for part in parts
    ]
    return [clips.film(program) for program in programs], sound
