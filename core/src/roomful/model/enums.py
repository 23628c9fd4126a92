"""Words of the field with the numbers they have on the wire (livekit_models.proto)."""

from enum import IntEnum


class ParticipantKind(IntEnum):
    """What a participant is; set by its token or its transport, never by the client."""

    STANDARD = 0
    INGRESS = 1
    EGRESS = 2
    SIP = 3
    AGENT = 4
    CONNECTOR = 7
    BRIDGE = 8


class ParticipantState(IntEnum):
    """JOINING → JOINED (told so) → ACTIVE (media can flow) → DISCONNECTED."""

    JOINING = 0
    JOINED = 1
    ACTIVE = 2
    DISCONNECTED = 3


class DisconnectReason(IntEnum):
    """Why a participant left."""

    UNKNOWN_REASON = 0
    CLIENT_INITIATED = 1
    DUPLICATE_IDENTITY = 2
    SERVER_SHUTDOWN = 3
    PARTICIPANT_REMOVED = 4
    ROOM_DELETED = 5
    STATE_MISMATCH = 6
    JOIN_FAILURE = 7
    MIGRATION = 8
    SIGNAL_CLOSE = 9
    ROOM_CLOSED = 10
    USER_UNAVAILABLE = 11
    USER_REJECTED = 12
    SIP_TRUNK_FAILURE = 13
    CONNECTION_TIMEOUT = 14
    MEDIA_FAILURE = 15
    AGENT_ERROR = 16


class TrackKind(IntEnum):
    """What flows in a track."""

    AUDIO = 0
    VIDEO = 1


class TrackSource(IntEnum):
    """Where a track comes from, as the publisher says."""

    UNKNOWN = 0
    CAMERA = 1
    MICROPHONE = 2
    SCREEN_SHARE = 3
    SCREEN_SHARE_AUDIO = 4


class VideoQuality(IntEnum):
    """A simulcast or spatial layer by name; OFF means none."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    OFF = 3


class Encryption(IntEnum):
    """End-to-end encryption of a track's frames; opaque to the server."""

    NONE = 0
    GCM = 1
    CUSTOM = 2


class ConnectionQuality(IntEnum):
    """How well a participant's media travels."""

    POOR = 0
    GOOD = 1
    EXCELLENT = 2
    LOST = 3
