"""The job `test_sink`: subscribes, decodes, and measures what marked media has become.

Spec: `{"match": {kinds, sources, identities}, "report_every_s": 5, "delay": "call" | "stream" |
"recording"}`. Tells `report{identity, report{…}}` regularly, and all of them as its result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from roomful.errors import MediaError
from roomful_media.clock import ParticipantClock
from roomful_media.delay import CALL, RECORDING, STREAM
from roomful_media.frames import AudioBlock, Picture
from roomful_media.intake import TrackFormat
from roomful_media.receive import AudioReceiver, TrackReceiver, track_receiver
from roomful_media.worker_link import WorkerLink
from roomful_rtc.link.control import Message
from roomful_rtc.link.record import Frame
from roomful_testing import card
from roomful_testing.jobs.tracks import codec_of, now_us
from roomful_testing.measure import Measure

TICK_S = 0.01
SILENCE_DBFS = -120.0
"""stands for no sound at all: JSON has no infinity"""
DELAYS = {"call": CALL, "stream": STREAM, "recording": RECORDING}


class Eye:
    """One track that is received. Answers to `StreamConsumer`."""

    def __init__(self, receiver: TrackReceiver, measure: Measure) -> None:
        self.receiver, self.measure = receiver, measure
        self.write, self.clock = receiver.write, receiver.clock
        self.gap, self.end = receiver.gap, receiver.end

    def frame(self, frame: Frame) -> None:
        """Tracks of rooms come as packets."""

    def take(self, now_ns: int) -> None:
        """Decode and measure what is due."""
        delay_us = int(self.receiver.delay_us)
        for each in self.receiver.take(now_ns):
            if isinstance(each, Picture):
                self._see(each, delay_us, now_ns)
            else:
                self._hear(each, delay_us)

    def _see(self, picture: Picture, delay_us: int, now_ns: int) -> None:
        planes = cast("card.Picture", picture.frame.to_ndarray(format="yuv420p"))
        reading = card.read(planes)
        self.measure.see(reading, picture.time_us + delay_us, now_ns // 1000)

    def _hear(self, block: AudioBlock, delay_us: int) -> None:
        self.measure.hear(block.samples, block.rate, block.time_us + delay_us)


@dataclass(slots=True)
class Witnessed:
    """A participant whose tracks are received."""

    clock: ParticipantClock = field(default_factory=ParticipantClock)
    measure: Measure = field(default_factory=Measure)


class TestSink:
    """Answers to `JobClass`."""

    __test__ = False

    def __init__(self) -> None:
        self._eyes: dict[int, Eye] = {}
        """stream → track; bounded by what the server opens"""
        self._witnessed: dict[str, Witnessed] = {}
        self._problems: list[str] = []

    async def run(self, link: WorkerLink, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Measure until told to stop; return the reports by identity."""
        delay = DELAYS[spec.get("delay", "stream")]
        link.listen(lambda message, stream: self._hear(link, message, delay))
        link.send({"t": "subscribe", "match": dict(spec.get("match", {}))})
        watching = asyncio.create_task(self._watch(link, float(spec.get("report_every_s", 5.0))))
        async for _ in link.messages():
            pass
        watching.cancel()
        await asyncio.wait([watching])
        if not watching.cancelled():
            watching.result()
        return {"reports": self._reports(), "problems": self._problems}

    async def _watch(self, link: WorkerLink, every_s: float) -> None:
        due_us = now_us() + int(every_s * 1e6)
        while True:
            now_ns = now_us() * 1000
            for stream, eye in tuple(self._eyes.items()):
                self._take(link, stream, eye, now_ns)
            if now_ns // 1000 >= due_us:
                due_us += int(every_s * 1e6)
                for identity, report in self._reports().items():
                    link.send({"t": "report", "identity": identity, "report": report})
            await asyncio.sleep(TICK_S)

    def _take(self, link: WorkerLink, stream: int, eye: Eye, now_ns: int) -> None:
        try:
            eye.take(now_ns)
        except MediaError as error:
            self._problems.append(str(error)[:200])
            del self._eyes[stream]
            link.close_stream(stream)
            return
        if eye.receiver.wishes(now_ns).key_frame:
            link.send({"t": "keyframe", "sink": stream})

    def _hear(self, link: WorkerLink, message: Message, delay: Any) -> bool:
        match message["t"]:
            case "track":
                self._begin(link, message, delay)
            case "track_ended":
                self._eyes.pop(message["sink"], None)
            case _:
                return message["t"] in ("muted", "participants")
        return True

    def _begin(self, link: WorkerLink, message: Message, delay: Any) -> None:
        codec = codec_of(message)
        track = TrackFormat(codec, message["clock_rate"], channels=1)
        who = self._witnessed.setdefault(message["identity"], Witnessed())
        try:
            receiver = track_receiver(track, who.clock, delay)
        except MediaError as error:
            self._problems.append(str(error))
            return
        eye = self._eyes[message["sink"]] = Eye(receiver, who.measure)
        link.open(message["sink"], eye)

    def _reports(self) -> dict[str, Any]:
        counted = {
            identity: {**asdict(who.measure.report()), "concealed": 0, "undecodable": 0}
            for identity, who in self._witnessed.items()
        }
        for report in counted.values():
            report["level_dbfs"] = max(SILENCE_DBFS, report["level_dbfs"])
        for eye in self._eyes.values():
            for identity, who in self._witnessed.items():
                if eye.measure is who.measure:
                    self._count(counted[identity], eye)
        return counted

    @staticmethod
    def _count(report: dict[str, Any], eye: Eye) -> None:
        report["undecodable"] += eye.receiver.decoding.undecodable
        if isinstance(eye.receiver, AudioReceiver):
            report["concealed"] += eye.receiver.decoding.concealed
