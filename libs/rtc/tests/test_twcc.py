"""Transport-wide feedback: built and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful.errors import RemoteProtocolError
from roomful_rtc import twcc
from roomful_rtc.twcc import Feedback, FeedbackBuilder


def told(builder: FeedbackBuilder) -> list[Feedback]:
    return [twcc.parse(body) for body in builder.take()]


def test_what_arrived_is_told_with_gaps_and_times() -> None:
    builder = FeedbackBuilder()
    builder.add([(65_534, 1_000_000), (65_535, 1_000_300), (2, 1_100_000), (1, 1_099_000)])
    assert told(builder) == [
        Feedback(
            65_534, 0, ((65_534, 1_000_000), (65_535, 1_000_250), (1, 1_099_000), (2, 1_100_000))
        )
    ]


def test_messages_follow_each_other_without_overlap() -> None:
    builder = FeedbackBuilder()
    builder.add([(10, 0), (11, 250)])
    first = told(builder)
    builder.add([(11, 500), (9, 500), (14, 1000)])
    second = told(builder)
    assert [message.base for message in first + second] == [10, 12]
    assert [message.message for message in first + second] == [0, 1]
    assert second[0].packets == ((14, 1000),)
    assert told(builder) == []


def test_a_long_silence_begins_a_new_message() -> None:
    builder = FeedbackBuilder()
    builder.add([(1, 0), (2, 60_000_000)])
    assert [message.packets for message in told(builder)] == [((1, 0),), ((2, 60_000_000),)]


def test_a_leap_of_numbers_is_not_filled() -> None:
    builder = FeedbackBuilder()
    builder.add([(1, 0)])
    builder.take()
    builder.add([(20_000, 1000)])
    assert [(m.base, m.packets) for m in told(builder)] == [(20_000, ((20_000, 1000),))]


def test_a_burst_is_told_in_small_messages() -> None:
    builder = FeedbackBuilder()
    builder.add([(number, 20_000 * number) for number in range(1500)])
    bodies = builder.take()
    assert max(len(body) for body in bodies) <= twcc.MAX_BODY
    packets = [packet for body in bodies for packet in twcc.parse(body).packets]
    assert [number for number, _ in packets] == list(range(1500))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 30_000)), min_size=1, max_size=150),
    st.integers(0, 0xFFFF),
)
def test_everything_that_arrived_is_told_once(steps: list[tuple[int, int]], start: int) -> None:
    builder, arrivals, seq, at = FeedbackBuilder(), [], start, 5_000_000
    for ahead, later in steps:
        arrivals.append((seq & 0xFFFF, at))
        seq, at = seq + ahead, at + later
    builder.add(arrivals)
    packets = [packet for message in told(builder) for packet in message.packets]
    assert [number for number, _ in packets] == [number for number, _ in arrivals]
    for (_, said), (_, true) in zip(packets, arrivals, strict=True):
        assert 0 <= true - said < 500


@pytest.mark.parametrize(
    "body",
    [
        b"\0\1\0\1\0\0\0",
        b"\0\1\0\1\0\0\0\0",
        b"\0\1\0\1\0\0\0\0\x20\1",
        b"\0\1\0\2\0\0\0\0\x40\2\0\0",
        b"\0\1\x10\0\0\0\0\0\x20\1",
        b"\0\1\0\1\0\0\0\0\x20\0",
    ],
)
def test_lengths_that_do_not_fit_are_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        twcc.parse(body)


def test_one_bit_vectors_are_read() -> None:
    assert twcc.parse(b"\0\1\0\3\0\0\1\7\xa8\0\x04\x08") == Feedback(
        1, 7, ((1, 65_000), (3, 67_000))
    )
