"""The N-1 mixer."""

from __future__ import annotations

import numpy as np
import pytest

from roomful.errors import AlreadyExists, MediaError, NotFound
from roomful_media.frames import AudioBlock
from roomful_media.mix import Mixer, Route

START_US = 5_000_000
RATE = 48_000


def tone(hz: float, blocks: int, *, rate: int = RATE, channels: int = 1, level: float = 0.3,
         start_us: int = START_US, ppm: float = 0.0) -> list[AudioBlock]:  # fmt: skip
    """A sine in blocks of 20 ms, by a clock that runs `ppm` too fast."""
    size = rate // 50
    at = np.arange(blocks * size) / (rate * (1 + ppm * 1e-6))
    wave = (level * np.sin(2 * np.pi * hz * at)).astype(np.float32)
    return [
        AudioBlock(
            np.repeat(wave[n * size : (n + 1) * size, None], channels, axis=1),
            rate,
            start_us + round(1e6 * at[n * size]),
        )
        for n in range(blocks)
    ]


def power(samples: np.ndarray, hz: float, rate: int = RATE) -> float:
    """Amplitude of a sine in the samples."""
    at = np.arange(len(samples)) / rate
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * hz * at))))


def run(mixer: Mixer, inputs: dict[str, list[AudioBlock]]) -> list:
    """Write a block of each and tick, until all are through; the first of each is ahead."""
    mixes = []
    for n in range(max(map(len, inputs.values()))):
        for key, blocks in inputs.items():
            if n < len(blocks):
                mixer.write(key, blocks[n])
        if n >= 3:
            mixes.append(mixer.tick())
    return mixes


def heard(mixes: list, *own: str) -> np.ndarray:
    return np.concatenate([mix.without(*own) for mix in mixes])


def mixer_of(*keys: str, channels: int = 1, rate: int = RATE) -> Mixer:
    mixer = Mixer(rate, channels, START_US)
    for key in keys:
        mixer.add(key)
    return mixer


