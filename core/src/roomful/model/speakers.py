"""Who is speaking: levels of a window in, changes out (RFC 6464 levels, every 400 ms)."""

from __future__ import annotations

from dataclasses import dataclass

from roomful.model.events import Speaker

ACTIVE_SHARE = 0.4
"""share of a window at or above -35 dBov that counts as speaking"""
_STEPS = 8
_FALL = 0.5


@dataclass(slots=True)
class _Voice:
    loudest: int = -127
    share: float = 0.0
    windows: int = 0
    level: float = 0.0
    told: float = 0.0


class SpeakerDetector:
    """One room's speakers. `observe` at each 100 ms window, `changes` every 400 ms."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}
        self._gone: list[str] = []  # bounded by the participants: emptied by `changes`
        """left while they spoke"""

    def observe(self, participant_sid: str, dbov: int, share: float) -> None:
        """Note a window: `dbov` 0 to -127, `share` of its packets at or above -35 dBov."""
        voice = self._voices.setdefault(participant_sid, _Voice())
        voice.loudest = max(voice.loudest, dbov)
        voice.share += share
        voice.windows += 1

    def forget(self, participant_sid: str) -> None:
        """Drop one who left; who spoke is told to be silent at the next changes."""
        voice = self._voices.pop(participant_sid, None)
        if voice is not None and voice.told:
            self._gone.append(participant_sid)

    def changes(self) -> tuple[Speaker, ...]:
        """Return those whose quantised level changed since the last call, loudest first."""
        changed = [Speaker(sid, 0.0, False) for sid in self._gone]
        self._gone.clear()
        for sid, voice in self._voices.items():
            active = voice.windows > 0 and voice.share / voice.windows >= ACTIVE_SHARE
            # -127…0 dBov to 0…1; below -35 dBov counts as silence
            heard = max(0.0, 1.0 + voice.loudest / 127) if active else 0.0
            voice.level += (heard - voice.level) * _FALL
            level = round(voice.level * _STEPS) / _STEPS
            voice.loudest, voice.share, voice.windows = -127, 0.0, 0
            if level != voice.told:
                voice.told = level
                changed.append(Speaker(sid, level, level > 0))
        return tuple(sorted(changed, key=lambda speaker: -speaker.level))
