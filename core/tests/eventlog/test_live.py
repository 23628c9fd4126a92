"""What is live, from events alone; and the endings a killed server owes."""

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomful.eventlog.live import Live
from roomful.model.enums import DisconnectReason, ParticipantState
from roomful.model.events import (
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)


def live_after(*events) -> Live:
    live = Live()
    for event in events:
        live.note(event)
    return live


def test_nothing_is_live_after_an_orderly_end(scene):
    live = live_after(*scene.every())

    assert not live.rooms
    assert not live.participants
    assert list(live.endings()) == []


def test_endings_come_in_the_order_a_room_would_tell_them(scene):
    live = live_after(scene.started(), scene.joined(), scene.published(), scene.joined("bob"))

    endings = list(live.endings())

    assert [type(event) for event in endings] == [
        TrackUnpublished,
        ParticipantLeft,
        ParticipantLeft,
        RoomFinished,
    ]
    left = endings[1]
    assert left.participant.identity == "alice"
    assert left.participant.state is ParticipantState.DISCONNECTED
    assert left.participant.disconnect_reason is DisconnectReason.SERVER_SHUTDOWN
    assert left.participant.tracks == ()
    assert [event.room.num_participants for event in endings[1:]] == [1, 0, 0]
    assert endings[-1].reason is DisconnectReason.SERVER_SHUTDOWN


def test_participant_that_never_joined_ends_as_aborted(scene):
    endings = list(live_after(scene.started(), scene.published()).endings())

    assert [type(event) for event in endings] == [
        TrackUnpublished,
        ParticipantConnectionAborted,
        RoomFinished,
    ]


def test_room_known_from_a_participant_alone_is_finished_too(scene):
    assert isinstance(list(live_after(scene.joined()).endings())[-1], RoomFinished)


def test_room_that_finishes_takes_its_participants_along(scene, other_scene):
    live = live_after(
        scene.started(), scene.joined(), other_scene.started(), other_scene.joined(),
        scene.finished(),
    )  # fmt: skip

    assert list(live.rooms) == ["RM_other"]
    assert list(live.participants) == ["PA_other_alice"]


def test_changes_are_dirty_until_they_are_written(scene):
    live = live_after(scene.started(), scene.joined())

    assert (live.dirty_rooms, live.dirty_participants) == ({"RM_main"}, {"PA_main_alice"})
    live.clean()
    live.note(scene.left())
    assert live.dirty_participants == {"PA_main_alice"}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wherever_it_is_killed_every_start_gets_one_end(scene, data):
    told = [scene.started()]
    here: set[str] = set()
    for who in data.draw(st.lists(st.sampled_from("abc"), max_size=12)):
        told.append(scene.left(who) if who in here else scene.joined(who))
        here ^= {who}
    cut = data.draw(st.integers(1, len(told)))

    told = told[:cut]
    told += list(live_after(*told).endings())

    starts = Counter(e.participant.sid for e in told if isinstance(e, ParticipantJoined))
    ends = Counter(e.participant.sid for e in told if isinstance(e, ParticipantLeft))
    assert starts == ends
    rooms = [type(e) for e in told if isinstance(e, RoomStarted | RoomFinished)]
    assert rooms == [RoomStarted, RoomFinished]
    assert not any(isinstance(e, TrackPublished) for e in told)
