"""Events as receivers get them."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from livekit.protocol import webhook

from roomful.eventlog import EventRecord
from roomful.model.enums import DisconnectReason, ParticipantKind, ParticipantState, TrackKind
from roomful.model.events import (
    ParticipantJoined,
    PluginEvent,
    RoomInfo,
    RoomOptions,
    RoomStarted,
    TrackPublished,
)
from roomful.model.participant import ParticipantInfo
from roomful.model.permission import Permission
from roomful.model.track import TrackInfo
from roomful_webhooks.config import WebhooksConfig
from roomful_webhooks.rendering import render

ROOM = RoomInfo("RM_1", "studio", RoomOptions(), "", 1_000)


def participant(kind: ParticipantKind = ParticipantKind.STANDARD) -> ParticipantInfo:
    return ParticipantInfo(
        "PA_1",
        "ada",
        "Ada",
        kind,
        ParticipantState.ACTIVE,
        "m",
        {"k": "v"},
        Permission(),
        2_000,
        3,
        disconnect_reason=DisconnectReason.UNKNOWN_REASON,
    )


def rendered(event: object) -> dict[str, object]:
    return json.loads(render(EventRecord(7, "EV_1", 1_700_000_000_123, event)))  # type: ignore[arg-type]


def test_body_has_the_names_of_the_wire():
    body = rendered(RoomStarted(ROOM))

    assert body["event"] == "room_started"
    assert body["id"] == "EV_1"
    assert body["createdAt"] == "1700000000"
    assert body["room"]["sid"] == "RM_1"
    assert body["room"]["emptyTimeout"] == 300


@pytest.mark.parametrize("kind", list(ParticipantKind))
def test_participants_of_every_kind_are_rendered(kind: ParticipantKind):
    text = render(EventRecord(7, "EV_1", 1_000, ParticipantJoined(ROOM, participant(kind))))

    message = json_format.Parse(text, webhook.WebhookEvent())

    assert message.event == "participant_joined"
    assert message.participant.identity == "ada"
    assert message.participant.kind == kind
    assert dict(message.participant.attributes) == {"k": "v"}


def test_track_events_carry_room_participant_and_track():
    track = TrackInfo("TR_1", TrackKind.VIDEO, mime_type="video/VP8")

    body = rendered(TrackPublished(ROOM, participant(), track))

    assert body["track"]["sid"] == "TR_1"
    assert body["track"]["mimeType"] == "video/VP8"
    assert body["participant"] == {"sid": "PA_1", "identity": "ada"}
    assert body["room"] == {"sid": "RM_1", "name": "studio"}


def test_plugin_events_bring_their_own_fields():
    body = rendered(PluginEvent("egress_started", None, {"egressInfo": {"egressId": "EG_1"}}))

    assert body["event"] == "egress_started"
    assert body["egressInfo"] == {"egressId": "EG_1"}
    assert "room" not in body


def test_plugin_event_cannot_pretend_to_be_another():
    forged = {"event": "room_finished", "id": "EV_9", "createdAt": "1", "job": {}}

    body = rendered(PluginEvent("agent_job_started", ROOM, forged))

    assert body == {
        "event": "agent_job_started", "id": "EV_1", "createdAt": "1700000000", "job": {},
    }  # fmt: skip


def test_urls_show_in_no_repr():
    assert "hunter2" not in repr(WebhooksConfig(urls=("https://a.example/?key=hunter2",)))


def test_body_is_the_same_for_every_attempt():
    record = EventRecord(7, "EV_1", 1_000, ParticipantJoined(ROOM, participant()))

    assert render(record) == render(record)


@pytest.mark.parametrize(
    ("include", "exclude", "sent"),
    [
        ((), (), True),
        (("room_started",), (), True),
        (("other",), (), False),
        ((), ("room_started",), False),
        (("room_started",), ("room_started",), False),
    ],
)
def test_filters_choose_by_name(include: tuple[str, ...], exclude: tuple[str, ...], sent: bool):
    assert WebhooksConfig(include=include, exclude=exclude).wants("room_started") is sent


@pytest.mark.parametrize("urls", [["ftp://example.org"], ["http://"], ["http://a/", "http://a/"]])
def test_urls_that_receive_nothing_are_refused(urls: list[str]):
    with pytest.raises(ValueError, match=r"url|URL"):
        WebhooksConfig(urls=urls)
