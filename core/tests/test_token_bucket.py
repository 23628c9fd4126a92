"""Buckets: rate, burst, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomful.token_bucket import BucketTable, TokenBucket


def test_bucket_allows_its_burst_then_its_rate():
    bucket = TokenBucket(rate=4, burst=3)

    assert [bucket.take(5.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(5.25)
    assert not bucket.take(5.3)


def test_bucket_never_holds_more_than_its_burst():
    bucket = TokenBucket(rate=10, burst=2)
    bucket.take(0.0)

    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_bucket_ignores_a_clock_that_goes_back():
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(10.0)

    assert not bucket.take(9.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)


def test_bucket_that_allows_nothing_is_refused():
    with pytest.raises(ValueError, match="allows nothing"):
        TokenBucket(rate=0, burst=1)


def test_table_keeps_keys_apart_and_forgets_the_one_unused_longest():
    table = BucketTable(rate=1, burst=1, size=2)

    assert table.take("a", 0.0)
    assert table.take("b", 0.0)
    assert not table.take("a", 0.0)
    assert table.take("c", 0.0)
    assert len(table) == 2
    assert not table.take("a", 0.0)
    assert table.take("b", 0.0)


def test_cost_is_taken_whole_or_not_at_all():
    bucket = TokenBucket(rate=1, burst=10)

    assert not bucket.take(0.0, 11)
    assert bucket.take(0.0, 10)


@settings(deadline=None)
@given(st.lists(st.floats(0, 0.5), max_size=100), st.integers(1, 20), st.integers(1, 20))
def test_never_more_than_burst_and_rate_allow(gaps: list[float], rate: int, burst: int):
    bucket, now, taken = TokenBucket(rate, burst), 0.0, 0

    for gap in gaps:
        now += gap
        taken += bucket.take(now)

    assert taken <= burst + rate * now + 1e-6
