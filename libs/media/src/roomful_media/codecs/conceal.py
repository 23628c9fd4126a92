"""Making up sound for codecs that cannot: the last block again, fading out."""

from __future__ import annotations

import numpy as np

from roomful_media.codecs import Samples

_FADE_S = 0.06


class Echo:
    """Repeats the end of what was heard; silent after 60 ms."""

    def __init__(self, rate: int, channels: int) -> None:
        self._fade = int(rate * _FADE_S)
        self._last: Samples = np.zeros((0, channels), np.float32)
        self._faded = 0

    def heard(self, block: Samples) -> None:
        """A block was decoded."""
        if len(block):
            self._last, self._faded = block, 0

    def conceal(self, count: int) -> Samples:
        """Return `count` samples."""
        channels = self._last.shape[1]
        if not len(self._last) or self._faded >= self._fade:
            return np.zeros((count, channels), np.float32)
        again = np.resize(self._last, (count, channels))
        at = np.arange(self._faded, self._faded + count, dtype=np.float32)
        gain = np.maximum(np.float32(0), 1 - at / np.float32(self._fade))
        self._faded += count
        return (again * gain[:, None]).astype(np.float32)
