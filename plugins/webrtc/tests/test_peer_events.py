"""Which of a client's two transports counts for what."""

from types import SimpleNamespace
from typing import cast

from roomful_webrtc.connection import WebRtcConnection
from roomful_webrtc.peer_events import PeerEvents


def test_only_the_downstream_channel_lets_waiting_data_go() -> None:
    opened: list[str] = []
    connection = cast(
        "WebRtcConnection", SimpleNamespace(data=SimpleNamespace(opened=opened.append))
    )
    publisher = PeerEvents(connection, primary=False, upstream=True, downstream=False)
    subscriber = PeerEvents(connection, primary=True, upstream=False, downstream=True)

    publisher.on_channel_open("_reliable")
    assert opened == []

    subscriber.on_channel_open("_reliable")
    assert opened == ["_reliable"]
