"""Counting, with plain records and no server."""

from roomful.model.events import ParticipantLeft, RoomFinished, RoomStarted
from roomful_template.tally import Tally


def test_joining_counts_everybody_once(joined):
    tally = Tally()

    assert [tally.note(joined(sid)) for sid in ("PA_1", "PA_2", "PA_2")] == [1, 2, 2]


def test_leaving_counts_down(joined, room):
    tally = Tally()
    there = joined("PA_1")
    tally.note(there)

    assert tally.note(ParticipantLeft(room, there.participant)) == 0


def test_end_of_a_room_forgets_it(joined, room):
    tally = Tally()
    tally.note(joined("PA_1"))

    tally.note(RoomFinished(room))

    assert tally.note(joined("PA_2")) == 1


def test_other_events_mean_nothing(room):
    assert Tally().note(RoomStarted(room)) == 0
