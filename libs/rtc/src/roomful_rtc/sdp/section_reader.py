"""Read the lines of one m= section into a `MediaSection`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roomful_rtc.sdp import fields
from roomful_rtc.sdp.fields import number, refuse, token
from roomful_rtc.sdp.limits import SdpLimits
from roomful_rtc.sdp.model import Direction, MediaSection, Rid, RtpFormat, Ssrc, SsrcGroup

STATIC_FORMATS = {
    0: ("PCMU", 8000),
    3: ("GSM", 8000),
    4: ("G723", 8000),
    8: ("PCMA", 8000),
    9: ("G722", 8000),
    13: ("CN", 8000),
    18: ("G729", 8000),
}
"""Payload types that need no rtpmap (RFC 3551 section 6); G.722 keeps its historic 8,000."""

MAX_SSRC = (1 << 32) - 1
MAX_EXTENSION_ID = 4351
"""Ids above 255 may stand in an offer for extensions beyond what fits (RFC 8285 section 7)."""


@dataclass(slots=True)
class SectionReader:
    """Gathers one section; `finish` gives the record. Every list is bounded by the limits."""

    limits: SdpLimits
    kind: str
    port: int
    proto: str
    formats: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    """fields of `MediaSection` that are given once"""
    rtpmap: dict[int, tuple[str, int, int]] = field(default_factory=dict[int, tuple[str, int, int]])
    fmtp: dict[int, str] = field(default_factory=dict[int, str])
    feedback: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    extmap: dict[int, str] = field(default_factory=dict[int, str])
    ssrcs: dict[int, Ssrc] = field(default_factory=dict[int, Ssrc])
    groups: list[SsrcGroup] = field(default_factory=list[SsrcGroup])
    rids: dict[str, Rid] = field(default_factory=dict[str, Rid])
    fingerprints: list[fields.Fingerprint] = field(default_factory=list[fields.Fingerprint])
    candidates: int = 0
    other: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    _format_set: frozenset[str] = frozenset()

    @classmethod
    def begin(cls, value: str, limits: SdpLimits) -> SectionReader:
        """Start at an m= line: `audio 9 UDP/TLS/RTP/SAVPF 111 63`."""
        parts = value.split()
        if len(parts) < 4:
            raise refuse("m= line is too short")
        kind, port, proto, *formats = parts
        if len(formats) > limits.formats:
            raise refuse("too many payload types in a section")
        if "RTP/" in proto:
            formats = [str(number(text, 0, 127, "payload type")) for text in formats]
        distinct = frozenset(formats)
        if len(distinct) != len(formats):
            raise refuse("a payload type is listed twice")
        return cls(
            limits,
            kind=token(kind, "media type", 16),
            port=number(port.partition("/")[0], 0, 65535, "port"),
            proto=token(proto.replace("/", "-"), "protocol") and proto,
            formats=tuple(token(text, "format") for text in formats),
            _format_set=distinct,
        )

    def attribute(self, name: str, value: str) -> None:
        """Take one a= line."""
        read = _READERS.get(name)
        if read is None:
            self.other.append((name, value))
        else:
            read(self, value)

    def once(self, name: str, value: object) -> None:
        """Keep a value that may be given once."""
        if name in self.values:
            raise refuse(f"{name} is given twice in a section")
        self.values[name] = value

    def payload_type(self, text: str) -> int | None:
        """The payload type an attribute is about; None when the section does not list it."""
        return int(text) if text in self._format_set and text.isdigit() else None

    def finish(self, default: Direction) -> MediaSection:
        """Make the record; `default` is the session's direction."""
        values = {"direction": default, **self.values}
        return MediaSection(
            kind=self.kind,
            port=self.port,
            proto=self.proto,
            formats=self.formats,
            codecs=self._codecs(),
            extmap=self.extmap,
            ssrcs=self.ssrcs,
            ssrc_groups=tuple(self.groups),
            rids=tuple(self.rids.values()),
            fingerprints=tuple(self.fingerprints),
            candidate_count=self.candidates,
            other=tuple(self.other),
            **values,
        )

    def _codecs(self) -> dict[int, RtpFormat]:
        codecs: dict[int, RtpFormat] = {}
        if "RTP/" not in self.proto:
            return codecs
        wild = self.feedback.get("*", {})
        for text in self.formats:
            pt = int(text)
            static = STATIC_FORMATS.get(pt)
            name, rate, channels = self.rtpmap.get(pt) or (*(static or ("", 0)), 1)
            if name:
                feedback = tuple({**self.feedback.get(text, {}), **wild})
                codecs[pt] = RtpFormat(pt, name, rate, channels, self.fmtp.get(pt, ""), feedback)
        return codecs


def _rtpmap(section: SectionReader, value: str) -> None:
    text, _, rest = value.partition(" ")
    name, _, numbers = rest.strip().partition("/")
    rate, _, channels = numbers.partition("/")
    encoding = (
        token(name, "codec name", 32),
        number(rate, 8000, 192_000, "clock rate"),
        number(channels, 1, 64, "channel count") if channels else 1,
    )
    pt = section.payload_type(text)
    if pt is None:
        return
    if pt in section.rtpmap:
        raise refuse("a payload type is mapped twice")
    section.rtpmap[pt] = encoding


def _fmtp(section: SectionReader, value: str) -> None:
    text, _, parameters = value.partition(" ")
    pt = section.payload_type(text)
    if pt is not None:
        section.fmtp.setdefault(pt, parameters.strip())


