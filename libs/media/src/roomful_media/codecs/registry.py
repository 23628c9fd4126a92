"""Codec name → audio decoder of a track."""

from __future__ import annotations

from roomful.errors import MediaError
from roomful_media.codecs import AudioDecoder
from roomful_media.codecs.g711 import G711Codec
from roomful_media.codecs.g722 import G722Codec
from roomful_media.codecs.names import AUDIO
from roomful_media.codecs.opus import OpusCodec


def audio_decoder(codec: str, rate: int, channels: int) -> AudioDecoder:
    """Return a decoder of one track.

    `rate` and `channels` are wishes: Opus can follow them, the others are what they are.
    `MediaError` names the codecs there are.
    """
    match codec:
        case "opus":
            return OpusCodec(rate, channels)
        case "pcmu" | "pcma":
            return G711Codec(codec)
        case "g722":
            return G722Codec()
        case _:
            raise MediaError(f"no decoder for {codec!r}; there are {', '.join(AUDIO)}")
