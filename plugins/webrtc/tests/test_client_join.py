"""What clients say when they knock, in both versions."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from livekit.protocol import rtc

from roomful.errors import InvalidArgument
from roomful_webrtc.client_join import MAX_INFLATED, ClientJoin


def wrapped(request: rtc.JoinRequest, *, zipped: bool = False, padded: bool = True) -> str:
    body = request.SerializeToString()
    wrapper = rtc.WrappedJoinRequest(join_request=gzip.compress(body) if zipped else body)
    if zipped:
        wrapper.compression = rtc.WrappedJoinRequest.GZIP
    text = base64.urlsafe_b64encode(wrapper.SerializeToString()).decode()
    return text if padded else text.rstrip("=")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_v1_request_is_read_in_every_wrapping(zipped: bool, padded: bool):
    request = rtc.JoinRequest(
        metadata="m",
        participant_attributes={"k": "v"},
        participant_sid="PA_1",
        reconnect=True,
        publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0"),
    )
    request.connection_settings.adaptive_stream = True
    request.client_info.protocol = 16

    join = ClientJoin.from_query(
        {"join_request": wrapped(request, zipped=zipped, padded=padded)}, v1=True
    )

    assert join.single_pc
    assert (join.metadata, dict(join.attributes), join.participant_sid) == ("m", {"k": "v"}, "PA_1")
    assert join.reconnect
    assert join.adaptive_stream
    assert not join.auto_subscribe
    assert join.protocol == 16
    assert join.offer is not None
    assert join.offer.sdp == "v=0"


def test_join_request_on_the_old_path_means_one_peer_connection():
    query = {"join_request": wrapped(rtc.JoinRequest())}

    assert ClientJoin.from_query(query, v1=False).single_pc


def test_v0_query_is_read():
    attributes = base64.urlsafe_b64encode(json.dumps({"k": "v"}).encode()).decode()

    join = ClientJoin.from_query(
        {
            "auto_subscribe": "0", "adaptive_stream": "1", "reconnect": "1", "sid": "PA_1",
            "protocol": "15", "client_protocol": "1", "attributes": attributes,
        },
        v1=False,
    )

    assert not join.single_pc
    assert not join.auto_subscribe
    assert join.adaptive_stream
    assert join.reconnect
    assert join.participant_sid == "PA_1"
    assert (join.protocol, join.client_protocol) == (15, 1)
    assert join.attributes == {"k": "v"}


def test_v0_defaults():
    join = ClientJoin.from_query({}, v1=False)

    assert join.auto_subscribe
    assert not join.reconnect


def test_inflating_stops_at_the_cap():
    bomb = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.GZIP,
        join_request=gzip.compress(b"\0" * (MAX_INFLATED + 1)),
    )
    text = base64.urlsafe_b64encode(bomb.SerializeToString()).decode()

    with pytest.raises(InvalidArgument, match="inflates beyond"):
        ClientJoin.from_query({"join_request": text}, v1=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({}, "join_request is required"),
        ({"join_request": "%%%"}, "join_request"),
        ({"join_request": "A" * 40_000}, "longer than"),
        ({"join_request": base64.urlsafe_b64encode(b"\xff\xff").decode()}, "WrappedJoinRequest"),
    ],
)
def test_bad_v1_requests_say_what_is_wrong(query: dict[str, str], says: str):
    with pytest.raises(InvalidArgument, match=says):
        ClientJoin.from_query(query, v1=True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"protocol": "x"}, "protocol"),
        ({"protocol": "1" * 20}, "protocol"),
        ({"attributes": base64.urlsafe_b64encode(b"[1]").decode()}, "attributes"),
        ({"attributes": base64.urlsafe_b64encode(b'{"a":1}').decode()}, "attributes"),
        ({"attributes": base64.urlsafe_b64encode(b"{").decode()}, "attributes"),
    ],
)
def test_bad_v0_queries_say_what_is_wrong(query: dict[str, str], says: str):
    with pytest.raises(InvalidArgument, match=says):
        ClientJoin.from_query(query, v1=False)
