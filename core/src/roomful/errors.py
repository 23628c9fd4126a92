"""Errors of Roomful, one tree.

    RoomfulError                 abstract; has .code for the wire and .retryable
    ├─ ConfigError               the operator's fault; raised before the first listener opens
    │  └─ PluginError            .plugin, .distribution, .remedy
    ├─ RequestError              the caller's fault, abstract
    │  ├─ Unauthenticated, PermissionDenied, NotFound, AlreadyExists, InvalidArgument,
    │  └─ FailedPrecondition, ResourceExhausted, Unimplemented, Unavailable
    ├─ ProtocolError             abstract
    │  ├─ LocalProtocolError     we were about to break the protocol: a bug
    │  └─ RemoteProtocolError    the peer broke it: end that peer, not the room
    ├─ MediaError                undecodable, unsupported codec
    ├─ TransportError            TransportTimeout, ConnectionLost
    └─ DestinationError          .permanent decides about a retry

`code` is the Twirp code; `roomful.api.twirp` maps it to HTTP.
"""


class RoomfulError(Exception):
    """Abstract root: raise a subclass."""

    code = "internal"
    retryable = False

    def __init__(self, message: str) -> None:
        if type(self) in _ABSTRACT:
            raise TypeError(f"{type(self).__name__} is abstract: raise a subclass")
        super().__init__(message)

    @property
    def message(self) -> str:
        """What went wrong, in words for the one who caused it."""
        return str(self.args[0])


class ConfigError(RoomfulError):
    """Settings, data directory or ports are wrong; the message names the setting and the remedy."""

    code = "failed_precondition"


class PluginError(ConfigError):
    """One plugin cannot be used."""

    def __init__(self, plugin: str, distribution: str, problem: str, remedy: str) -> None:
        super().__init__(f"plugin {plugin!r} of {distribution}: {problem}; {remedy}")
        self.plugin, self.distribution, self.remedy = plugin, distribution, remedy


class RequestError(RoomfulError):
    """Abstract: whoever called asked for something that cannot be."""


class Unauthenticated(RequestError):
    """No valid token, or a grant is missing (the wire protocol uses 401 for both)."""

    code = "unauthenticated"


class PermissionDenied(RequestError):
    """Known caller, not allowed."""

    code = "permission_denied"


class NotFound(RequestError):
    """The thing named does not exist."""

    code = "not_found"


class AlreadyExists(RequestError):
    """The thing named exists."""

    code = "already_exists"


class InvalidArgument(RequestError):
    """A value is malformed or out of range."""

    code = "invalid_argument"


class FailedPrecondition(RequestError):
    """The state does not allow it."""

    code = "failed_precondition"


class ResourceExhausted(RequestError):
    """A limit is reached."""

    code = "resource_exhausted"
    retryable = True


class Unimplemented(RequestError):
    """Not offered here; the message names the extra that offers it."""

    code = "unimplemented"


class Unavailable(RequestError):
    """Not now: draining, or something needed is away."""

    code = "unavailable"
    retryable = True


class ProtocolError(RoomfulError):
    """Abstract."""


class LocalProtocolError(ProtocolError):
    """We were about to break the protocol."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; it ends, nothing else does."""

    code = "malformed"


class MediaError(RoomfulError):
    """Media that cannot be decoded or is not supported."""


class TransportError(RoomfulError):
    """The way to a peer is gone or too slow."""

    code = "unavailable"
    retryable = True


class TransportTimeout(TransportError):
    """The peer did not answer in time."""

    code = "deadline_exceeded"


class ConnectionLost(TransportError):
    """The connection ended under us."""


class DestinationError(RoomfulError):
    """A file or stream could not be stored; `permanent` says whether trying again can help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retryable = not permanent


_ABSTRACT = frozenset({RoomfulError, RequestError, ProtocolError})
