"""CPU of receiving and decoding four 720p30 VP8 tracks, beside PyAV decoding the same frames alone.

    ./dev bench decode [--tracks 4] [--seconds 10] [--repeats 5]

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
AT_A_TIME = 10


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


class Received:
    """The whole receive path of some tracks."""

    def __init__(self, turns: list[Turn], tracks: int) -> None:
        track = TrackFormat("vp8", 90_000)
        self._turns = turns
        self._receivers = [track_receiver(track, ParticipantClock(), DELAY) for _ in range(tracks)]
        self.pictures, self.cpu_s = 0, 0.0

    def run(self, pictures: range) -> None:
        """Empty the link, then take what is due of all tracks, as a worker does each picture."""
        before = time.process_time()
        for number in pictures:
            turn = self._turns[number]
            for receiver in self._receivers:
                _feed(receiver, turn)
            self._take(turn.at_ns)
        if pictures.stop == len(self._turns):
            self._take(self._turns[-1].at_ns + 1_000_000_000)
        self.cpu_s += time.process_time() - before

    def _take(self, now_ns: int) -> None:
        for receiver in self._receivers:
            self.pictures += len(receiver.take(now_ns))


def _feed(receiver: TrackReceiver, turn: Turn) -> None:
    for report in turn.reports:
        receiver.clock(*report, turn.at_ns)
    for packet in turn.packets:
        receiver.write(packet, turn.at_ns)
    receiver.wishes(turn.at_ns)


class Bare:
    """PyAV decoding the same frames."""

    def __init__(self, frames: list[bytes], tracks: int) -> None:
        self._frames = frames
        self._decoders = [av.CodecContext.create("vp8", "r") for _ in range(tracks)]
        for decoder in self._decoders:
            decoder.thread_count = 1
        self.pictures, self.cpu_s = 0, 0.0

    def run(self, pictures: range) -> None:
        """Decode some of the pictures of all tracks."""
        before = time.process_time()
        for number in pictures:
            for decoder in self._decoders:
                self.pictures += len(decoder.decode(av.Packet(self._frames[number])))
        self.cpu_s += time.process_time() - before


def repeat(frames: list[bytes], turns: list[Turn], tracks: int) -> tuple[Received, Bare]:
    """Both in small turns, so that the machine's moods meet both alike."""
    received, bare = Received(turns, tracks), Bare(frames, tracks)
    for number, begin in enumerate(range(0, len(frames), AT_A_TIME)):
        part = range(begin, min(begin + AT_A_TIME, len(frames)))
        for side in (received, bare) if number % 2 else (bare, received):
            side.run(part)
    return received, bare


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0, help="of media")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    frames = film(options.seconds)
    turns = packed(frames)
    expected = len(frames) * options.tracks
    ratios: list[float] = []
    for _ in range(options.repeats):
        received, bare = repeat(frames, turns, options.tracks)
        if not received.pictures == bare.pictures == expected:
            sys.stdout.write(
                f"FAILED: {received.pictures}, {bare.pictures} pictures of {expected}\n"
            )
            return 1
        ratios.append(received.cpu_s / bare.cpu_s)
        cores = (side.cpu_s / options.seconds for side in (received, bare))
        sys.stdout.write(
            "received {:.3f} core  bare {:.3f} core  ratio {:.3f}\n".format(*cores, ratios[-1])
        )
    median = statistics.median(ratios)
    packets = sum(len(turn.packets) for turn in turns) * options.tracks / options.seconds
    sys.stdout.write(f"median ratio {median:5.3f}, bar {BAR}; {packets:.0f} packets/s\n")
    return 0 if median <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
