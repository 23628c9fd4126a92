"""What a worker uses, and when that is too much; reading /proc apart, sans-IO."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

CPU_WINDOW_S = 10.0
EXIT_OUT_OF_MEMORY = 71
"""exit status of a worker that met the kernel's limit before `UsageWatch` saw it coming"""
_SAMPLES = 64
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _RSS = 11, 12, 21
"""Fields of /proc/PID/stat behind the name, from 0 (proc(5))."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process with all its threads."""

    rss_bytes: int = 0
    cpu_s: float = 0.0
    """user and system, since its start"""


def read_usage(pid: int) -> Usage | None:
    """Return what a process uses now, None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split(" ")
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return Usage(int(fields[_RSS]) * _PAGE_BYTES, ticks / _TICKS_PER_S)


class UsageWatch:
    """Says when a worker uses more than it may.

    Args:
        memory_bytes: resident memory, at any moment.
        cpu_cores: CPU seconds a second over a window of 10 s; None: no limit.
    """

    def __init__(self, memory_bytes: int, cpu_cores: float | None) -> None:
        self._memory_bytes, self._cpu_cores = memory_bytes, cpu_cores
        self._samples: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)
        self.peak_rss_bytes = 0
        self.cores = 0.0
        """used, over the window so far"""

    def add(self, now: float, usage: Usage) -> None:
        """Note what is used now."""
        self.peak_rss_bytes = max(self.peak_rss_bytes, usage.rss_bytes)
        samples = self._samples
        samples.append((now, usage.cpu_s))
        while len(samples) > 2 and now - samples[1][0] >= CPU_WINDOW_S:
            samples.popleft()
        elapsed = now - samples[0][0]
        self.cores = (usage.cpu_s - samples[0][1]) / elapsed if elapsed > 0 else 0.0

    @property
    def over_memory(self) -> bool:
        return self.peak_rss_bytes > self._memory_bytes

    @property
    def over_cpu(self) -> bool:
        full = len(self._samples) > 1 and self._samples[-1][0] - self._samples[0][0] >= CPU_WINDOW_S
        return self._cpu_cores is not None and full and self.cores > self._cpu_cores
