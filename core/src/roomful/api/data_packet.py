"""Data packets of participants and of the API, checked, stamped and encoded once (DataPacket).

Whoever sends: the server writes the sender's SID and identity over whatever the packet says, and
leaves both blank for hidden senders. The channel decides about reliability, not the packet.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError
from livekit.protocol import models, room

from roomful.bounds import DATA_BYTES, DATA_DESTINATIONS, NONCE_BYTES
from roomful.errors import InvalidArgument, PermissionDenied, RemoteProtocolError
from roomful.model.enums import ParticipantKind
from roomful.model.events import DataMessage
from roomful.model.participant import Participant

_ENVELOPE_BYTES = 900
"""what a packet may add to its payload: ids, names. With what the server writes into it, it still
fits into a message of 65,535 bytes"""
NOBODY = ""
"""no participant has an empty identity: a packet for it is for nobody"""
_RELAYED = frozenset(
    {
        "user",
        "stream_header",
        "stream_chunk",
        "stream_trailer",
        "rpc_request",
        "rpc_ack",
        "rpc_response",
        "transcription",
        "chat_message",
        "sip_dtmf",
        "encrypted_packet",
    }
)


def message_from_client(data: bytes, sender: Participant, *, reliable: bool) -> DataMessage | None:
    """Return what to relay of a packet that came over a data channel; None: nothing.

    Raises `RemoteProtocolError` for bytes that are no DataPacket, a `RequestError` for a packet
    that this sender may not send.
    """
    if len(data) > DATA_BYTES + _ENVELOPE_BYTES:
        raise InvalidArgument(f"data packet exceeds {DATA_BYTES} bytes")
    try:
        packet = models.DataPacket.FromString(data)
    except DecodeError as error:
        raise RemoteProtocolError("a data channel message is no DataPacket") from error
    value = packet.WhichOneof("value")
    if value not in _RELAYED:
        return None
    if len(packet.user.payload) > DATA_BYTES:
        raise InvalidArgument(f"data packet exceeds {DATA_BYTES} bytes")
    if value == "transcription" and sender.kind is not ParticipantKind.AGENT:
        raise PermissionDenied("transcriptions come from agents alone")
    _stamp(packet, sender, reliable)
    destinations = _destinations(packet)
    return DataMessage(
        payload=packet.SerializeToString(),
        reliable=reliable,
        sender_sid=sender.sid,
        sender_identity=sender.identity,
        sequence=packet.sequence if reliable else 0,
        destinations=destinations,
    )


def message_from_api(
    request: room.SendDataRequest, participants: Iterable[Participant]
) -> DataMessage:
    """Return what to relay of a SendData call; `participants` resolve SIDs among destinations."""
    if len(request.data) > DATA_BYTES:
        raise InvalidArgument(f"data exceeds {DATA_BYTES} bytes")
    if len(request.nonce) not in (0, NONCE_BYTES):
        raise InvalidArgument(
            f"nonce should be {NONCE_BYTES}-bytes or not present, got: {len(request.nonce)} bytes"
        )
    if len(request.destination_identities) + len(request.destination_sids) > DATA_DESTINATIONS:
        raise InvalidArgument(f"more than {DATA_DESTINATIONS} destinations")
    identities = {p.sid: p.identity for p in participants}
    by_sid = (identities[sid] for sid in request.destination_sids if sid in identities)
    destinations = frozenset({*request.destination_identities, *by_sid})
    asked = bool(request.destination_sids or request.destination_identities)
    user = models.UserPacket(payload=request.data, nonce=request.nonce)
    if request.HasField("topic"):
        user.topic = request.topic
    packet = models.DataPacket(
        kind=request.kind, user=user, destination_identities=sorted(destinations)
    )
    if asked and not destinations:
        destinations = frozenset({NOBODY})
    return DataMessage(
        payload=packet.SerializeToString(),
        reliable=request.kind == models.DataPacket.RELIABLE,
        destinations=destinations,
    )


def _stamp(packet: models.DataPacket, sender: Participant, reliable: bool) -> None:
    packet.kind = models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY
    hidden = sender.permission.hidden
    sid, identity = ("", "") if hidden else (sender.sid, sender.identity)
    packet.participant_sid = sid
    spoken_for = _speaks_for_another(packet, sender)
    if not spoken_for:
        packet.participant_identity = identity
    if packet.HasField("user"):
        packet.user.participant_sid = sid
        packet.user.participant_identity = identity


def _speaks_for_another(packet: models.DataPacket, sender: Participant) -> bool:
    """An agent may pass on what somebody else said; it is marked as generated then."""
    other = packet.participant_identity
    if sender.kind is not ParticipantKind.AGENT or not other or other == sender.identity:
        return False
    if packet.HasField("chat_message"):
        packet.chat_message.generated = True
        return True
    if packet.HasField("stream_header") and packet.stream_header.HasField("text_header"):
        packet.stream_header.text_header.generated = True
        return True
    return False


def _destinations(packet: models.DataPacket) -> frozenset[str]:
    """Identities it is for; the deprecated field of user packets counts as well."""
    found = set(packet.destination_identities)
    if packet.HasField("user"):
        found.update(packet.user.destination_identities)
    if len(found) > DATA_DESTINATIONS:
        raise InvalidArgument(f"more than {DATA_DESTINATIONS} destinations")
    return frozenset(found)
