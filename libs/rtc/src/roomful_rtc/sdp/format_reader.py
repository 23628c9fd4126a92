"""Read the payload types and header extensions of one section.

Sections of a kind usually repeat these lines to the letter, and they are most of a description, so
`FormatReader` remembers what it made of a block and hands out the same (never changed) mappings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roomful_rtc.sdp import fields
from roomful_rtc.sdp.fields import number, refuse, token
from roomful_rtc.sdp.limits import SdpLimits
from roomful_rtc.sdp.model import RtpFormat

FORMAT_LINES = frozenset({"a=rtpmap", "a=fmtp", "a=rtcp-fb", "a=extmap"})
"""What stands before the colon in the lines read here."""

STATIC_FORMATS = {
    0: ("PCMU", 8000, 1),
    3: ("GSM", 8000, 1),
    4: ("G723", 8000, 1),
    8: ("PCMA", 8000, 1),
    9: ("G722", 8000, 1),
    13: ("CN", 8000, 1),
    18: ("G729", 8000, 1),
}
"""Payload types that need no rtpmap (RFC 3551 section 6); G.722 keeps its historic 8,000."""

MAX_EXTENSION_ID = 4351
"""Ids above 255 may stand in an offer for extensions beyond what fits (RFC 8285 section 7)."""

Formats = Mapping[int, RtpFormat]
Extensions = Mapping[int, str]


class FormatReader:
    """Reads blocks of format lines of one description."""

    def __init__(self, limits: SdpLimits) -> None:
        self._limits = limits
        self._known: dict[tuple[object, ...], tuple[Formats, Extensions]] = {}
        self._lists: dict[tuple[str, ...], tuple[str, ...]] = {}

    def listed(self, texts: tuple[str, ...], *, rtp: bool) -> tuple[str, ...]:
        """Check the formats of an m= line; payload types come back in plain decimal."""
        known = self._lists.get((str(rtp), *texts))
        if known is None:
            known = self._lists[(str(rtp), *texts)] = self._check(texts, rtp=rtp)
        return known

    def _check(self, texts: tuple[str, ...], *, rtp: bool) -> tuple[str, ...]:
        if len(texts) > self._limits.formats:
            raise refuse("too many payload types in a section")
        if rtp:
            texts = tuple(str(number(text, 0, 127, "payload type")) for text in texts)
        if len(set(texts)) != len(texts):
            raise refuse("a payload type is listed twice")
        return tuple(token(text, "format") for text in texts)

    def read(
        self, formats: tuple[str, ...], lines: Sequence[str], *, rtp: bool
    ) -> tuple[Formats, Extensions]:
        """Read such lines of a section that lists these formats."""
        key = (rtp, formats, *lines)
        known = self._known.get(key)
        if known is None:
            block = _Block(self._limits, formats)
            for line in lines:
                block.take(line)
            known = self._known[key] = (block.codecs() if rtp else {}, block.extmap)
        return known


class _Block:
    """The lines of one section, gathered by payload type."""

    def __init__(self, limits: SdpLimits, formats: tuple[str, ...]) -> None:
        self.limits = limits
        self.formats = dict.fromkeys(formats)
        self.encodings: dict[str, tuple[str, int, int]] = {}
        self.fmtp: dict[str, str] = {}
        self.feedback: dict[str, dict[str, None]] = {}
        self.extmap: dict[int, str] = {}

    def take(self, line: str) -> None:
        name, _, value = line.partition(":")
        target, _, rest = value.strip().partition(" ")
        if name == "a=extmap":
            self._extension(target, rest.split())
        elif name == "a=rtpmap":
            self._encoding(target, rest.strip())
        elif target not in self.formats and target != "*":
            return
        elif name == "a=fmtp":
            self.fmtp.setdefault(target, rest.strip())
        else:
            kinds = self.feedback.setdefault(target, {})
            kinds[" ".join(rest.split())] = None
            if len(kinds) > self.limits.feedback:
                raise refuse("too many kinds of feedback")

    def codecs(self) -> Formats:
        """The formats in the order of the m= line; those nothing is known about are left out."""
        wild = self.feedback.get("*", {})
        codecs: dict[int, RtpFormat] = {}
        for text in self.formats:
            pt = int(text)
            encoding = self.encodings.get(text) or STATIC_FORMATS.get(pt)
            if encoding is not None:
                feedback = tuple({**self.feedback.get(text, {}), **wild})
                codecs[pt] = RtpFormat(pt, *encoding, self.fmtp.get(text, ""), feedback)
        return codecs

    def _encoding(self, target: str, value: str) -> None:
        name, _, numbers = value.partition("/")
        rate, _, channels = numbers.partition("/")
        encoding = (
            token(name, "codec name", 32),
            number(rate, 8000, 192_000, "clock rate"),
            number(channels, 1, 64, "channel count") if channels else 1,
        )
        if target in self.encodings:
            raise refuse("a payload type is mapped twice")
        if target in self.formats:
            self.encodings[target] = encoding

    def _extension(self, target: str, parts: list[str]) -> None:
        text, slash, direction = target.partition("/")
        if not parts or (slash and direction not in fields.DIRECTIONS):
            raise refuse("extmap is malformed")
        identifier = number(text, 1, MAX_EXTENSION_ID, "extension id")
        if self.extmap.setdefault(identifier, parts[0]) != parts[0]:
            raise refuse("an extension id is used twice")
        if len(self.extmap) > self.limits.extensions:
            raise refuse("too many header extensions in a section")
