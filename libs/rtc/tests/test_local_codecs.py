"""Codecs of local media."""

from __future__ import annotations

import pytest

from roomful.errors import MediaError
from roomful_rtc.local_codecs import LOCAL_CODECS, PAYLOAD_TYPES, codec_of


def test_a_codec_is_found_however_it_is_spelled():
    assert codec_of("video/VP8") is codec_of("video/vp8")
    assert codec_of("audio/PCMU").clock_rate == 8000
    assert codec_of("audio/opus").format("useinbandfec=1").parameters == {"useinbandfec": "1"}


def test_an_unknown_codec_is_refused_with_those_there_are():
    with pytest.raises(MediaError, match=r"video/theora.*audio/opus"):
        codec_of("video/theora")


def test_payload_types_tell_codecs_apart():
    types = [pt for kind in PAYLOAD_TYPES.values() for pt in kind.values()]
    assert len(set(types)) == len(types) == len(LOCAL_CODECS)
    assert not any(64 <= pt < 96 for pt in types)  # RTCP, where both share a port (RFC 5761)
