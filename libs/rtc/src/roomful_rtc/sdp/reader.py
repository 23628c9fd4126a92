"""Read a description in one pass over its lines.

Each line costs time in proportion to its length, each attribute has its own small reader, and
nothing is looked up by scanning what came before. Text of the peer never gets into an error.
"""

from __future__ import annotations

import re
from typing import Any

from roomful_rtc.sdp import fields
from roomful_rtc.sdp.fields import number, refuse
from roomful_rtc.sdp.limits import SdpLimits
from roomful_rtc.sdp.model import Direction, Fingerprint, MediaSection, SessionDescription
from roomful_rtc.sdp.section_reader import SectionReader

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def read_description(text: str | bytes, limits: SdpLimits) -> SessionDescription:
    """Read and check; see `SessionDescription.parse`."""
    reader = _DescriptionReader(limits)
    for kind, value in _lines(_text(text, limits), limits):
        reader.line(kind, value)
    return reader.finish()


def _text(text: str | bytes, limits: SdpLimits) -> str:
    if len(text) > limits.size:
        raise refuse("too large")
    try:
        if isinstance(text, bytes):
            return text.decode()
        if not text.isascii() and len(text.encode()) > limits.size:
            raise refuse("too large")
    except UnicodeError:
        raise refuse("not UTF-8") from None
    return text


def _lines(text: str, limits: SdpLimits) -> list[tuple[str, str]]:
    raw = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(raw) > limits.lines:
        raise refuse("too many lines")
    if _CONTROL.search(text.replace("\r\n", "\n")):
        raise refuse("control character")
    lines: list[tuple[str, str]] = []
    for line in raw:
        kind, equals, value = line[:1], line[1:2], line[2:]
        if equals != "=" or not "a" <= kind <= "z":
            raise refuse("a line is not of the form letter=value")
        if len(line if line.isascii() else line.encode()) > limits.line:
            raise refuse("a line is too long")
        lines.append((kind, value))
    if lines[0] != ("v", "0"):
        raise refuse("does not begin with v=0")
    return lines


class _DescriptionReader:
    """Gathers the session level and hands the rest to the section at hand."""

    def __init__(self, limits: SdpLimits) -> None:
        self.limits = limits
        self.values: dict[str, Any] = {}
        self.fingerprints: list[Fingerprint] = []
        self.other: list[tuple[str, str]] = []
        self.direction: Direction = "sendrecv"
        self.section: SectionReader | None = None
        self.sections: list[MediaSection] = []
        self.mids: set[str] = set()

    def line(self, kind: str, value: str) -> None:
        """Take one line."""
        match kind:
            case "a":
                name, _, rest = value.partition(":")
                if self.section is not None:
                    self.section.attribute(name, rest.strip())
                else:
                    self._attribute(name, rest.strip())
            case "m":
                self._end_section()
                if len(self.sections) >= self.limits.sections:
                    raise refuse("too many sections")
                self.section = SectionReader.begin(value, self.limits)
            case "c":
                values = self.values if self.section is None else self.section.values
                values["connection"] = fields.address(value)
            case "o":
                self._origin(value)
            case _:
                # s=, t=, b= and the rest say nothing we use.
                pass

    def finish(self) -> SessionDescription:
        """Make the record."""
        self._end_section()
        return SessionDescription(
            sections=tuple(self.sections),
            fingerprints=tuple(self.fingerprints),
            other=tuple(self.other),
            **self.values,
        )

    def _end_section(self) -> None:
        if self.section is None:
            return
        section = self.section.finish(self.direction)
        if section.mid:
            if section.mid in self.mids:
                raise refuse("a mid is used twice")
            self.mids.add(section.mid)
        self.sections.append(section)

    def _origin(self, value: str) -> None:
        parts = value.split(None, 3)
        if len(parts) != 4 or self.section is not None:
            raise refuse("origin is malformed")
        _, session_id, version, where = parts
        self._once("session_id", number(session_id, 0, (1 << 64) - 1, "session id"))
        self._once("session_version", number(version, 0, (1 << 64) - 1, "session version"))
        self._once("origin_address", fields.address(where))

    def _once(self, name: str, value: object) -> None:
        if name in self.values:
            raise refuse(f"{name} is given twice")
        self.values[name] = value

    def _attribute(self, name: str, value: str) -> None:
        match name:
            case "group" if value.startswith("BUNDLE") and "bundle" not in self.values:
                self._once("bundle", self._bundle(value))
            case "ice-lite":
                self.values["ice_lite"] = True
            case "extmap-allow-mixed":
                self.values["extmap_allow_mixed"] = True
            case "ice-options":
                self._once("ice_options", tuple(value.split()))
            case "ice-ufrag":
                self._once("ice_ufrag", fields.ice_credential(value, 4, "ice-ufrag"))
            case "ice-pwd":
                self._once("ice_pwd", fields.ice_credential(value, 22, "ice-pwd"))
            case "setup":
                self._once("setup", fields.setup(value))
            case "fingerprint":
                self._fingerprint(value)
            case "sendrecv" | "sendonly" | "recvonly" | "inactive":
                self.direction = name
            case _:
                self.other.append((name, value))

    def _bundle(self, value: str) -> tuple[str, ...]:
        semantics, *mids = value.split()
        if semantics != "BUNDLE" or len(mids) > self.limits.sections:
            raise refuse("group is malformed")
        if len(set(mids)) != len(mids):
            raise refuse("a mid is used twice")
        return tuple(fields.token(mid, "mid", fields.MAX_MID) for mid in mids)

    def _fingerprint(self, value: str) -> None:
        found = fields.fingerprint(value)
        if found is not None:
            self.fingerprints.append(found)
        if len(self.fingerprints) > self.limits.fingerprints:
            raise refuse("too many fingerprints")
