"""Names of codecs, and audio, which has nothing to take apart."""

from __future__ import annotations

import pytest

from roomful.errors import MediaError
from roomful_rtc.payload.depacketisers import DEPACKETISERS, PACKETISERS, depacketiser, packetiser


def test_every_codec_has_both() -> None:
    assert set(DEPACKETISERS) == set(PACKETISERS)


def test_unknown_codec_is_told_the_known_ones() -> None:
    with pytest.raises(MediaError, match=r"'h266'; there are opus, pcmu"):
        depacketiser("h266")
    with pytest.raises(MediaError, match="'h266'"):
        packetiser("h266")


@pytest.mark.parametrize("codec", ["opus", "pcmu", "pcma", "g722"])
def test_audio_packet_is_a_frame(codec: str) -> None:
    made = depacketiser(codec)
    (payload,) = packetiser(codec).packetise(b"sound")

    (found,) = made.push(payload, 7, False, 3)

    assert (found.data, found.ts, found.key, found.corrupted) == (b"sound", 7, True, False)
    assert made.push(b"", 8, False) == []
    made.reset()
    assert made.counters.frames == 1


def test_empty_audio_has_no_packets() -> None:
    with pytest.raises(ValueError, match="empty"):
        packetiser("opus").packetise(b"")
