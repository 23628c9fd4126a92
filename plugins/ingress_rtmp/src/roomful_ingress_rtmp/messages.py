"""What a publisher and its media workers say to each other beside frames and packets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from roomful.errors import MediaError

JOB = "transcoder"
"""kind of job: its row in the restart table is that of transcoders"""
FRAMES_IN = 1
"""stream of the frames to a worker"""
FIRST_OUT = 11
"""stream of the lowest layer's packets from it; the others follow"""


@dataclass(frozen=True, slots=True)
class Layer:
    """One simulcast layer to encode."""

    width: int
    height: int
    bitrate: int
    """bit/s"""


@dataclass(frozen=True, slots=True)
class Work:
    """What one worker makes of one track."""

    kind: str
    """audio or video"""
    ntp_offset_us: int
    codec: str = "opus"
    """to encode"""
    channels: int = 2
    bitrate: int = 96_000
    dtx: bool = True
    fps: float = 30.0
    layers: tuple[Layer, ...] = ()
    """lowest first"""

    def spec(self) -> dict[str, Any]:
        """Return it as a job's spec."""
        return asdict(self)

    @classmethod
    def read(cls, spec: dict[str, Any]) -> Work:
        """Raises `MediaError`."""
        try:
            fields = dict(spec)
            layers = tuple(Layer(**layer) for layer in fields.pop("layers"))
            return cls(**fields, layers=layers)
        except (TypeError, KeyError) as error:
            raise MediaError(f"no work for a transcoder: {error}") from error
