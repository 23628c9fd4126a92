"""What a worker that is a participant says and hears over its link; sans-IO.

    from the worker
    publish{ref, kind, mime, channels, fmtp, source, name, layers[{rid, width, height, bitrate_bps}]}
    unpublish{track_sid} · mute{track_sid, muted}
    subscribe{track_sid} or subscribe{match{kinds, sources, identities}} · unsubscribe{sink}
    want{sink, width, height | quality, fps, paused} · keyframe{sink} · watch{what}

    to the worker
    published{ref, track_sid, sources, muted} · refused{ref, code, message}
    unpublished{track_sid} of a track that the room took away
    keyframe{source} · demand{source, wanted} · mute_wanted{track_sid, muted}
    track{sink, track_sid, identity, name, kind, source, mime, clock_rate, channels, muted, …}
    muted{sink, muted} · participants{participants[…]} · speakers{speakers[…]} · track_ended{sink}

`ref` is the worker's own name for what it asks; a worker that takes the place of a lost one asks
with the same. `sources` and `sink` are streams of the link, given by the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from roomful.bounds import NAME_BYTES
from roomful.errors import RemoteProtocolError
from roomful.model.enums import Encryption, TrackKind, TrackSource, VideoQuality
from roomful.model.events import Speaker
from roomful.model.media import Want
from roomful.model.participant import ParticipantInfo
from roomful.model.track import TrackInfo, VideoLayer
from roomful_rtc.link.control import Message, field
from roomful_rtc.local_codecs import codec_of

TEXT_BYTES, MAX_NAMES, MAX_LAYERS = 512, 1000, 3
MAX_SIDE, MAX_FPS, MAX_BITRATE, MAX_CHANNELS = 16_384, 1000, 1_000_000_000, 2
LIST_BYTES = 50_000
"""of what a message lists; a control record holds 60 KiB"""
TRACKS_TOLD = 150
"""of one participant"""
WATCHES = frozenset({"participants", "speakers"})

_Word = TypeVar("_Word", TrackKind, TrackSource, VideoQuality)


@dataclass(frozen=True, slots=True)
class Publish:
    """A worker wants to publish."""

    ref: str
    info: TrackInfo
    layers: tuple[VideoLayer, ...]
    """lowest first, one stream each; none: one stream of which nothing was announced"""
    fmtp: str

    @property
    def streams(self) -> int:
        """Streams of the link that the track needs."""
        return max(1, len(self.layers))

    def may_continue(self, former: Publish) -> bool:
        """Whether what a lost worker published is this: subscribers need not notice a change."""
        return self._nature == former._nature

    @property
    def _nature(self) -> tuple[object, ...]:
        info = self.info
        return info.kind, info.source, info.mime_type.lower(), self.streams, self.fmtp


@dataclass(frozen=True, slots=True)
class Match:
    """Which tracks a worker wants, now and later; an empty set matches all."""

    kinds: frozenset[TrackKind] = frozenset()
    sources: frozenset[TrackSource] = frozenset()
    identities: frozenset[str] = frozenset()

    def wants(self, identity: str, info: TrackInfo) -> bool:
        """Whether this track of this participant is meant."""
        return (
            (not self.kinds or info.kind in self.kinds)
            and (not self.sources or info.source in self.sources)
            and (not self.identities or identity in self.identities)
        )


# --- from the worker -------------------------------------------------------------------------------


def read_publish(message: Message) -> Publish:
    """Read a wish to publish; `RemoteProtocolError` names the field that is wrong."""
    kind, mime = _word(TrackKind, message, "kind"), text(message, "mime")
    if not mime.lower().startswith(f"{kind.name.lower()}/"):
        raise RemoteProtocolError(f"'publish': {mime[:40]!r} is no {kind.name.lower()}")
    layers = _layers(_tables(message, "layers"))
    top = layers[-1] if layers else None
    info = TrackInfo(
        sid="",
        kind=kind,
        source=_word(TrackSource, message, "source"),
        name=text(message, "name", NAME_BYTES),
        mime_type=mime,
        width=top.width if top else 0,
        height=top.height if top else 0,
        stereo=_number(message, "channels", MAX_CHANNELS) == MAX_CHANNELS,
        layers=layers,
    )
    return Publish(text(message, "ref"), info, layers, _fmtp(message))


def read_match(message: Message) -> Match:
    """Read which tracks are wanted now and later."""
    match = cast("dict[str, Any]", field(message, "match", dict))
    inner: Message = {**match, "t": message["t"]}
    return Match(
        kinds=frozenset(_words(TrackKind, inner, "kinds")),
        sources=frozenset(_words(TrackSource, inner, "sources")),
        identities=frozenset(_texts(inner, "identities")),
    )


def read_want(message: Message) -> Want:
    """Read what is wanted of a video track."""
    quality = _word(VideoQuality, message, "quality") if "quality" in message else VideoQuality.HIGH
    return Want(
        enabled=not ("paused" in message and field(message, "paused", bool)),
        quality=quality,
        width=_number(message, "width", MAX_SIDE),
        height=_number(message, "height", MAX_SIDE),
        fps=_number(message, "fps", MAX_FPS),
    )


def read_watch(message: Message) -> frozenset[str]:
    """Read what is to be told of the room."""
    field(message, "what", list)
    what = frozenset(_texts(message, "what"))
    if not what <= WATCHES:
        raise RemoteProtocolError(f"'watch': 'what' holds other words than {sorted(WATCHES)}")
    return what


def text(message: Message, name: str, most_bytes: int = TEXT_BYTES) -> str:
    """Return a short text of a message."""
    found = field(message, name, str)
    if len(found.encode()) > most_bytes:
        raise RemoteProtocolError(f"{message['t']!r}: {name!r} is longer than {most_bytes} bytes")
    return found


def _fmtp(message: Message) -> str:
    return text(message, "fmtp") if "fmtp" in message else ""


def _number(message: Message, name: str, most: int) -> int:
    value = field(message, name, int) if name in message else 0
    if not 0 <= value <= most:
        raise RemoteProtocolError(f"{message['t']!r}: {name!r} is not within 0 to {most}")
    return value


def _layers(tables: Sequence[Mapping[str, Any]]) -> tuple[VideoLayer, ...]:
    if len(tables) > MAX_LAYERS:
        raise RemoteProtocolError(f"'publish': more than {MAX_LAYERS} layers")
    if len(tables) == 1:
        return (_layer(0, VideoQuality.HIGH, tables[0]),)
    return tuple(_layer(place, VideoQuality(place), each) for place, each in enumerate(tables))


def _layer(place: int, quality: VideoQuality, each: Mapping[str, Any]) -> VideoLayer:
    message: Message = {**each, "t": "publish"}
    return VideoLayer(
        quality,
        _number(message, "width", MAX_SIDE),
        _number(message, "height", MAX_SIDE),
        _number(message, "bitrate_bps", MAX_BITRATE),
        rid=text(message, "rid") if "rid" in message else "",
        spatial_layer=place,
    )


def _tables(message: Message, name: str) -> Sequence[Mapping[str, Any]]:
    found = cast("list[object]", field(message, name, list) if name in message else [])
    if not all(isinstance(each, dict) for each in found):
        raise RemoteProtocolError(f"{message['t']!r}: {name!r} is no list of objects")
    return cast("list[dict[str, Any]]", found)


def _texts(message: Message, name: str) -> Sequence[str]:
    found = cast("list[object]", field(message, name, list) if name in message else [])
    if len(found) > MAX_NAMES or not all(isinstance(each, str) for each in found):
        raise RemoteProtocolError(f"{message['t']!r}: {name!r} is no list of names")
    return cast("list[str]", found)


def _word(words: type[_Word], message: Message, name: str) -> _Word:
    return _read_word(words, message, name, field(message, name, str))


def _words(words: type[_Word], message: Message, name: str) -> Iterable[_Word]:
    return [_read_word(words, message, name, each) for each in _texts(message, name)]


def _read_word(words: type[_Word], message: Message, name: str, word: str) -> _Word:
    try:
        return words[word.upper()]
    except KeyError:
        known = ", ".join(each.name.lower() for each in words)
        raise RemoteProtocolError(
            f"{message['t']!r}: {name!r} is {word[:40]!r}, not one of {known}"
        ) from None


# --- to the worker ---------------------------------------------------------------------------------


def track(sink: int, identity: str, info: TrackInfo) -> Message:
    """Tell of a track whose packets follow on the stream `sink`."""
    codec = codec_of(info.mime_type)
    return {
        "t": "track",
        "sink": sink,
        "identity": identity,
        "clock_rate": codec.codec.clock_rate,
        "channels": 2 if info.stereo else 1,
        "encrypted": info.encryption is not Encryption.NONE,
        **described(info),
    }


def described(info: TrackInfo) -> dict[str, object]:
    """Return what every message says of a track."""
    return {
        "track_sid": info.sid,
        "name": info.name,
        "kind": info.kind.name.lower(),
        "source": info.source.name.lower(),
        "mime": info.mime_type,
        "muted": info.muted,
        "width": info.width,
        "height": info.height,
    }


def participants(infos: Iterable[ParticipantInfo]) -> list[Message]:
    """Tell who is there, or what changed of them; a state `disconnected` says that they left."""
    return [
        {"t": "participants", "participants": part} for part in _parts(map(_participant, infos))
    ]


def speakers(changed: Iterable[Speaker]) -> list[Message]:
    """Tell whose speaking changed; levels from 0 to 1."""
    return [{"t": "speakers", "speakers": part} for part in _parts(map(_speaker, changed))]


def _speaker(one: Speaker) -> dict[str, object]:
    return {"sid": one.participant_sid, "level": round(one.level, 3), "active": one.active}


def _participant(info: ParticipantInfo) -> dict[str, object]:
    tracks = [described(each) for each in info.tracks[:TRACKS_TOLD]]
    told: dict[str, object] = {
        "sid": info.sid,
        "identity": info.identity,
        "name": info.name,
        "kind": info.kind.name.lower(),
        "state": info.state.name.lower(),
        "tracks": tracks,
    }
    if _size(told) > LIST_BYTES:  # texts are for people; without them it fits
        told["name"] = ""
        for track in tracks:
            track["name"] = ""
    return told


def _parts(items: Iterable[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    """Split what is listed so that each part fits a message."""
    part, size = list[dict[str, object]](), 0
    for item in items:
        size += _size(item)
        if part and size > LIST_BYTES:
            yield part
            part, size = [], _size(item)
        part.append(item)
    if part:
        yield part


def _size(item: Mapping[str, object]) -> int:
    return len(json.dumps(item, ensure_ascii=False).encode())
