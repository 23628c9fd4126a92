"""A whole `RTCPeerConnection` of another stack connects, with its own ICE agent."""

from __future__ import annotations

import asyncio

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from roomful_rtc.transport import ChannelSpec

LINES = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE 0\r\n"


def of(sdp, name):
    return next(line.split(":", 1)[1] for line in sdp.splitlines() if line.startswith(f"a={name}:"))


def describe(transport, setup):
    candidates = "".join(f"a={candidate}\r\n" for candidate in transport.candidates)
    return (
        f"{LINES}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
        f"a=mid:0\r\na=ice-ufrag:{transport.ufrag}\r\na=ice-pwd:{transport.pwd}\r\n"
        f"a=fingerprint:{transport.fingerprint}\r\na=setup:{setup}\r\n"
        f"a=sctp-port:5000\r\na=max-message-size:65535\r\n{candidates}a=end-of-candidates\r\n"
    )


@pytest.fixture
async def peer_connection():
    # it sends from the address of another interface, never from 127.0.0.1
    connection = RTCPeerConnection()
    yield connection
    await connection.close()


async def test_its_offer_is_answered_and_data_flows(rtc_bench, peer_connection):
    transport, observer = rtc_bench.transport()
    channel = peer_connection.createDataChannel("_reliable")
    got = asyncio.get_running_loop().create_future()
    channel.on("message", got.set_result)
    await peer_connection.setLocalDescription(await peer_connection.createOffer())
    offer = peer_connection.localDescription.sdp

    values = (of(offer, name) for name in ("setup", "ice-ufrag", "ice-pwd", "fingerprint"))
    transport.set_remote(*values)
    answer = RTCSessionDescription(sdp=describe(transport, transport.setup), type="answer")
    await peer_connection.setRemoteDescription(answer)
    await observer.wait("open")
    assert transport.send_message("_reliable", b"down")
    assert await asyncio.wait_for(got, 5) == b"down"
    channel.send(b"up")

    assert await observer.wait("message") == ("message", "_reliable", b"up")
    assert transport.setup == "passive"


async def test_it_answers_our_offer_and_our_channel_opens(rtc_bench, peer_connection):
    transport, observer = rtc_bench.transport(channels=(ChannelSpec("_reliable"),))
    got = asyncio.get_running_loop().create_future()
    peer_connection.on("datachannel", lambda channel: channel.on("message", got.set_result))
    offer = RTCSessionDescription(sdp=describe(transport, "actpass"), type="offer")

    await peer_connection.setRemoteDescription(offer)
    await peer_connection.setLocalDescription(await peer_connection.createAnswer())
    answer = peer_connection.localDescription.sdp
    values = (of(answer, name) for name in ("setup", "ice-ufrag", "ice-pwd", "fingerprint"))
    transport.set_remote(*values)
    await observer.wait("open")
    assert transport.send_message("_reliable", b"down")

    assert await asyncio.wait_for(got, 5) == b"down"
