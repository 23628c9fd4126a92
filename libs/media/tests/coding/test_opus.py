"""Opus by both roads."""

from __future__ import annotations

import ctypes
import random
from pathlib import Path

import numpy as np
import pytest

from roomful.errors import MediaError
from roomful_media.codecs import opus_library
from roomful_media.codecs.opus import SPEECH, OpusCodec, OpusSettings
from roomful_media.codecs.opus_library import LibraryEncoder, library

from .sound import TONE_LOUDNESS, blocks, loudness, pitch, tone

RATE = 48_000


@pytest.fixture(params=[False, True], ids=["libopus", "av"])
def through_av(request: pytest.FixtureRequest) -> bool:
    return request.param


def heard(made: OpusCodec, packets: list[bytes]) -> np.ndarray:
    return np.concatenate([made.decode(packet) for packet in packets])


def test_library_is_found_beside_pyav() -> None:
    found = library()

    assert found is not None
    found.opus_get_version_string.restype = ctypes.c_char_p
    assert b"opus" in found.opus_get_version_string()


def test_without_a_library_the_road_is_pyav(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library.cache_clear()
    # what is looked for has fixed places: none of them exists here
    monkeypatch.setattr(opus_library.av, "__file__", str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr(opus_library, "_SYSTEM", str(tmp_path / "none.so"))
    try:
        made = OpusCodec(8000)

        assert library() is None
        assert (made.rate, made.encoded_rate) == (48_000, 8000)
        packet = made.encode(tone(8000, 0.02))
        assert len(made.decode(packet)) == 960
    finally:
        monkeypatch.undo()
        library.cache_clear()


@pytest.mark.parametrize("channels", [1, 2])
def test_tone_goes_through(through_av: bool, channels: int) -> None:
    made = OpusCodec(RATE, channels, through_av=through_av)
    packets = [made.encode(block) for block in blocks(tone(RATE, 1, channels=channels), 960)]

    sound = heard(made, packets)

    assert sound.dtype == np.float32
    assert sound.shape == (RATE, channels)
    assert pitch(sound, RATE) == pytest.approx(440, abs=2)
    assert loudness(sound[4800:]) == pytest.approx(TONE_LOUDNESS, rel=0.1)
    assert sum(map(len, packets)) * 8 < 1.5 * 32_000


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_other_rates_are_coded_as_they_are(through_av: bool, rate: int) -> None:
    made = OpusCodec(rate, settings=SPEECH, through_av=through_av)
    packets = [made.encode(block) for block in blocks(tone(rate, 1), rate // 50)]

    sound = heard(made, packets)

    assert made.encoded_rate == rate
    assert len(sound) == made.rate
    assert pitch(sound, made.rate) == pytest.approx(440, abs=2)


def test_roads_understand_each_other() -> None:
    ours, theirs = OpusCodec(RATE), OpusCodec(RATE, through_av=True)
    cut = blocks(tone(RATE, 0.5), 960)

    one = heard(theirs, [ours.encode(block) for block in cut])
    other = heard(ours, [theirs.encode(block) for block in cut])

    for sound in (one, other):
        assert pitch(sound, RATE) == pytest.approx(440, abs=3)


def test_stereo_of_the_peer_is_mixed_when_one_channel_is_wanted(through_av: bool) -> None:
    packets = [
        OpusCodec(RATE, 2).encode(block) for block in blocks(tone(RATE, 0.1, channels=2), 960)
    ]

    assert heard(OpusCodec(RATE, 1, through_av=through_av), packets).shape == (4800, 1)


def test_lost_packet_is_concealed(through_av: bool) -> None:
    made = OpusCodec(RATE, through_av=through_av)
    for block in blocks(tone(RATE, 0.2), 960):
        made.decode(made.encode(block))

    sound = made.conceal(960)

    assert sound.shape == (960, 1)
    assert loudness(sound) > TONE_LOUDNESS / 3


def test_forward_error_correction_tells_of_the_lost_packet() -> None:
    settings = OpusSettings(24_000, "voip", fec=True)
    sent = OpusCodec(16_000, settings=settings)
    sweep = np.concatenate(
        [tone(16_000, 0.2, 300), tone(16_000, 0.02, 900), tone(16_000, 0.1, 300)]
    )
    packets = [sent.encode(block) for block in blocks(sweep, 320)]

    def gap(recover: bool) -> np.ndarray:
        made = OpusCodec(16_000)
        for packet in packets[:10]:
            made.decode(packet)
        return made.recover(packets[11], 320) if recover else made.conceal(320)

    assert pitch(gap(recover=True), 16_000) == pytest.approx(900, abs=150)
    assert pitch(gap(recover=False), 16_000) == pytest.approx(300, abs=100)


def test_silence_with_dtx_costs_nearly_nothing() -> None:
    made = OpusCodec(RATE, settings=OpusSettings(dtx=True, application="voip"))

    packets = [made.encode(np.zeros((960, 1), np.float32)) for _ in range(50)]

    assert sum(len(packet) <= 2 for packet in packets) > 25


@pytest.mark.parametrize("packet", [b"", b"\xff\xff", b"\xfb\xbf" + bytes(9), b"\x03"])
def test_what_is_no_opus_is_an_error_and_the_next_packet_is_none(
    through_av: bool, packet: bytes
) -> None:
    made = OpusCodec(RATE, through_av=through_av)
    good = made.encode(tone(RATE, 0.02))

    with pytest.raises(MediaError):
        made.decode(packet)

    assert len(made.decode(good)) == 960


def test_random_packets_decode_or_are_refused(through_av: bool) -> None:
    chance, made = random.Random(7), OpusCodec(RATE, 2, through_av=through_av)

    for _ in range(500):
        packet = chance.randbytes(chance.randint(1, 200))
        try:
            sound = made.decode(packet)
        except MediaError:
            continue
        assert sound.shape[1] == 2
        assert len(sound) <= 5760
        assert np.isfinite(sound).all()


@pytest.mark.parametrize("count", [0, 1, 961, 5760])
def test_block_that_is_no_frame_is_refused(through_av: bool, count: int) -> None:
    with pytest.raises(ValueError, match="no Opus frame"):
        OpusCodec(RATE, through_av=through_av).encode(np.zeros((count, 1), np.float32))


def test_frames_of_several_lengths_by_libopus_only() -> None:
    ours, theirs = OpusCodec(RATE), OpusCodec(RATE, through_av=True)
    ours.encode(tone(RATE, 0.02))
    theirs.encode(tone(RATE, 0.02))

    assert ours.encode(tone(RATE, 0.06))
    with pytest.raises(ValueError, match="960"):
        theirs.encode(tone(RATE, 0.06))


def test_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="2 channels"):
        OpusCodec(RATE, 2).encode(tone(RATE, 0.02))


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (48_000, 3)])
def test_rate_or_channels_that_opus_has_not_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(ValueError, match="Opus has no"):
        OpusCodec(rate, channels)


@pytest.mark.parametrize(
    "settings", [{"bitrate_bps": 1}, {"complexity": 11}, {"application": "music"}]
)
def test_settings_that_opus_has_not_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Opus"):
        OpusSettings(**settings)  # type: ignore[arg-type]


def test_refusals_of_libopus_are_told() -> None:
    opus = library()
    assert opus is not None

    with pytest.raises(ValueError, match="44100"):
        LibraryEncoder(opus, 44_100, 1, "audio", (32_000, 5, False, False))
    with pytest.raises(ValueError, match="Opus setting"):
        LibraryEncoder(opus, 48_000, 1, "audio", (32_000, 99, False, False))
