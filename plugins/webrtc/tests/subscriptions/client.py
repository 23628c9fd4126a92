"""A client's end of its descriptions, and the peer it has here, for tests of what it receives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from roomful.model.enums import TrackKind
from roomful.model.subscription import Subscription
from roomful.model.track import Publication, TrackInfo
from roomful_rtc.sdp import MediaSection, SessionDescription
from roomful_webrtc.description import Description
from roomful_webrtc.subscribing import Subscriber

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
_AUDIO = """\
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=rtcp-mux
a=ice-ufrag:{ufrag}
a=ice-pwd:{pwd}
a=fingerprint:{fingerprint}
a=setup:actpass
a=mid:{mid}
a=recvonly
a=rtpmap:111 opus/48000/2
"""


class FakeTransport:
    """The end that descriptions name; an ICE restart changes its ufrag."""

    pwd, fingerprint, setup = "p" * 24, FINGERPRINT, "passive"
    candidates = ()

    def __init__(self) -> None:
        self.ufrag = "ours-0"
        self.remote_ufrags: list[str] = []

    def set_remote(self, setup: str, ufrag: str, pwd: str, fingerprint: str) -> None:
        self.remote_ufrags.append(ufrag)

    def restart_ice(self) -> None:
        self.ufrag = f"ours-{int(self.ufrag[-1]) + 1}"


class FakePeer:
    """A peer that hands out SSRCs."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self._ssrcs = count(1)

    def new_ssrc(self) -> int:
        return next(self._ssrcs)


class FakePublisher:
    """What is published by a client that only receives."""

    def end_missing(self, *_: object) -> None:
        """Nothing was published."""

    def bind(self, *_: object) -> None:
        """Nothing is."""


@dataclass(slots=True)
class Sent:
    """What the client was sent, in order; `next` waits for one of a kind."""

    _queue: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)

    def __call__(self, **message: object) -> None:
        for item in message.items():
            self._queue.put_nowait(item)

    async def next(self, kind: str) -> Any:
        """The next of that kind; others before it are dropped."""
        while True:
            found, message = await self._queue.get()
            if found == kind:
                return message


def subscription(sid: str = "TR_1") -> Subscription:
    publication = Publication("ann", "PA_ann", TrackInfo(sid, TrackKind.AUDIO))
    return Subscription("ben", publication)


def subscriber_on(peer: FakePeer) -> Subscriber:
    return Subscriber(
        lambda: peer,  # type: ignore[arg-type, return-value]
        adaptive=False,
        may_pause=False,
        unsupported=lambda _: None,
    )


def offer(*mids: str, ufrag: str = "them-0") -> Description:
    """A client's offer with receiving audio sections."""
    values = {"ufrag": ufrag, "pwd": "r" * 22, "fingerprint": FINGERPRINT}
    head = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    text = "\n".join(head) + "\n" + "".join(_AUDIO.format(mid=mid, **values) for mid in mids)
    return Description(0, SessionDescription.parse(text.replace("\n", "\r\n")))


def answer_to(sdp: str, *, ufrag: str = "them-0", number: int = 0) -> Description:
    """A client's answer to an offer of ours."""

    def reply(section: MediaSection) -> MediaSection:
        direction = "recvonly" if section.direction == "sendonly" else section.direction
        return replace(
            section,
            direction=direction,
            setup="active",
            ice_ufrag=ufrag,
            ice_pwd="r" * 22,
            ssrcs={},
            ssrc_groups=(),
            stream_id="",
            track_id="",
        )

    session = SessionDescription.parse(sdp)
    replied = replace(session, sections=tuple(map(reply, session.sections)))
    return Description(number, SessionDescription.parse(str(replied)))


def directions(sdp: str) -> dict[str, str]:
    """Mid → direction of the audio sections, with the stream id where one is named."""
    return {
        section.mid: f"{section.direction} {section.stream_id}".strip()
        for section in SessionDescription.parse(sdp).sections
        if section.kind == "audio"
    }
