"""The restart table, row by row, in virtual time."""

from __future__ import annotations

import pytest

from roomful_media.restarts import ROWS, RestartRow, Restarts, row_of


def ends(kind: str, *runs_s: float, asked: int = 0) -> list[float | None]:
    """Let workers of a job end after these runs; return the pauses, None where it failed."""
    restarts, now, pauses = Restarts(row_of(kind, asked)), 0.0, list[float | None]()
    for ran_s in runs_s:
        now += ran_s
        verdict = restarts.ended(now, ran_s)
        pauses.append(verdict.pause_s)
        if verdict.pause_s is None:
            break
        now += verdict.pause_s
    return pauses


def test_recorder_is_restarted_three_times():
    assert ends("recorder", 1, 1, 1, 1) == [0.2, 0.4, 0.8, None]
    assert ends("recorder", 1000, 1000, 1000, 1000) == [0.2, 0.2, 0.2, None]


def test_uploader_is_restarted_for_ever_at_most_every_ten_seconds():
    pauses = ends("uploader", *[0.1] * 100)

    assert pauses[:7] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0]
    assert set(pauses[7:]) == {10.0}


def test_transcoder_is_restarted_when_it_ran_for_ten_seconds():
    assert ends("transcoder", *[10.0] * 30)[-1] == 10.0
    assert ends("transcoder", 100.0, 9.9) == [0.2, None]


@pytest.mark.parametrize("kind", ["audio_bridge", "test_source", "test_sink", "anything"])
def test_others_are_not_restarted(kind: str):
    assert ends(kind, 1000) == [None]


def test_spare_rests_after_five_ends_in_a_minute():
    assert ends("spare", *[0.1] * 6) == [0.2, 0.4, 0.8, 1.6, 60.0, 6.4]
    assert Restarts(ROWS["spare"]).ended(0, 0).rests is False


def test_kind_without_a_row_may_ask_for_three():
    assert ends("anything", 1, 1, asked=1) == [0.2, None]
    assert ends("anything", *[100] * 9, asked=50) == [0.2, 0.2, 0.2, None]
    assert ends("anything", 1, asked=-1) == [None]
    assert ends("audio_bridge", 1, asked=3) == [None]


def test_fifth_end_within_a_minute_fails_a_job_that_may_be_restarted_often():
    restarts = Restarts(RestartRow(times=None))

    often = [restarts.ended(second, 1.0).pause_s for second in (1, 2, 3, 4, 5)]
    rarely = Restarts(RestartRow(times=None))
    spread = [rarely.ended(second, 15.0).pause_s for second in range(0, 300, 15)]

    assert often[-1] is None
    assert None not in spread


def test_pause_begins_anew_after_a_long_run():
    assert ends("uploader", 1, 1, 1, 60, 1) == [0.2, 0.4, 0.8, 0.2, 0.4]
