"""Receivers of one track: a `TrackSink` on one side, blocks of audio or pictures on the other.

`take` is called by whoever needs media, each 20 ms or at its frame rate, on the thread that
writes too; it decodes what has become due. Lost and undecodable media is counted, audio concealed,
video frozen until a key frame, which `wishes` asks for. `MediaError` only when media has come for
10 s and nothing of it could be decoded; taking may go on after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from roomful.errors import MediaError
from roomful_media.clock import ParticipantClock
from roomful_media.codecs import AudioDecoder, Samples
from roomful_media.codecs.names import AUDIO, VIDEO
from roomful_media.codecs.registry import audio_decoder
from roomful_media.codecs.video import VideoDecoder
from roomful_media.delay import DelayRange
from roomful_media.frames import AudioBlock, Picture
from roomful_media.intake import FailureWatch, Intake, TrackFormat, Wishes
from roomful_media.jitter import Released
from roomful_rtc.keyframes import KeyFrameRequests
from roomful_rtc.payload.depacketisers import depacketiser
from roomful_rtc.payload.frames import EncodedFrame

PATIENCE_US = 200_000
"""Video waits for what is sent again so long; a hole makes all until the next key frame useless."""
MOST_PICTURES = 30
"""of one call: decoded pictures take a thousand times the memory of encoded ones"""
_ONE_A_SECOND = 2
"""spatial layer whose key frame requests are a second apart"""
_MOST_CONCEALED_S = 0.06
_FIRST_FRAME_S = 0.02
_LEAST_CONCEALED = 400
"""a second by this: 2.5 ms, the shortest frame of Opus"""


@dataclass(slots=True)
class DecodeCounters:
    """Since the receiver was made: frames of video, packets of audio."""

    decoded: int = 0
    undecodable: int = 0
    frozen: int = 0
    """not decoded, since what they refer to never came"""
    late: int = 0
    """audio that came when it had been concealed"""
    concealed: int = 0
    """blocks of audio made up"""


class VideoReceiver(Intake):
    """Of one video track."""

    def __init__(
        self, track: TrackFormat, participant: ParticipantClock, delay: DelayRange
    ) -> None:
        super().__init__(track.clock_rate, participant, delay, PATIENCE_US)
        self.decoding = DecodeCounters()
        self._frames = depacketiser(track.codec)
        self._decoder = VideoDecoder(track.codec, track.clock_rate)
        self._requests = KeyFrameRequests(_ONE_A_SECOND)
        self._watch = FailureWatch(track.codec)
        self._dropped = 0
        """frames one after the other that never got whole"""

    def take(self, now_ns: int) -> list[Picture]:
        """Decode and return the pictures that are due, oldest first.

        At most `MOST_PICTURES` and a few: what is left of a backlog comes with the next calls.
        """
        now_us = now_ns // 1000
        pictures: list[Picture] = []
        while len(pictures) < MOST_PICTURES and (packet := self.pop(now_us)) is not None:
            for frame in self._assemble(packet, now_us):
                pictures += self._decode(frame, now_us)
        return pictures

    def wishes(self, now_ns: int) -> Wishes:
        """Return what to ask the publisher for now, if anything."""
        now_us = now_ns // 1000
        if self.jitter.missing_for_us(now_us) >= PATIENCE_US:
            self._requests.ask(now_us / 1e6)
        return Wishes(self.jitter.nacks(now_us), self._requests.take(now_us / 1e6))

    def _assemble(self, packet: Released, now_us: int) -> list[EncodedFrame]:
        if packet.discontinuity:
            self._frames.reset()
        dropped = self._frames.counters.dropped
        frames = self._frames.push(packet.payload, packet.ts, packet.marker, packet.lost)
        if frames:
            self._dropped = 0
        elif self._frames.counters.dropped != dropped:
            self._drop(now_us)
        return frames

    def _drop(self, now_us: int) -> None:
        """One frame may be of a layer that nothing needs; the next one tells. Two are too many."""
        self._dropped += 1
        if self._dropped > 1:
            self._fail(now_us)

    def _decode(self, frame: EncodedFrame, now_us: int) -> list[Picture]:
        if frame.corrupted:
            self.decoding.frozen += 1
            self._fail(now_us)
            return []
        try:
            decoded = self._decoder.decode(frame.data, frame.ts)
        except MediaError:
            self.decoding.undecodable += 1
            self._decoder.reset()
            self._frames.reset()
            self._fail(now_us)
            return []
        if frame.key:
            self._requests.arrived()
        if decoded:
            self.decoding.decoded += 1
            self._watch.worked()
        return [
            Picture(
                picture, round(self.time.time_us(frame.ts if picture.pts is None else picture.pts))
            )
            for picture in decoded
        ]

    def _fail(self, now_us: int) -> None:
        self._requests.ask(now_us / 1e6)
        self._watch.failed(now_us)


class AudioReceiver(Intake):
    """Of one audio track. Holes of up to 60 ms are concealed, longer ones are silence: no block."""

    def __init__(
        self, track: TrackFormat, participant: ParticipantClock, delay: DelayRange
    ) -> None:
        super().__init__(track.clock_rate, participant, delay)
        self.decoding = DecodeCounters()
        self._decoder: AudioDecoder = audio_decoder(track.codec, track.rate, track.channels)
        self._ticks_per_sample = track.clock_rate / self._decoder.rate
        self._samples = int(self._decoder.rate * _FIRST_FRAME_S)
        self._expected_ts: int | None = None
        self._concealed = 0
        """samples since the last packet that was decoded"""
        self._watch = FailureWatch(track.codec)

    @property
    def rate(self) -> int:
        """Hz of the blocks."""
        return self._decoder.rate

    def take(self, now_ns: int) -> list[AudioBlock]:
        """Decode or make up, and return, the blocks that are due, oldest first."""
        now_us = now_ns // 1000
        blocks: list[AudioBlock] = []
        while True:
            block = self._conceal(now_us)
            if block is None:
                packet = self.pop(now_us)
                if packet is None:
                    return blocks
                block = self._play(packet, now_us)
            if block is not None:
                blocks.append(block)

    def wishes(self, now_ns: int) -> Wishes:
        """Return what to ask the publisher for now, if anything."""
        return Wishes(self.jitter.nacks(now_ns // 1000), False)

    def _conceal(self, now_us: int) -> AudioBlock | None:
        """Make up the next block if it is due and there is no packet for it."""
        expected = self._expected_ts
        if expected is None or self._concealed >= self._decoder.rate * _MOST_CONCEALED_S:
            return None
        if self.due_us(expected) > now_us:
            return None
        head = self.jitter.head()
        if head is not None and head.ts <= expected:
            return None
        if head is not None and head.ts == expected + self._ticks(self._samples) and head.payload:
            made_up = self._recover(head.payload)
        else:
            made_up = self._decoder.conceal(self._samples)
        self._concealed += len(made_up)
        return self._block(made_up, expected, concealed=True)

    def _recover(self, following: bytes) -> Samples:
        try:
            return self._decoder.recover(following, self._samples)
        except MediaError:
            return self._decoder.conceal(self._samples)

    def _play(self, packet: Released, now_us: int) -> AudioBlock | None:
        if not packet.payload:
            return None
        expected = self._expected_ts
        if expected is not None and packet.ts < expected and not packet.discontinuity:
            self.decoding.late += 1
            return None
        try:
            samples = self._decoder.decode(packet.payload)
        except MediaError:
            self.decoding.undecodable += 1
            self._watch.failed(now_us)
            return self._block(self._decoder.conceal(self._samples), packet.ts, concealed=True)
        self.decoding.decoded += 1
        self._watch.worked()
        self._samples = max(len(samples), self._decoder.rate // _LEAST_CONCEALED)
        self._concealed = 0
        return self._block(samples, packet.ts, concealed=False)

    def _block(self, samples: Samples, ts: int, *, concealed: bool) -> AudioBlock:
        self.decoding.concealed += concealed
        self._expected_ts = ts + self._ticks(len(samples))
        return AudioBlock(samples, self._decoder.rate, round(self.time.time_us(ts)), concealed)

    def _ticks(self, samples: int) -> int:
        return round(samples * self._ticks_per_sample)


TrackReceiver = AudioReceiver | VideoReceiver


def track_receiver(
    track: TrackFormat, participant: ParticipantClock, delay: DelayRange
) -> TrackReceiver:
    """Return the receiver of a track; `MediaError` names the codecs there are.

    Tracks of one participant share its `ParticipantClock`.
    """
    if track.codec in VIDEO:
        return VideoReceiver(track, participant, delay)
    if track.codec in AUDIO:
        return AudioReceiver(track, participant, delay)
    raise MediaError(f"no receiver for {track.codec!r}; there are {', '.join((*AUDIO, *VIDEO))}")
