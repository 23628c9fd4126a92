"""Clips decode from every place they can be begun at, and their marks are where they say."""

from __future__ import annotations

import av
import numpy as np
import pytest

from roomful.errors import InvalidArgument
from roomful_testing import card, tone
from roomful_testing.clip import Film
from roomful_testing.payload import joined
from roomful_testing.replay import cache, encode
from roomful_testing.replay.cache import ClipCache
from roomful_testing.replay.program import FilmProgram, SoundProgram

RATE = 48_000
SMALL = {"width": 160, "height": 90, "per_second": 10, "source": 9}


def readings(film: Film, entry: int) -> list[card.Reading | None]:
    decoder = av.CodecContext.create(film.codec, "r")
    packets = [av.Packet(joined(film.codec, picture)) for picture in film.entries[entry]]
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    return [card.read(frame.to_ndarray(format="yuv420p")) for frame in frames]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_film_decodes_from_each_entry_with_the_time_of_its_place(codec):
    film = encode.film(FilmProgram(codec, seconds=2, **SMALL))

    assert list(film.entries) == [0, 5, 10, 15]
    assert film.pictures == film.entries[0]
    for entry in film.entries:
        found = readings(film, entry)
        assert [reading.time_us for reading in found] == [
            place * 100_000 for place in range(entry, 20)
        ]
        assert {reading.source for reading in found} == {9}
        assert max(reading.error for reading in found) < 24
        assert [reading.is_lit for reading in found] == [
            place % 10 == 0 for place in range(entry, 20)
        ]


def test_sound_repeats_without_a_click_and_chirps_at_full_seconds():
    sound = encode.sound(SoundProgram(331))
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    frames = [f for packet in sound.packets * 4 for f in decoder.decode(av.Packet(packet))]
    samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]) / 32768
    heard = tone.read(samples[RATE // 2 :], RATE, 500_000)

    assert len(sound.packets) == 50
    assert heard.hertz == pytest.approx(331, abs=0.1)
    assert [round(beep / 1000) for beep in heard.beeps_us] == [1000, 2000, 3000]
    quiet = samples[RATE // 2 :].reshape(-1, 480)
    edges = np.abs(np.diff(quiet, axis=1)).max(axis=1)
    assert edges[50] < 2 * np.median(edges) + 0.1  # where the loop begins again


@pytest.mark.parametrize(
    "wrong",
    [
        {"codec": "theora"},
        {"width": 161},
        {"height": 16},
        {"width": 8192},
        {"seconds": 0},
        {"seconds": 60},
        {"per_second": 29},
        {"source": 256},
        {"entry_every": 0},
    ],
)
def test_film_that_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidArgument, match=str(next(iter(wrong.values())))):
        FilmProgram(**wrong)


@pytest.mark.parametrize("wrong", [{"hertz": 440.5}, {"hertz": 20}, {"bitrate": 1}])
def test_sound_that_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        SoundProgram(**wrong)


def test_clip_is_encoded_once_and_read_afterwards(tmp_path, monkeypatch):
    film, sound = FilmProgram(seconds=1, **SMALL), SoundProgram(440)
    made = ClipCache(tmp_path)
    first, tone_first = made.film(film), made.sound(sound)

    assert made.film(film) is first
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((film.key, sound.key))
    monkeypatch.setattr(cache, "_encoder", lambda: pytest.fail("encoded again"))
    assert ClipCache(tmp_path).film(film) == first
    assert ClipCache(tmp_path).sound(sound) == tone_first


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: b"[]\n"])
def test_damaged_file_is_made_again(tmp_path, damage):
    program = SoundProgram(440)
    first = ClipCache(tmp_path).sound(program)
    path = tmp_path / program.key
    whole = path.read_bytes()
    path.write_bytes(damage(whole))

    assert ClipCache(tmp_path).sound(program) == first
    assert path.read_bytes() == whole


def test_folder_that_cannot_be_written_does_not_matter(tmp_path):
    (tmp_path / "file").touch()
    clips = ClipCache(tmp_path / "file" / "clips")

    assert len(clips.sound(SoundProgram(440)).packets) == 50


def test_other_parameters_have_other_names():
    programs = [
        FilmProgram(), FilmProgram("h264"), FilmProgram(seconds=1), SoundProgram(), SoundProgram(441),
    ]  # fmt: skip

    assert len({program.key for program in programs}) == len(programs)
