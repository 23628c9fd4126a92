"""What workers say, read strictly; what they are told, within what a message holds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from roomful.errors import RemoteProtocolError
from roomful.model.enums import (
    Encryption,
    ParticipantKind,
    ParticipantState,
    TrackKind,
    TrackSource,
    VideoQuality,
)
from roomful.model.events import Speaker
from roomful.model.media import Want
from roomful.model.participant import ParticipantInfo
from roomful.model.permission import Permission
from roomful.model.track import TrackInfo, VideoLayer
from roomful_media_plane import worker_messages as messages
from roomful_rtc.link.control import control_record, read_control

from .worker_rig import FILM, VOICE

COUNT, SEED = 2000, 20_240_119
MATCH = {
    "t": "subscribe",
    "match": {"kinds": ["audio"], "sources": ["microphone"], "identities": ["ada", "bea"]},
}
WANT = {"t": "want", "sink": 3, "width": 320, "height": 180, "quality": "low", "fps": 15, "paused": False}  # fmt: skip
WATCH = {"t": "watch", "what": ["participants", "speakers"]}
READERS: list[tuple[dict[str, Any], Callable[[Any], object]]] = [
    (VOICE, messages.read_publish),
    ({**FILM, "fmtp": "a=1", "channels": 2}, messages.read_publish),
    (MATCH, messages.read_match),
    (WANT, messages.read_want),
    (WATCH, messages.read_watch),
]
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 70, 1.5, "", "x", "x" * 600, "é" * 300, "AUDIO", "\x00", [], {},
    [None], [[]], [{}], ["x", 1], {"t": 1}, {"kinds": "audio"}, list(range(2000)),
)  # fmt: skip


def test_a_publication_is_read():
    read = messages.read_publish(FILM)
    assert (read.ref, read.streams, read.fmtp) == ("film", 2, "")
    assert (read.info.kind, read.info.source) == (TrackKind.VIDEO, TrackSource.CAMERA)
    assert (read.info.name, read.info.mime_type) == ("bars", "video/VP8")
    assert (read.info.width, read.info.height) == (320, 180)
    assert read.layers == read.info.layers == (
        VideoLayer(VideoQuality.LOW, 160, 90, 100_000, rid="q", spatial_layer=0),
        VideoLayer(VideoQuality.MEDIUM, 320, 180, 300_000, rid="h", spatial_layer=1),
    )  # fmt: skip


def test_a_single_layer_is_the_best_there_is_and_keeps_what_it_announces():
    [layer] = messages.read_publish({**FILM, "layers": FILM["layers"][:1]}).layers
    assert (layer.quality, layer.bitrate) == (VideoQuality.HIGH, 100_000)


def test_a_voice_has_one_stream():
    read = messages.read_publish({**VOICE, "channels": 2})
    assert (read.streams, read.layers, read.info.stereo) == (1, (), True)
    assert not messages.read_publish(VOICE).info.stereo


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"ref": None}, "ref"),
        ({"ref": "x" * 600}, "ref"),
        ({"name": "é" * 200}, "name"),
        ({"kind": "smell"}, "kind"),
        ({"source": 1}, "source"),
        ({"mime": "audio/opus"}, "audio/opus"),
        ({"channels": 6}, "channels"),
        ({"layers": {}}, "layers"),
        ({"layers": [1]}, "layers"),
        ({"layers": [{}] * 4}, "layers"),
        ({"layers": [{"width": -1}]}, "width"),
        ({"layers": [{"height": 1 << 20}]}, "height"),
        ({"layers": [{"bitrate_bps": True}]}, "bitrate_bps"),
        ({"layers": [{"rid": 1}]}, "rid"),
        ({"fmtp": ["a"]}, "fmtp"),
    ],
)
def test_a_publication_that_is_wrong_is_refused_by_the_name_of_its_field(
    changed: dict[str, Any], field: str
):
    with pytest.raises(RemoteProtocolError, match=field):
        messages.read_publish({**FILM, **changed})


@pytest.mark.parametrize(
    ("changed", "may"),
    [
        ({}, True),
        ({"name": "other"}, True),
        ({"mime": "video/vp8"}, True),
        ({"mime": "video/H264"}, False),
        ({"source": "screen_share"}, False),
        ({"layers": FILM["layers"][:1]}, False),
        ({"fmtp": "profile-level-id=42e01f"}, False),
    ],
)
def test_only_what_subscribers_need_not_notice_goes_on(changed: dict[str, Any], may: bool):
    former = messages.read_publish(FILM)
    assert messages.read_publish({**FILM, **changed}).may_continue(former) is may


def test_a_match_names_what_is_meant_and_nothing_means_all():
    voice = TrackInfo("TR_1", TrackKind.AUDIO, TrackSource.MICROPHONE)
    camera = TrackInfo("TR_2", TrackKind.VIDEO, TrackSource.CAMERA)
    match = messages.read_match(MATCH)
    assert match.wants("ada", voice)
    assert not match.wants("eve", voice)
    assert not match.wants("ada", camera)
    assert messages.read_match({"t": "subscribe", "match": {}}).wants("eve", camera)


@pytest.mark.parametrize(
    "match", [None, [], {"kinds": "audio"}, {"kinds": ["smell"]}, {"identities": [1]}]
)
def test_a_match_that_is_none_is_refused(match: object):
    with pytest.raises(RemoteProtocolError):
        messages.read_match({"t": "subscribe", "match": match})


def test_a_want_is_read():
    assert messages.read_want(WANT) == Want(quality=VideoQuality.LOW, width=320, height=180, fps=15)
    assert messages.read_want({"t": "want"}) == Want()
    assert messages.read_want({"t": "want", "paused": True}) == Want(enabled=False)


@pytest.mark.parametrize("changed", [{"paused": "no"}, {"quality": "best"}, {"fps": 1 << 20}])
def test_a_want_that_is_none_is_refused(changed: dict[str, object]):
    with pytest.raises(RemoteProtocolError):
        messages.read_want({"t": "want", **changed})


@pytest.mark.parametrize(
    "what", [None, "speakers", [1], ["participants", "weather"], [["speakers"]]]
)
def test_a_watch_of_other_things_is_refused(what: object):
    with pytest.raises(RemoteProtocolError):
        messages.read_watch({"t": "watch", "what": what})


# --- mutations ---------------------------------------------------------------------------------


def mutants(original: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Messages with one to three values changed, dropped or taken from elsewhere, as JSON has them."""
    chance = random.Random(f"{SEED} {original['t']} {len(original)}")
    for _ in range(COUNT):
        message = _copied(original)
        for _ in range(chance.randint(1, 3)):
            _change(message, chance)
        yield {**message, "t": original["t"]}


