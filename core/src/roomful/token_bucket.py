"""Token buckets: so many per second, with a burst. Time is an argument (monotonic seconds)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class TokenBucket:
    """Allows `rate` per second on average and `burst` at once; starts full."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a bucket of {rate!r} per second and burst {burst!r} allows nothing")
        self._rate, self._burst = rate, burst
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens if they are there. A clock that stands still refills nothing."""
        if self._at is None:
            self._at = now
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True


class BucketTable:
    """A bucket for each of many keys, at most `size`: the one unused for longest is forgotten.

    A forgotten key starts with a full bucket again, so `size` bounds memory, not safety: make it
    larger than a bucket's burst takes to refill at the rate keys come.
    """

    __slots__ = ("_buckets", "_burst", "_rate", "_size")

    def __init__(self, rate: float, burst: float, size: int = 10_000) -> None:
        self._rate, self._burst, self._size = rate, burst, size
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens of this key's bucket if they are there."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._size:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now, cost)
