"""What is to be replayed: the parameters of clips, from which their names in the cache follow."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from roomful.errors import InvalidArgument
from roomful_testing.card import SMALLEST
from roomful_testing.tone import HIGHEST_HZ, LOWEST_HZ

FORMAT = 2
"""raise it when the same parameters shall give other clips"""
CODECS = ("vp8", "h264")
MAX_SECONDS, MAX_SIDE = 4, 4096
"""the work of encoding grows with the square of the length"""
_BITS_PER_PIXEL = 1.0
"""a second"""
_LEAST_BITRATE = 100_000


@dataclass(frozen=True, slots=True)
class FilmProgram:
    """A test card as a film that begins again after whole seconds. `InvalidArgument` for nonsense."""

    codec: str = "vp8"
    width: int = 1280
    height: int = 720
    per_second: int = 30
    seconds: int = 2
    source: int = 0
    """that the card tells"""
    entry_every: int = 5
    """pictures between two places where the film can be begun"""

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise InvalidArgument(f"video {self.codec!r} is none of {', '.join(CODECS)}")
        sides = (self.width, self.height)
        if any(side % 2 or not SMALLEST <= side <= MAX_SIDE for side in sides):
            raise InvalidArgument(
                f"{self.width}×{self.height}: sides must be even, {SMALLEST} to {MAX_SIDE} pixels"
            )
        if not 1 <= self.seconds <= MAX_SECONDS:
            raise InvalidArgument(f"a loop of {self.seconds!r} s is not 1 to {MAX_SECONDS} s")
        if self.per_second not in (10, 15, 25, 30, 50, 60):
            raise InvalidArgument(f"{self.per_second!r} pictures a second are not offered")
        if not 0 <= self.source <= 255:
            raise InvalidArgument(f"source {self.source!r} is no byte")
        if not 1 <= self.entry_every <= self.per_second * self.seconds:
            raise InvalidArgument(f"entries every {self.entry_every!r} pictures")

    @property
    def bitrate(self) -> int:
        """Bit/s."""
        return max(_LEAST_BITRATE, round(self.width * self.height * _BITS_PER_PIXEL))

    @property
    def pictures(self) -> int:
        """Of a loop."""
        return self.seconds * self.per_second

    def time_us(self, place: int) -> int:
        """Media time that a picture shows."""
        return place * 1_000_000 // self.per_second

    @property
    def key(self) -> str:
        """Name in the cache."""
        return _key("film", asdict(self))


@dataclass(frozen=True, slots=True)
class SoundProgram:
    """A tone with a chirp each second, one second long. `InvalidArgument` for nonsense."""

    hertz: int = 440
    """a whole number: the loop has no click then"""
    bitrate: int = 32_000

    def __post_init__(self) -> None:
        if self.hertz != int(self.hertz) or not LOWEST_HZ <= self.hertz <= HIGHEST_HZ:
            raise InvalidArgument(
                f"a tone of {self.hertz!r} Hz is not a whole number of "
                f"{LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz"
            )
        if not 6_000 <= self.bitrate <= 510_000:
            raise InvalidArgument(f"{self.bitrate!r} bit/s are not within 6,000 to 510,000")

    @property
    def key(self) -> str:
        """Name in the cache."""
        return _key("sound", asdict(self))


def _key(kind: str, parameters: dict[str, object]) -> str:
    text = json.dumps([FORMAT, kind, parameters], sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
