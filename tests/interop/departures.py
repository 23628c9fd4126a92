"""Where our answers differ from the recorded ones on purpose, and why.

A difference that no entry here covers fails the comparison. `call` and `field` are shell
patterns; a field is the path in the answer (``status``, ``body.code``, ``body.rooms[[]0].name``).
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Departure:
    """Fields of some answers that are allowed to differ."""

    call: str
    field: str
    why: str


_WHOLE = "*"

DEPARTURES: list[Departure] = [
    Departure("*", "body.meta*", "ours names the missing grant, the argument or the call's code"),
    Departure("*", "*enabled_codecs", "ours lists what it forwards"),
    Departure(
        "*", "*turn_password", "deprecated; ours gives TURN credentials to participants only"
    ),
    Departure("*", "body.version", "an unset message is left out of JSON instead of null"),
    Departure("*", "body.rooms*.version", "an unset message is left out of JSON instead of null"),
    Departure("*", "body*.track*.version", "ours numbers changes of participants, not of tracks"),
    Departure("*", "*.mime_type", "ours forwards Opus as such; RED is not offered yet"),
    Departure("ListRooms with a*token*", "body*", "ours does not repeat the token, and says why"),
    Departure("ListRooms with a*token*", "content_type", "ours answers API errors in one form"),
    Departure("unknown service", "body*", "ours answers in the form of the API"),
    Departure("unknown service", "content_type", "ours answers in the form of the API"),
    *(
        Departure(call, _WHOLE, "ours knows at once that it is not there: 404 not_found")
        for call in [
            "call in unknown room",
            "call unknown participant",
            "mute track of unknown participant",
            "subscribe unknown participant",
            "send to unknown room",
        ]
    ),
    *(
        Departure(call, _WHOLE, "ours tells that there is no such track: 404 not_found")
        for call in ["mute unknown track", "mute without track"]
    ),
    Departure("create without a name", _WHOLE, "ours refuses a room without a name: 400"),
    Departure("delete without a name", _WHOLE, "ours has no room without a name: 404"),
    Departure("forward", _WHOLE, "not offered yet: 501 unimplemented"),
    Departure("move", _WHOLE, "not offered yet: 501 unimplemented"),
    Departure("call *", "body.msg", "ours gives the participant's message alone, its code in meta"),
]


def accepted(call: str, difference: str) -> bool:
    """Whether a line of `recording.differences` is one of the departures."""
    path = difference.split(": ", 1)[0].lstrip(".")
    return any(
        fnmatchcase(call, departure.call) and fnmatchcase(path, departure.field)
        for departure in DEPARTURES
    )
