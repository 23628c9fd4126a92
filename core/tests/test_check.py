"""The permission matrix: every action with nothing, with each grant missing, with exactly enough.

Generated from the table of the check itself; `EXPECTED` is the table of the design's permission
page written down a second time, so that a row cannot change unnoticed.
"""

from dataclasses import fields, replace

import pytest

from roomful.auth.check import (
    API_RULES,
    ROOM_RULES,
    GrantMissing,
    allows,
    check,
    check_attribute,
    claim_name,
)
from roomful.auth.grants import Grants
from roomful.errors import PermissionDenied, Unauthenticated
from roomful.model.enums import ParticipantKind, TrackSource
from roomful.model.permission import Permission

ROOM, OTHER = "main", "other"

EXPECTED = {
    "join": "roomJoin room",
    "create_room_by_joining": "roomCreate",
    "create_room": "roomCreate",
    "delete_room": "roomCreate",
    "list_rooms": "roomList",
    "list_participants": "roomAdmin room",
    "get_participant": "roomAdmin room",
    "remove_participant": "roomAdmin room",
    "mute_track": "roomAdmin room",
    "update_participant": "roomAdmin room",
    "update_subscriptions": "roomAdmin room",
    "send_data_by_api": "roomAdmin room",
    "perform_rpc": "roomAdmin room",
    "update_room_metadata": "roomAdmin room",
    "forward_participant": "roomAdmin room destinationRoom",
    "move_participant": "roomAdmin room destinationRoom",
    "dispatch_agent": "roomAdmin room",
    "egress": "roomRecord",
    "ingress": "ingressAdmin",
    "sip_admin": "sip.admin",
    "sip_call": "sip.call",
    "transfer_call": "sip.call roomAdmin room",
    "agent_worker": "agent",
    "console": "roomList roomAdmin",
}

FLAGS = tuple(
    field.name
    for field in fields(Grants)
    if field.type == "bool" and field.name != "internal_grant"
)


def exactly(action: str) -> Grants:
    """Grants with what the action needs and nothing else."""
    rule = API_RULES[action]
    grants = Grants("key", **dict.fromkeys(rule.needs, True))
    if rule.room:
        grants = replace(grants, room=ROOM)
    if rule.destination:
        grants = replace(grants, destination_room=OTHER)
    return grants


def all_but(field: str) -> Grants:
    everything = Grants("key", room=ROOM, destination_room=OTHER, **dict.fromkeys(FLAGS, True))
    return replace(everything, **{field: False})


def test_table_is_the_documented_one():
    stated = {
        action: " ".join(
            [claim_name(need).removeprefix("video.") for need in rule.needs]
            + ["room"] * rule.room
            + ["destinationRoom"] * rule.destination
        )
        for action, rule in API_RULES.items()
    }

    assert stated == EXPECTED


@pytest.mark.parametrize("action", API_RULES)
def test_exactly_the_grants_are_enough(action):
    check(exactly(action), action, room=ROOM, target=OTHER)


@pytest.mark.parametrize("action", API_RULES)
def test_no_grants_are_not_enough(action):
    with pytest.raises(GrantMissing) as refused:
        check(Grants("key"), action, room=ROOM, target=OTHER)

    assert isinstance(refused.value, Unauthenticated)
    assert refused.value.message == "permissions denied"
    assert all(claim_name(need) in refused.value.needs for need in API_RULES[action].needs)


@pytest.mark.parametrize(
    ("action", "need"), [(a, need) for a, rule in API_RULES.items() for need in rule.needs]
)
def test_each_missing_grant_refuses_whatever_else_is_there(action, need):
    with pytest.raises(GrantMissing) as refused:
        check(all_but(need), action, room=ROOM, target=OTHER)

    assert refused.value.needs == claim_name(need)


@pytest.mark.parametrize("action", [a for a, rule in API_RULES.items() if rule.room])
@pytest.mark.parametrize("room", [OTHER, "", "MAIN"])
def test_token_for_another_room_is_refused(action, room):
    assert not allows(exactly(action), action, room=room, target=OTHER)


@pytest.mark.parametrize("action", [a for a, rule in API_RULES.items() if rule.room])
def test_token_without_a_room_is_no_wildcard(action):
    assert not allows(replace(exactly(action), room=""), action, room="", target=OTHER)


@pytest.mark.parametrize("action", [a for a, rule in API_RULES.items() if rule.destination])
def test_token_for_another_destination_is_refused(action):
    assert not allows(exactly(action), action, room=ROOM, target="third")


@pytest.mark.parametrize("action", ["create_room", "delete_room"])
def test_strict_mode_limits_making_and_deleting_to_the_tokens_room(action):
    own = Grants("key", room_create=True, room=ROOM)

    check(own, action, room=ROOM, strict=True)
    with pytest.raises(GrantMissing):
        check(own, action, room=OTHER, strict=True)


def test_webhook_token_joins_nothing():
    assert not allows(replace(exactly("join"), sha256="hash"), "join", room=ROOM)


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("publish", "can_publish"),
        ("subscribe", "can_subscribe"),
        ("send_data", "can_publish_data"),
        ("update_own_metadata", "can_update_metadata"),
        ("read_metrics", "can_subscribe_metrics"),
    ],
)
def test_participant_needs_its_live_permission(action, field):
    nothing = Permission(can_subscribe=False, can_publish=False, can_publish_data=False)

    check(replace(nothing, **{field: True}), action)
    with pytest.raises(PermissionDenied, match=action.replace("_", " ")):
        check(nothing, action)


def test_every_action_of_a_participant_is_tested_above():
    assert set(ROOM_RULES) == {
        "publish",
        "subscribe",
        "send_data",
        "update_own_metadata",
        "read_metrics",
    }


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("publish", True),
        ("subscribe", True),
        ("send_data", True),
        ("update_own_metadata", False),
        ("read_metrics", False),
    ],
)
def test_grants_that_say_nothing_mean_the_defaults(action, allowed):
    assert allows(Grants("key"), action) is allowed


def test_sources_replace_the_permission_to_publish():
    only_camera = Permission(can_publish=False, can_publish_sources=(TrackSource.CAMERA,))

    check(only_camera, "publish", target=TrackSource.CAMERA)
    check(only_camera, "publish")
    assert not allows(
        replace(only_camera, can_publish=True), "publish", target=TrackSource.MICROPHONE
    )


@pytest.mark.parametrize("kind", ParticipantKind)
def test_sip_attributes_are_refused_from_everybody(kind):
    for from_token in (True, False):
        with pytest.raises(PermissionDenied):
            check_attribute(kind, "sip.phoneNumber", from_token=from_token)


@pytest.mark.parametrize("kind", ParticipantKind)
def test_reserved_attributes_come_from_tokens_and_agents(kind):
    check_attribute(kind, "lk.agent.state", from_token=True)
    if kind is ParticipantKind.AGENT:
        check_attribute(kind, "lk.agent.state")
    else:
        with pytest.raises(PermissionDenied):
            check_attribute(kind, "lk.agent.state")


@pytest.mark.parametrize("kind", ParticipantKind)
def test_other_attributes_are_everybodys(kind):
    check_attribute(kind, "mood")


def test_live_permission_decides_no_api_call():
    with pytest.raises(TypeError, match="decided by grants"):
        check(Permission(), "create_room")


def test_unknown_action_is_a_bug():
    with pytest.raises(KeyError):
        check(Grants("key"), "fly")
