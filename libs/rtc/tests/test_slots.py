"""Which section a track may take, for clients that tell of a stream id once per section."""

from __future__ import annotations

from dataclasses import replace

from roomful_rtc.offer_answer import (
    LocalTransport,
    Offer,
    Subscribe,
    SubscriberOffer,
    host_candidates,
)
from roomful_rtc.offer_answer.slots import KEPT_NAMES
from roomful_rtc.sdp import MediaSection, SessionDescription

OURS = LocalTransport(
    "local",
    "p" * 24,
    "sha-256 " + ":".join(["AB"] * 32),
    "passive",
    host_candidates([("192.0.2.1", 7882)]),
)


def track(number: int) -> Subscribe:
    return Subscribe(f"PA_x|TR_{number}", f"TR_{number}", number * 10, "PA_x")


def again(named: Subscribe, returns: int) -> Subscribe:
    return replace(named, stream_id=f"PA_x|again-{returns}")


def forgetful() -> SubscriberOffer:
    return SubscriberOffer(rename=again)


def agree(subscriber: SubscriberOffer) -> Offer:
    """Offer, and let a client answer."""

    def reply(section: MediaSection) -> MediaSection:
        direction = "recvonly" if section.direction == "sendonly" else section.direction
        return replace(section, direction=direction, setup="active")

    offer = subscriber.offer(OURS)
    sections = tuple(map(reply, offer.description.sections))
    subscriber.accept(SessionDescription.parse(str(replace(offer.description, sections=sections))))
    return offer


def come_and_go(subscriber: SubscriberOffer, which: Subscribe) -> tuple[str, str]:
    """The section a track got, and the stream id it had there."""
    mid = subscriber.assign("video", which)
    offer = agree(subscriber)
    subscriber.release(mid)
    agree(subscriber)
    return mid, offer.carried[mid].stream_id


def test_track_when_it_returns_then_under_a_name_of_its_own_each_time() -> None:
    subscriber = forgetful()

    seen = [come_and_go(subscriber, track(1)) for _ in range(KEPT_NAMES + 3)]

    assert {mid for mid, _ in seen} == {"1"}
    assert [name for _, name in seen[:3]] == ["PA_x|TR_1", "PA_x|again-1", "PA_x|again-2"]
    assert len({name for _, name in seen}) == len(seen)


def test_track_when_it_returns_then_its_track_id_and_ssrc_stay() -> None:
    subscriber = forgetful()
    come_and_go(subscriber, track(1))

    subscriber.assign("video", track(1))
    offer = agree(subscriber)

    section = offer.description.sections[1]
    assert (section.stream_id, section.track_id) == ("PA_x|again-1", "TR_1")
    assert list(section.ssrcs) == [10]


def test_track_when_another_opened_the_section_it_was_in_then_another_section() -> None:
    subscriber = forgetful()
    come_and_go(subscriber, track(1))
    assert come_and_go(subscriber, track(2)) == ("1", "PA_x|TR_2")

    # clients call the track of section 1 TR_1 for good
    assert come_and_go(subscriber, track(2)) == ("2", "PA_x|TR_2")
    assert come_and_go(subscriber, track(2)) == ("2", "PA_x|again-1")
    assert come_and_go(subscriber, track(1)) == ("2", "PA_x|TR_1")
    assert come_and_go(subscriber, track(1)) == ("1", "PA_x|again-1")


def test_section_when_first_offered_without_a_track_then_nobody_returns_to_it() -> None:
    subscriber = forgetful()
    subscriber.release(subscriber.assign("video", track(1)))
    agree(subscriber)

    assert come_and_go(subscriber, track(1))[0] == "2"
    assert come_and_go(subscriber, track(2))[0] == "1"


def test_track_when_two_take_turns_for_long_then_the_list_stays_short() -> None:
    subscriber = forgetful()

    mids = {come_and_go(subscriber, track(1 + turn % 2))[0] for turn in range(50)}

    assert mids == {"1", "2"}


def test_track_when_the_client_is_not_forgetful_then_its_name_stays() -> None:
    subscriber = SubscriberOffer()

    seen = {come_and_go(subscriber, track(1)) for _ in range(3)}

    assert seen == {("1", "PA_x|TR_1")}
