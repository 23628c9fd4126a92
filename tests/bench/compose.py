"""Scaling and composing without decoding or encoding, beside a bare scale and copy of the same.

    ./dev bench compose [--repeats 5] [--seconds 10] [--tiles 4]

720p30 into 1280x720, with names and the border of a speaker. Bare is PyAV's reformat of the same
pictures and a copy of each into one array, nothing else. Fails above 0.08 core with four tiles.
"""

from __future__ import annotations

import argparse
import statistics
import time

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from roomful_media.canvas import planes_of
from roomful_media.composite import Compositor, Look, frame_time_us
from roomful_media.frames import Picture

from .figures.report import Report
from .figures.servers import OURS

FPS, WIDTH, HEIGHT = 30, 1280, 720
KEPT = 8
"""different pictures of each tile: as many as a decoder has under way"""
MOST_CORE, TILES = 0.08, 4


def pictures(tiles: int) -> list[list[av.VideoFrame]]:
    """Noise that is smooth, as pictures are."""
    noise = np.random.default_rng(1)
    made: list[list[av.VideoFrame]] = []
    for _ in range(tiles):
        frames: list[av.VideoFrame] = []
        for _ in range(KEPT):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane in planes_of(frame):
                coarse = noise.integers(16, 235, (plane.shape[0] // 40, plane.shape[1] // 40))
                plane[:] = np.kron(coarse, np.ones((40, 40)))[: plane.shape[0], : plane.shape[1]]
            frames.append(frame)
        made.append(frames)
    return made


def composed(frames: list[list[av.VideoFrame]], count: int) -> float:
    """Return CPU seconds for so many frames out."""
    compositor = Compositor(WIDTH, HEIGHT)
    for tile in range(len(frames)):
        compositor.add(f"p{tile}", Look(f"Participant {tile}", muted=tile % 2 == 0))
    compositor.speak(frozenset({"p1"}), "p1")
    before = 0.0
    for number in range(count + FPS):
        if number == FPS:  # the first second draws names and makes scalers
            before = time.process_time()
        at = frame_time_us(0, number, FPS)
        for tile, own in enumerate(frames):
            compositor.put(f"p{tile}", Picture(own[number % KEPT], at))
        compositor.compose(at)
    return time.process_time() - before


def bare(frames: list[list[av.VideoFrame]], count: int) -> float:
    """The same without a compositor: a grid of tiles as large, scaled and copied."""
    compositor = Compositor(WIDTH, HEIGHT)
    for tile in range(len(frames)):
        compositor.add(f"p{tile}", Look())
    areas = list(compositor.layout.places.values())
    scalers = [VideoReformatter() for _ in frames]
    canvas = [np.zeros((HEIGHT >> s, WIDTH >> s), np.uint8) for s in (0, 1, 1)]
    before = time.process_time()
    for number in range(count):
        for own, area, scaler in zip(frames, areas, scalers, strict=False):
            small = scaler.reformat(
                own[number % KEPT], area.width, area.height, "yuv420p",
                interpolation=Interpolation.FAST_BILINEAR, threads=1,
            )  # fmt: skip
            for plane, source, shift in zip(canvas, planes_of(small), (0, 1, 1), strict=True):
                x, y = area.x >> shift, area.y >> shift
                plane[y : y + source.shape[0], x : x + source.shape[1]] = source
    return time.process_time() - before


def still(count: int) -> float:
    """Nobody has a camera on: what the clock alone takes."""
    compositor = Compositor(WIDTH, HEIGHT)
    for tile in range(TILES):
        compositor.add(f"p{tile}", Look(f"Participant {tile}"))
    before = time.process_time()
    for number in range(count):
        compositor.compose(frame_time_us(0, number, FPS))
    return time.process_time() - before


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="in turn with the bare operation")
    parser.add_argument("--seconds", type=float, default=10.0, help="of media in each")
    parser.add_argument("--tiles", type=int, default=TILES)
    options = parser.parse_args()
    frames, count = pictures(options.tiles), int(options.seconds * FPS)
    report, name = Report("compose"), f"{options.tiles} × 720p30 → 720p30"
    bares: list[float] = []
    seconds: list[float] = []
    for _ in range(options.repeats):
        bares.append(bare(frames, count) / options.seconds)
        seconds.append(composed(frames, count) / options.seconds)
        report.add(OURS, name, "core", seconds[-1])
        report.add(OURS, "all cameras off", "core", still(count) / options.seconds)
    report.set_bare(name, statistics.median(bares))
    if options.tiles == TILES and statistics.median(seconds) > MOST_CORE:
        report.fail(f"{statistics.median(seconds):.3f} core, {MOST_CORE} is the bar")
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
