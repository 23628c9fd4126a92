"""One address may knock so often, others are not affected, this machine is not counted."""

import pytest

from roomful.errors import ResourceExhausted
from roomful_webrtc.join_rate import JoinRate


def knock(rate: JoinRate, source: str, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        rate.admit(source, now)


def test_address_that_knocks_too_often_is_refused_until_time_has_passed() -> None:
    rate = JoinRate(20)
    knock(rate, "192.0.2.1", 50)

    with pytest.raises(ResourceExhausted, match="too many joins"):
        rate.admit("192.0.2.1", 0.0)

    knock(rate, "192.0.2.1", 20, now=1.0)
    with pytest.raises(ResourceExhausted):
        rate.admit("192.0.2.1", 1.0)


def test_other_addresses_are_not_affected() -> None:
    rate = JoinRate(1)
    knock(rate, "192.0.2.1", 2)

    knock(rate, "2001:db8::1", 2)


@pytest.mark.parametrize("source", ["127.0.0.1", "::1"])
def test_this_machine_is_not_counted(source: str) -> None:
    knock(JoinRate(1), source, 1000)


def test_slow_rate_admits_one_at_least() -> None:
    knock(JoinRate(0.1), "192.0.2.1", 1)
