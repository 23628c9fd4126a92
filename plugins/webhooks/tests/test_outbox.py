"""The outbox alone: order, independence of rooms, retries, outages, giving up. Time is given."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomful.eventlog import EventRecord
from roomful.model.events import PluginEvent, RoomInfo, RoomOptions
from roomful_webhooks import outbox as outbox_module
from roomful_webhooks.outbox import DOWN_AFTER, FLYING, GIVE_UP_MS, Outbox

NOW_MS = 1_800_000_000_000


def record(seq: int, room: str = "a", name: str = "x", at_ms: int = NOW_MS) -> EventRecord:
    info = RoomInfo(f"RM_{room}", room, RoomOptions(), "", 0)
    return EventRecord(seq, f"EV_{seq}", at_ms, PluginEvent(name, info, {}))


def outbox_of(*records: EventRecord, position: int = 0) -> Outbox:
    outbox = Outbox(position)
    outbox.offer(records, lambda _: True, 0.0)
    return outbox


def due(outbox: Outbox, now: float = 0.0, now_ms: int = NOW_MS) -> list[int]:
    return [pending.record.seq for pending in outbox.due(now, now_ms)]


def test_room_gets_one_at_a_time_in_order():
    outbox = outbox_of(record(1), record(2), record(3))

    for seq in (1, 2, 3):
        (pending,) = outbox.due(0.0, NOW_MS)
        assert pending.record.seq == seq
        assert due(outbox) == []
        outbox.delivered(pending, 0.0)
        assert outbox.position == seq


def test_rooms_do_not_wait_for_each_other():
    outbox = outbox_of(record(1, "a"), record(2, "b"), record(3, "a"), record(4, "c"))

    assert due(outbox) == [1, 2, 4]


def test_place_in_the_log_moves_over_what_is_done_without_a_gap():
    outbox = outbox_of(record(1, "a"), record(2, "b"), record(3, "c"))
    first, second, third = outbox.due(0.0, NOW_MS)

    outbox.delivered(third, 0.0)
    outbox.delivered(second, 0.0)
    assert outbox.position == 0
    outbox.delivered(first, 0.0)

    assert outbox.position == 3


def test_unwanted_and_unreadable_events_are_done_at_once():
    outbox = Outbox(0)
    outbox.offer([record(1, name="no"), record(2, name="")], lambda name: name != "no", 0.0)

    assert due(outbox) == []
    assert outbox.position == 2


def test_numbers_that_the_log_lost_are_no_gap():
    outbox = outbox_of(record(10), record(50), position=3)

    for _ in range(2):
        outbox.delivered(outbox.due(0.0, NOW_MS)[0], 0.0)

    assert outbox.position == 50


def test_failure_is_tried_again_later_and_later():
    outbox, now, pauses = outbox_of(record(1)), 0.0, []

    for _ in range(12):
        (pending,) = outbox.due(now, NOW_MS)
        outbox.failed(pending, now)
        then = outbox.next_due()
        assert then is not None
        assert due(outbox, then - 0.01) == []
        pauses.append(then - now)
        now = then

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_event_the_receiver_will_not_take_holds_up_its_own_room_only():
    outbox = outbox_of(record(1, "a"), record(2, "a"), record(3, "b"), record(4, "b"))
    poison, other = outbox.due(0.0, NOW_MS)
    outbox.failed(poison, 0.0)
    outbox.delivered(other, 0.0)

    assert due(outbox, 0.5) == [4]
    assert due(outbox, 1.0) == [1]


def test_refused_event_lets_the_next_of_its_room_go():
    outbox = outbox_of(record(1), record(2))
    (pending,) = outbox.due(0.0, NOW_MS)

    outbox.refused(pending)

    assert due(outbox) == [2]
    assert outbox.position == 1


def go_down(outbox: Outbox, now: float = 0.0) -> None:
    for pending in outbox.due(now, NOW_MS)[:DOWN_AFTER]:
        outbox.failed(pending, now)
    assert outbox.is_down


def test_receiver_that_is_down_gets_one_attempt_at_a_time():
    outbox = outbox_of(*(record(seq, f"room{seq}") for seq in range(1, 4)))
    go_down(outbox)

    assert len(due(outbox, 100.0)) == 1
    assert outbox.next_due() is None
    assert due(outbox, 100.0) == []


def test_receiver_that_is_back_gets_everything_at_once():
    outbox = outbox_of(*(record(seq, f"room{seq}") for seq in range(1, 4)))
    go_down(outbox)
    (probe,) = outbox.due(1.0, NOW_MS)
    outbox.failed(probe, 1.0)
    (probe,) = outbox.due(1.5, NOW_MS)

    outbox.delivered(probe, 1.5)

    assert len(due(outbox, 1.5)) == 2


def test_not_more_fly_than_allowed():
    outbox = outbox_of(*(record(seq, f"room{seq}") for seq in range(1, 50)))

    assert len(due(outbox)) == FLYING
    assert due(outbox) == []


def test_no_more_is_taken_from_the_log_than_the_window_holds(monkeypatch):
    monkeypatch.setattr(outbox_module, "WINDOW", 3)
    outbox = outbox_of(record(1, "a"), record(2, "b"), record(3, "c"))

    assert outbox.room == 0
    first, *_ = outbox.due(0.0, NOW_MS)
    outbox.delivered(first, 0.0)
    assert outbox.room == 1


def test_event_that_is_a_day_old_is_given_up_and_counted():
    outbox = outbox_of(record(1, "a"), record(2, "a", at_ms=NOW_MS + 1000), record(3, "b"))
    flying = outbox.due(0.0, NOW_MS)
    outbox.failed(flying[0], 0.0)

    assert due(outbox, 500.0, NOW_MS + GIVE_UP_MS + 1) == [2]
    assert outbox.dropped == 1
    assert outbox.position == 1, "the one that flies is not given up"


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 60), st.integers(1, 5))
def test_whatever_fails_all_arrive_in_order_within_their_room(
    chance: random.Random, events: int, rooms: int
):
    log = [record(seq, f"room{chance.randrange(rooms)}") for seq in range(1, events + 1)]
    outbox, now, got, flying = Outbox(0), 0.0, defaultdict(list), []

    for _ in range(10_000):
        if outbox.position == events and not flying:
            break
        outbox.offer(log[outbox.read : outbox.read + chance.randrange(10)], lambda _: True, now)
        flying += outbox.due(now, NOW_MS)
        assert len({p.record.room for p in flying}) == len(flying) <= FLYING
        if flying and chance.random() < 0.7:
            pending = flying.pop(chance.randrange(len(flying)))
            if chance.random() < 0.5:
                outbox.failed(pending, now)
            else:
                outbox.delivered(pending, now)
                got[pending.record.room].append(pending.record.seq)
        elif (then := outbox.next_due()) is not None:
            now = max(now, then)
        assert all(seq in got[log[seq - 1].room] for seq in range(1, outbox.position + 1))

    assert outbox.position == events
    assert {room: seqs for room, seqs in got.items() if seqs} == {
        room: [r.seq for r in log if r.room == room] for room in {r.room for r in log}
    }


@pytest.mark.parametrize("position", [0, 41])
def test_new_outbox_goes_on_behind_its_place(position):
    assert Outbox(position).read == position
