"""One peer's transport: ICE-lite, DTLS, SRTP keys and SCTP on the shared port.

    new ──set_remote──▶ connecting ──DTLS done──▶ connected ◀──check──▶ disconnected
                            │                         │                     │
                            └───────────── failed / closed ◀────────────────┘

The packets themselves stay in the engine (`engine_peer` is the handle for its tables); this class
brings the peer there and carries what Python handles: RTCP and data channels. Everything happens
on the event loop's thread. A peer that misbehaves, or an observer that raises, ends this transport
only: `on_failed` is called once, nothing is called after it.

Roles (RFC 8842): to an offer (`actpass` or `active`) we are passive; to an answer of our own
`actpass` offer we follow what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from roomful_rtc.mux import Candidate, Mux

ACCEPTED_LABELS = frozenset({"_reliable", "_lossy", "_data_track"})
"""Labels of data channels a peer may open; others are closed again."""


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A data channel that we open (`a=setup` roles do not matter for that)."""

    label: str
    ordered: bool = True
    max_retransmits: int | None = None


class TransportObserver(Protocol):
    """What a transport tells its owner: plain calls on the loop, never re-entrant into `close`.

    An exception raised here ends the transport (`on_failed`).
    """

    def on_connected(self) -> None:
        """DTLS is done and the engine has the keys: RTP flows."""
        ...

    def on_disconnected(self) -> None:
        """No check came for 10 s; the peer may come back."""
        ...

    def on_reconnected(self) -> None:
        """A check came after all."""
        ...

    def on_failed(self, reason: str) -> None:
        """The end, not asked for; everything is freed already. Called at most once."""
        ...

    def on_channel_open(self, label: str) -> None:
        """`send_message(label, …)` works from now on."""
        ...

    def on_message(self, label: str, data: bytes) -> None:
        """One whole message; text messages come as their UTF-8 bytes."""
        ...

    def on_rtcp(self, packet: bytes) -> None:
        """One decrypted compound packet (RFC 3550 6.1), authenticated but not parsed."""
        ...


class Transport:
    """ICE-lite + DTLS + SCTP of one peer.

    Made and used inside a running event loop. The local description (`ufrag`, `pwd`,
    `fingerprint`, `candidates`) is there at once, so an answer or an offer can be written.
    """

    def __init__(
        self,
        mux: Mux,
        observer: TransportObserver,
        *,
        channels: tuple[ChannelSpec, ...] = (),
        labels: frozenset[str] = ACCEPTED_LABELS,
    ) -> None:
        """Register with the mux. `channels`: opened by us; `labels`: the peer may open these."""
        raise NotImplementedError

    @property
    def ufrag(self) -> str:
        """`a=ice-ufrag` of our description, 8 characters."""
        raise NotImplementedError

    @property
    def pwd(self) -> str:
        """`a=ice-pwd` of our description, 24 characters."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """`sha-256 AA:BB:…`, the value of `a=fingerprint`."""
        raise NotImplementedError

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Host candidates, UDP first; `str(candidate)` is the `candidate:…` string."""
        raise NotImplementedError

    @property
    def setup(self) -> str:
        """`a=setup` of our next ANSWER: `passive`, or `active` if the peer insists on passive.

        Our offers always say `actpass`.
        """
        raise NotImplementedError

    @property
    def engine_peer(self) -> int:
        """Handle in the engine's tables; 0 until ICE has validated an address."""
        raise NotImplementedError

    @property
    def state(self) -> str:
        """One of new, connecting, connected, disconnected, failed, closed."""
        raise NotImplementedError

    def set_remote(self, setup: str, ufrag: str, pwd: str, fingerprint: str) -> None:
        """Take the peer's description: the first one starts the transport.

        A later one with another ufrag or pwd is an ICE restart: unless we asked for it by
        `restart_ice`, new local credentials are made and can be read right afterwards. DTLS and
        keys stay; setup and fingerprint must not change.

        Args:
            setup: `a=setup`: actpass, active or passive.
            ufrag: `a=ice-ufrag`, 4–256 characters.
            pwd: `a=ice-pwd`, 22–256 characters.
            fingerprint: value of `a=fingerprint`: `sha-256 AA:BB:…`, SHA-256 or stronger.

        Raises:
            RemoteProtocolError: a value is malformed or changed when it must not.
        """
        raise NotImplementedError

    def restart_ice(self) -> None:
        """Make new local credentials for an offer of ours; the answer must bring new ones too."""
        raise NotImplementedError

    def send_message(self, label: str, data: bytes) -> bool:
        """Queue one binary message; False when there is no such open channel or it was dropped.

        1 MiB may wait per peer: beyond, messages of a lossy channel are dropped; a reliable one
        that waits more than 10 s ends the transport.
        """
        raise NotImplementedError

    def send_rtcp(self, packet: bytes) -> bool:
        """Protect and send one compound packet; False before `on_connected` or after the end."""
        raise NotImplementedError

    async def close(self, reason: str = "") -> None:
        """Say goodbye, free everything. Idempotent; returns when no task is left."""
        raise NotImplementedError
