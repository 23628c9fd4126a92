"""Options of a room as tokens (`roomConfig`) and CreateRoom state them."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from livekit.protocol import egress, room

from roomful.errors import InvalidArgument
from roomful.model.events import RoomOptions

_DEFAULTS = RoomOptions()
_UPLOADS = frozenset(
    message.DESCRIPTOR.full_name
    for message in (egress.S3Upload, egress.GCPUpload, egress.AzureBlobUpload, egress.AliOSSUpload)
)
"""messages that carry storage credentials"""


def options_of(
    message: room.CreateRoomRequest | room.RoomConfiguration, defaults: RoomOptions = _DEFAULTS
) -> RoomOptions:
    """Return the options that a message states; numbers that are 0 take the defaults.

    `agents` and `egress` are kept as proto3 JSON (lowerCamel) for the plugin that offers them.
    """
    return RoomOptions(
        empty_timeout_s=message.empty_timeout or defaults.empty_timeout_s,
        departure_timeout_s=message.departure_timeout or defaults.departure_timeout_s,
        max_participants=message.max_participants or defaults.max_participants,
        metadata=message.metadata or defaults.metadata,
        min_playout_delay_ms=message.min_playout_delay or defaults.min_playout_delay_ms,
        max_playout_delay_ms=message.max_playout_delay or defaults.max_playout_delay_ms,
        sync_streams=message.sync_streams or defaults.sync_streams,
        tags=dict(message.tags),
        agents=tuple(MessageToDict(agent) for agent in message.agents),
        egress=MessageToDict(message.egress) if message.HasField("egress") else None,
    )


def options_from_token(
    claim: object, defaults: RoomOptions = _DEFAULTS, *, allow_credentials: bool = False
) -> RoomOptions:
    """Return the options of a token's `roomConfig` claim (proto3 JSON of RoomConfiguration).

    A token is in its user's hands, so it may name a storage profile but not carry what opens a
    storage. Raises `InvalidArgument`.
    """
    if not isinstance(claim, dict):
        raise InvalidArgument("claim roomConfig is not an object")
    message = room.RoomConfiguration()
    try:
        ParseDict(cast("dict[str, Any]", claim), message, ignore_unknown_fields=True)
    except ParseError as error:
        raise InvalidArgument("claim roomConfig is no room configuration") from error
    if not allow_credentials and carries_upload(message):
        raise InvalidArgument(
            "claim roomConfig carries storage credentials: name a storage profile of the server "
            'in filepath instead ("profile:path")'
        )
    return options_of(message, defaults)


def carries_upload(message: Message) -> bool:
    """Whether a message states, at any depth, where to upload with which credentials."""
    if message.DESCRIPTOR.full_name in _UPLOADS:
        return True
    return any(
        carries_upload(child)
        for field, value in message.ListFields()
        if field.message_type is not None
        for child in _messages(value)
    )


def _messages(value: Any) -> list[Message]:
    if isinstance(value, Message):
        return [value]
    items: list[Any] = list(value.values()) if hasattr(value, "values") else list(value)
    return [item for item in items if isinstance(item, Message)]
