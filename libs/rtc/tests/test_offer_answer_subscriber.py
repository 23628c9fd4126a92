"""Our own offers on a subscriber's peer connection, and the answers to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from roomful.errors import LocalProtocolError, RemoteProtocolError, ResourceExhausted
from roomful_rtc.offer_answer import (
    Inactive,
    LocalTransport,
    Negotiation,
    Offer,
    Origin,
    Subscribe,
    SubscriberOffer,
    host_candidates,
)
from roomful_rtc.sdp import MediaSection, SessionDescription

DATA = Path(__file__).parent / "data"
FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
OURS = LocalTransport(
    "local", "p" * 24, FINGERPRINT, "passive", host_candidates([("192.0.2.1", 7882)])
)


def track(number: int, *, rtx: bool = False) -> Subscribe:
    sid = f"TR_{number}"
    return Subscribe(f"PA_x|{sid}", sid, number * 10, "PA_x", number * 10 + 1 if rtx else 0)


def answer_to(offer: Offer, *, setup: str = "active", reject: str = "") -> SessionDescription:
    """What an agreeable client would say."""

    def reply(section: MediaSection) -> MediaSection:
        if section.mid == reject:
            return replace(section, port=0)
        flipped = {"sendonly": "recvonly", "inactive": "inactive", "sendrecv": "sendrecv"}
        return replace(
            section,
            direction=flipped[section.direction],
            setup=setup,
            ice_ufrag="remote",
            ice_pwd="r" * 22,
            ssrcs={},
            ssrc_groups=(),
            stream_id="",
            track_id="",
        )

    return SessionDescription.parse(
        str(replace(offer.description, sections=tuple(map(reply, offer.description.sections))))
    )


def agree(subscriber: SubscriberOffer, **kwargs: str) -> Negotiation:
    return subscriber.accept(answer_to(subscriber.offer(OURS), **kwargs))


def directions(offer: Offer) -> list[str]:
    return [section.direction for section in offer.description.sections[1:]]


def test_offer_when_first_then_data_alone() -> None:
    subscriber = SubscriberOffer()
    assert subscriber.dirty
    offer = subscriber.offer(OURS, origin=Origin(5, 1))
    (data,) = offer.description.sections
    assert (data.kind, data.mid, data.sctp_port, data.setup) == (
        "application",
        "0",
        5000,
        "actpass",
    )
    assert offer.carried == {}
    assert offer.description.bundle == ("0",)
    assert offer.description.ice_lite
    assert (subscriber.pending, subscriber.dirty) == (True, False)
    assert SessionDescription.parse(offer.sdp).sections[0].mid == "0"


def test_offer_when_tracks_are_assigned_then_sections_are_appended_in_order() -> None:
    subscriber = SubscriberOffer()
    assert subscriber.assign("audio", track(1)) == "1"
    assert subscriber.assign("video", track(2, rtx=True)) == "2"
    offer = subscriber.offer(OURS)
    assert {mid: carried.track_id for mid, carried in offer.carried.items()} == {
        "1": "TR_1",
        "2": "TR_2",
    }
    parsed = SessionDescription.parse(offer.sdp)
    audio, video = parsed.sections[1:]
    assert (audio.direction, audio.stream_id, audio.track_id) == ("sendonly", "PA_x|TR_1", "TR_1")
    assert list(audio.codecs) == [111]
    assert [c.codec for c in video.codecs.values()] == [
        "vp8", "rtx", "h264", "rtx", "vp9", "rtx", "av1", "rtx", "h264", "rtx",
    ]  # fmt: skip
    assert "a=ssrc-group:FID 20 21\r\n" in offer.sdp
    assert {s.setup for s in parsed.sections} == {"actpass"}
    assert offer.sdp.count("a=candidate:") == 1
    assert audio.extmap[1] == video.extmap[1] == "urn:ietf:params:rtp-hdrext:sdes:mid"


def test_answer_when_agreed_then_everything_for_the_media_side_is_there() -> None:
    subscriber = SubscriberOffer()
    subscriber.assign("video", track(2, rtx=True))
    result = agree(subscriber)
    section = result.section("1")
    assert section is not None
    assert (section.index, section.direction, section.decision) == (
        1,
        "sendonly",
        track(2, rtx=True),
    )
    assert section.payload_types == {"vp8": 96, "h264": 102, "vp9": 98, "av1": 45}
    assert section.rtx_payload_types[96] == 97
    assert result.role == "passive"
    assert result.remote.ufrag == "remote"
    assert result.send_extensions["dependency_descriptor"] == 4
    assert result.data is not None
    assert not subscriber.pending


@pytest.mark.parametrize(
    ("name", "role", "audio", "extensions"),
    [
        (
            "python-dual-answer.sdp",
            "passive",
            {"opus": 111},
            {"mid": 1, "abs_send_time": 2, "abs_capture_time": 3, "dependency_descriptor": 4},
        ),
        (
            "chromium-dual-answer.sdp",
            "passive",
            {"opus": 111},
            {"mid": 1, "abs_send_time": 2, "abs_capture_time": 3, "dependency_descriptor": 4},
        ),
        # pion answers passive to an ICE-lite offer
        ("go-dual-answer.sdp", "active", {"opus": 111}, {"mid": 1, "abs_capture_time": 3}),
    ],
)
def test_answer_when_captured_then_read(
    name: str, role: str, audio: dict[str, int], extensions: dict[str, int]
) -> None:
    subscriber = SubscriberOffer()
    subscriber.assign("audio", track(1))
    subscriber.assign("video", track(2, rtx=True))
    subscriber.offer(OURS)
    result = subscriber.accept(SessionDescription.parse((DATA / name).read_bytes()))
    assert result.role == role
    assert [section.direction for section in result.sections] == ["sendonly", "sendonly"]
    assert result.sections[0].payload_types == audio
    assert result.sections[1].payload_types == {"vp8": 96, "h264": 102, "vp9": 98, "av1": 45}
    assert result.sections[1].rtx_payload_types == {96: 97, 102: 103, 98: 99, 45: 46, 104: 105}
    assert result.send_extensions == extensions


def test_release_when_answered_then_the_section_is_used_again_by_its_kind() -> None:
    subscriber = SubscriberOffer()
    mid = subscriber.assign("video", track(1))
    agree(subscriber)
    assert not subscriber.dirty
    subscriber.release(mid)
    assert subscriber.dirty
    offer = subscriber.offer(OURS)
    assert directions(offer) == ["inactive"]
    assert offer.carried == {}
    assert "a=msid:PA" not in offer.sdp
    result = subscriber.accept(answer_to(offer))
    assert result.sections[0].decision == Inactive()
    assert subscriber.assign("audio", track(2)) == "2"
    assert subscriber.assign("video", track(3)) == "1"
    assert directions(subscriber.offer(OURS)) == ["sendonly", "sendonly"]


def test_release_when_not_yet_answered_then_a_new_section_is_appended() -> None:
    subscriber = SubscriberOffer()
    mid = subscriber.assign("video", track(1))
    agree(subscriber)
    subscriber.release(mid)
    assert subscriber.assign("video", track(2)) == "2"
    assert directions(subscriber.offer(OURS)) == ["inactive", "sendonly"]


def test_release_when_an_offer_is_out_then_the_answer_does_not_free_the_section() -> None:
    subscriber = SubscriberOffer()
    mid = subscriber.assign("video", track(1))
    offer = subscriber.offer(OURS)
    subscriber.release(mid)
    subscriber.accept(answer_to(offer))
    assert subscriber.dirty
    assert subscriber.assign("video", track(2)) == "2"


def test_release_when_twice_or_unknown_then_once_or_an_error() -> None:
    subscriber = SubscriberOffer()
    mid = subscriber.assign("audio", track(1))
    agree(subscriber)
    subscriber.release(mid)
    agree(subscriber)
    subscriber.release(mid)
    assert not subscriber.dirty
    with pytest.raises(LookupError):
        subscriber.release("99")


def test_reuse_when_switched_off_then_sections_are_only_appended() -> None:
    subscriber = SubscriberOffer(reuse=False)
    subscriber.release(subscriber.assign("audio", track(1)))
    agree(subscriber)
    assert subscriber.assign("audio", track(2)) == "2"


def test_section_when_rejected_by_the_client_then_never_used_again() -> None:
    subscriber = SubscriberOffer()
    mid = subscriber.assign("video", track(1))
    result = agree(subscriber, reject=mid)
    section = result.section(mid)
    assert section is not None
    assert section.rejected
    subscriber.release(mid)
    offer = subscriber.offer(OURS)
    assert offer.description.sections[1].rejected
    assert offer.description.bundle == ("0",)
    subscriber.accept(answer_to(offer))
    assert subscriber.assign("video", track(2)) == "2"


def test_section_when_the_client_does_not_want_it_then_nothing_is_sent() -> None:
    subscriber = SubscriberOffer()
    subscriber.assign("video", track(1))
    answer = answer_to(subscriber.offer(OURS))
    unwilling = replace(answer.sections[1], direction="inactive")
    result = subscriber.accept(replace(answer, sections=(answer.sections[0], unwilling)))
    assert result.sections[0].direction == "inactive"


def test_offer_when_repeated_while_pending_then_the_newest_counts() -> None:
    subscriber = SubscriberOffer()
    first = subscriber.offer(OURS)
    subscriber.assign("audio", track(1))
    second = subscriber.offer(replace(OURS, ufrag="again"))
    assert second.description.sections[0].ice_ufrag == "again"
    with pytest.raises(RemoteProtocolError):
        subscriber.accept(answer_to(first))
    assert subscriber.pending
    assert subscriber.accept(answer_to(second)).section("1") is not None


def test_answer_when_nothing_is_out_then_it_is_our_fault() -> None:
    subscriber = SubscriberOffer()
    answer = answer_to(subscriber.offer(OURS))
    subscriber.accept(answer)
    with pytest.raises(LocalProtocolError):
        subscriber.accept(answer)


@pytest.mark.parametrize("setup", ["actpass", "holdconn", ""])
def test_answer_when_it_chooses_no_role_then_refused(setup: str) -> None:
    subscriber = SubscriberOffer()
    offer = subscriber.offer(OURS)
    with pytest.raises(RemoteProtocolError, match="role"):
        subscriber.accept(answer_to(offer, setup=setup))


def test_answer_when_sections_change_then_refused() -> None:
    subscriber = SubscriberOffer()
    subscriber.assign("audio", track(1))
    subscriber.assign("video", track(2))
    answer = answer_to(subscriber.offer(OURS))
    for sections in (
        answer.sections[:2],
        (answer.sections[0], answer.sections[2], answer.sections[1]),
        (*answer.sections[:2], replace(answer.sections[2], mid="9")),
    ):
        with pytest.raises(RemoteProtocolError, match="match"):
            subscriber.accept(replace(answer, sections=sections))


def test_answer_when_extension_ids_are_made_up_then_refused() -> None:
    subscriber = SubscriberOffer()
    subscriber.assign("audio", track(1))
    answer = answer_to(subscriber.offer(OURS))
    moved = replace(answer.sections[1], extmap={9: "urn:ietf:params:rtp-hdrext:sdes:mid"})
    with pytest.raises(RemoteProtocolError, match="extension"):
        subscriber.accept(replace(answer, sections=(answer.sections[0], moved)))


def test_list_when_full_then_refused_and_free_sections_still_work() -> None:
    subscriber = SubscriberOffer(max_sections=3)
    first = subscriber.assign("audio", track(1))
    subscriber.assign("video", track(2))
    with pytest.raises(ResourceExhausted):
        subscriber.assign("audio", track(3))
    agree(subscriber)
    subscriber.release(first)
    agree(subscriber)
    assert subscriber.assign("audio", track(3)) == first


def test_stereo_when_wished_then_announced_in_that_section_alone() -> None:
    subscriber = SubscriberOffer()
    subscriber.assign("audio", replace(track(1), stereo=True))
    subscriber.assign("audio", track(2))
    offer = subscriber.offer(OURS)
    fmtp = [section.codecs[111].fmtp for section in offer.description.sections[1:]]
    assert fmtp == ["minptime=10;useinbandfec=1;sprop-stereo=1", "minptime=10;useinbandfec=1"]
