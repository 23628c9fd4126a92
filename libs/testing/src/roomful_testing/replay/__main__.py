"""`python -m roomful_testing.replay URL TOKEN`: publish clips until interrupted.

One line a second tells what was sent and what it cost.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from collections.abc import Sequence

from roomful.errors import RoomfulError
from roomful_testing.replay.program import CODECS
from roomful_testing.replay.publisher import Replay, replay


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m roomful_testing.replay",
        description="Publish a test card and a tone, encoded before, until interrupted.",
    )
    parser.add_argument("url", help="of the server: ws://host:port")
    parser.add_argument("token", help="access token that may join and publish")
    parser.add_argument("--video", choices=[*CODECS, "none"], default="vp8")
    parser.add_argument("--simulcast", action="store_true", help="three layers")
    parser.add_argument("--no-audio", action="store_true")
    parser.add_argument("--size", type=_size, default=(1280, 720), metavar="WIDTHxHEIGHT")
    parser.add_argument("--fps", type=int, default=30, help="pictures a second")
    parser.add_argument("--loop", type=int, default=2, metavar="SECONDS")
    parser.add_argument("--source", type=int, default=0, help="number that the card tells")
    parser.add_argument("--hertz", type=int, default=440, help="of the tone")
    parser.add_argument("--seconds", type=float, help="end after so long")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _watch(publisher: Replay, seconds: float | None) -> int:
    loop = asyncio.get_running_loop()
    begin, before, cpu_s = loop.time(), publisher.played, _cpu_s()
    while not publisher.left and (seconds is None or loop.time() - begin < seconds):
        at = loop.time()
        await asyncio.sleep(1.0)
        played, used, span = publisher.played, _cpu_s(), loop.time() - at
        sys.stdout.write(
            f"{(played.packets - before.packets) / span:5.0f} packets/s  "
            f"{8 * (played.octets - before.octets) / span / 1000:6.0f} kbit/s  "
            f"cpu {(used - cpu_s) / span:6.2%}  "
            f"key frames asked {played.key_frames_asked}  resent {played.resent}\n"
        )
        sys.stdout.flush()
        before, cpu_s = played, used
    if publisher.left:
        sys.stderr.write(f"ended: {publisher.left}\n")
    return 1 if publisher.left else 0


async def _run(chosen: argparse.Namespace) -> int:
    async with replay(
        chosen.url,
        chosen.token,
        video=None if chosen.video == "none" else chosen.video,
        simulcast=chosen.simulcast,
        audio=not chosen.no_audio,
        seconds=chosen.loop,
        size=chosen.size,
        per_second=chosen.fps,
        source=chosen.source,
        hertz=chosen.hertz,
    ) as publisher:
        tracks = " ".join(filter(None, (publisher.audio_sid, publisher.video_sid)))
        sys.stdout.write(f"publishing {tracks}\n")
        return await _watch(publisher, chosen.seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish; return the exit status: 1 where the server refused or ended it."""
    try:
        return asyncio.run(_run(_options().parse_args(arguments)))
    except KeyboardInterrupt:
        return 0
    except RoomfulError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
