"""Data packets of clients: checked, stamped with who sent them, addressed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import models

from roomful.api.data_packet import message_from_client
from roomful.errors import InvalidArgument, PermissionDenied, RemoteProtocolError, RoomfulError
from roomful.model.enums import ParticipantKind
from roomful.model.participant import Participant
from roomful.model.permission import Permission


def sender(kind=ParticipantKind.STANDARD, **permission) -> Participant:
    return Participant("PA_1", "alice", kind, Permission(**permission), 0)


def sent(packet: models.DataPacket, who=None, *, reliable=True):
    message = message_from_client(packet.SerializeToString(), who or sender(), reliable=reliable)
    return message, models.DataPacket.FromString(message.payload) if message else None


def user(**fields) -> models.DataPacket:
    return models.DataPacket(user=models.UserPacket(payload=b"hi", **fields))


def test_sender_is_the_servers_word_not_the_packets():
    packet = user(participant_sid="PA_9", participant_identity="mallory")
    packet.participant_sid, packet.participant_identity = "PA_9", "mallory"

    message, out = sent(packet)

    assert (message.sender_sid, message.sender_identity) == ("PA_1", "alice")
    assert (out.participant_sid, out.participant_identity) == ("PA_1", "alice")
    assert (out.user.participant_sid, out.user.participant_identity) == ("PA_1", "alice")


def test_hidden_sender_stays_blank_but_gets_no_echo():
    message, out = sent(user(participant_identity="x"), sender(hidden=True))

    assert (out.participant_sid, out.participant_identity) == ("", "")
    assert (out.user.participant_sid, out.user.participant_identity) == ("", "")
    assert message.sender_identity == "alice"


@pytest.mark.parametrize("reliable", [True, False])
def test_channel_decides_about_reliability(reliable):
    packet = user()
    packet.kind = models.DataPacket.LOSSY if reliable else models.DataPacket.RELIABLE
    packet.sequence = 7

    message, out = sent(packet, reliable=reliable)

    assert message.reliable is reliable
    assert out.kind == (models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY)
    assert message.sequence == (7 if reliable else 0)
    assert out.sequence == 7


def test_destinations_of_both_fields_count():
    packet = user(destination_identities=["old"])
    packet.destination_identities.append("new")

    assert sent(packet)[0].destinations == {"old", "new"}


def test_no_destination_is_everybody():
    assert sent(user())[0].destinations == frozenset()


KINDS = {
    "user": models.UserPacket(payload=b"x"),
    "chat_message": models.ChatMessage(message="x"),
    "rpc_request": models.RpcRequest(id="1"),
    "rpc_ack": models.RpcAck(request_id="1"),
    "rpc_response": models.RpcResponse(request_id="1"),
    "stream_header": models.DataStream.Header(stream_id="1"),
    "stream_chunk": models.DataStream.Chunk(stream_id="1"),
    "stream_trailer": models.DataStream.Trailer(stream_id="1"),
    "sip_dtmf": models.SipDTMF(code=1),
    "encrypted_packet": models.EncryptedPacket(encrypted_value=b"x"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_relayed_with_its_content(kind):
    _, out = sent(models.DataPacket(**{kind: KINDS[kind]}))

    assert out.WhichOneof("value") == kind


@pytest.mark.parametrize(
    "packet",
    [
        models.DataPacket(),
        models.DataPacket(speaker=models.ActiveSpeakerUpdate()),
        models.DataPacket(metrics={}),
    ],
)
def test_what_is_not_relayed_goes_to_nobody(packet):
    assert sent(packet) == (None, None)


def test_transcriptions_come_from_agents_alone():
    packet = models.DataPacket(transcription=models.Transcription(track_id="TR_1"))

    assert sent(packet, sender(ParticipantKind.AGENT))[1].HasField("transcription")
    with pytest.raises(PermissionDenied):
        sent(packet)


def text_header() -> models.DataStream.Header:
    return models.DataStream.Header(stream_id="1", text_header=models.DataStream.TextHeader())


def byte_header() -> models.DataStream.Header:
    return models.DataStream.Header(stream_id="1", byte_header=models.DataStream.ByteHeader())


def test_agent_may_pass_on_anothers_words_marked_as_generated():
    agent = sender(ParticipantKind.AGENT)
    chat = models.DataPacket(chat_message={"message": "x"}, participant_identity="bob")
    text = models.DataPacket(stream_header=text_header(), participant_identity="bob")

    chat_out, text_out = sent(chat, agent)[1], sent(text, agent)[1]

    assert (chat_out.participant_identity, chat_out.participant_sid) == ("bob", "PA_1")
    assert chat_out.chat_message.generated
    assert text_out.participant_identity == "bob"
    assert text_out.stream_header.text_header.generated


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ParticipantKind.STANDARD, {"chat_message": {"message": "x"}}),
        (ParticipantKind.STANDARD, {"stream_header": text_header()}),
        (ParticipantKind.AGENT, {"stream_header": byte_header()}),
        (ParticipantKind.AGENT, {"user": {"payload": b"x"}}),
        (ParticipantKind.AGENT, {"rpc_request": {"id": "1"}}),
    ],
)
def test_nobody_else_speaks_for_another(kind, value):
    _, out = sent(models.DataPacket(participant_identity="bob", **value), sender(kind))

    assert out.participant_identity == "alice"


def test_what_is_relayed_still_fits_into_a_message():
    packet = models.DataPacket(user=models.UserPacket(payload=bytes(64_000)))
    packet.destination_identities.extend(["d" * 80] * 10)
    who = Participant("PA_" + "1" * 12, "i" * 256, ParticipantKind.STANDARD, Permission(), 0)
    message, _ = sent(packet, who)

    assert len(message.payload) <= 65_535
    with pytest.raises(InvalidArgument):
        sent(models.DataPacket(user=models.UserPacket(payload=bytes(64_001))))


def test_payload_of_64000_bytes_is_relayed_and_one_beyond_the_envelope_is_not():
    whole = models.DataPacket(user=models.UserPacket(payload=bytes(64_000)))
    more = models.DataPacket(user=models.UserPacket(payload=bytes(66_001)))

    assert sent(whole)[0] is not None
    with pytest.raises(InvalidArgument, match="exceeds 64000"):
        sent(more)


def test_too_many_destinations_are_refused():
    packet = user()
    packet.destination_identities.extend(str(n) for n in range(1001))

    with pytest.raises(InvalidArgument, match="more than 1000"):
        sent(packet)


def test_bytes_that_are_no_packet_are_the_peers_fault():
    with pytest.raises(RemoteProtocolError):
        message_from_client(b"\xff\xff\xff", sender(), reliable=True)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_nothing_or_our_own_error(data):
    try:
        message_from_client(data, sender(), reliable=True)
    except RoomfulError:
        pass
