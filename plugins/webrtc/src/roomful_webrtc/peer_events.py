"""What one of a client's transports tells its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import rtc

from roomful.errors import RemoteProtocolError
from roomful_rtc.quality import PeerQuality
from roomful_rtc.sink import WireSink
from roomful_rtc.source import WireSource

if TYPE_CHECKING:
    from roomful_webrtc.connection import WebRtcConnection


class PeerEvents:
    """Answers to `roomful_rtc.peer.PeerObserver`."""

    def __init__(
        self, connection: WebRtcConnection, *, primary: bool, upstream: bool, downstream: bool
    ) -> None:
        """`primary`: this transport makes the participant ACTIVE.

        `upstream`: it publishes; `downstream`: it subscribes. A single transport does both.
        """
        self._connection = connection
        self._primary = primary
        self._upstream, self._downstream = upstream, downstream

    def on_connected(self) -> None:
        if self._primary:
            self._connection.transport_connected()

    def on_disconnected(self) -> None:
        """Nothing: the client may come back until the transport fails."""

    def on_reconnected(self) -> None:
        """Nothing to do: packets flow again by themselves."""

    def on_failed(self, reason: str) -> None:
        self._connection.transport_lost()

    def on_channel_open(self, label: str) -> None:
        if self._downstream:  # the client's own channel of that name opens on the other transport
            self._connection.data.opened(label)

    def on_message(self, label: str, data: bytes) -> None:
        if not self._upstream:
            return
        try:
            self._connection.data.receive(label, data)
        except RemoteProtocolError as error:
            self._connection.fail(error.message)

    def on_source_bound(self, source: WireSource) -> None:
        self._connection.publisher.bound_to(source)

    def on_source_changed(self, source: WireSource) -> None:
        self._connection.publisher.bound_to(source)

    def on_stream_state(self, sink: WireSink, paused: bool) -> None:
        leg = self._connection.subscriber.at(sink.parameters.mid)
        if leg is None:
            return
        publication = leg.subscription.publication
        self._connection.send(
            stream_state_update=rtc.StreamStateUpdate(
                stream_states=[
                    rtc.StreamStateInfo(
                        participant_sid=publication.publisher_sid,
                        track_sid=publication.sid,
                        state=rtc.StreamState.PAUSED if paused else rtc.StreamState.ACTIVE,
                    )
                ]
            )
        )

    def on_quality(self, quality: PeerQuality) -> None:
        if self._upstream:
            connection = self._connection
            connection.session.note_quality(
                connection.participant.sid, quality.quality, quality.score
            )
