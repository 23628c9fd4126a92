"""Signs of life, in virtual time."""

from __future__ import annotations

from roomful_media.heartbeat import Heartbeat


def run(heartbeat: Heartbeat, until_s: float, heard_at, *, since_s: float = 0.5) -> list[float]:
    """Tick every half second; return when pings were sent."""
    pings, now = [], since_s
    while now <= until_s:
        if heartbeat.tick(now, heard_at(now)) is not None:
            pings.append(now)
        now += 0.5
    return pings


def test_ping_is_sent_every_two_seconds():
    heartbeat = Heartbeat(0.0)

    assert run(heartbeat, 7, lambda now: now) == [0.5, 2.5, 4.5, 6.5]
    assert not heartbeat.dead


def test_worker_that_says_something_lives_whatever_it_is():
    heartbeat = Heartbeat(0.0)

    run(heartbeat, 20, lambda now: now - 5.5)

    assert heartbeat.silent_s == 5.5
    assert not heartbeat.dead


def test_silence_of_six_seconds_is_death():
    heartbeat = Heartbeat(0.0)

    run(heartbeat, 5.5, lambda now: 0.0)
    alive = not heartbeat.dead
    run(heartbeat, 6, lambda now: 0.0, since_s=6)

    assert alive
    assert heartbeat.dead


def test_time_in_which_the_server_stood_still_is_nobodys_silence():
    heartbeat = Heartbeat(0.0)
    run(heartbeat, 3, lambda now: 0.0)

    heartbeat.tick(33.0, 0.0)
    spared = not heartbeat.dead
    run(heartbeat, 36.5, lambda now: 0.0, since_s=33.5)

    assert spared
    assert heartbeat.dead
