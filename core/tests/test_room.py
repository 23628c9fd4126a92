"""The room's state machine."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from roomful.errors import AlreadyExists, FailedPrecondition, NotFound, PermissionDenied
from roomful.model.enums import DisconnectReason, ParticipantKind, TrackKind, TrackSource
from roomful.model.events import (
    Event,
    FirstSubscriber,
    MuteRequested,
    ParticipantChanged,
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    PermissionChanged,
    RoomChanged,
    RoomOptions,
    SubscriptionAllowed,
    SubscriptionEnded,
    SubscriptionSettingsChanged,
    SubscriptionStarted,
    TrackChanged,
    TrackPublished,
    TrackRemoved,
    TrackUnpublished,
)
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.model.room import Room
from roomful.model.subscription import TrackSettings
from roomful.model.track import Publication, TrackInfo


def make_room() -> Room:
    return Room("RM_1", "studio", RoomOptions(), 1_000)


def someone(identity: str, **fields: object) -> Participant:
    fields = {"kind": ParticipantKind.STANDARD, "permission": Permission(), **fields}
    return Participant(sid=f"PA_{identity}", identity=identity, joined_at_ms=2_000, **fields)  # type: ignore[arg-type]


def enter(room: Room, identity: str, **fields: object) -> Participant:
    participant = someone(identity, **fields)
    room.add(participant)
    room.joined(identity)
    room.activate(identity)
    return participant


def publication(
    of: Participant, sid: str = "TR_1", source: TrackSource = TrackSource.CAMERA
) -> Publication:
    return Publication(of.identity, of.sid, TrackInfo(sid, TrackKind.VIDEO, source))


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def starts(events: Iterable[Event]) -> list[tuple[str, str]]:
    return [(e.to, e.subscription.track_sid) for e in events if isinstance(e, SubscriptionStarted)]


def ends(events: Iterable[Event]) -> list[tuple[str, str]]:
    return [(e.to, e.subscription.track_sid) for e in events if isinstance(e, SubscriptionEnded)]


def test_participant_joins_once_when_activated_twice():
    room = make_room()
    room.add(someone("ada"))

    first = room.activate("ada")
    second = room.activate("ada")

    assert kinds(first) == ["ParticipantChanged", "ParticipantJoined"]
    assert second == []


def test_second_participant_of_an_identity_is_refused():
    room = make_room()
    room.add(someone("ada"))

    with pytest.raises(AlreadyExists):
        room.add(someone("ada"))


def test_leaving_before_active_is_an_aborted_connection():
    room = make_room()
    room.add(someone("ada"))

    events = room.remove("ada", DisconnectReason.JOIN_FAILURE)

    assert any(isinstance(e, ParticipantConnectionAborted) for e in events)
    assert not any(isinstance(e, ParticipantLeft) for e in events)


def test_every_change_raises_the_version():
    room = make_room()
    ada = enter(room, "ada")
    before = ada.version

    (changed,) = room.update_participant("ada", metadata="m", attributes={"k": "v"})

    assert isinstance(changed, ParticipantChanged)
    assert changed.participant.version == before + 1
    assert changed.participant.metadata == "m"
    assert changed.participant.attributes == {"k": "v"}


def test_an_empty_attribute_value_deletes():
    room = make_room()
    enter(room, "ada", attributes={"k": "v", "l": "w"})

    room.update_participant("ada", attributes={"k": ""})

    assert room.participant("ada").attributes == {"l": "w"}


def test_publishing_subscribes_all_active_who_want_it():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben")
    enter(room, "cyd", auto_subscribe=False)
    room.add(someone("dan"))

    events = room.publish("ada", publication(ada))

    assert starts(events) == [("ben", "TR_1")]
    assert any(isinstance(e, TrackPublished) for e in events)
    assert [e.to for e in events if isinstance(e, FirstSubscriber)] == ["ada"]
    assert any(isinstance(e, SubscriptionAllowed) and e.allowed for e in events)


def test_late_joiner_is_subscribed_when_active():
    room = make_room()
    ada = enter(room, "ada")
    room.publish("ada", publication(ada))
    room.add(someone("ben"))

    events = room.activate("ben")

    assert starts(events) == [("ben", "TR_1")]


def test_publisher_is_told_of_its_first_subscriber_once():
    room = make_room()
    ada = enter(room, "ada")
    room.publish("ada", publication(ada))
    enter(room, "ben")

    room.remove("ben", DisconnectReason.CLIENT_INITIATED)
    room.add(someone("cyd"))
    events = room.activate("cyd")

    assert not any(isinstance(e, FirstSubscriber) for e in events)


def test_a_wish_for_a_track_not_yet_there_counts_when_it_comes():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben", auto_subscribe=False)

    assert room.subscribe("ben", ["TR_1"], True) == []
    events = room.publish("ada", publication(ada))

    assert starts(events) == [("ben", "TR_1")]


def test_a_wish_ends_with_its_track():
    room = make_room()
    ada, ben = enter(room, "ada"), enter(room, "ben")
    room.publish("ada", publication(ada))
    room.subscribe("ben", ["TR_1"], False)

    room.unpublish("ada", "TR_1")

    assert ben.wanted == {}


def test_unsubscribing_ends_only_that_subscription():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben")
    room.publish("ada", publication(ada))
    room.publish("ada", publication(ada, "TR_2"))

    events = room.subscribe("ben", ["TR_1"], False)

    assert ends(events) == [("ben", "TR_1")]
    assert list(room.participant("ben").subscriptions) == ["TR_2"]


def test_source_that_the_permission_lacks_is_refused():
    room = make_room()
    ada = enter(
        room, "ada", permission=Permission(can_publish_sources=(TrackSource.MICROPHONE,))
    )

    with pytest.raises(PermissionDenied, match="camera"):
        room.publish("ada", publication(ada))


def test_revoked_permission_ends_publications_and_subscriptions():
    room = make_room()
    ada, ben = enter(room, "ada"), enter(room, "ben")
    room.publish("ada", publication(ada))
    room.publish("ben", publication(ben, "TR_2"))

    events = room.set_permission("ben", Permission(can_publish=False, can_subscribe=False))

    assert kinds(events)[0] == "PermissionChanged"
    assert isinstance(events[0], PermissionChanged)
    assert [e.track_sid for e in events if isinstance(e, TrackRemoved)] == ["TR_2"]
    assert ("ada", "TR_2") in ends(events)
    assert ("ben", "TR_1") in ends(events)
    assert ben.publications == {}
    assert ben.subscriptions == {}


def test_publishers_word_decides_who_subscribes():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben")
    enter(room, "cyd")
    room.publish("ada", publication(ada))

    events = room.allow_subscribers("ada", False, {"ben": None})
    back = room.allow_subscribers("ada", True, {})

    assert ends(events) == [("cyd", "TR_1")]
    assert [(e.to, e.allowed) for e in events if isinstance(e, SubscriptionAllowed)] == [
        ("cyd", False)
    ]
    assert starts(back) == [("cyd", "TR_1")]


def test_publishers_word_holds_for_single_tracks():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben")
    room.allow_subscribers("ada", False, {"ben": frozenset({"TR_2"})})

    first = room.publish("ada", publication(ada))
    second = room.publish("ada", publication(ada, "TR_2"))

    assert starts(first) == []
    assert starts(second) == [("ben", "TR_2")]


def test_settings_change_is_told_once():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben")
    room.publish("ada", publication(ada))
    settings = TrackSettings(disabled=True)

    (event,) = room.set_track_settings("ben", "TR_1", settings)

    assert isinstance(event, SubscriptionSettingsChanged)
    assert room.set_track_settings("ben", "TR_1", settings) == []
    assert room.set_track_settings("ben", "TR_unknown", settings) == []


def test_unpublish_ends_subscriptions_before_it_is_logged():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben")
    room.publish("ada", publication(ada))

    events = room.unpublish("ada", "TR_1")

    assert kinds(events)[:2] == ["SubscriptionEnded", "TrackUnpublished"]
    assert any(isinstance(e, TrackUnpublished) and e.track.sid == "TR_1" for e in events)
    with pytest.raises(NotFound):
        room.unpublish("ada", "TR_1")


def test_leaving_ends_what_was_published_and_says_so_in_order():
    room = make_room()
    ada = enter(room, "ada")
    enter(room, "ben")
    room.publish("ada", publication(ada))

    events = room.remove("ada", DisconnectReason.CLIENT_INITIATED)
    names = kinds(events)

    assert names.index("SubscriptionEnded") < names.index("TrackUnpublished")
    assert names.index("TrackUnpublished") < names.index("ParticipantLeft")
    (left,) = [e for e in events if isinstance(e, ParticipantLeft)]
    assert left.participant.disconnect_reason is DisconnectReason.CLIENT_INITIATED


def test_mute_by_the_api_tells_the_publisher_and_everybody():
    room = make_room()
    ada = enter(room, "ada")
    room.publish("ada", publication(ada))

    events = room.request_mute("ada", "TR_1", True, unmute_allowed=False)

    assert kinds(events) == ["MuteRequested", "ParticipantChanged", "TrackChanged"]
    assert isinstance(events[0], MuteRequested)
    assert isinstance(events[2], TrackChanged)
    with pytest.raises(FailedPrecondition):
        room.request_mute("ada", "TR_1", False, unmute_allowed=False)


def test_hidden_participant_is_told_to_itself_alone_and_not_counted():
    room = make_room()
    hidden = someone("rec", permission=Permission(hidden=True, recorder=True))
    assert room.add(hidden) == []

    events = room.activate("rec")

    assert [e.to for e in events if isinstance(e, ParticipantChanged)] == ["rec"]
    assert room.info.num_participants == 0
    assert room.info.active_recording
    assert any(isinstance(e, ParticipantJoined) for e in events)
    assert any(isinstance(e, RoomChanged) and e.room.active_recording for e in events)


@pytest.mark.parametrize(
    ("kind", "permission"),
    [
        (ParticipantKind.EGRESS, Permission()),
        (ParticipantKind.AGENT, Permission()),
        (ParticipantKind.STANDARD, Permission(agent=True)),
        (ParticipantKind.STANDARD, Permission(recorder=True)),
    ],
)
def test_dependent_participants_do_not_hold_the_room_open(
    kind: ParticipantKind, permission: Permission
):
    room = make_room()
    enter(room, "helper", kind=kind, permission=permission)

    assert not room.holds_open
    enter(room, "ada")
    assert room.holds_open


def test_unknown_participants_and_tracks_are_not_found():
    room = make_room()
    enter(room, "ada")

    with pytest.raises(NotFound):
        room.participant("nobody")
    with pytest.raises(NotFound):
        room.mute("ada", "TR_x", True)
    with pytest.raises(NotFound):
        room.request_mute("ada", "TR_x", True, unmute_allowed=True)
    assert room.publication("TR_x") is None


def test_participant_stays_unsubscribed_from_its_own_track():
    room = make_room()
    ada = enter(room, "ada")

    room.publish("ada", publication(ada))

    assert ada.subscriptions == {}
