"""Whole tracks: real media, a bad network, pictures and sound out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from roomful.errors import MediaError
from roomful_media.clock import ParticipantClock
from roomful_media.codecs.g711 import G711Codec
from roomful_media.codecs.g722 import G722Codec
from roomful_media.codecs.opus import OpusCodec, OpusSettings
from roomful_media.delay import DelayRange
from roomful_media.frames import AudioBlock, Picture
from roomful_media.intake import TrackFormat
from roomful_media.jitter import Gap
from roomful_media.receive import (
    MOST_PICTURES,
    AudioReceiver,
    TrackReceiver,
    VideoReceiver,
    track_receiver,
)
from roomful_rtc.payload.depacketisers import packetiser

from . import clips
from .network import START_US, Arrived, Network, Sent, Source, through

DELAY = DelayRange(200_000, 200_000)
PICTURE_US, BLOCK_US = 33_333, 20_000
STEP_US = 10_000
Wished = Callable[[int], None]


def video(codec: str = "vp8", delay: DelayRange = DELAY) -> VideoReceiver:
    made = track_receiver(TrackFormat(codec, 90_000), ParticipantClock(), delay)
    assert isinstance(made, VideoReceiver)
    return made


def audio(codec: str = "opus", rate: int = 48_000, clock_rate: int = 48_000) -> AudioReceiver:
    made = track_receiver(TrackFormat(codec, clock_rate, rate), ParticipantClock(), DELAY)
    assert isinstance(made, AudioReceiver)
    return made


def film(codec: str, frames: Iterable[bytes], source: Source | None = None) -> list[Sent]:
    """Packets of pictures, sent when they are captured."""
    source, made, sent = source or Source(90_000), packetiser(codec), []
    for number, data in enumerate(frames):
        captured = START_US + number * PICTURE_US
        for place, packet in enumerate(source.packets(made.packetise(data), captured)):
            sent.append(Sent(captured + place * 300, packet))
    return sent


def speech(packets: Iterable[bytes], clock_rate: int = 48_000) -> list[Sent]:
    """A packet each 20 ms."""
    source = Source(clock_rate)
    return [
        Sent(START_US + number * BLOCK_US, packet)
        for number, data in enumerate(packets)
        for packet in source.packets([data], START_US + number * BLOCK_US)
    ]


def play(
    to: TrackReceiver, records: Iterable[Arrived], more_us: int = 500_000
) -> tuple[list[Picture | AudioBlock], int, set[int]]:
    """Write what arrives, take each 10 ms; return what came, key frames wished and NACKs."""
    out: list[Picture | AudioBlock] = []
    keys, nacks, now = 0, set[int](), START_US
    waiting = list(records)
    end = waiting[-1].at_us + more_us
    at = 0
    while now < end:
        now += STEP_US
        while at < len(waiting) and waiting[at].at_us <= now:
            packet = waiting[at].packet
            assert packet is not None
            to.write(memoryview(packet), waiting[at].at_us * 1000)
            at += 1
        out += to.take(now * 1000)
        wishes = to.wishes(now * 1000)
        keys += wishes.key_frame
        nacks.update(wishes.nacks)
    return out, keys, nacks


def numbers(pictures: list[Picture | AudioBlock]) -> list[int]:
    return [clips.shade(p.frame) for p in pictures if isinstance(p, Picture)]


def sound(blocks: list[Picture | AudioBlock]) -> np.ndarray:
    return np.concatenate([b.samples for b in blocks if isinstance(b, AudioBlock)])


def tone(rate: int, seconds: float) -> list[np.ndarray]:
    phase = np.arange(round(rate * seconds)) * (2 * np.pi * 440 / rate)
    samples = (0.25 * np.sin(phase)).astype(np.float32)[:, None]
    size = rate // 50
    return [samples[at : at + size] for at in range(0, len(samples), size)]


# --- video ---


@pytest.fixture(params=["vp8", "vp9", "av1", "h264"])
def codec(request: pytest.FixtureRequest) -> str:
    return request.param


def clip(codec: str) -> list[bytes]:
    return [frame.data for frame in clips.clip(codec)]


def test_reordered_and_doubled_packets_give_every_picture_with_its_time(codec: str) -> None:
    network = Network(jitter_us=5_000, reorder=0.1, duplicate=0.05)

    pictures, keys, _ = play(to := video(codec), through(network, film(codec, clip(codec))))

    assert len(pictures) == clips.PICTURES
    assert all(abs(a - b) <= 1 for a, b in zip(numbers(pictures), range(99), strict=False))
    times = [p.time_us for p in pictures]
    assert np.diff(times) == pytest.approx(PICTURE_US, abs=1_500)
    assert keys == 0
    assert to.counters.duplicate > 0


@pytest.mark.parametrize("seed", range(3))
def test_after_loss_only_whole_pictures_are_shown(codec: str, seed: int) -> None:
    network = Network(loss=0.08, reorder=0.02, seed=seed)

    pictures, keys, nacks = play(to := video(codec), through(network, film(codec, clip(codec))))

    assert to.counters.lost
    assert keys >= 1
    assert nacks
    shown = numbers(pictures)
    assert shown == sorted(shown)
    # every picture shown is the one that was meant, not a smear of it
    for picture, number in zip(pictures, shown, strict=True):
        captured = picture.time_us - pictures[0].time_us
        assert abs(number - shown[0] - captured / PICTURE_US) <= 1.1


def test_what_was_sent_again_in_time_leaves_no_hole() -> None:
    sent = film("vp8", clip("vp8"))
    lost = sent.pop(40)
    again = Sent(lost.at_us + 120_000, lost.packet)

    pictures, keys, nacks = play(
        to := video(), through(Network(), sorted([*sent, again], key=lambda s: s.at_us))
    )

    assert len(pictures) == clips.PICTURES
    assert len(nacks) == 1
    assert (keys, to.counters.lost) == (0, 0)


def test_hole_that_stays_is_told_before_its_time_has_come() -> None:
    to = video(delay=DelayRange(2_000_000, 2_000_000))
    sent = film("vp8", clip("vp8"))
    del sent[10]
    asked_at = 0
    for record in through(Network(), sent):
        assert record.packet is not None
        to.write(memoryview(record.packet), record.at_us * 1000)
        if to.wishes(record.at_us * 1000).key_frame and not asked_at:
            asked_at = record.at_us - START_US

    assert 200_000 < asked_at < 600_000


def test_key_frames_are_asked_for_at_most_once_a_second() -> None:
    deltas = clip("vp8")[1:20] * 4

    pictures, keys, _ = play(to := video(), through(Network(), film("vp8", deltas)))

    assert pictures == []
    assert to.decoding.frozen == len(deltas)
    assert 2 <= keys <= 3


def test_source_switch_goes_on_with_its_key_frame() -> None:
    first = film("vp8", clip("vp8")[:20])
    other = Source(90_000, first_ts=5, ssrc=9, seq=100)
    made, second = packetiser("vp8"), []
    for number, data in enumerate(clip("vp8")[:20], start=20):
        captured = START_US + number * PICTURE_US
        packets = other.packets(made.packetise(data), captured)
        second += [Sent(captured, packet) for packet in packets]

    pictures, _, _ = play(to := video(), through(Network(), [*first, *second]))

    assert to.counters.restarts == 1
    assert numbers(pictures)[-20:] == pytest.approx(list(range(20)), abs=1)
    assert np.diff([p.time_us for p in pictures]) == pytest.approx(PICTURE_US, abs=2_000)


def test_pause_waits_for_a_key_frame() -> None:
    to = video()
    sent = film("vp8", clip("vp8"))
    now = START_US
    out: list[Picture] = []
    for place, (at_us, packet) in enumerate(sent):
        if place == 30:
            to.gap(0, Gap.PAUSED)
        now = at_us
        to.write(memoryview(packet), now * 1000)
        out += to.take(now * 1000)
    out += to.take((now + 10**6) * 1000)

    shown = numbers([*out])
    assert shown[-20:] == pytest.approx(list(range(20, 40)), abs=1)
    assert 0 < to.decoding.frozen < 20


def test_undecodable_frames_are_counted_and_a_key_frame_mends_it(codec: str) -> None:
    chance = random.Random(5)
    frames = clip(codec)
    if codec in ("vp8", "vp9"):
        broken = frames[0][:1] + chance.randbytes(400)
    else:
        broken = bytearray(frames[0])
        for at in range(6, len(broken)):
            broken[at] ^= 0x55 if at % 3 == 0 else 0
    sent = film(codec, [*frames[:5], bytes(broken), *frames[6:]])

    pictures, _, _ = play(video(codec), through(Network(), sent))

    shown = numbers(pictures)
    assert shown[:5] == pytest.approx(list(range(5)), abs=1)
    assert shown[-20:] == pytest.approx(list(range(20, 40)), abs=1)


def test_truncated_frames_raise_nothing(codec: str) -> None:
    chance = random.Random(6)
    made, source, sent = packetiser(codec), Source(90_000), []
    for number, data in enumerate(clip(codec)):
        payloads = made.packetise(data)
        payloads[-1] = payloads[-1][: chance.randint(1, len(payloads[-1]))]
        at = START_US + number * PICTURE_US
        sent += [Sent(at, packet) for packet in source.packets(payloads, at)]

    play(video(codec), through(Network(), sent))


@pytest.mark.parametrize("other", ["vp8", "vp9", "av1", "h264"])
def test_media_of_another_codec_is_an_error_after_ten_seconds_only(codec: str, other: str) -> None:
    if other == codec:
        return
    once = [packet for _, packet in film(other, clip(other)[:20])]
    to, source, now = video(codec), Source(90_000), START_US
    seen = 0
    with pytest.raises(MediaError, match="for 10 s"):
        while now < START_US + 13_000_000:
            now += 10_000
            payload = once[seen % len(once)][12:]
            for packet in source.packets([payload], now):
                to.write(memoryview(packet), now * 1000)
            seen += 1
            to.take(now * 1000)

    assert now - START_US > 10_000_000


# --- audio ---


@pytest.mark.parametrize(
    ("name", "rate", "make"),
    [
        ("opus", 48_000, lambda: OpusCodec(48_000)),
        ("pcmu", 8_000, lambda: G711Codec("pcmu")),
        ("pcma", 8_000, lambda: G711Codec("pcma")),
        ("g722", 16_000, G722Codec),
    ],
)
def test_tone_comes_out_without_a_seam(name: str, rate: int, make: Callable[[], OpusCodec]) -> None:
    clock_rate = 48_000 if name == "opus" else 8_000
    sent = speech([make().encode(block) for block in tone(rate, 0.02)], clock_rate)
    encoder = make()
    sent = speech([encoder.encode(block) for block in tone(rate, 1)], clock_rate)

    blocks, _, _ = play(audio(name, rate, clock_rate), through(Network(jitter_us=3_000), sent))

    real = [b for b in blocks if isinstance(b, AudioBlock) and not b.concealed]
    assert len(real) == 50
    assert {b.rate for b in real} == {rate}
    assert np.diff([b.time_us for b in real]) == pytest.approx(BLOCK_US, abs=1_100)
    assert np.sqrt(np.mean(sound(blocks)[rate // 10 : -rate // 10] ** 2)) == pytest.approx(
        0.177, rel=0.1
    )


def opus(seconds: float, *, fec: bool = False) -> list[bytes]:
    encoder = OpusCodec(48_000, settings=OpusSettings(24_000, "voip", fec=fec))
    return [encoder.encode(block) for block in tone(48_000, seconds)]


@pytest.mark.parametrize("fec", [False, True])
def test_single_losses_are_concealed_without_a_hole(fec: bool) -> None:
    sent = speech(opus(2, fec=fec))
    kept = [packet for number, packet in enumerate(sent) if number % 10 != 7]

    blocks, _, nacks = play(to := audio(), through(Network(), kept))

    assert len(nacks) == 10
    assert to.decoding.concealed == 10 + 3  # and 60 ms behind the last
    assert len(blocks) == 103
    assert np.diff([b.time_us for b in blocks]) == pytest.approx(BLOCK_US, abs=1_100)
    made_up = next(b for b in blocks if isinstance(b, AudioBlock) and b.concealed)
    loudness = np.sqrt(np.mean(made_up.samples**2))
    # with error correction it is the sound that was lost, without it a fading guess
    assert loudness == pytest.approx(0.173, rel=0.05) if fec else 0.05 < loudness < 0.16


def test_long_hole_is_concealed_for_60_ms_then_silent() -> None:
    sent = speech(opus(2))
    kept = sent[:30] + sent[60:]

    blocks, _, _ = play(to := audio(), through(Network(), kept))

    steps = np.diff([b.time_us for b in blocks])
    assert steps.max() == pytest.approx(27 * BLOCK_US + BLOCK_US, abs=1_500)
    assert to.decoding.concealed == 6
    assert to.counters.lost == 30


def test_packet_that_comes_after_it_was_concealed_is_late() -> None:
    sent = speech(opus(1))
    sent[20] = Sent(sent[20].at_us + 250_000, sent[20].packet)

    blocks, _, _ = play(
        to := audio(), through(Network(), sorted(sent, key=lambda packet: packet.at_us))
    )

    assert to.counters.late + to.decoding.late == 1
    assert np.diff([b.time_us for b in blocks]) == pytest.approx(BLOCK_US, abs=1_100)


def test_silence_that_is_not_sent_is_no_loss() -> None:
    packets = opus(2)
    sent = [s for number, s in enumerate(speech(packets)) if not 30 <= number < 60]
    source = Source(48_000)
    renumbered = []
    for at_us, _ in sent:
        (packet,) = source.packets([packets[(at_us - START_US) // BLOCK_US]], at_us)
        renumbered.append(Sent(at_us, packet))

    _, _, nacks = play(to := audio(), through(Network(), renumbered))

    assert to.counters.lost == 0
    assert nacks == set()


def test_undecodable_audio_is_concealed() -> None:
    packets = opus(1)
    packets[20] = b"\xff\xff\xff"

    blocks, _, _ = play(to := audio(), through(Network(), speech(packets)))

    assert to.decoding.undecodable == 1
    assert np.diff([b.time_us for b in blocks]) == pytest.approx(BLOCK_US, abs=1_100)


def test_audio_that_never_decodes_is_an_error_after_ten_seconds() -> None:
    to = audio()
    sent = speech([b"\xff\xff\xff"] * 600)

    with pytest.raises(MediaError, match="'opus'"):
        play(to, through(Network(), sent))

    assert to.decoding.undecodable == pytest.approx(500, abs=20)


def test_time_that_goes_back_is_another_beginning() -> None:
    to, source = audio(), Source(48_000)
    out: list[AudioBlock] = []
    for number, data in enumerate(opus(2)):
        at = START_US + number * BLOCK_US
        captured = at if number < 50 else at - 6_000_000
        (packet,) = source.packets([data], captured)
        to.write(memoryview(packet), at * 1000)
        out += to.take(at * 1000)

    assert to.decoding.decoded == 90


def test_backlog_comes_in_parts() -> None:
    to = video()
    for at_us, packet in film("vp8", clip("vp8")):
        to.write(memoryview(packet), at_us * 1000)

    parts = [len(to.take((START_US + 10**7) * 1000)) for _ in range(3)]

    assert parts == [MOST_PICTURES, clips.PICTURES - MOST_PICTURES, 0]


def test_packets_of_one_sample_do_not_make_blocks_of_one_sample() -> None:
    to = audio("pcmu", 8_000, 8_000)

    blocks, _, _ = play(to, through(Network(), speech([b"\xff"] * 3, 8_000)))

    assert len(blocks) <= 3 + 3 * 24


def test_unknown_codec_is_told_the_known_ones() -> None:
    with pytest.raises(MediaError, match="opus, pcmu, pcma, g722, vp8, vp9, av1, h264"):
        track_receiver(TrackFormat("red", 48_000), ParticipantClock(), DELAY)
