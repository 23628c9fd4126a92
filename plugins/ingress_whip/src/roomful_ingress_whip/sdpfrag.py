"""Fragments of session descriptions: `application/trickle-ice-sdpfrag` (RFC 8840 section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from roomful_ingress_whip.problem import Problem

CONTENT_TYPE = "application/trickle-ice-sdpfrag"
MAX_BYTES = 16 << 10
MAX_LINE = 1024
MAX_CANDIDATES = 100
_CANDIDATE = re.compile(
    r"candidate:\S{1,32} \d{1,5} \S{1,16} \d{1,10} \S{1,255} \d{1,5} typ \S{1,16}(?: .*)?\Z"
)
_CREDENTIAL = re.compile(r"[A-Za-z0-9+/]{4,256}\Z")


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a client says about its side of ICE. Candidates are checked and not needed."""

    ufrag: str = ""
    pwd: str = field(default="", repr=False)
    candidates: int = 0

    @classmethod
    def parse(cls, body: bytes) -> Fragment:
        """Raises `Problem` 400 or 413."""
        if len(body) > MAX_BYTES:
            raise Problem(413, f"the fragment exceeds {MAX_BYTES} bytes")
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise Problem(400, "the fragment is not UTF-8") from error
        reader = _Reader()
        for line in text.replace("\r\n", "\n").split("\n"):
            if line:
                reader.take(line)
        if not reader.lines:
            raise Problem(400, "the fragment is empty")
        return cls(reader.values.get("ufrag", ""), reader.values.get("pwd", ""), reader.candidates)


class _Reader:
    """Takes a fragment line by line."""

    def __init__(self) -> None:
        self.lines = self.candidates = 0
        self.values: dict[str, str] = {}

    def take(self, line: str) -> None:
        self.lines += 1
        if len(line) > MAX_LINE or line[1:2] != "=" or line[0] not in "am":
            raise Problem(400, "a line of the fragment is neither a= nor m=")
        name, _, value = line[2:].partition(":")
        if name in ("ice-ufrag", "ice-pwd"):
            self._credential(name.removeprefix("ice-"), value)
        elif name == "candidate":
            self.candidates += 1
            if self.candidates > MAX_CANDIDATES or not _CANDIDATE.match(line[2:]):
                raise Problem(400, "a candidate is malformed, or there are too many")

    def _credential(self, name: str, value: str) -> None:
        if not _CREDENTIAL.match(value):
            raise Problem(400, f"ice-{name} is malformed")
        if self.values.setdefault(name, value) != value:
            raise Problem(400, f"ice-{name} is given twice: media share one transport")


@dataclass(frozen=True, slots=True)
class LocalIce:
    """Our side after a restart."""

    ufrag: str
    pwd: str = field(repr=False)
    candidates: Sequence[object]
    """`str()` of each is a `candidate:…` line"""


def write_fragment(ice: LocalIce, mids: Iterable[str]) -> str:
    """Write our side; the first section carries the bundle (RFC 9725 section 4.3.3)."""
    mids = tuple(mids)
    lines = [
        "a=ice-lite",
        f"a=group:BUNDLE {' '.join(mids)}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mids[0]}",
        f"a=ice-ufrag:{ice.ufrag}",
        f"a=ice-pwd:{ice.pwd}",
        *(f"a={candidate}" for candidate in ice.candidates),
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"
