"""A real implementation takes our descriptions, and its own are read by us."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from roomful_rtc.offer_answer import (
    LocalTransport,
    Publish,
    Subscribe,
    SubscriberOffer,
    answer,
)
from roomful_rtc.sdp import SessionDescription

OURS = LocalTransport("local", "p" * 24, "sha-256 " + ":".join(["AB"] * 32), "passive")


@pytest.fixture
async def connection() -> AsyncIterator[RTCPeerConnection]:
    made = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield made
    await made.close()


async def test_publisher_when_answered_then_aiortc_applies_it(
    connection: RTCPeerConnection,
) -> None:
    connection.createDataChannel("_reliable")
    connection.addTrack(AudioStreamTrack())
    connection.addTrack(VideoStreamTrack())
    connection.addTransceiver("video", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    offer = SessionDescription.parse(connection.localDescription.sdp)

    def decide(section):
        if section.sends:
            return Publish("h264")
        return Subscribe("PA_a|TR_b", "TR_b", 1000, "PA_a", 1001)

    result = answer(offer, OURS, decide)
    await connection.setRemoteDescription(RTCSessionDescription(result.sdp, "answer"))
    assert [t.currentDirection for t in connection.getTransceivers()] == [
        "sendonly",
        "sendonly",
        "recvonly",
    ]
    assert connection.signalingState == "stable"
    assert connection.getTransceivers()[2].receiver.track is not None
    assert result.negotiation.data is not None


async def test_subscriber_when_offered_then_aiortc_answers_and_is_understood(
    connection: RTCPeerConnection,
) -> None:
    sink = MediaBlackhole()
    ids: list[str] = []

    @connection.on("track")
    def on_track(track) -> None:
        ids.append(track.id)
        sink.addTrack(track)

    subscriber = SubscriberOffer()
    subscriber.assign("audio", Subscribe("PA_a|TR_1", "TR_1", 10, "PA_a"))
    subscriber.assign("video", Subscribe("PA_a|TR_2", "TR_2", 20, "PA_a", 21))
    await connection.setRemoteDescription(
        RTCSessionDescription(subscriber.offer(OURS).sdp, "offer")
    )
    await connection.setLocalDescription(await connection.createAnswer())
    result = subscriber.accept(SessionDescription.parse(connection.localDescription.sdp))
    assert ids == ["TR_1", "TR_2"]
    assert result.role == "passive"
    assert [section.direction for section in result.sections] == ["sendonly", "sendonly"]
    assert result.sections[1].payload_types["vp8"] == 96
