"""A client that sends faster than it may is read more slowly, and only that client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from roomful_webrtc import pace as module
from roomful_webrtc.pace import Pace


class Time:
    """Monotonic seconds that pass while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    made = Time()
    monkeypatch.setattr(module.asyncio, "sleep", made.sleep)
    return made


async def test_a_burst_passes_at_once_and_what_follows_waits(time: Time) -> None:
    pace = Pace(lambda: time.now)
    for _ in range(300):
        await pace.message(10)
    assert time.now == 100.0
    for _ in range(100):
        await pace.message(10)

    assert time.now == pytest.approx(101.0, abs=0.2)


async def test_large_messages_wait_for_their_bytes(time: Time) -> None:
    pace = Pace(lambda: time.now)
    for _ in range(4):
        await pace.message(2 << 20)

    assert time.now == pytest.approx(104.0, abs=0.2)


async def test_what_the_room_is_told_of_waits_longer(time: Time) -> None:
    pace = Pace(lambda: time.now)
    for _ in range(100):
        await pace.request("mute")
    assert time.now == pytest.approx(103.0, abs=0.2)
    for _ in range(100):
        await pace.request("ping")

    assert time.now == pytest.approx(103.0, abs=0.2)


async def test_offers_are_taken_ten_a_second(time: Time) -> None:
    pace = Pace(lambda: time.now)
    for _ in range(40):
        await pace.request("offer")

    assert time.now == pytest.approx(102.0, abs=0.2)
