"""What the core reads of strangers and operators: tokens, API bodies, data packets, settings."""

from __future__ import annotations

import base64
import json
import random
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jwt
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from livekit.protocol import models, room

from roomful.api import twirp
from roomful.api.data_packet import message_from_client
from roomful.api.room_service import RoomService
from roomful.api.service import RpcMethod
from roomful.auth.token import Tokens
from roomful.errors import ConfigError, RoomfulError, Unauthenticated
from roomful.model.enums import ParticipantKind
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.settings import Settings

from .messages import message_mutants
from .mutants import COUNT, SEED, mutants, mutated, run, survived

NOW = 1_800_000_000
KEY, SECRET = "key", "a secret of at least thirty-two bytes"
VIDEO = {"roomJoin": True, "room": "r", "canPublish": False, "canPublishSources": ["camera"]}
CLAIMS = {
    "iss": KEY, "sub": "alice", "exp": NOW + 600, "nbf": NOW, "name": "A", "metadata": "{}",
    "kind": "agent", "attributes": {"a": "b"}, "video": VIDEO, "sip": {"admin": True},
    "roomConfig": {"maxParticipants": 3, "agents": [{"agentName": "x"}], "egress": {}},
}  # fmt: skip


class StoppedClock:
    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return NOW * 1000


def tokens() -> Tokens:
    return Tokens({KEY: SECRET}, clock=StoppedClock())


def test_mutated_tokens_are_refused() -> None:
    whole = [jwt.encode(CLAIMS, SECRET), jwt.encode({**CLAIMS, "video": {}}, SECRET)]
    originals, verifier = [text.encode() for text in whole], tokens()

    def verify(data: bytes) -> None:
        text = data.decode("latin-1")
        if text not in whole:
            run(verifier.verify(text))

    assert survived(mutants("jwt", originals), verify, Unauthenticated) < 50


def test_mutated_claims_that_are_signed_give_grants_or_a_refusal() -> None:
    verifier = tokens()

    def verify(payload: bytes) -> None:
        header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
        signed = header + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=")
        digest = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = base64.urlsafe_b64encode(digest.sign(signed, SECRET.encode())).rstrip(b"=")
        run(verifier.verify((signed + b"." + signature).decode()))

    survived(mutants("claims", [json.dumps(CLAIMS).encode()]), verify, RoomfulError)


METHODS: dict[str, RpcMethod] = dict(
    RoomService(
        cast(
            Any, SimpleNamespace(settings=SimpleNamespace(room=SimpleNamespace(enabled_codecs=())))
        )
    )
    .service()
    .methods
)
REQUESTS: list[Message] = [
    room.CreateRoomRequest(
        name="r", empty_timeout=3, max_participants=9, metadata="m", departure_timeout=1
    ),
    room.ListRoomsRequest(names=["a", "b"]),
    room.UpdateParticipantRequest(
        room="r", identity="i", metadata="m", attributes={"a": "b"},
        permission=models.ParticipantPermission(can_publish=True, can_publish_sources=[1, 2]),
    ),
    room.MuteRoomTrackRequest(room="r", identity="i", track_sid="TR_x", muted=True),
    room.UpdateSubscriptionsRequest(
        room="r", identity="i", track_sids=["TR_a"], subscribe=True,
        participant_tracks=[models.ParticipantTracks(participant_sid="PA_x", track_sids=["b"])],
    ),
    room.SendDataRequest(
        room="r", data=b"abc", kind=1, destination_identities=["x"], topic="t", nonce=bytes(16)
    ),
    room.PerformRpcRequest(room="r", destination_identity="d", method="m", payload="p"),
]  # fmt: skip


@pytest.mark.parametrize("kind", [twirp.JSON, twirp.PROTOBUF])
def test_mutated_bodies_are_messages_or_malformed(kind: str) -> None:
    originals = [
        json_format.MessageToJson(request).encode()
        if kind == twirp.JSON
        else request.SerializeToString()
        for request in REQUESTS
    ]
    by_type = {method.request: method for method in METHODS.values()}
    places = [by_type[type(request)] for request in REQUESTS]
    for request, method, original in zip(REQUESTS, places, originals, strict=True):
        assert twirp._decode(method, kind, original) == request
    for request, method, original in zip(REQUESTS, places, originals, strict=True):
        name = f"{kind} {type(request).__name__}"
        decode = partial(twirp._decode, method, kind)
        survived(islice(mutants(name, [original]), COUNT // len(REQUESTS)), decode, twirp.Malformed)
        if kind == twirp.PROTOBUF:
            survived(message_mutants(name, [request]), decode, twirp.Malformed)


PACKETS = [
    models.DataPacket(
        user=models.UserPacket(payload=b"hi", topic="t", destination_identities=["x"], nonce=b"n"),
        participant_identity="mallory", sequence=7, destination_identities=["a", "b"],
    ),
    models.DataPacket(chat_message=models.ChatMessage(id="1", message="m", timestamp=5)),
    models.DataPacket(rpc_request=models.RpcRequest(id="1", method="m", payload="p", version=1)),
    models.DataPacket(
        stream_header=models.DataStream.Header(
            stream_id="s", text_header=models.DataStream.TextHeader(version=1), attributes={"a": "b"}
        )
    ),
    models.DataPacket(stream_chunk=models.DataStream.Chunk(stream_id="s", content=b"c" * 60)),
    models.DataPacket(transcription=models.Transcription(track_id="t")),
]  # fmt: skip


@pytest.mark.parametrize("kind", [ParticipantKind.STANDARD, ParticipantKind.AGENT])
def test_mutated_packets_are_stamped_refused_or_left_out(kind: ParticipantKind) -> None:
    sender = Participant("PA_1", "alice", kind, Permission(), 0)
    names = {"PA_1", ""}

    def stamp(data: bytes) -> None:
        message = message_from_client(data, sender, reliable=True)
        if message is not None:
            out = models.DataPacket.FromString(message.payload)
            assert message.sender_identity == "alice"
            assert out.participant_sid in names
            assert kind is ParticipantKind.AGENT or out.participant_identity == "alice"

    originals = [packet.SerializeToString() for packet in PACKETS]
    assert survived(mutants(f"packets {kind}", originals), stamp, RoomfulError) > 100
    assert survived(message_mutants(f"packets {kind}", PACKETS), stamp, RoomfulError) > 1000


SETTINGS = b"""
port = 7880
bind = ["127.0.0.1", "::1"]
data_dir = "/tmp/x"
drain_timeout_s = 3.5
trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
log_format = "json"

[keys]
devkey = "0123456789abcdef0123456789abcdef"

[room]
empty_timeout_s = 60
enabled_codecs = ["audio/opus", "video/VP8"]

[limits]
joins_per_s = 20
data_bytes_per_s = 1_048_576

[plugins]
enabled = ["webrtc"]
[plugins.config.acme]
when = 2020-01-01T00:00:00Z
[rtc]
udp_port = 7882
"""


def test_mutated_settings_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "roomful.toml"

    def load(data: bytes) -> None:
        file.write_bytes(data)
        try:
            Settings.load(file, environ={})
        except ConfigError as error:
            assert "\n" not in error.message
            assert "0123456789abcdef" not in error.message
            raise

    survived(mutants("settings", [SETTINGS]), load, ConfigError)


def test_mutants_are_the_same_in_every_run() -> None:
    first, second = (list(mutants("same", [SETTINGS])) for _ in range(2))
    assert first == second
    assert len(set(first)) > 1900
    assert mutated(b"", [b""], random.Random(SEED)) is not None
