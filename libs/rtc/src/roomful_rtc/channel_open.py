"""The DATA_CHANNEL_OPEN message (RFC 8832 section 5.1), checked before anyone parses it."""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from roomful.errors import RemoteProtocolError

LABEL_BYTES = 64

_OPEN = Struct("!BBHLHH")
_CHANNEL_TYPES = frozenset({0x00, 0x01, 0x02, 0x80, 0x81, 0x82})


def check_open(data: bytes) -> str:
    """Return the label of a well-formed message.

    Raises:
        RemoteProtocolError: sizes do not fit, an unknown type, not UTF-8, or too long a label.
    """
    try:
        _, kind, _, _, label_size, protocol_size = _OPEN.unpack_from(data)
        label = data[_OPEN.size : _OPEN.size + label_size].decode()
        data[_OPEN.size + label_size :].decode()
    except (struct_error, UnicodeDecodeError) as error:
        raise RemoteProtocolError("a channel's OPEN is malformed") from error
    if kind not in _CHANNEL_TYPES or _OPEN.size + label_size + protocol_size != len(data):
        raise RemoteProtocolError("a channel's OPEN is malformed")
    if max(label_size, protocol_size) > LABEL_BYTES:
        raise RemoteProtocolError("a channel's label is too long")
    return label
