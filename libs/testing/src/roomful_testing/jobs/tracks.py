"""What the test jobs say on the local link, and what they read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roomful.clock import SystemClock
from roomful.errors import MediaError
from roomful_rtc.link.control import Message

CLOCK = SystemClock()
NTP_EPOCH_S = 2_208_988_800
PLAIN_RATES = {"pcmu": 8_000, "pcma": 8_000, "g722": 8_000, "opus": 48_000}
VIDEO_CLOCK = 90_000


@dataclass(frozen=True, slots=True)
class VideoWish:
    """A camera to publish."""

    codec: str = "vp8"
    width: int = 1280
    height: int = 720
    fps: int = 30
    bit_rate: int = 2_000_000


@dataclass(frozen=True, slots=True)
class AudioWish:
    """A microphone to publish."""

    codec: str = "opus"
    hertz: float = 440.0
    level_dbfs: float = -12.0


def clock_rate(codec: str) -> int:
    """RTP clock of a codec, Hz."""
    return PLAIN_RATES.get(codec, VIDEO_CLOCK)


def codec_of(message: Message) -> str:
    """Codec of a `track` message, in small letters."""
    return str(message["mime"]).rpartition("/")[2].lower()


def now_us() -> int:
    """CLOCK_MONOTONIC in microseconds: the media time of what is made now."""
    return int(CLOCK.monotonic() * 1e6)


def ntp_offset_us() -> int:
    """NTP time less CLOCK_MONOTONIC, for all senders of a worker."""
    return CLOCK.wall_ms() * 1000 + NTP_EPOCH_S * 1_000_000 - now_us()


def read_wish(wish: type[Any], spec: Mapping[str, Any], name: str) -> Any:
    """Return what the spec says of `video` or `audio`; None where it is left out or null.

    Raises:
        MediaError: unknown fields.
    """
    fields = spec.get(name)
    if fields is None:
        return None
    try:
        return wish(**fields)
    except TypeError as error:
        raise MediaError(f"{name}: {error}") from None