def _change(message: Any, chance: random.Random) -> None:
    places = list(_places(message))
    if not places:
        return
    inside, key = chance.choice(places)
    match chance.randrange(4):
        case 0 if isinstance(inside, dict):
            del inside[key]
        case 1:
            other, there = chance.choice(places)
            if there in other if isinstance(other, dict) else there < len(other):
                inside[key] = _copied(other[there])
        case 2 if isinstance(inside, list):
            inside *= chance.choice((0, 2, 40))
        case _:
            inside[key] = _copied(chance.choice(ODD))


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that can be changed: (what holds it, key)."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


@pytest.mark.parametrize(("original", "read"), READERS, ids=lambda each: str(each)[:24])
def test_mutated_messages_raise_the_peers_error_and_no_other(
    original: dict[str, Any], read: Callable[[Any], object]
):
    accepted = 0
    for message in mutants(original):
        with suppress(RemoteProtocolError):
            read(read_control(json.dumps(message).encode()))
            accepted += 1
    assert 0 < accepted < COUNT


# --- to the worker -----------------------------------------------------------------------------


def info(identity: str, tracks: int, name: str) -> ParticipantInfo:
    track = TrackInfo("TR_abcdefghijkl", TrackKind.VIDEO, TrackSource.CAMERA, name, "video/VP8")
    return ParticipantInfo(
        sid="PA_abcdefghijkl",
        identity=identity,
        name=name,
        kind=ParticipantKind.STANDARD,
        state=ParticipantState.ACTIVE,
        metadata="",
        attributes={},
        permission=Permission(),
        joined_at_ms=0,
        version=1,
        tracks=(track,) * tracks,
    )


def test_a_track_says_how_to_decode_it():
    voice = TrackInfo(
        "TR_1", TrackKind.AUDIO, TrackSource.MICROPHONE, "v", "audio/opus", stereo=True, muted=True
    )
    told = messages.track(7, "ada", voice)
    assert (told["sink"], told["identity"], told["track_sid"]) == (7, "ada", "TR_1")
    assert (told["kind"], told["source"], told["mime"]) == ("audio", "microphone", "audio/opus")
    assert (told["clock_rate"], told["channels"], told["muted"]) == (48_000, 2, True)
    assert not told["encrypted"]
    sealed = TrackInfo("TR_2", TrackKind.VIDEO, mime_type="video/H264", encryption=Encryption.GCM)
    assert messages.track(8, "ada", sealed)["encrypted"]


@pytest.mark.parametrize("name", ["bars", "\x01" * 256, "é" * 128], ids=["short", "escaped", "é"])
@pytest.mark.parametrize("tracks", [0, 2, 32, 300])
def test_participants_are_told_in_messages_that_fit(tracks: int, name: str):
    everybody = [info(f"guest {number}", tracks, name) for number in range(100)]
    told = messages.participants(everybody)

    for message in told:
        control_record(message)
    listed = [each for message in told for each in message["participants"]]
    assert [each["identity"] for each in listed] == [each.identity for each in everybody]
    assert {len(each["tracks"]) for each in listed} == {min(tracks, messages.TRACKS_TOLD)}


def test_names_are_left_out_where_they_would_not_fit_only():
    [short], [long] = (messages.participants([info("a", 32, n)]) for n in ("x", "\x01" * 256))
    assert short["participants"][0]["tracks"][0]["name"] == "x"
    assert long["participants"][0]["tracks"][0]["name"] == ""


def test_speakers_are_told_in_messages_that_fit():
    told = messages.speakers([Speaker(f"PA_{n:012}", 0.123456, True) for n in range(2000)])
    for message in told:
        control_record(message)
    listed = [each for message in told for each in message["speakers"]]
    assert len(listed) == 2000
    assert listed[0] == {"sid": "PA_000000000000", "level": 0.123, "active": True}


def test_nobody_is_told_of_in_no_message():
    assert messages.participants([]) == messages.speakers([]) == []
