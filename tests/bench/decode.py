"""CPU of receiving and decoding four 720p30 VP8 tracks, beside PyAV decoding the same frames alone.

    ./dev bench decode [--tracks 4] [--seconds 4] [--repeats 5]

The receive path takes RTP packets as the local link hands them over and gives pictures with common
media times: depacketising, jitter buffer, clocks, decoding. Both run in this process, in turn, on
time that is not real: nothing waits. Exit status 1 when the median ratio is above the bar.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import av

from roomful_media.clock import ParticipantClock
from roomful_media.delay import DelayRange
from roomful_media.intake import TrackFormat
from roomful_media.receive import TrackReceiver, track_receiver
from roomful_media.send import TrackSender

from .peers.clips import CAMERA, vp8_film

BAR = 1.15
PICTURE_NS = 1_000_000_000 // 30
DELAY = DelayRange(100_000, 100_000)
START_NS = 1_000_000_000_000


@dataclass(slots=True)
class Recorder:
    """Keeps what a sender writes, a picture at a time."""

    packets: list[bytes]
    reports: list[tuple[int, int]]

    def write(self, packet: bytes, arrival_ns: int) -> None:
        self.packets.append(packet)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self.reports.append((rtp_ts, ntp))


@dataclass(frozen=True, slots=True)
class Turn:
    """All that arrives of one track for one picture."""

    at_ns: int
    packets: list[memoryview]
    reports: list[tuple[int, int]]


def film(seconds: float) -> list[bytes]:
    """Encoded pictures; the key frame comes every two seconds."""
    once = [b"".join(pieces) for pieces in vp8_film(CAMERA)]
    count = int(seconds * CAMERA.per_second)
    return [once[number % len(once)] for number in range(count)]


def packed(frames: list[bytes]) -> list[Turn]:
    """The frames as a sender of ours puts them on the link."""
    out = Recorder([], [])
    sender = TrackSender("vp8", 90_000, out, ntp_offset_us=10**15)
    turns: list[Turn] = []
    for number, frame in enumerate(frames):
        at_ns = START_NS + number * PICTURE_NS
        sender.send(frame, at_ns // 1000, at_ns)
        turns.append(Turn(at_ns, [memoryview(packet) for packet in out.packets], out.reports))
        out.packets, out.reports = [], []
    return turns


def received_cpu(turns: list[Turn], tracks: int) -> tuple[float, int]:
    """CPU seconds and pictures of the whole receive path."""
    track = TrackFormat("vp8", 90_000)
    receivers = [track_receiver(track, ParticipantClock(), DELAY) for _ in range(tracks)]
    pictures = 0
    before = time.process_time()
    for turn in turns:
        for receiver in receivers:
            pictures += feed(receiver, turn)
    for receiver in receivers:
        pictures += len(receiver.take(turns[-1].at_ns + 1_000_000_000))
    return time.process_time() - before, pictures


def feed(receiver: TrackReceiver, turn: Turn) -> int:
    """Hand over what came and take what is due, as a worker does each picture."""
    for report in turn.reports:
        receiver.clock(*report, turn.at_ns)
    for packet in turn.packets:
        receiver.write(packet, turn.at_ns)
    receiver.wishes(turn.at_ns)
    return len(receiver.take(turn.at_ns))


def bare_cpu(frames: list[bytes], tracks: int) -> tuple[float, int]:
    """CPU seconds and pictures of PyAV decoding the frames."""
    decoders = [av.CodecContext.create("vp8", "r") for _ in range(tracks)]
    for decoder in decoders:
        decoder.thread_count = 1
    pictures = 0
    before = time.process_time()
    for frame in frames:
        for decoder in decoders:
            pictures += len(decoder.decode(av.Packet(frame)))
    return time.process_time() - before, pictures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4.0, help="of media")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    frames = film(options.seconds)
    turns = packed(frames)
    expected = len(frames) * options.tracks
    ratios: list[float] = []
    for number in range(options.repeats):
        calls = {
            "received": lambda: received_cpu(turns, options.tracks),
            "bare": lambda: bare_cpu(frames, options.tracks),
        }
        order = sorted(calls, reverse=bool(number % 2))
        found = {name: calls[name]() for name in order}
        (received, pictures), (bare, bare_pictures) = found["received"], found["bare"]
        if not pictures == bare_pictures == expected:
            sys.stdout.write(f"FAILED: {pictures} and {bare_pictures} pictures of {expected}\n")
            return 1
        ratios.append(received / bare)
        sys.stdout.write(
            f"received {received / options.seconds:6.3f} core  bare {bare / options.seconds:6.3f} core  "
            f"ratio {ratios[-1]:5.3f}\n"
        )
    median = statistics.median(ratios)
    packets = sum(len(turn.packets) for turn in turns) * options.tracks / options.seconds
    sys.stdout.write(f"median ratio {median:5.3f}, bar {BAR}; {packets:.0f} packets/s\n")
    return 0 if median <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
