"""The wall clock of raw peers: what arrivals, stamps in packets and sender reports are told in."""

import time

_EPOCH_S = 2_208_988_800
"""from 1900 to 1970"""


def wall_ns() -> int:
    """Nanoseconds since the Unix epoch, the clock of the kernel's arrival times; may jump."""
    return time.time_ns()


def ntp(at_ns: int) -> int:
    """Return a wall time as sender reports write it: 32.32 bit seconds since 1900."""
    return ((at_ns + _EPOCH_S * 1_000_000_000) << 32) // 1_000_000_000
