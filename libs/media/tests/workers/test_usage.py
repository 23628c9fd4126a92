"""What a process uses, and when it is too much."""

from __future__ import annotations

import os

from roomful_media.usage import Usage, UsageWatch, read_usage

MIB = 1 << 20


def test_own_usage_is_read():
    usage = read_usage(os.getpid())

    assert usage is not None
    assert usage.rss_bytes > 5 * MIB
    assert usage.cpu_s > 0


def test_process_that_is_gone_uses_nothing():
    assert read_usage(1 << 30) is None


def test_memory_is_over_its_limit_at_any_moment():
    watch = UsageWatch(100 * MIB, None)
    watch.add(0, Usage(100 * MIB))
    before = watch.over_memory
    watch.add(1, Usage(100 * MIB + 1))
    watch.add(2, Usage(5 * MIB))

    assert (before, watch.over_memory, watch.peak_rss_bytes) == (False, True, 100 * MIB + 1)


def test_cpu_is_over_its_limit_when_a_window_is_full():
    watch = UsageWatch(MIB, 0.5)
    answers = []
    for second in range(31):
        watch.add(second, Usage(0, 0.6 * min(second, 20)))
        answers.append(watch.over_cpu)

    assert answers.index(True) == 10
    assert answers[20]
    assert not answers[30]
    assert watch.cores == 0


def test_short_burst_is_no_offence():
    watch = UsageWatch(MIB, 0.5)
    for tick in range(100):
        watch.add(tick / 2, Usage(0, min(4.0, tick / 2)))
        assert not watch.over_cpu


def test_no_share_is_no_limit():
    watch = UsageWatch(MIB, None)
    for second in range(30):
        watch.add(second, Usage(0, 4.0 * second))

    assert not watch.over_cpu
    assert watch.cores == 4.0
