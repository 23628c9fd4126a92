"""Codec name → depacketiser and packetiser of one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from roomful.errors import MediaError
from roomful_rtc.payload import UNKNOWN, Look
from roomful_rtc.payload.audio_frames import PacketDepacketiser, PacketPacketiser
from roomful_rtc.payload.av1_frames import Av1Packetiser, Av1Parts
from roomful_rtc.payload.frames import Depacketiser, FrameDepacketiser
from roomful_rtc.payload.h264_frames import H264Packetiser, H264Parts
from roomful_rtc.payload.inspectors import INSPECTORS
from roomful_rtc.payload.vp8_frames import Vp8Packetiser, Vp8Parts
from roomful_rtc.payload.vp9_frames import Vp9Packetiser, Vp9Parts


class Packetiser(Protocol):
    """Of one stream."""

    def packetise(self, frame: bytes) -> list[bytes]:
        """Return the payloads of a frame; the last one takes the marker where video has one.

        `ValueError` when the frame is empty or not of the codec: the encoder's fault.
        """
        ...


def _unlooked(payload: bytes) -> Look:
    return UNKNOWN


DEPACKETISERS: Mapping[str, Callable[[], Depacketiser]] = {
    "opus": PacketDepacketiser,
    "pcmu": PacketDepacketiser,
    "pcma": PacketDepacketiser,
    "g722": PacketDepacketiser,
    "vp8": lambda: FrameDepacketiser(Vp8Parts(), INSPECTORS["vp8"]),
    "vp9": lambda: FrameDepacketiser(Vp9Parts(), INSPECTORS["vp9"]),
    "av1": lambda: FrameDepacketiser(Av1Parts(), _unlooked),
    "h264": lambda: FrameDepacketiser(H264Parts(), _unlooked),
}

PACKETISERS: Mapping[str, Callable[[], Packetiser]] = {
    "opus": PacketPacketiser,
    "pcmu": PacketPacketiser,
    "pcma": PacketPacketiser,
    "g722": PacketPacketiser,
    "vp8": Vp8Packetiser,
    "vp9": Vp9Packetiser,
    "av1": Av1Packetiser,
    "h264": H264Packetiser,
}


def depacketiser(codec: str) -> Depacketiser:
    """Return a new one; `MediaError` names the codecs there are."""
    return _known(DEPACKETISERS, codec)()


def packetiser(codec: str) -> Packetiser:
    """Return a new one; `MediaError` names the codecs there are."""
    return _known(PACKETISERS, codec)()


_Made = TypeVar("_Made")


def _known(table: Mapping[str, _Made], codec: str) -> _Made:
    found = table.get(codec)
    if found is None:
        raise MediaError(f"no payload format for {codec!r}; there are {', '.join(table)}")
    return found
