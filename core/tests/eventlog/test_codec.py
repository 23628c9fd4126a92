"""Events as JSON: all of them come back, nothing else is taken for one."""

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomful.errors import InvalidArgument
from roomful.eventlog.codec import EVENT_NAMES, event_from_json, event_name, event_to_json
from roomful.model.events import LifeCycleEvent, PluginEvent


def test_every_event_comes_back_as_it_was(scene):
    events = scene.every()

    assert [event_from_json(event_to_json(event)) for event in events] == events
    assert {type(event) for event in events} == set(get_args(LifeCycleEvent))


def test_every_event_has_a_name(scene):
    assert set(EVENT_NAMES) == set(get_args(LifeCycleEvent))
    assert event_name(scene.joined()) == "participant_joined"
    assert event_name(scene.plugin()) == "egress_started"


def test_field_of_a_newer_server_is_ignored_and_one_of_an_older_is_defaulted(scene):
    envelope = json.loads(event_to_json(scene.joined()))
    envelope["event"]["room"]["colour"] = "red"
    del envelope["event"]["room"]["active_recording"]

    assert event_from_json(json.dumps(envelope)) == scene.joined()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        '{"v": 1}',
        '{"v": [], "type": "room_started", "event": {}}',
        '{"v": 1, "type": "nothing", "event": {}}',
        '{"v": 1, "type": "room_started", "event": {}}',
        '{"v": 2, "type": "room_started", "event": {}}',
    ],
)
def test_what_is_no_event_is_refused(line):
    with pytest.raises(InvalidArgument):
        event_from_json(line)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_refused_with_our_own_error(line):
    with pytest.raises(InvalidArgument):
        event_from_json(line)


@pytest.mark.parametrize("value", [object(), "\ud800"])
def test_plugin_event_that_json_cannot_say_is_refused_naming_it(value):
    with pytest.raises(InvalidArgument, match="'odd_event' cannot be written"):
        event_to_json(PluginEvent("odd_event", None, {"x": value}))
