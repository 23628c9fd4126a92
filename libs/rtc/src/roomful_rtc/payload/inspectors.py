"""Codec name → inspector. A codec that is not listed needs no key frame."""

from __future__ import annotations

from collections.abc import Mapping

from roomful_rtc.payload import Inspector, av1, h264, h265, vp8, vp9

INSPECTORS: Mapping[str, Inspector] = {
    "vp8": vp8.inspect,
    "vp9": vp9.inspect,
    "h264": h264.inspect,
    "h265": h265.inspect,
    "av1": av1.inspect,
}
