"""Bounds that are not settings, in one place, and the bucket that holds rates to them.

Whoever meets a bound raises `ResourceExhausted` (or ends the peer, where its page says so) and
counts it. What an operator may change is in `settings.LimitsSettings`; what belongs to one
protocol's parser is beside that parser.
"""

from __future__ import annotations

from collections import OrderedDict

# Names and texts, bytes of UTF-8
ROOM_NAME_BYTES = 256
IDENTITY_BYTES = 256
NAME_BYTES = 256
METADATA_BYTES = 512 << 10
ATTRIBUTES_BYTES = 64 << 10
"""all names and values of a participant together"""

# Data packets
DATA_BYTES = 64_000
DATA_DESTINATIONS = 1_000
NONCE_BYTES = 16
RPC_PAYLOAD_BYTES = 15 << 10

# HTTP
REQUEST_LINE_BYTES = 32 << 10
HEADER_BYTES = 64 << 10
"""all header fields of a request together"""
HEAD_S = 10.0
"""a request's head is complete after this"""
KEEP_ALIVE_S = 75.0
"""a connection without a request is closed after this"""
UNPROVED_CONNECTIONS = 100
"""of one source address, before a token came by them"""
API_BODY_BYTES = 10 << 20
API_BODY_S = 30.0
OTHER_BODY_BYTES = 64 << 10
API_BURST_S = 2.0
"""an API key may use this many seconds' worth of its rate at once"""
LIST_ITEMS = 1_000
JSON_DEPTH = 32

# Outbound requests
OUTBOUND_CONNECT_S = 5.0
OUTBOUND_WHOLE_S = 30.0
OUTBOUND_ANSWER_BYTES = 64 << 10
OUTBOUND_HOPS = 3


class TokenBucket:
    """Lets `rate` units a second through, `burst` at once. Time is an argument (monotonic s)."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._at = burst, float("-inf")

    def take(self, now: float, units: float = 1.0) -> bool:
        """Take units, or nothing and return False."""
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now
        if self._level < units:
            return False
        self._level -= units
        return True


class TokenBuckets:
    """A bucket for each of many senders; at most `most`, those unused for longest are forgotten.

    A forgotten sender starts with a full bucket again, so `most` bounds memory, not safety: make
    it larger than a bucket's burst takes to refill at the rate senders come.
    """

    def __init__(self, rate: float, burst: float, most: int = 10_000) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, who: str, now: float, units: float = 1.0) -> bool:
        """Take units of `who`'s bucket, or nothing and return False."""
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
            bucket = self._buckets[who] = TokenBucket(self._rate, self._burst)
        self._buckets.move_to_end(who)
        return bucket.take(now, units)
