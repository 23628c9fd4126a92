"""A worker that is a participant: what it says becomes commands, what happens it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roomful.errors import MediaError, RemoteProtocolError, ResourceExhausted
from roomful.model.enums import DisconnectReason, VideoQuality
from roomful.model.events import Speaker, SpeakersChanged
from roomful.model.media import Want
from roomful_media_plane.worker_participant import COMMANDS_BURST, MAX_MATCHES
from roomful_rtc.link.control import control_record

from .worker_rig import FILM, MAX_TRACKS, VOICE, Ears, Stage

ALL = {"match": {}}
PACKET = memoryview(b"\x80" + bytes(20))


@pytest.fixture
async def stage() -> Stage:
    return Stage()


# --- coming and going ----------------------------------------------------------------------------


async def test_the_first_worker_brings_the_participant_in(stage: Stage):
    assert not stage.is_here
    stage.running()
    assert stage.is_here


async def test_one_that_left_before_its_worker_came_does_not_come_back(stage: Stage):
    await stage.session.remove("worker", DisconnectReason.ROOM_DELETED)
    link = stage.start()
    assert stage.say("watch", what=["participants"])
    assert stage.say("subscribe", **ALL)
    stage.lose()
    assert not stage.session.connections
    assert not link.told


async def test_one_that_left_before_its_job_was_known_stops_the_job(stage: Stage):
    stage.start()
    await stage.session.remove("worker", DisconnectReason.PARTICIPANT_REMOVED)
    assert not stage.job.stops
    stage.worker.embody(stage.job)
    assert stage.job.stops == ["the participant left: participant_removed"]


async def test_leaving_asks_the_job_to_stop_once_all_is_closed(stage: Stage):
    link = stage.running()
    streams = stage.publish(link, FILM)["sources"]
    await stage.session.remove("worker", DisconnectReason.ROOM_DELETED)

    assert stage.job.stops == ["the participant left: room_deleted"]
    assert stage.plane.sources[0].calls[-1] == ("end",)
    assert link.closed_streams == streams


async def test_after_the_end_the_owner_still_hears_but_the_room_does_not(stage: Stage):
    stage.running()
    await stage.session.remove("worker", DisconnectReason.ROOM_DELETED)
    assert not stage.say("part", number=3)
    assert stage.say("publish", ref=1)
    stage.lose()
    assert len(stage.job.stops) == 1


async def test_what_is_no_command_is_for_the_owner(stage: Stage):
    stage.running()
    assert not stage.say("note")
    assert stage.say("watch", what=[])


async def test_a_worker_that_commands_without_end_is_refused(stage: Stage):
    link = stage.running()
    for _ in range(COMMANDS_BURST):
        stage.say("watch", what=[])
    with pytest.raises(RemoteProtocolError, match="commands a second"):
        stage.say("watch", what=[])
    link.heard_at += 1
    stage.say("watch", what=[])


# --- publishing ----------------------------------------------------------------------------------


async def test_a_publication_is_told_with_its_streams(stage: Stage):
    link = stage.running()
    told = stage.publish(link, FILM)
    sid = told["track_sid"]
    assert told == {
        "t": "published", "ref": "film", "track_sid": sid, "sources": [1, 2], "muted": False,
    }  # fmt: skip
    assert stage.info(sid).simulcast
    assert [layer.bitrate for layer in stage.plane.layers[0]] == [100_000, 300_000]

    link.streams[2].write(PACKET, 999_999_000_000)
    link.streams[1].clock(5, 6, 999_999_000_001)
    link.streams[2].gap(3, 1)
    assert stage.plane.sources[0].calls == [
        ("write", bytes(PACKET), 999_999_000_000, 1),
        ("clock", 5, 6, 999_999_000_001, 0),
        ("gap", 3, 1, 1),
    ]


async def test_a_frame_where_packets_are_meant_is_counted_only(stage: Stage):
    link = stage.running()
    stage.publish(link, VOICE)
    link.streams[1].frame(None)
    assert link.streams[1].frames == 1
    assert not stage.plane.sources[0].calls


@pytest.mark.parametrize("said_ns", [0, 1_000_000_000_001, (1 << 64) - 1, 989_999_999_999])
async def test_an_arrival_that_cannot_be_is_the_moment_it_was_heard(stage: Stage, said_ns: int):
    link = stage.running()
    stage.publish(link, VOICE)
    link.streams[1].write(PACKET, said_ns)
    link.streams[1].clock(1, 2, said_ns)
    assert [call[-2] for call in stage.plane.sources[0].calls] == [1_000_000_000_000] * 2


async def test_a_key_frame_and_demand_are_told_by_stream(stage: Stage):
    link = stage.running()
    stage.publish(link, VOICE)
    stage.publish(link, FILM)
    film = stage.plane.sources[1]
    film.on_keyframe(1)
    film.on_demand(0, False)
    assert link.of("keyframe") == [{"t": "keyframe", "source": 3}]
    assert link.of("demand") == [{"t": "demand", "source": 2, "wanted": False}]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MediaError("no codec"), "internal"),
        (ResourceExhausted("full"), "resource_exhausted"),
        (ValueError("layers"), "invalid_argument"),
    ],
)
async def test_what_the_plane_refuses_is_told(stage: Stage, error: Exception, code: str):
    link = stage.running()
    stage.plane.refuse = error
    told = stage.publish(link, VOICE)
    assert told == {"t": "refused", "ref": "voice", "code": code, "message": str(error)}
    assert not stage.me.publications
    stage.plane.refuse = None
    assert stage.publish(link, VOICE)["t"] == "published"


async def test_permission_and_number_bind_workers_as_everybody(stage: Stage):
    link = stage.running()
    for number in range(MAX_TRACKS):
        assert stage.publish(link, VOICE, ref=f"{number}")["t"] == "published"
    assert stage.publish(link, VOICE, ref="more")["code"] == "resource_exhausted"
    stage.session.update_participant(
        "worker", permission=replace(stage.me.permission, can_publish=False)
    )
    assert len(link.of("unpublished")) == MAX_TRACKS
    assert stage.publish(link, VOICE)["code"] == "permission_denied"
    assert len(link.closed_streams) == MAX_TRACKS
    assert stage.is_here


async def test_a_name_that_is_taken_is_a_lie(stage: Stage):
    link = stage.running()
    stage.publish(link, VOICE)
    with pytest.raises(RemoteProtocolError, match="'voice' is published"):
        stage.publish(link, VOICE)


async def test_unpublishing_frees_name_and_streams(stage: Stage):
    link = stage.running()
    told = stage.publish(link, VOICE)
    stage.say("unpublish", track_sid=told["track_sid"])
    stage.say("unpublish", track_sid=told["track_sid"])
    assert link.closed_streams == told["sources"]
    assert not link.of("unpublished")
    assert not stage.me.publications
    assert stage.publish(link, VOICE)["track_sid"] != told["track_sid"]


async def test_a_track_that_the_plane_ended_is_told(stage: Stage):
    link = stage.running()
    sid = stage.publish(link, VOICE)["track_sid"]
    stage.plane.sources[0].on_ended("sends more than was announced")
    assert link.of("unpublished") == [{"t": "unpublished", "track_sid": sid}]
    assert stage.publish(link, VOICE)["t"] == "published"


# --- muting --------------------------------------------------------------------------------------


async def test_the_worker_mutes_its_track(stage: Stage):
    link = stage.running()
    sid = stage.publish(link, VOICE)["track_sid"]
    stage.say("mute", track_sid=sid, muted=True)
    assert stage.info(sid).muted
    assert stage.plane.sources[0].calls == [("muted", True)]
    stage.say("mute", track_sid="TR_gone", muted=True)
    with pytest.raises(RemoteProtocolError):
        stage.say("mute", track_sid=sid, muted="yes")


async def test_the_api_mutes_and_the_worker_is_told(stage: Stage):
    link = stage.running()
    sid = stage.publish(link, VOICE)["track_sid"]
    stage.session.mute("worker", sid, True)
    assert link.of("mute_wanted") == [{"t": "mute_wanted", "track_sid": sid, "muted": True}]
    assert stage.info(sid).muted


# --- a lost worker and its successor -------------------------------------------------------------


async def test_a_successor_goes_on_with_the_same_track(stage: Stage):
    first = stage.running()
    sid = stage.publish(first, VOICE)["track_sid"]
    stage.lose()
    assert stage.info(sid).muted
    second = stage.start()
    assert stage.info(sid).muted
    told = stage.publish(second, VOICE)

    assert (told["track_sid"], told["muted"]) == (sid, False)
    assert told["sources"] != [1]
    assert not stage.info(sid).muted
    assert stage.plane.sources[0].calls == [("muted", True), ("restart",), ("muted", False)]
    assert len(stage.plane.sources) == 1
    stage.plane.sources[0].on_keyframe(0)
    assert second.of("keyframe")
    assert not first.of("keyframe")


@pytest.mark.parametrize("by_api", [True, False])
async def test_what_was_muted_stays_muted_over_a_loss(stage: Stage, by_api: bool):
    link = stage.running()
    sid = stage.publish(link, VOICE)["track_sid"]
    if by_api:
        stage.session.mute("worker", sid, True)
    else:
        stage.say("mute", track_sid=sid, muted=True)
    stage.lose()
    told = stage.publish(stage.start(), VOICE)
    assert (told["track_sid"], told["muted"]) == (sid, True)
    assert stage.info(sid).muted
    assert stage.plane.sources[0].calls[-1] == ("muted", True)


async def test_what_is_muted_while_no_worker_is_there_stays_so(stage: Stage):
    sid = stage.publish(stage.running(), VOICE)["track_sid"]
    stage.lose()
    stage.session.mute("worker", sid, True)
    assert stage.publish(stage.start(), VOICE)["muted"]


async def test_a_successor_learns_what_nobody_wants(stage: Stage):
    stage.publish(stage.running(), FILM)
    film = stage.plane.sources[0]
    film.on_demand(0, False)
    film.on_demand(1, False)
    stage.lose()
    film.on_keyframe(1)
    film.on_demand(1, True)
    second = stage.start()
    low, _ = stage.publish(second, FILM)["sources"]
    assert second.of("demand") == [{"t": "demand", "source": low, "wanted": False}]


@pytest.mark.parametrize(
    "changed", [{"kind": "audio", "mime": "audio/opus"}, {"mime": "video/VP9"}]
)
async def test_another_track_under_the_same_name_takes_its_place(
    stage: Stage, changed: dict[str, Any]
):
    sid = stage.publish(stage.running(), FILM, layers=[])["track_sid"]
    stage.lose()
    told = stage.publish(stage.start(), FILM, layers=[], **changed)
    assert told["track_sid"] != sid
    assert list(stage.me.publications) == [told["track_sid"]]
    assert stage.plane.sources[0].calls[-1] == ("end",)
    assert not stage.info(told["track_sid"]).muted


async def test_a_restart_that_finds_no_room_is_refused_and_may_be_tried_again(stage: Stage):
    sid = stage.publish(stage.running(), VOICE)["track_sid"]
    stage.lose()
    link = stage.start()
    stage.plane.sources[0].refuse = ResourceExhausted("full")
    assert stage.publish(link, VOICE)["code"] == "resource_exhausted"
    assert stage.info(sid).muted
    stage.plane.sources[0].refuse = None
    assert stage.publish(link, VOICE)["track_sid"] == sid


async def test_losing_a_worker_that_had_nothing_changes_nothing(stage: Stage):
    stage.running()
    log = len(stage.log)
    stage.lose()
    stage.start()
    assert stage.is_here
    assert len(stage.log) == log


async def test_a_lost_worker_takes_its_wishes_along(stage: Stage):
    stage.enter("ada")
    first = stage.running()
    stage.say("subscribe", **ALL)
    stage.say("subscribe", track_sid="TR_later")
    stage.say("watch", what=["participants"])
    sid = stage.offer("ada")
    stage.lose()
    assert first.of("track_ended")
    assert not stage.me.subscriptions
    assert not any(stage.me.wanted.values())

    second = stage.start()
    stage.offer("ada")
    assert not second.told
    stage.say("subscribe", **ALL)
    assert sid in {told["track_sid"] for told in second.of("track")}
    assert len(second.of("track")) == 2


async def test_who_subscribes_to_all_by_itself_does_so_after_a_loss():
    stage = Stage(auto_subscribe=True)
    stage.enter("ada")
    early = stage.offer("ada")
    first = stage.running()
    stage.lose()
    between = stage.offer("ada")
    second = stage.start()
    later = stage.offer("ada")

    assert [told["track_sid"] for told in first.of("track")] == [early]
    assert [told["track_sid"] for told in second.of("track")] == [early, between, later]


# --- subscribing ---------------------------------------------------------------------------------


async def test_a_match_takes_what_is_there_and_what_comes(stage: Stage):
    stage.enter("ada")
    stage.enter("bea")
    early = stage.offer("ada")
    stage.offer_film("ada")
    link = stage.running()
    stage.say("subscribe", match={"kinds": ["audio"]})
    later = stage.offer("bea")
    assert [told["track_sid"] for told in link.of("track")] == [early, later]
    assert [told["sink"] for told in link.of("track")] == [1, 2]
    assert link.of("track")[1]["identity"] == "bea"


async def test_one_track_is_subscribed_to_by_its_sid(stage: Stage):
    stage.enter("ada")
    sid = stage.offer("ada")
    stage.offer("ada")
    link = stage.running()
    stage.say("subscribe", track_sid=sid)
    assert [told["track_sid"] for told in link.of("track")] == [sid]


async def test_a_job_may_go_from_track_to_track_for_ever(stage: Stage):
    stage.enter("ada")
    link = stage.running()
    for _ in range(2 * MAX_MATCHES):
        stage.say("subscribe", track_sid=stage.offer("ada"))
    assert len(link.of("track")) == 2 * MAX_MATCHES


async def test_wishes_have_a_bound(stage: Stage):
    stage.running()
    for number in range(MAX_MATCHES):
        stage.say("subscribe", match={"identities": [f"{number}"]})
    stage.say("subscribe", match={"identities": ["0"]})
    with pytest.raises(RemoteProtocolError, match=f"{MAX_MATCHES} wishes"):
        stage.say("subscribe", match={"identities": ["more"]})


async def test_what_was_unsubscribed_does_not_come_back_by_itself(stage: Stage):
    stage.enter("ada")
    sid = stage.offer("ada")
    link = stage.running()
    stage.say("subscribe", **ALL)
    stage.say("unsubscribe", sink=1)
    stage.say("unsubscribe", sink=1)
    stage.session.update_participant("ada", name="Ada")
    assert link.of("track_ended") == [{"t": "track_ended", "sink": 1}]
    assert len(link.of("track")) == 1
    stage.say("subscribe", track_sid=sid)
    assert [told["sink"] for told in link.of("track")] == [1, 2]


async def test_who_may_not_subscribe_gets_nothing_until_it_may(stage: Stage):
    stage.enter("ada")
    stage.offer("ada")
    link = stage.running()
    may = stage.me.permission
    stage.session.update_participant("worker", permission=replace(may, can_subscribe=False))
    stage.say("subscribe", **ALL)
    assert not link.of("track")
    stage.session.update_participant("worker", permission=may)
    assert link.of("track")


async def test_wants_and_key_frames_reach_the_plane(stage: Stage):
    stage.enter("ada")
    sid = stage.offer_film("ada")
    stage.running()
    stage.say("subscribe", **ALL)
    handle = stage.plane.handles[sid]
    stage.say("want", sink=1, quality="low", paused=True)
    stage.say("keyframe", sink=1)
    handle.to.ask_key_frame()
    assert handle.wants == [Want(enabled=False, quality=VideoQuality.LOW)]
    assert handle.keyframes == 2

    stage.session.unpublish("ada", sid)
    stage.say("want", sink=1)
    stage.say("keyframe", sink=1)
    handle.to.ask_key_frame()
    assert (len(handle.wants), handle.keyframes) == (1, 2)
    with pytest.raises(RemoteProtocolError):
        stage.say("keyframe", sink=0)


async def test_a_track_that_the_plane_cannot_give_ends_at_once(stage: Stage):
    stage.enter("ada")
    stage.offer("ada")
    link = stage.running()
    stage.plane.refuse = MediaError("no source")
    stage.say("subscribe", **ALL)
    stage.say("want", sink=1)
    stage.say("keyframe", sink=1)
    assert [told["t"] for told in link.told] == ["track", "track_ended"]
    assert stage.is_here


async def test_a_track_of_a_codec_that_nobody_decodes_is_not_given(stage: Stage):
    stage.enter("ada")
    stage.offer("ada", mime_type="audio/odd")
    link = stage.running()
    stage.say("subscribe", **ALL)
    assert not link.of("track")
    assert stage.is_here


async def test_a_given_track_that_is_muted_is_told(stage: Stage):
    stage.enter("ada")
    sid = stage.offer("ada")
    other = stage.offer("ada")
    link = stage.running()
    stage.say("subscribe", track_sid=sid)
    stage.session.mute_own("ada", sid, True)
    stage.session.mute_own("ada", other, True)
    assert link.of("muted") == [{"t": "muted", "sink": 1, "muted": True}]


# --- watching ------------------------------------------------------------------------------------


async def test_participants_are_told_when_watched_for(stage: Stage):
    stage.enter("ada")
    link = stage.running()
    stage.enter("bea")
    assert not link.told
    stage.say("watch", what=["participants"])
    [told] = link.of("participants")
    assert [each["identity"] for each in told["participants"]] == ["ada", "bea"]

    await stage.session.remove("ada", DisconnectReason.CLIENT_INITIATED)
    assert link.told[-1]["participants"][0]["state"] == "disconnected"
    stage.say("watch", what=[])
    count = len(link.told)
    stage.enter("eve")
    assert len(link.told) == count


async def test_the_hidden_are_neither_told_of_nor_heard(stage: Stage):
    stage.enter("ghost", hidden=True)
    stage.offer("ghost")
    link = stage.running()
    stage.say("watch", what=["participants"])
    stage.say("subscribe", **ALL)
    stage.offer("ghost")
    assert not link.told


async def test_a_crowd_is_told_of_in_messages_that_fit(stage: Stage):
    for number in range(60):
        stage.enter(f"guest {number}")
        for _ in range(5):
            stage.offer(f"guest {number}", name="\x01" * 100)
    link = stage.running()
    stage.say("watch", what=["participants", "speakers"])
    everybody = tuple(Speaker(f"PA_{n:012}", 0.5, True) for n in range(1500))
    stage.connection.deliver(SpeakersChanged(everybody))

    assert len(link.of("participants")) > 1
    assert sum(len(told["participants"]) for told in link.of("participants")) == 60
    assert sum(len(told["speakers"]) for told in link.of("speakers")) == 1500
    assert all(len(control_record(message)) < 60 << 10 for message in link.told)


async def test_speakers_are_told_when_watched_for(stage: Stage):
    link = stage.running()
    changed = SpeakersChanged((Speaker("PA_1", 0.25, True),))
    stage.connection.deliver(changed)
    assert not link.told
    stage.say("watch", what=["speakers"])
    stage.connection.deliver(changed)
    assert link.told == [
        {"t": "speakers", "speakers": [{"sid": "PA_1", "level": 0.25, "active": True}]}
    ]


async def test_nobody_else_is_told_twice_of_what_a_worker_publishes(stage: Stage):
    stage.enter("ada")
    ears = stage.session.connections["ada"]
    assert isinstance(ears, Ears)
    link = stage.running()
    before = len(ears.notices)
    stage.publish(link, VOICE)
    kinds = [type(notice).__name__ for notice in ears.notices[before:]]
    assert kinds.count("ParticipantChanged") == 1
    assert kinds.count("SubscriptionStarted") == 1
