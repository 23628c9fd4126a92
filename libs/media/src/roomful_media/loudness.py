"""How loud sound is, as RTP tells it (RFC 6464 section 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENT = -127


def dbov(samples: NDArray[np.float32] | NDArray[np.int16]) -> int:
    """Return the level of a block in dB below the loudest there is, 0 to -127.

    Args:
        samples: any shape; -1 to 1, or 16 bit.
    """
    if not samples.size:
        return SILENT
    full = 32768.0 if samples.dtype == np.int16 else 1.0
    wave = samples.astype(np.float32, copy=False).ravel()
    power = float(np.dot(wave, wave)) / wave.size / full**2
    if power < 10 ** (SILENT / 10):
        return SILENT
    return min(0, round(10 * np.log10(power)))
