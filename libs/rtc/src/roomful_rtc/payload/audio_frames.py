"""Audio of which every packet is one frame: Opus (RFC 7587), G.711 and G.722 (RFC 3551)."""

from __future__ import annotations

from roomful_rtc.payload.frames import EncodedFrame, FrameCounters


class PacketDepacketiser:
    """A `Depacketiser` that has nothing to take apart."""

    def __init__(self) -> None:
        self.counters = FrameCounters()

    def push(self, payload: bytes, ts: int, marker: bool, lost: int = 0) -> list[EncodedFrame]:
        """Return the packet as a frame; an empty one is padding."""
        if not payload:
            return []
        self.counters.frames += 1
        return [EncodedFrame(payload, ts, True)]

    def reset(self) -> None:
        """Nothing is ever in progress."""


class PacketPacketiser:
    """A `Packetiser` of frames that fit one packet."""

    def packetise(self, frame: bytes) -> list[bytes]:
        """Return the frame as it is; `ValueError` when it is empty."""
        if not frame:
            raise ValueError("an empty frame has no packets")
        return [frame]
