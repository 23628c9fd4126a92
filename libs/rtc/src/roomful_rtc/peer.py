"""One transport and everything that is sent and received on it.

A client with one peer connection has one `WirePeer`, one with two has two. What is asked for before
the transport is connected is kept and done when it is; nothing here waits. All on the loop's
thread; rows in the engine end with the peer.
"""

from __future__ import annotations

from typing import Protocol

from roomful_rtc.quality import PeerQuality
from roomful_rtc.sink import SendParameters, WireSink
from roomful_rtc.source import ReceiveParameters, Source, WireSource
from roomful_rtc.transport import Transport


class PeerObserver(Protocol):
    """What a peer tells its owner: plain calls on the loop.

    The first six are `TransportObserver`'s, with the same meaning.
    """

    def on_connected(self) -> None: ...

    def on_disconnected(self) -> None: ...

    def on_reconnected(self) -> None: ...

    def on_failed(self, reason: str) -> None:
        """The end, not asked for: sources and sinks are closed already."""
        ...

    def on_channel_open(self, label: str) -> None: ...

    def on_message(self, label: str, data: bytes) -> None: ...

    def on_source_bound(self, source: WireSource) -> None:
        """The first packet of a source came: codec and SSRC are known. Once per source."""
        ...

    def on_source_changed(self, source: WireSource) -> None:
        """Another layer became known, one fell silent or came back, or the codec changed."""
        ...

    def on_stream_state(self, sink: WireSink, paused: bool) -> None:
        """Congestion control stopped a stream, or let it go again."""
        ...

    def on_quality(self, quality: PeerQuality) -> None:
        """A reading, every 5 s while connected."""
        ...


class WirePeer:
    """Made by `Plane.peer`."""

    @property
    def transport(self) -> Transport:
        """ICE credentials, fingerprint, candidates; `set_remote`, `restart_ice`, `state`.

        Close the peer, not the transport.
        """
        raise NotImplementedError

    @property
    def sources(self) -> tuple[WireSource, ...]:
        raise NotImplementedError

    @property
    def sinks(self) -> tuple[WireSink, ...]:
        raise NotImplementedError

    @property
    def bandwidth(self) -> int | None:
        """What the peer says it can receive, bit/s; None before its first estimate."""
        raise NotImplementedError

    def new_ssrc(self) -> int:
        """An SSRC for `SendParameters`: random, never 0, unique within this peer for its life."""
        raise NotImplementedError

    def receive(self, mid: str, parameters: ReceiveParameters) -> WireSource:
        """Accept what the peer publishes in this section.

        Raises:
            ValueError: the mid has a source already (`update_receive` changes it).
            ResourceExhausted: the peer publishes too many tracks.
        """
        raise NotImplementedError

    def update_receive(self, mid: str, parameters: ReceiveParameters) -> None:
        """Take what a further negotiation or UpdateVideoTrack changed.

        Raises:
            LookupError: the mid has no source.
        """
        raise NotImplementedError

    def stop_receiving(self, mid: str) -> None:
        """Close the source of this mid; nothing happens when there is none."""
        raise NotImplementedError

    def send(self, source: Source, parameters: SendParameters) -> WireSink:
        """Forward a source to this peer; video begins with a key frame, which is asked for.

        Call it once the description that names the section is with the client (v1: answer sent,
        v0: answer received).

        Raises:
            ValueError: an SSRC is in use in this peer.
            ResourceExhausted: the engine's tables are full.
        """
        raise NotImplementedError

    def send_message(self, label: str, data: bytes) -> bool:
        """As `Transport.send_message`."""
        raise NotImplementedError

    async def close(self, reason: str = "") -> None:
        """Close sinks, sources and the transport. Idempotent; no observer call comes after."""
        raise NotImplementedError
