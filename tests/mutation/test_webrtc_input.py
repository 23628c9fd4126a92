"""What the WebRTC transport reads of clients: join requests, and requests over signalling."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.protocol import models, rtc

from roomful.clock import SystemClock
from roomful.errors import InvalidArgument, RemoteProtocolError
from roomful.model.enums import ParticipantKind
from roomful.model.events import RoomOptions
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.model.room import Room
from roomful.room.session import RoomSession
from roomful_rtc.candidate import Candidate
from roomful_testing.peer.description import Credentials, offer
from roomful_webrtc import requests
from roomful_webrtc.client_join import ClientJoin
from roomful_webrtc.connection import WebRtcConnection
from roomful_webrtc.description import DescriptionReader
from roomful_webrtc.publishing import Publisher
from roomful_webrtc.single_pc import SinglePc
from roomful_webrtc.socket import decode
from roomful_webrtc.subscribing import Subscriber

from ..hostile.descriptions import CAMERA, CHANNELS, EAR, EYE, LAYERS, MICROPHONE
from .messages import message_mutants
from .mutants import LONGEST_S, TRIES, mutants, run, survived

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)


def described(*sections: Any) -> str:
    """An offer of a client that is not there."""
    return offer(Credentials("abcd", "p" * 24, FINGERPRINT), sections)


# --- joining -------------------------------------------------------------------------------------

JOIN = rtc.JoinRequest(
    client_info={"protocol": 16, "sdk": "PYTHON", "version": "1.2.0", "capabilities": [1]},
    connection_settings={"auto_subscribe": True, "adaptive_stream": True},
    metadata="m",
    participant_attributes={"a": "b"},
    add_track_requests=[
        rtc.AddTrackRequest(cid="mic", type=0, layers=[models.VideoLayer(width=1)])
    ],
    publisher_offer={"type": "offer", "sdp": described(CHANNELS, MICROPHONE)},
    reconnect=True,
    participant_sid="PA_x",
    sync_state={"track_sids_disabled": ["TR_x"], "subscription": {"track_sids": ["TR_y"]}},
)


def wrapped(body: bytes, compression: int) -> str:
    message = rtc.WrappedJoinRequest(compression=compression, join_request=body)
    return base64.urlsafe_b64encode(message.SerializeToString()).decode()


def test_mutated_join_requests_are_read_or_refused() -> None:
    body = JOIN.SerializeToString()

    def read(data: bytes) -> None:
        ClientJoin.from_query({"join_request": wrapped(data, 0)}, v1=True)

    assert survived(mutants("join", [body]), read, InvalidArgument) > 20
    assert survived(message_mutants("join", [JOIN]), read, InvalidArgument) > 1000


def test_mutated_packings_are_read_or_refused() -> None:
    packed = rtc.WrappedJoinRequest(
        compression=1, join_request=gzip.compress(JOIN.SerializeToString(), mtime=0)
    ).SerializeToString()

    def read(data: bytes) -> None:
        text = base64.urlsafe_b64encode(data).decode()
        ClientJoin.from_query({"join_request": text}, v1=True)

    survived(mutants("packing", [packed]), read, InvalidArgument)


def test_mutated_queries_are_read_or_refused() -> None:
    attributes = base64.b64encode(json.dumps({"a": "b", "c": "d" * 50}).encode())

    def read(data: bytes) -> None:
        text = data.decode("latin-1")
        ClientJoin.from_query({"attributes": text, "protocol": text[:3]}, v1=False)

    survived(mutants("query", [attributes, b"15" + attributes]), read, InvalidArgument)


def test_a_packing_that_grows_without_end_is_cut_at_the_cap() -> None:
    text = wrapped(gzip.compress(bytes(20 << 20)), 1)
    begin = time.thread_time()
    with pytest.raises(InvalidArgument, match="inflates beyond"):
        ClientJoin.from_query({"join_request": text}, v1=True)

    assert time.thread_time() - begin < 0.1


# --- requests ------------------------------------------------------------------------------------


class Source:
    """What a peer receives a track as."""

    mime_type, kind, layers, parameters, on_level = "audio/opus", "audio", (), None, None

    def __init__(self, mid: str) -> None:
        self.mid = mid

    def set_muted(self, muted: bool) -> None:
        """Nothing flows here."""


class Transport:
    """Our end, as descriptions name it."""

    ufrag, pwd, fingerprint, setup = "ufragufr", "p" * 24, FINGERPRINT, "passive"
    candidates = (Candidate("1", "udp", 2130706431, "127.0.0.1", 7882),)

    def set_remote(self, *end: str) -> None:
        """Nobody is called."""

    def hold_data(self, holds: object) -> None:
        """There is no data."""


class Peer:
    """A peer connection without a peer."""

    def __init__(self) -> None:
        self.transport, self._sources = Transport(), dict[str, Source]()

    def receive(self, mid: str, parameters: object) -> Source:
        if mid in self._sources:
            raise AssertionError("received twice")
        return self._sources.setdefault(mid, Source(mid))

    def update_receive(self, mid: str, parameters: object) -> None:
        assert mid in self._sources

    def stop_receiving(self, mid: str) -> None:
        self._sources.pop(mid, None)

    def new_ssrc(self) -> int:
        return 1


class Connection:
    """One participant of a real room, whose transport goes nowhere."""

    add_track, subscribe = WebRtcConnection.add_track, WebRtcConnection.subscribe
    sync = WebRtcConnection.sync

    def __init__(self) -> None:
        room = Room("RM_x", "r", RoomOptions(), 0)
        self.session = RoomSession(room, SystemClock(), lambda event: None, lambda session: None)
        permission = Permission(can_update_metadata=True)
        self.participant = Participant(
            "PA_1", "alice", ParticipantKind.STANDARD, permission, 0, auto_subscribe=True
        )
        room.add(self.participant)
        room.joined("alice")
        self.services = SimpleNamespace(clock=SystemClock(), descriptions=DescriptionReader())
        self.join = SimpleNamespace(protocol=16, single_pc=True)
        self.socket, self._exceptions = object(), set[str]()
        self.publisher = Publisher(self.session, "alice", "PA_1", 32)
        peer = cast(Any, Peer())
        self.subscriber = Subscriber(
            lambda: peer, adaptive=False, may_pause=False, unsupported=lambda sid: None
        )
        self.pc = SinglePc(peer, self.publisher, self.subscriber, self.send, 1)
        self.pc.negotiate = lambda: None  # type: ignore[method-assign]  # it would wait
        self.data = SimpleNamespace(replay=lambda seen: None, last_sequence=0)
        self.sent = 0

    def send(self, **message: Any) -> None:
        rtc.SignalResponse(**message).SerializeToString()
        self.sent += 1

    def may_update(self, size: int) -> bool:
        return True

    def leave(self, reason: object) -> None:
        """Not now."""


def signal(**message: Any) -> bytes:
    return rtc.SignalRequest(**message).SerializeToString()


REQUESTS = [
    signal(offer={"type": "offer", "sdp": described(CHANNELS, MICROPHONE, EAR), "id": 3}),
    signal(offer={"type": "offer", "sdp": described(CHANNELS, CAMERA, EYE)}),
    signal(offer={"type": "offer", "sdp": described(CHANNELS, LAYERS)}),
    signal(answer={"type": "answer", "sdp": described(CHANNELS)}),
    signal(trickle={"candidateInit": '{"candidate":"candidate:1 1 udp 1 1.2.3.4 5 typ host"}'}),
    signal(add_track={"cid": "mic", "name": "n", "type": 0, "source": 2, "stereo": True}),
    signal(
        add_track={
            "cid": "cam", "type": 1, "source": 1, "width": 640, "height": 360,
            "layers": [{"quality": 1, "width": 320, "rid": "q", "spatial_layer": 1}],
            "simulcast_codecs": [{"codec": "vp8", "cid": "cam"}, {"codec": "av1"}],
        }
    ),
    signal(mute={"sid": "TR_x", "muted": True}),
    signal(
        subscription={
            "track_sids": ["TR_a"], "subscribe": True,
            "participant_tracks": [{"participant_sid": "PA_2", "track_sids": ["TR_b"]}],
        }
    ),
    signal(track_setting={"track_sids": ["TR_a"], "quality": 2, "width": 1, "fps": 5}),
    signal(leave={"reason": 1}),
    signal(update_layers={"track_sid": "TR_x", "layers": [{"quality": 1}]}),
    signal(
        subscription_permission={
            "all_participants": False,
            "track_permissions": [{"participant_identity": "bob", "track_sids": ["TR_x"]}],
        }
    ),
    signal(
        sync_state={
            "subscription": {"track_sids": ["TR_a"]}, "track_sids_disabled": ["TR_b"],
            "datachannel_receive_states": [{"publisher_sid": "PA_2", "last_seq": 5}],
        }
    ),
    signal(simulate={"node_failure": True}),
    signal(ping=5),
    signal(update_metadata={"metadata": "m", "name": "n", "attributes": {"a": "b"}}),
    signal(ping_req={"timestamp": 5, "rtt": 3}),
    signal(update_audio_track={"track_sid": "TR_x", "features": [0, 1]}),
    signal(update_video_track={"track_sid": "TR_x", "width": 1}),
    signal(publish_data_track_request={"pub_handle": 1, "name": "n"}),
]  # fmt: skip


def answered(connection: Connection, frame: bytes) -> float:
    """CPU seconds of one frame; only a broken protocol may be raised."""
    begin = time.thread_time()
    try:
        run(requests.handle(cast(Any, connection), decode(frame)))
    except RemoteProtocolError:
        pass
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error} for {frame!r}") from error
    return time.thread_time() - begin


def inputs() -> dict[str, Iterable[bytes]]:
    """Frames that are mutated as bytes, in their fields, in the descriptions within them."""
    messages = [rtc.SignalRequest.FromString(frame) for frame in REQUESTS]
    texts = [m.offer.sdp.encode() for m in messages if m.HasField("offer")]
    descriptions = (
        signal(offer={"type": "offer", "sdp": text.decode("utf-8", "replace")})
        for text in mutants("descriptions", texts)
    )
    return {
        "bytes": mutants("signal", REQUESTS),
        "fields": message_mutants("signal", messages),
        "descriptions": descriptions,
    }


@pytest.mark.parametrize("kind", ["bytes", "fields", "descriptions"])
async def test_mutated_requests_are_done_refused_or_break_the_protocol(kind: str) -> None:
    sent = 0
    for number, frame in enumerate(inputs()[kind]):
        if number % 50 == 0:
            connection = Connection()
            for request in REQUESTS:
                answered(connection, request)
            before = connection.sent
        if answered(connection, frame) > LONGEST_S:
            best = min(answered(Connection(), frame) for _ in range(TRIES))
            assert best < LONGEST_S, f"{best * 1000:.1f} ms for {frame!r}"
        sent += connection.sent - before
    assert sent > 100