def test_everybody_hears_all_but_themselves() -> None:
    mixer = mixer_of("anna", "bert", "cora")
    mixes = run(mixer, {"anna": tone(500, 50), "bert": tone(1000, 50), "cora": tone(1500, 50)})

    sound = heard(mixes, "bert")[RATE // 10 :, 0]
    for hz, level in ((500, 0.3), (1000, 0.0), (1500, 0.3)):
        assert power(sound, hz) == pytest.approx(level, abs=0.003)


def test_inputs_of_any_rate_keep_pitch_and_level() -> None:
    mixer = mixer_of("anna", "bert", "cora", rate=16_000)
    inputs = {
        "anna": tone(500, 100, rate=8000),
        "bert": tone(1000, 100, rate=48_000, channels=2),
        "cora": tone(1500, 100, rate=44_100),
    }
    sound = heard(run(mixer, inputs))[16_000 // 2 : 16_000, 0]

    for hz in (500, 1000, 1500):
        assert power(sound, hz, 16_000) == pytest.approx(0.3, abs=0.01)


def test_a_block_sounds_at_its_time() -> None:
    mixer = mixer_of("anna", rate=8000)
    click = np.zeros((160, 1), np.float32)
    click[40:44] = 0.5
    quiet = np.zeros((160, 1), np.float32)
    for n in range(10):
        mixer.write("anna", AudioBlock(click if n == 6 else quiet, 8000, START_US + n * 20_000))
    sound = heard([mixer.tick() for _ in range(10)])[:, 0]

    assert int(np.argmax(sound > 0.25)) == 6 * 160 + 40


def test_resampled_sound_keeps_its_time() -> None:
    mixer = mixer_of("anna")
    ping = np.zeros(8000, np.float32)
    ping[4000:4400] = 0.5 * np.sin(2 * np.pi * 700 * np.arange(400) / 8000)
    blocks = [AudioBlock(ping[n * 160 : (n + 1) * 160, None], 8000, START_US + n * 20_000)
              for n in range(50)]  # fmt: skip
    sound = heard(run(mixer, {"anna": blocks}))[:, 0]

    begin = int(np.argmax(np.abs(sound) > 0.1)) / RATE
    assert begin == pytest.approx(0.5, abs=0.001)


def test_a_drifting_clock_is_followed_without_holes() -> None:
    for ppm in (200.0, -200.0):
        mixer = mixer_of("anna")
        sound = heard(run(mixer, {"anna": tone(1000, 1500, ppm=ppm)}))[RATE:, 0]

        for window in np.split(sound[: RATE * 28], 280):
            assert power(window, 1000) == pytest.approx(0.3, abs=0.005)
        assert mixer.statistics("anna") == {"late": 0, "dropped": 0, "missing": 0}
        # no step is larger than the sine's own: nothing clicks
        assert np.abs(np.diff(sound)).max() < 1.1 * 0.3 * 2 * np.pi * 1000 / RATE


def test_joining_and_leaving_is_ramped() -> None:
    mixer = mixer_of("anna")
    flat = np.full((960, 1), 0.5, np.float32)
    mixes = []
    for n in range(4):
        mixer.write("anna", AudioBlock(flat, RATE, START_US + n * 20_000))
    mixes += [mixer.tick() for _ in range(2)]
    mixer.remove("anna")
    mixes += [mixer.tick() for _ in range(2)]
    sound = heard(mixes)[:, 0]

    assert np.abs(np.diff(sound)).max() < 0.5 / 400
    assert sound[240] == pytest.approx(0.25, abs=0.01)
    assert sound[2 * 960 + 240] == pytest.approx(0.25, abs=0.01)
    assert not sound[2 * 960 + 480 :].any()
    assert mixer.keys == ()


def test_a_hole_is_silence_between_ramps_and_what_follows_keeps_its_time() -> None:
    mixer = mixer_of("anna")
    flat = np.full((960, 1), 0.5, np.float32)
    for n in (0, 1, 5, 6):
        mixer.write("anna", AudioBlock(flat, RATE, START_US + n * 20_000))
    sound = heard([mixer.tick() for _ in range(7)])[:, 0]

    assert not sound[2 * 960 : 5 * 960].any()
    assert sound[5 * 960 + 480 :].min() == pytest.approx(0.5, abs=1e-6)
    assert np.abs(np.diff(sound)).max() < 0.5 / 400


def test_a_source_that_stops_fades_and_one_that_is_late_is_cut() -> None:
    mixer = mixer_of("anna")
    flat = np.full((960, 1), 0.5, np.float32)
    mixer.write("anna", AudioBlock(flat, RATE, START_US))
    mixes = [mixer.tick() for _ in range(3)]
    mixer.write("anna", AudioBlock(flat, RATE, START_US + 50_000))
    mixes += [mixer.tick() for _ in range(2)]
    sound = heard(mixes)[:, 0]

    assert np.abs(np.diff(sound)).max() < 0.5 / 400
    assert mixer.statistics("anna")["late"] == 480
    assert sound[3 * 960 : 3 * 960 + 480].max() == pytest.approx(0.5, abs=0.01)


def test_what_is_far_ahead_of_the_clock_is_dropped_and_counted() -> None:
    mixer = Mixer(RATE, 1, START_US, hold_ms=100)
    mixer.add("anna")
    for block in tone(440, 20):
        mixer.write("anna", block)

    assert mixer.statistics("anna")["dropped"] == 15 * 960


def test_a_source_that_jumps_in_time_is_placed_anew() -> None:
    mixer = mixer_of("anna")
    flat = np.full((960, 1), 0.5, np.float32)
    mixer.write("anna", AudioBlock(flat, RATE, START_US - 3_600_000_000))
    mixer.write("anna", AudioBlock(flat, RATE, START_US + 3_600_000_000))
    mixer.write("anna", AudioBlock(flat, RATE, START_US + 20_000))
    sound = heard([mixer.tick() for _ in range(3)])[:, 0]

    assert sound[960 + 480 : 2 * 960].min() == pytest.approx(0.5, abs=0.01)


def test_routes_put_participants_on_their_channels() -> None:
    mixer = Mixer(RATE, 2, START_US)
    mixer.add("agent", Route.LEFT)
    mixer.add("caller", Route.RIGHT)
    sound = heard(run(mixer, {"agent": tone(500, 50, channels=2), "caller": tone(1000, 50)}))[4800:]

    assert power(sound[:, 0], 500) == pytest.approx(0.3, abs=0.003)
    assert power(sound[:, 0], 1000) < 0.003
    assert power(sound[:, 1], 1000) == pytest.approx(0.3, abs=0.003)
    assert power(sound[:, 1], 500) < 0.003


def test_stereo_stays_stereo() -> None:
    mixer = mixer_of("anna", channels=2)
    blocks = [AudioBlock(b.samples * np.array([1, 0.5], np.float32), RATE, b.time_us)
              for b in tone(500, 50, channels=2)]  # fmt: skip
    sound = heard(run(mixer, {"anna": blocks}))[4800:]

    assert power(sound[:, 0], 500) == pytest.approx(2 * power(sound[:, 1], 500), rel=0.01)


def test_many_loud_voices_stay_within_full_scale() -> None:
    keys = [f"p{n}" for n in range(10)]
    mixer = mixer_of(*keys)
    sound = heard(run(mixer, {key: tone(400, 20, level=0.5) for key in keys}))

    assert 0.9 < np.abs(sound).max() <= 1.0


def test_a_quiet_mix_is_passed_untouched() -> None:
    mixer = mixer_of("anna")
    blocks = tone(440, 20, level=0.5)
    sound = heard(run(mixer, {"anna": blocks}))[960:]

    assert np.array_equal(
        sound, np.concatenate([b.samples for b in blocks])[960 : len(sound) + 960]
    )


@pytest.mark.parametrize("shape", [(960,), (960, 9), (3, 2, 1)])
def test_what_is_no_sound_is_refused(shape: tuple[int, ...]) -> None:
    mixer = mixer_of("anna")

    with pytest.raises(MediaError, match="shape"):
        mixer.write("anna", AudioBlock(np.zeros(shape, np.float32), RATE, START_US))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_numbers_that_are_no_sound_harm_only_their_source(value: float) -> None:
    mixer = mixer_of("anna", "mallory")
    hostile = np.full((960, 2), value, np.float32) * np.array([1, -1], np.float32)
    blocks = [AudioBlock(hostile, RATE, START_US + n * 20_000) for n in range(50)]
    mixes = run(mixer, {"anna": tone(500, 50), "mallory": blocks})

    assert power(heard(mixes, "mallory")[4800:, 0], 500) == pytest.approx(0.3, abs=0.003)
    assert np.isfinite(heard(mixes)).all()


def test_samples_of_another_type_are_refused() -> None:
    with pytest.raises(MediaError, match="float64"):
        mixer_of("anna").write("anna", AudioBlock(np.zeros((960, 1)), RATE, START_US))


def test_wrong_keys_rates_and_mixes_are_refused() -> None:
    mixer = mixer_of("anna")

    with pytest.raises(AlreadyExists, match="anna"):
        mixer.add("anna")
    with pytest.raises(NotFound, match="bert"):
        mixer.write("bert", tone(440, 1)[0])
    with pytest.raises(MediaError, match="rate of 7"):
        mixer.write("anna", AudioBlock(np.zeros((10, 1), np.float32), 7, START_US))
    with pytest.raises(MediaError, match="3 channels"):
        Mixer(RATE, 3, 0)
    mixer.remove("nobody")


def test_skipped_ticks_pass_unheard() -> None:
    mixer = mixer_of("anna")
    for block in tone(440, 10):
        mixer.write("anna", block)
    mixer.skip(4)

    mix = mixer.tick()
    assert mix.time_us == START_US + 80_000
    assert mix.own["anna"][0, 0] == 0.0
    assert power(mixer.tick().sum[:, 0], 400) > 0.05
    mixer.skip(1_000_000_000)
    assert mixer.tick().own == {}
