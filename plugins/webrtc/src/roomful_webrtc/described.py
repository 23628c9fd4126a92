"""Our end of a transport as descriptions name it, and the candidates told beside them."""

from __future__ import annotations

from collections.abc import Iterator

from livekit.protocol import rtc

from roomful_rtc.offer_answer import LocalTransport, Origin, RemoteTransport, candidate_init
from roomful_rtc.peer import WirePeer


class Described:
    """One peer's descriptions: the o= line counts up, candidates are told once per credentials."""

    def __init__(self, peer: WirePeer, session_id: int) -> None:
        self._peer = peer
        self._session_id = session_id
        self._version = 0
        self._told_ufrag = ""

    def local(self) -> LocalTransport:
        """Our end as it is now (an ICE restart changes it)."""
        transport = self._peer.transport
        return LocalTransport(
            ufrag=transport.ufrag,
            pwd=transport.pwd,
            fingerprint=transport.fingerprint,
            setup=transport.setup,
            candidates=transport.candidates,
        )

    def take(self, remote: RemoteTransport) -> None:
        """Give the transport the client's end. Raises `RemoteProtocolError`."""
        self._peer.transport.set_remote(
            remote.setup, remote.ufrag, remote.pwd, remote.fingerprint
        )

    def origin(self) -> Origin:
        """The o= line of the next description."""
        self._version += 1
        return Origin(self._session_id, self._version)

    def trickle(self, target: rtc.SignalTarget, mid: str) -> Iterator[rtc.TrickleRequest]:
        """Candidates to tell after a description; `mid` must be in it, others are ignored."""
        transport = self._peer.transport
        if transport.ufrag == self._told_ufrag:
            return
        self._told_ufrag = transport.ufrag
        candidates = transport.candidates
        for index, candidate in enumerate(candidates):
            yield rtc.TrickleRequest(
                candidateInit=candidate_init(candidate, mid, 0, transport.ufrag),
                target=target,
                final=index == len(candidates) - 1,
            )
