"""PCMU and PCMA by the values of ITU-T G.711 and FFmpeg's tables."""

from __future__ import annotations

import av
import numpy as np
import pytest

from roomful.errors import MediaError
from roomful_media.codecs.g711 import G711Codec

from .sound import TONE_LOUDNESS, loudness, pitch, tone

FFMPEG = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}


@pytest.fixture(params=["pcmu", "pcma"])
def codec(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_byte_decodes_as_ffmpeg_has_it(codec: str) -> None:
    every = bytes(range(256))
    context = av.CodecContext.create(FFMPEG[codec], "r")
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(every))

    found = G711Codec(codec).decode(every)

    assert found.shape == (256, 1)
    assert (np.rint(found[:, 0] * 32768) == frame.to_ndarray().reshape(-1)).all()


def test_what_was_decoded_encodes_to_the_same_sound(codec: str) -> None:
    made = G711Codec(codec)
    heard = made.decode(bytes(range(256)))

    assert (made.decode(made.encode(heard)) == heard).all()


def test_every_sample_encodes_to_the_nearest_value(codec: str) -> None:
    made = G711Codec(codec)
    every = (np.arange(-32768, 32768, 7, dtype=np.float32) / 32768)[:, None]
    values = np.sort(made.decode(bytes(range(256)))[:, 0])

    parts = [made.decode(made.encode(every[at : at + 1600])) for at in range(0, len(every), 1600)]

    nearest = np.abs(every[:, 0, None] - values[None, :]).min(axis=1)
    assert np.abs(np.concatenate(parts)[:, 0] - every[:, 0]) == pytest.approx(nearest, abs=1e-7)


def test_loud_is_clipped(codec: str) -> None:
    made = G711Codec(codec)

    loud = made.decode(made.encode(np.array([[5.0], [-5.0]], np.float32)))

    assert 0.9 < loud[0, 0] < 1
    assert -1 <= loud[1, 0] < -0.9


def test_tone_is_still_a_tone(codec: str) -> None:
    made = G711Codec(codec)

    heard = made.decode(made.encode(tone(8000, 0.2)))

    assert pitch(heard, 8000) == pytest.approx(440, abs=3)
    assert loudness(heard) == pytest.approx(TONE_LOUDNESS, rel=0.02)


def test_lost_packet_sounds_like_the_last_and_fades() -> None:
    made = G711Codec("pcmu")
    made.decode(made.encode(tone(8000, 0.02)))

    lost = [loudness(made.conceal(160)) for _ in range(4)]

    assert lost[0] > lost[1] > lost[2] > lost[3] == 0
    assert loudness(made.recover(b"x", 160)) == 0


def test_nothing_was_heard_yet_is_silence() -> None:
    assert loudness(G711Codec("pcma").conceal(160)) == 0


@pytest.mark.parametrize("size", [0, 1601])
def test_packet_of_impossible_length_is_refused(size: int) -> None:
    with pytest.raises(MediaError, match=str(size)):
        G711Codec("pcmu").decode(bytes(size))


def test_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        G711Codec("pcmu").encode(tone(8000, 0.02, channels=2))
