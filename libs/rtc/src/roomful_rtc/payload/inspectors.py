"""Codec name → inspector. A codec that is not listed needs no key frame."""

from __future__ import annotations

from collections.abc import Mapping

from roomful_rtc.payload import Inspector
from roomful_rtc.payload import vp8

INSPECTORS: Mapping[str, Inspector] = {"vp8": vp8.inspect}