def _rtcp_fb(section: SectionReader, value: str) -> None:
    text, _, kind = value.partition(" ")
    if text != "*" and section.payload_type(text) is None:
        return
    kinds = section.feedback.setdefault(text, {})
    kinds[" ".join(kind.split())] = None
    if len(kinds) > section.limits.feedback:
        raise refuse("too many kinds of feedback")


def _extmap(section: SectionReader, value: str) -> None:
    parts = value.split()
    if len(parts) < 2:
        raise refuse("extmap is malformed")
    number_text, slash, direction = parts[0].partition("/")
    if slash and direction not in fields.DIRECTIONS:
        raise refuse("extmap is malformed")
    identifier = number(number_text, 1, MAX_EXTENSION_ID, "extension id")
    if section.extmap.setdefault(identifier, parts[1]) != parts[1]:
        raise refuse("an extension id is used twice")
    if len(section.extmap) > section.limits.extensions:
        raise refuse("too many header extensions in a section")


def _msid(section: SectionReader, value: str) -> None:
    parts = value.split()
    if not parts:
        raise refuse("msid is malformed")
    section.values.setdefault("stream_id", parts[0])
    section.values.setdefault("track_id", parts[1] if len(parts) > 1 else "")


def _ssrc(section: SectionReader, value: str) -> None:
    text, _, rest = value.partition(" ")
    ssrc = number(text, 0, MAX_SSRC, "ssrc")
    name, _, data = rest.strip().partition(":")
    known = section.ssrcs.get(ssrc) or Ssrc(ssrc)
    if name == "cname":
        known = Ssrc(ssrc, data.strip(), known.stream_id, known.track_id)
    elif name == "msid":
        stream, _, track = data.strip().partition(" ")
        known = Ssrc(ssrc, known.cname, stream, track.strip())
    section.ssrcs[ssrc] = known
    if len(section.ssrcs) > section.limits.ssrcs:
        raise refuse("too many streams in a section")


def _ssrc_group(section: SectionReader, value: str) -> None:
    semantics, *texts = value.split() or [""]
    if len(texts) > section.limits.ssrcs or len(section.groups) >= section.limits.ssrcs:
        raise refuse("too many streams in a section")
    ssrcs = tuple(number(text, 0, MAX_SSRC, "ssrc") for text in texts)
    section.groups.append(SsrcGroup(token(semantics, "stream group"), ssrcs))


def _rid(section: SectionReader, value: str) -> None:
    identifier, _, rest = value.partition(" ")
    direction, _, restrictions = rest.strip().partition(" ")
    if direction not in ("send", "recv"):
        raise refuse("rid is malformed")
    if fields.rid(identifier) in section.rids:
        raise refuse("a rid is given twice")
    if len(section.rids) >= section.limits.rids:
        raise refuse("too many rids in a section")
    section.rids[identifier] = Rid(identifier, direction, restrictions.strip())


def _simulcast(section: SectionReader, value: str) -> None:
    parts = value.split()
    if len(parts) not in (2, 4):
        raise refuse("simulcast is malformed")
    for direction, streams in zip(parts[::2], parts[1::2], strict=True):
        if direction not in ("send", "recv"):
            raise refuse("simulcast is malformed")
        rids = tuple(
            fields.rid(text.partition(",")[0].removeprefix("~")) for text in streams.split(";")
        )
        if len(rids) > section.limits.rids or len(set(rids)) != len(rids):
            raise refuse("too many rids in a section")
        section.once(f"simulcast_{direction}", rids)


def _fingerprint(section: SectionReader, value: str) -> None:
    found = fields.fingerprint(value)
    if found is not None:
        section.fingerprints.append(found)
    if len(section.fingerprints) > section.limits.fingerprints:
        raise refuse("too many fingerprints")


def _candidate(section: SectionReader, _value: str) -> None:
    section.candidates += 1
    if section.candidates > section.limits.candidates:
        raise refuse("too many candidates in a section")


Reader = Callable[[SectionReader, str], None]


def _flag(name: str) -> Reader:
    return lambda section, _value: section.values.__setitem__(name, True)


def _direction(direction: Direction) -> Reader:
    return lambda section, _value: section.once("direction", direction)


def _number(attribute: str, low: int, high: int) -> Reader:
    name = attribute.replace("-", "_")
    return lambda section, value: section.once(name, number(value, low, high, attribute))


_READERS: dict[str, Reader] = {
    "mid": lambda s, v: s.once("mid", token(v, "mid", fields.MAX_MID)),
    "rtpmap": _rtpmap,
    "fmtp": _fmtp,
    "rtcp-fb": _rtcp_fb,
    "extmap": _extmap,
    "msid": _msid,
    "ssrc": _ssrc,
    "ssrc-group": _ssrc_group,
    "rid": _rid,
    "simulcast": _simulcast,
    "fingerprint": _fingerprint,
    "candidate": _candidate,
    "setup": lambda s, v: s.once("setup", fields.setup(v)),
    "ice-ufrag": lambda s, v: s.once("ice_ufrag", fields.ice_credential(v, 4, "ice-ufrag")),
    "ice-pwd": lambda s, v: s.once("ice_pwd", fields.ice_credential(v, 22, "ice-pwd")),
    "sctp-port": _number("sctp-port", 0, 65535),
    "max-message-size": _number("max-message-size", 0, (1 << 64) - 1),
    "ptime": _number("ptime", 1, 200),
    "bundle-only": _flag("bundle_only"),
    "rtcp-mux": _flag("rtcp_mux"),
    "rtcp-rsize": _flag("rtcp_rsize"),
    "extmap-allow-mixed": _flag("extmap_allow_mixed"),
    **{direction: _direction(direction) for direction in fields.DIRECTIONS},
}
