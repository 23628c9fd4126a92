"""FFmpeg as an RTMP encoder: clips of the bars and a tone, pushed in real time."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .media import BARS, LOUDNESS

FPS, SECONDS = 15, 20
WIDTH, HEIGHT = 336, 240
PLAIN = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
         "-profile:v", "baseline", "-g", "15"]  # fmt: skip
B_FRAMES = ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-bf", "2", "-g", "15"]


def clip(
    folder: Path, *video: str, sound: bool = True, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> Path:
    """A file with bars (unless `video` is empty) and a tone of 440 Hz in AAC."""
    path = folder / f"clip{abs(hash((video, sound, size)))}.flv"
    command = ["ffmpeg", "-loglevel", "error", "-y"]
    if video:
        each = f"s={size[0] // 3}x{size[1]}:r={FPS}"
        colours = [f"color=0x{r:02x}{g:02x}{b:02x}:{each}" for r, g, b in BARS]
        graph = "".join(f"{c}[{i}];" for i, c in enumerate(colours)) + "[0][1][2]hstack=3"
        command += ["-f", "lavfi", "-i", graph]
    if sound:
        volume = LOUDNESS / 4096
        command += ["-f", "lavfi", "-i", f"sine=frequency=440:r=44100,volume={volume}"]
        command += ["-c:a", "aac", "-b:a", "96k", "-ac", "2"]
    command += [*video, "-pix_fmt", "yuv420p"] if video else []
    subprocess.run([*command, "-t", str(SECONDS), str(path)], check=True)
    return path


@asynccontextmanager
async def push(source: Path, url: str, *arguments: str) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """Push a file in real time for as long as the block lasts; `arguments` before the output."""
    command = ["ffmpeg", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", str(source)]
    child = subprocess.Popen(
        [*command, "-c", "copy", *arguments, "-f", "flv", url],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        await asyncio.to_thread(child.wait)
        assert child.stderr is not None
        child.stderr.close()
