"""Read the lines of one m= section into a `MediaSection`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roomful_rtc.sdp import fields
from roomful_rtc.sdp.fields import number, refuse, token
from roomful_rtc.sdp.format_reader import FormatReader
from roomful_rtc.sdp.limits import SdpLimits
from roomful_rtc.sdp.model import Direction, MediaSection, Rid, Ssrc, SsrcGroup

MAX_SSRC = (1 << 32) - 1


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
    format_lines: list[str] = field(default_factory=list[str])
    """rtpmap, fmtp, rtcp-fb and extmap lines, for the `FormatReader`"""
    ssrcs: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """SSRC as written → what is said of it"""
    groups: list[SsrcGroup] = field(default_factory=list[SsrcGroup])
    rids: dict[str, Rid] = field(default_factory=dict[str, Rid])
    fingerprints: list[fields.Fingerprint] = field(default_factory=list[fields.Fingerprint])
    candidates: int = 0
    other: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @classmethod
    def begin(cls, value: str, limits: SdpLimits, formats: FormatReader) -> SectionReader:
        """Start at an m= line: `audio 9 UDP/TLS/RTP/SAVPF 111 63`."""
        parts = value.split()
        if len(parts) < 4:
            raise refuse("m= line is too short")
        kind, port, proto, *listed = parts
        token(proto.replace("/", "-"), "protocol")
        return cls(
            limits,
            kind=token(kind, "media type", 16),
            port=number(port.partition("/")[0], 0, 65535, "port"),
            proto=proto,
            formats=formats.listed(tuple(listed), rtp="RTP/" in proto),
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

    def finish(self, default: Direction, reader: FormatReader) -> MediaSection:
        """Make the record; `default` is the session's direction."""
        codecs, extmap = reader.read(self.formats, self.format_lines, rtp="RTP/" in self.proto)
        values: dict[str, Any] = {"direction": default, **self.values}
        return MediaSection(
            kind=self.kind,
            port=self.port,
            proto=self.proto,
            formats=self.formats,
            codecs=codecs,
            extmap=extmap,
            ssrcs={int(text): _stream(text, said) for text, said in self.ssrcs.items()},
            ssrc_groups=tuple(self.groups),
            rids=tuple(self.rids.values()),
            fingerprints=tuple(self.fingerprints),
            candidate_count=self.candidates,
            other=tuple(self.other),
            **values,
        )


def _msid(section: SectionReader, value: str) -> None:
    parts = value.split()
    if not parts:
        raise refuse("msid is malformed")
    section.values.setdefault("stream_id", parts[0])
    section.values.setdefault("track_id", parts[1] if len(parts) > 1 else "")


def _ssrc(section: SectionReader, value: str) -> None:
    text, _, rest = value.partition(" ")
    said = section.ssrcs.get(text)
    if said is None:
        number(text, 0, MAX_SSRC, "ssrc")
        if len(section.ssrcs) >= section.limits.ssrcs:
            raise refuse("too many streams in a section")
        said = section.ssrcs[text] = {}
    name, _, data = rest.partition(":")
    if name in ("cname", "msid"):
        said[name] = data


def _stream(text: str, said: dict[str, str]) -> Ssrc:
    stream, _, track = said.get("msid", "").strip().partition(" ")
    return Ssrc(int(text), said.get("cname", "").strip(), stream, track.strip())


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
