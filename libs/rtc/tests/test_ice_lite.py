"""The ICE-lite agent: validation, nomination, ownership, liveness, restart."""

from __future__ import annotations

import pytest

from roomful_rtc.ice_lite import (
    AddressTable,
    Disconnected,
    Dropped,
    Failed,
    IceLiteAgent,
    Reconnected,
    Retired,
    Selected,
    Validated,
)

A, B, C = ("192.0.2.1", 1), ("192.0.2.2", 2), ("192.0.2.3", 3)


@pytest.fixture
def table():
    return AddressTable()


@pytest.fixture
def agent(table):
    return IceLiteAgent(table)


def check(agent, addr, now, *, nominate=False, ufrag=None):
    ufrag = ufrag or agent.credentials.ufrag
    return agent.check(ufrag, addr, use_candidate=nominate, now=now)


def test_credentials_are_long_and_random_enough(table):
    made = [IceLiteAgent(table).credentials for _ in range(50)]

    assert {(len(c.ufrag), len(c.pwd)) for c in made} == {(8, 24)}
    assert len({c.ufrag for c in made} | {c.pwd for c in made}) == 100


def test_first_check_validates_and_selects(agent):
    assert check(agent, A, 0) == [Validated(A), Selected(A)]
    assert check(agent, A, 1) == []


def test_second_address_is_valid_but_not_selected_before_it_is_nominated(agent):
    check(agent, A, 0, nominate=True)

    assert check(agent, B, 1) == [Validated(B)]
    assert check(agent, B, 2, nominate=True) == [Selected(B)]


def test_last_nomination_wins(agent):
    check(agent, A, 0, nominate=True)
    check(agent, B, 0, nominate=True)

    assert check(agent, A, 1, nominate=True) == [Selected(A)]
    assert agent.selected == A


def test_ninth_address_replaces_the_one_checked_longest_ago(agent, table):
    addresses = [("192.0.2.9", port) for port in range(1, 10)]
    for now, addr in enumerate(addresses[:8]):
        check(agent, addr, now)
    check(agent, addresses[1], 8)

    events = check(agent, addresses[8], 9)

    assert events == [Dropped(addresses[2]), Validated(addresses[8])]
    assert len(agent.addresses) == len(table) == 8


def test_address_expires_after_30_s_without_a_check_unless_it_is_selected(agent):
    check(agent, A, 0)
    check(agent, B, 0)
    for now in range(5, 30, 5):
        check(agent, A, now)

    assert agent.poll(29.9) == []
    assert agent.poll(30.0) == [Dropped(B)]
    assert agent.addresses == (A,)


def test_address_with_a_fresh_check_is_not_given_to_another_peer(agent, table):
    other = IceLiteAgent(table)
    check(agent, A, 100)

    assert not other.may_check(A, 109.9)
    assert other.may_check(A, 110.0)
    assert agent.may_check(A, 101)


def test_loser_of_an_address_goes_on_with_its_other_one(agent, table):
    check(agent, A, 0)
    check(agent, B, 0, nominate=True)

    assert agent.lose(B) == [Dropped(B), Selected(A)]
    assert agent.lose(B) == []
    assert table.owner(B) is None


def test_loser_of_its_only_address_has_none_selected(agent):
    check(agent, A, 0)

    assert agent.lose(A) == [Dropped(A)]
    assert agent.selected is None
    assert check(agent, B, 1) == [Validated(B), Selected(B)]


def test_silence_disconnects_after_10_s_and_fails_after_15(agent):
    check(agent, A, 100)

    assert agent.poll(109.9) == []
    assert agent.poll(110.0) == [Disconnected()]
    assert agent.poll(114.9) == []
    assert agent.poll(115.0) == [Failed()]


def test_check_after_disconnection_reconnects(agent):
    check(agent, A, 100)
    agent.poll(111)

    assert check(agent, A, 112) == [Reconnected()]
    assert agent.poll(121.9) == []


def test_check_from_another_valid_address_keeps_the_peer_alive(agent):
    check(agent, A, 100, nominate=True)
    check(agent, B, 105)

    assert agent.poll(114) == []


def test_nobody_is_declared_dead_right_after_a_stall_of_the_loop(agent):
    check(agent, A, 100)

    assert agent.poll(130, stalled_at=130) == []
    assert agent.poll(134.9, stalled_at=130) == []
    assert agent.poll(135, stalled_at=130) == [Disconnected(), Failed()]


def test_no_verdict_before_the_first_check(agent):
    assert agent.poll(1000) == []


def test_restart_keeps_the_old_ufrag_until_the_new_one_is_used(agent):
    old = agent.credentials
    check(agent, A, 0, nominate=True)

    assert agent.restart() == []
    assert agent.credentials.ufrag != old.ufrag
    assert agent.password(old.ufrag) == old.pwd
    assert check(agent, A, 1, ufrag=old.ufrag) == []

    assert check(agent, B, 2) == [Retired(old.ufrag), Validated(B)]
    assert agent.password(old.ufrag) is None
    assert agent.selected == A
    assert check(agent, B, 3, nominate=True) == [Selected(B)]


def test_second_restart_ends_credentials_nobody_used(agent):
    first = agent.credentials
    agent.restart()
    unused = agent.credentials

    assert agent.restart() == [Retired(unused.ufrag)]
    assert agent.password(first.ufrag) == first.pwd
    assert agent.password(unused.ufrag) is None


def test_close_gives_everything_back(agent, table):
    check(agent, A, 0)
    check(agent, C, 0)
    agent.restart()

    events = agent.close()

    assert {type(event) for event in events} == {Dropped, Retired}
    assert len(events) == 4
    assert len(table) == 0
