"""Buckets let a rate through and no more."""

from hypothesis import given, settings
from hypothesis import strategies as st

from roomful.bounds import TokenBucket, TokenBuckets


def test_burst_goes_through_at_once_then_the_rate():
    bucket = TokenBucket(rate=10, burst=5)

    assert [bucket.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(0.1) for _ in range(2)] == [True, False]
    assert [bucket.take(100.0) for _ in range(6)] == [True] * 5 + [False]


def test_units_are_taken_whole_or_not_at_all():
    bucket = TokenBucket(rate=1, burst=10)

    assert not bucket.take(0.0, 11)
    assert bucket.take(0.0, 10)


@settings(deadline=None)
@given(st.lists(st.floats(0, 0.5), max_size=100), st.integers(1, 20), st.integers(1, 20))
def test_never_more_than_burst_and_rate_allow(gaps, rate, burst):
    bucket, now, taken = TokenBucket(rate, burst), 0.0, 0

    for gap in gaps:
        now += gap
        taken += bucket.take(now)

    assert taken <= burst + rate * now + 1e-6


def test_clock_that_stands_still_gives_nothing():
    bucket = TokenBucket(rate=1000, burst=1)

    assert bucket.take(5.0)
    assert not bucket.take(5.0)
    assert not bucket.take(4.0)


def test_senders_do_not_share_a_bucket():
    buckets = TokenBuckets(rate=1, burst=1)

    assert buckets.take("a", 0.0)
    assert not buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)


def test_those_unused_for_longest_are_forgotten():
    buckets = TokenBuckets(rate=0.001, burst=1, most=2)
    for who in ("a", "b", "a", "c"):
        buckets.take(who, 0.0)

    assert not buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)
