"""Which header extensions one subscriber is sent, and their bytes for one packet."""

from __future__ import annotations

from collections.abc import Mapping

from roomful_rtc import extensions
from roomful_rtc.munge import Packet

COPIED = (
    extensions.AUDIO_LEVEL,
    extensions.ABS_CAPTURE_TIME,
    extensions.PLAYOUT_DELAY,
    extensions.DEPENDENCY_DESCRIPTOR,
)
"""Kinds that are passed on from the publisher."""


class ExtensionSet:
    """The negotiated ids; one object for all peers that negotiated the same ones."""

    __slots__ = ("_copied", "_mid", "_send_time", "_time_only")

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._send_time = ids.get(extensions.ABS_SEND_TIME, 0)
        self._mid = ids.get(extensions.MID, 0)
        small = 0 < self._send_time < 15
        self._time_only = b"\xbe\xde\0\1" + bytes((self._send_time << 4 | 2,)) if small else b""
        """the block of most packets, but for its last three bytes"""
        self._copied = [(kind, ids[kind]) for kind in COPIED if ids.get(kind)]

    def block(
        self, packet: Packet, recv_ids: Mapping[str, int], now_us: int, mid: bytes = b""
    ) -> bytes:
        """Return the extension block for a packet that came with the publisher's `recv_ids`."""
        elements = packet.elements
        if not mid and not (elements and self._copied):
            if not self._send_time:
                return b""
            if self._time_only:
                return self._time_only + extensions.abs_send_time(now_us)
        out: list[tuple[int, bytes]] = []
        if self._send_time:
            out.append((self._send_time, extensions.abs_send_time(now_us)))
        if elements:
            for kind, number in self._copied:
                value = elements.get(recv_ids.get(kind, 0))
                if value is not None:
                    out.append((number, value))
        if mid and self._mid:
            out.append((self._mid, mid))
        return extensions.write(out)
