"""Two peer connections: our offers, and which of them an answer is to."""

from __future__ import annotations

from roomful_webrtc.dual_pc import DualPc
from roomful_webrtc.subscribing import Subscriber, named_anew

from .client import (
    FakePeer,
    FakePublisher,
    Sent,
    answer_to,
    directions,
    subscriber_on,
    subscription,
)

TRACK = "sendonly PA_ann|TR_1"


class Client:
    """One that was offered the first description, and answered."""

    def __init__(self, *, forgetful: bool = False) -> None:
        self.peer, self.sent = FakePeer(), Sent()
        self.subscriber: Subscriber = subscriber_on(self.peer)
        self.pc = DualPc(
            FakePeer(),  # type: ignore[arg-type]
            self.peer,  # type: ignore[arg-type]
            FakePublisher(),  # type: ignore[arg-type]
            self.subscriber,
            self.sent,
            1,
            lambda: None,
            named_anew if forgetful else None,
        )

    async def begin(self) -> None:
        self.pc.begin(None)
        await self.answer(await self.offered())

    async def offered(self) -> str:
        return (await self.sent.next("offer")).sdp

    async def answer(self, sdp: str, *, ufrag: str = "them-0", number: int = 0) -> dict[str, str]:
        self.pc.on_answer(answer_to(sdp, ufrag=ufrag, number=number))
        return directions(sdp)

    async def subscribe(self) -> dict[str, str]:
        self.pc.place(self.subscriber.start(subscription()))
        return await self.answer(await self.offered())

    async def unsubscribe(self) -> dict[str, str]:
        leg = self.subscriber.end("TR_1")
        assert leg is not None
        self.pc.clear(leg)
        return await self.answer(await self.offered())


async def test_track_returns_to_its_section_under_another_name_where_the_client_needs_it() -> None:
    client = Client(forgetful=True)
    await client.begin()

    assert await client.subscribe() == {"1": TRACK}
    assert await client.unsubscribe() == {"1": "inactive"}
    assert await client.subscribe() == {"1": "sendonly PA_ann|again-1"}
    client.pc.close()


async def test_track_returns_to_its_section_under_its_name_elsewhere() -> None:
    client = Client()
    await client.begin()
    await client.subscribe()
    await client.unsubscribe()

    assert await client.subscribe() == {"1": TRACK}
    client.pc.close()


async def test_late_answer_to_the_offer_before_a_resume_is_not_taken_for_the_newer_one() -> None:
    client = Client()
    await client.begin()
    client.pc.place(client.subscriber.start(subscription()))
    late = await client.offered()

    client.pc.place(client.subscriber.start(subscription("TR_2")))
    client.pc.resume()
    newer = await client.offered()
    await client.answer(late)
    await client.answer(newer, ufrag="them-1")

    assert client.peer.transport.remote_ufrags == ["them-0", "them-1"]
    assert client.subscriber.mid_to_track == {"1": "TR_1", "2": "TR_2"}
    assert await client.unsubscribe() == {"1": "inactive", "2": "sendonly PA_ann|TR_2"}
    client.pc.close()


async def test_answer_that_numbers_the_offer_is_taken_by_its_number() -> None:
    client = Client()
    await client.begin()
    client.pc.resume()
    newer = await client.offered()

    await client.answer(newer, number=1)
    assert client.peer.transport.remote_ufrags == ["them-0"]

    await client.answer(newer, ufrag="them-1", number=2)
    assert client.peer.transport.remote_ufrags == ["them-0", "them-1"]
    client.pc.close()
