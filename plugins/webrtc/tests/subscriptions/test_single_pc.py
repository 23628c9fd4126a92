"""One peer connection: which section of the client's offers a track gets, over toggles and resumes."""

from __future__ import annotations

from roomful_webrtc.single_pc import SinglePc
from roomful_webrtc.subscribing import Subscriber

from .client import FakePeer, FakePublisher, Sent, directions, offer, subscriber_on, subscription

TRACK = "sendonly PA_ann|TR_1"


def connected() -> tuple[SinglePc, Subscriber, Sent]:
    """A client that was answered once, with two receiving sections."""
    peer, sent = FakePeer(), Sent()
    subscriber = subscriber_on(peer)
    pc = SinglePc(peer, FakePublisher(), subscriber, sent, 1)  # type: ignore[arg-type]
    pc.begin(offer("0", "1"))
    return pc, subscriber, sent


async def negotiated(pc: SinglePc, sent: Sent, *, ufrag: str = "them-0") -> dict[str, str]:
    """The client offers as it was asked to; gives the sections of the answer."""
    pc.on_offer(offer("0", "1", ufrag=ufrag))
    return directions((await sent.next("answer")).sdp)


async def asked_and_negotiated(pc: SinglePc, sent: Sent) -> dict[str, str]:
    await sent.next("media_sections_requirement")
    return await negotiated(pc, sent)


def leave(pc: SinglePc, subscriber: Subscriber) -> None:
    leg = subscriber.end("TR_1")
    assert leg is not None
    pc.clear(leg)


async def test_track_toggled_at_once_gets_another_section() -> None:
    pc, subscriber, sent = connected()
    pc.place(subscriber.start(subscription()))
    assert (await asked_and_negotiated(pc, sent))["0"] == TRACK

    leave(pc, subscriber)
    pc.place(subscriber.start(subscription()))

    assert await asked_and_negotiated(pc, sent) == {"0": "inactive", "1": TRACK}


async def test_section_is_inactive_once_before_the_track_returns_to_it() -> None:
    pc, subscriber, sent = connected()
    pc.place(subscriber.start(subscription()))
    await asked_and_negotiated(pc, sent)

    leave(pc, subscriber)
    assert (await asked_and_negotiated(pc, sent))["0"] == "inactive"
    pc.place(subscriber.start(subscription()))

    assert (await asked_and_negotiated(pc, sent))["0"] == TRACK


async def test_section_cleared_in_an_answer_that_a_socket_took_along_is_cleared_again() -> None:
    pc, subscriber, sent = connected()
    pc.place(subscriber.start(subscription()))
    await asked_and_negotiated(pc, sent)
    leave(pc, subscriber)
    await asked_and_negotiated(pc, sent)

    pc.resume()
    pc.place(subscriber.start(subscription()))

    assert await negotiated(pc, sent, ufrag="them-1") == {"0": "inactive", "1": TRACK}


async def test_section_cleared_in_an_answer_that_came_is_not_cleared_again() -> None:
    pc, subscriber, sent = connected()
    pc.place(subscriber.start(subscription()))
    await asked_and_negotiated(pc, sent)
    leave(pc, subscriber)
    await asked_and_negotiated(pc, sent)
    await negotiated(pc, sent)

    pc.resume()
    pc.place(subscriber.start(subscription()))

    assert (await negotiated(pc, sent, ufrag="them-1"))["0"] == TRACK
