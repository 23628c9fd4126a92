"""What decoders give and encoders take: blocks of audio and pictures, on the common media clock.

Common media time is in microseconds of CLOCK_MONOTONIC at which the medium was *captured*, as well
as it is known (`roomful_media.clock`): equal times of different tracks belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """A run of samples without a hole."""

    samples: NDArray[np.float32]
    """shape (n, channels), interleaved, -1.0 to 1.0"""
    rate: int
    """Hz"""
    time_us: int
    """common media time of the first sample"""
    concealed: bool = False
    """made up by the decoder for what did not come"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded video frame."""

    frame: av.VideoFrame
    """format yuv420p; its own pts and time_base mean nothing here"""
    time_us: int
    """common media time of capture"""
