"""An AddTrackRequest as a `TrackInfo` (`livekit-wire.md` 7.2)."""

from __future__ import annotations

from livekit.protocol import models, rtc

from roomful.api.wire import layer_from_wire, word_from_wire
from roomful.errors import InvalidArgument
from roomful.ids import TRACK, random_text
from roomful.model.enums import Encryption, TrackKind, TrackSource
from roomful.model.track import TrackCodec, TrackInfo, VideoLayer

MAX_NAME = 256
MAX_BYTES = 4 << 10
"""of a request: everybody in the room is told most of it"""
_KIND_LETTER = {TrackKind.AUDIO: "A", TrackKind.VIDEO: "V"}
_SOURCE_LETTER = {
    TrackSource.CAMERA: "C",
    TrackSource.MICROPHONE: "M",
    TrackSource.SCREEN_SHARE: "S",
    TrackSource.SCREEN_SHARE_AUDIO: "s",
}
_STREAM = {
    TrackSource.CAMERA: "camera",
    TrackSource.MICROPHONE: "camera",
    TrackSource.SCREEN_SHARE: "screen",
    TrackSource.SCREEN_SHARE_AUDIO: "screen",
}


def track_from_request(request: rtc.AddTrackRequest) -> TrackInfo:
    """Return the track with a new SID. Raises `InvalidArgument`."""
    if request.ByteSize() > MAX_BYTES:
        raise InvalidArgument(f"a track is described in more than {MAX_BYTES} bytes")
    if not request.cid:
        raise InvalidArgument("cid cannot be empty")
    if len(request.name.encode()) > MAX_NAME:
        raise InvalidArgument(f"track name exceeds {MAX_NAME} bytes")
    kind = word_from_wire(TrackKind, request.type)
    source = word_from_wire(TrackSource, request.source)
    codecs = _codecs(request, kind)
    layers = tuple(layer_from_wire(layer) for layer in request.layers)
    layers = layers or (codecs[0].layers if codecs else ())
    return TrackInfo(
        sid=f"{TRACK}{_KIND_LETTER[kind]}{_SOURCE_LETTER.get(source, '')}{random_text(12)}",
        kind=kind,
        source=source,
        name=request.name,
        mime_type=codecs[0].mime_type if codecs else "",
        muted=request.muted,
        width=request.width,
        height=request.height,
        simulcast=len(layers) > 1 and not any(c.svc for c in codecs),
        stereo=request.stereo or models.TF_STEREO in request.audio_features,
        disable_dtx=request.disable_dtx or models.TF_NO_DTX in request.audio_features,
        disable_red=request.disable_red,
        stream=request.stream or _STREAM.get(source, "unknown"),
        layers=layers if kind is TrackKind.VIDEO else (),
        codecs=codecs,
        encryption=word_from_wire(Encryption, request.encryption),
        audio_features=tuple(int(feature) for feature in request.audio_features),
        # of audio the reference reports SIMULCAST, whatever was asked for
        backup_codec_policy=int(models.SIMULCAST)
        if kind is TrackKind.AUDIO
        else int(request.backup_codec_policy),
    )


def _codecs(request: rtc.AddTrackRequest, kind: TrackKind) -> tuple[TrackCodec, ...]:
    """The codecs that will be sent on this cid; those without one are backups, sent on request."""
    prefix = "video" if kind is TrackKind.VIDEO else "audio"
    found: list[TrackCodec] = []
    for codec in request.simulcast_codecs:
        if not codec.codec or (codec.cid and codec.cid != request.cid):
            continue
        name = codec.codec if "/" in codec.codec else f"{prefix}/{codec.codec}"
        found.append(
            TrackCodec(
                mime_type=_spelled(name),
                cid=codec.cid or request.cid,
                layers=tuple(layer_from_wire(layer) for layer in codec.layers)
                or _layers(request),
                svc=codec.video_layer_mode
                == models.VideoLayer.MULTIPLE_SPATIAL_LAYERS_PER_STREAM
                or name.lower() in ("video/vp9", "video/av1"),
            )
        )
        break
    return tuple(found)


def _layers(request: rtc.AddTrackRequest) -> tuple[VideoLayer, ...]:
    return tuple(layer_from_wire(layer) for layer in request.layers)


def _spelled(mime: str) -> str:
    kind, _, codec = mime.partition("/")
    return f"{kind}/{codec.upper() if kind == 'video' else codec.lower()}"
