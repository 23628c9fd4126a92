"""From participants' sound and pictures to a file: mix, composite, encode, mux together."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from roomful_media.composite import Compositor, Look, frame_time_us
from roomful_media.encode import AudioEncoder, AudioOptions, VideoEncoder, VideoOptions
from roomful_media.finish import Part, finish
from roomful_media.fonts import Typefaces
from roomful_media.fragment import FragmentedFile
from roomful_media.frames import AudioBlock, Picture
from roomful_media.label import Lettering
from roomful_media.mix import Mixer
from roomful_media.mux import Container
from roomful_media.sink import Fanout, Sink

START_US = 987_654_321
FPS, SECONDS = 30, 6
SOURCE_FPS, SOURCE_RATE = 24, 16_000


def shot(number: int) -> Picture:
    """White for a frame at each whole second, else dark; 24 frames a second."""
    frame = av.VideoFrame(320, 180, "yuv420p")
    for index, plane in enumerate(frame.planes):
        white = number % SOURCE_FPS == 0
        value = (235 if white else 40) if index == 0 else 128
        np.frombuffer(plane, np.uint8)[:] = value
    return Picture(frame, START_US + number * 1_000_000 // SOURCE_FPS)


def spoken(number: int) -> AudioBlock:
    """A beep of 100 ms at each whole second, from a clock that is 150 ppm fast."""
    size = SOURCE_RATE // 50
    at = (np.arange(size) + number * size) / (SOURCE_RATE * (1 + 150e-6))
    wave = np.where(at % 1.0 < 0.1, 0.5 * np.sin(2 * np.pi * 1000 * at), 0).astype(np.float32)
    return AudioBlock(wave[:, None], SOURCE_RATE, START_US + round(1e6 * at[0]))


@pytest.mark.parametrize("video", ["h264", "vp8"])
def test_flash_and_beep_stay_together(video: str, tmp_path: Path, media_watch) -> None:
    container = Container.MP4 if video == "h264" else Container.MATROSKA
    mixer = Mixer(48_000, 2, START_US)
    compositor = Compositor(640, 360, "grid", Lettering(Typefaces(system=False)))
    for key in ("anna", "bert"):
        mixer.add(key)
        compositor.add(key, Look(key.title()))
    picture = VideoEncoder(VideoOptions(video, 640, 360, FPS, 500_000))
    sound = AudioEncoder(AudioOptions("aac" if video == "h264" else "opus"))
    part = tmp_path / f"part{container.suffix}"
    fan = Fanout()
    fan.add(Sink("file", lambda: FragmentedFile(part, container, [picture, sound])))
    shots = blocks = ticks = 0
    for number in range(FPS * SECONDS):
        at = frame_time_us(START_US, number, FPS)
        while (next_shot := shot(shots)).time_us <= at:
            compositor.put("anna", next_shot)
            shots += 1
        while (block := spoken(blocks)).time_us <= at + 100_000:
            mixer.write("anna", block)
            blocks += 1
        for packet in picture.encode(compositor.compose(at), number):
            fan.offer(packet)
        while mixer.time_us <= at:
            ticks += 1
            for packet in sound.encode(mixer.tick().total()):
                fan.offer(packet)
    for encoder in (picture, sound):
        for packet in encoder.flush():
            fan.offer(packet)
    fan.close()
    assert fan.failed() == []

    plain = Container.MP4 if video == "h264" else Container.WEBM
    done = finish([Part(part)], tmp_path / f"done{plain.suffix}", plain)
    watched = media_watch(done.path)
    white = [at for at, luma in watched.frames if luma[180, 80] > 200]
    flashes = [at for at in white if at - 1 / FPS - 0.005 not in white]
    begins = [at for n, at in enumerate(flashes) if n == 0 or at - flashes[n - 1] > 0.5]
    offsets = [min(watched.beeps_s, key=lambda b, a=at: abs(b - a)) - at for at in begins]
    assert len(watched.frames) == FPS * SECONDS
    assert len(begins) == SECONDS
    assert max(map(abs, offsets)) <= 0.02, offsets
    assert mixer.statistics("anna")["late"] == 0
