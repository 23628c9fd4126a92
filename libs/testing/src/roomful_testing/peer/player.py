"""Players of one raw participant: they write the packets of a clip to a stream when they are due.

What is sent when follows from the time a clip began: packet n of a sound belongs to n · 20 ms, picture
n of a film to n / rate, and so do the timestamps, so that players that began together stay together.
A player that was held up sends what it owes at once, as encoders do, but what is owed for longer than
`OWED_S` is left out.
"""

from __future__ import annotations

import random
from math import ceil
from typing import Protocol

from roomful_testing.clip import SOUND_PER_SECOND, SOUND_TICKS, VIDEO_RATE, Film, Picture, Sound
from roomful_testing.peer.stream import OutStream

REPORT_EVERY_S = 1.0
BURST, BURST_EVERY_S = 8, 0.003
"""a picture's packets go out in bursts, as a pacer sends them"""
OWED_S = 1.0


class Player(Protocol):
    """Something that sends at its own pace; times are seconds of the loop."""

    due: float
    """when `send` wants to be called at the latest"""
    early_s: float
    """by how much it may be called before, where the process is awake anyway"""
    stream: OutStream

    def send(self, now: float) -> None:
        """Send what is due; `due` moves on."""
        ...

    def want_key_frame(self) -> None:
        """Somebody needs a key frame."""
        ...


class SoundPlayer:
    """Fifty packets a second."""

    early_s = 0.0

    def __init__(self, stream: OutStream, sound: Sound, begin: float, now: float) -> None:
        """Play as if from `begin` on; what is past by now is not sent."""
        self.stream = stream
        self._sound, self._begin = sound, begin
        self._index = max(0, ceil((now - begin) * SOUND_PER_SECOND))
        self.due = begin + self._index / SOUND_PER_SECOND
        self._report_at = self.due

    def send(self, now: float) -> None:
        """Send what is due."""
        packets, stream = self._sound.packets, self.stream
        if now - self.due > OWED_S:
            self._index = int((now - self._begin) * SOUND_PER_SECOND)
            self.due = self._begin + self._index / SOUND_PER_SECOND
        while self.due <= now:
            index = self._index
            stream.write(
                packets[index % len(packets)],
                index * SOUND_TICKS,
                marker=not stream.packets,
                now=now,
                stamped=self._sound.stamped,
            )
            self._index = index + 1
            self.due = self._begin + self._index / SOUND_PER_SECOND
        if now >= self._report_at:
            self._report_at = now + REPORT_EVERY_S
            stream.report(round((now - self._begin) * SOUND_PER_SECOND * SOUND_TICKS))

    def want_key_frame(self) -> None:
        """Means nothing here."""


class FilmPlayer:
    """A film; a key frame that is asked for comes at the next place where the film can be begun."""

    def __init__(
        self, stream: OutStream, film: Film, begin: float, now: float, slack_s: float = 0.0
    ) -> None:
        """Play as if from `begin` on; what is past by now is not sent.

        `slack_s`: pictures may go out by so much earlier or later, together with other packets.
        """
        self.stream, self._slack_s = stream, slack_s
        self.key_frames_asked = 0
        self._film, self._begin = film, begin
        self._tick = VIDEO_RATE // film.per_second
        self._index, self._piece = max(0, ceil((now - begin) * film.per_second)), 0
        self.due, self.early_s = self._next_due(), 2 * slack_s
        self._take: tuple[Picture, ...] = ()
        """what is being sent; nothing before the next entry where empty"""
        self._at = 0
        self._pieces: Picture = ()
        self._wants_entry = True
        self._is_wanted = True
        self._picture_id = random.randrange(1 << 15)  # noqa: S311 - no secret
        self._has_ids = film.codec == "vp8"
        self._report_at = begin

    def want_key_frame(self) -> None:
        """Begin the film anew at the next place where that can be."""
        self.key_frames_asked += 1
        self._wants_entry = True

    def want(self, wanted: bool) -> None:
        """Stop sending, or go on with a key frame: nobody looks at a layer, or somebody does."""
        if wanted and not self._is_wanted:
            self._take, self._wants_entry = (), True
        self._is_wanted = wanted

    def send(self, now: float) -> None:
        """Send a burst of the present picture."""
        if not self._piece:
            self._choose(now)
        pieces, piece, stream = self._pieces, self._piece, self.stream
        ticks, last = self._index * self._tick, len(pieces) - 1
        picture_id = self._picture_id if self._has_ids else -1
        for number in range(piece, min(piece + BURST, last + 1)):
            stream.write(
                pieces[number],
                ticks,
                marker=number == last,
                now=now,
                stamped=number == last and self._film.stamped,
                picture_id=picture_id,
            )
        self._piece = piece + BURST
        if self._piece <= last:
            self.due, self.early_s = now + BURST_EVERY_S, 0.0
            return
        self._finish(now)

    def _choose(self, now: float) -> None:
        """Which picture is next: one that was owed for too long is not; an entry may be here."""
        film = self._film
        if now - self.due > OWED_S:
            self._index = int((now - self._begin) * film.per_second)
            self._take, self._wants_entry = (), True
        entry = film.entries.get(self._index % len(film.pictures)) if self._wants_entry else None
        if entry is not None:
            self._take, self._at, self._wants_entry = entry, 0, False
        self._pieces = self._take[self._at] if self._take and self._is_wanted else ()

    def _finish(self, now: float) -> None:
        if self._pieces:
            self._picture_id = self._picture_id + 1 & 0x7FFF
        self._piece, self._at = 0, self._at + 1
        if self._at >= len(self._take) > 0:
            self._take, self._at = self._film.pictures, 0
        self._index += 1
        self.due, self.early_s = self._next_due(), 2 * self._slack_s
        if now >= self._report_at:
            self._report_at = now + REPORT_EVERY_S
            self.stream.report(round((now - self._begin) * VIDEO_RATE))

    def _next_due(self) -> float:
        return self._begin + self._index / self._film.per_second + self._slack_s
