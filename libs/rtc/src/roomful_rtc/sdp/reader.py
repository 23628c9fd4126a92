"""Read a description in one pass over its lines.

Each line costs time in proportion to its length, each attribute has its own small reader, and
nothing is looked up by scanning what came before. Text of the peer never gets into an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from roomful_rtc.sdp import fields
from roomful_rtc.sdp.fields import number, refuse
from roomful_rtc.sdp.format_reader import FORMAT_LINES, FormatReader
from roomful_rtc.sdp.limits import SdpLimits
from roomful_rtc.sdp.model import Direction, Fingerprint, MediaSection, SessionDescription
from roomful_rtc.sdp.section_reader import SectionReader

# Both are read in one pass: no part of them can match in two ways.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_LINES = re.compile(r"v=0\n(?:[a-z]=[^\n]*\n)*")


def read_description(text: str | bytes, limits: SdpLimits) -> SessionDescription:
    """Read and check; see `SessionDescription.parse`."""
    reader = _DescriptionReader(limits)
    reader.read(_lines(_text(text, limits), limits))
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


def _lines(text: str, limits: SdpLimits) -> list[str]:
    text = text.replace("\r\n", "\n").rstrip("\n") + "\n"
    if _CONTROL.search(text):
        raise refuse("control character")
    if text.count("\n") > limits.lines:
        raise refuse("too many lines")
    if not _LINES.fullmatch(text):
        raise refuse("not lines of letter=value that begin with v=0")
    lines = text.split("\n")
    lines.pop()
    if max(map(len, lines if text.isascii() else [line.encode() for line in lines])) > limits.line:
        raise refuse("a line is too long")
    return lines


class _DescriptionReader:
    """Gathers the session level and hands the rest to the section at hand."""

    def __init__(self, limits: SdpLimits) -> None:
        self.limits = limits
        self.formats = FormatReader(limits)
        self.values: dict[str, Any] = {}
        self.fingerprints: list[Fingerprint] = []
        self.other: list[tuple[str, str]] = []
        self.direction: Direction = "sendrecv"
        self.section: SectionReader | None = None
        self.sections: list[MediaSection] = []
        self.mids: set[str] = set()

    def read(self, lines: list[str]) -> None:
        """Take the lines; format lines, by far the most, go the shortest way."""
        format_lines: list[str] | None = None
        for line in lines:
            name, _, value = line.partition(":")
            if name in FORMAT_LINES and format_lines is not None:
                format_lines.append(line)
            elif line[0] == "a":
                self._attribute(name[2:], value.strip())
            elif line[0] == "m":
                self._end_section()
                if len(self.sections) >= self.limits.sections:
                    raise refuse("too many sections")
                self.section = SectionReader.begin(line[2:], self.limits, self.formats)
                format_lines = self.section.format_lines
            elif line[0] == "c":
                values = self.values if self.section is None else self.section.values
                values["connection"] = fields.address(line[2:])
            elif line[0] == "o":
                self._origin(line[2:])
            # s=, t=, b= and the rest say nothing we use.

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
        section = self.section.finish(self.direction, self.formats)
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
        if self.section is None:
            self._session_attribute(name, value)
        else:
            self.section.attribute(name, value)

    def _session_attribute(self, name: str, value: str) -> None:
        read = _SESSION_READERS.get(name)
        if read is not None:
            self._once(name.replace("-", "_"), read(value))
        elif name in fields.DIRECTIONS:
            self.direction = name
        elif name == "fingerprint":
            self._fingerprint(value)
        elif name == "group" and value.startswith("BUNDLE ") and "bundle" not in self.values:
            self._once("bundle", self._bundle(value))
        else:
            self.other.append((name, value))

    def _bundle(self, value: str) -> tuple[str, ...]:
        mids = value.split()[1:]
        if len(mids) > self.limits.sections:
            raise refuse("too many sections")
        if len(set(mids)) != len(mids):
            raise refuse("a mid is used twice")
        return tuple(fields.token(mid, "mid", fields.MAX_MID) for mid in mids)

    def _fingerprint(self, value: str) -> None:
        found = fields.fingerprint(value)
        if found is not None:
            self.fingerprints.append(found)
        if len(self.fingerprints) > self.limits.fingerprints:
            raise refuse("too many fingerprints")


_SESSION_READERS: dict[str, Callable[[str], object]] = {
    "ice-lite": lambda _value: True,
    "extmap-allow-mixed": lambda _value: True,
    "ice-options": lambda value: tuple(value.split()),
    "ice-ufrag": lambda value: fields.ice_credential(value, 4, "ice-ufrag"),
    "ice-pwd": lambda value: fields.ice_credential(value, 22, "ice-pwd"),
    "setup": fields.setup,
}
