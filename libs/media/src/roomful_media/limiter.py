"""The sum of many voices kept within full scale, softly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.7
"""Below it (-3 dBFS) nothing is changed."""


def limited(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples within ±1: what is above the threshold bends towards full scale.

    Without state, so that one sum may be limited for any number of listeners.
    """
    if not samples.size or max(samples.max(), -samples.min()) <= THRESHOLD:
        return samples
    loud = np.abs(samples)
    room = np.float32(1.0 - THRESHOLD)
    bent = np.float32(THRESHOLD) + room * np.tanh((loud - np.float32(THRESHOLD)) / room)
    return np.where(loud > THRESHOLD, np.copysign(bent, samples), samples)
