"""Jobs for tests, run by real workers: each takes part in a room, or tries what it must not."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from roomful_media.worker_link import WorkerLink
from roomful_rtc import rtp
from roomful_rtc.link.record import CLOCK, CONTROL, HEADER, RTP, RTP_HEADER

Spec = Mapping[str, Any]
NTP_EPOCH_S = 2_208_988_800
VOICE = {"t": "publish", "ref": "voice", "kind": "audio", "mime": "audio/opus", "source": "microphone", "name": "tone"}  # fmt: skip
OPUS_SAMPLES = 960


def greet(link: WorkerLink) -> None:
    link.send({"t": "started", "pid": os.getpid()})


def record(stream: int, packet: bytes, arrival_ns: int) -> bytes:
    return RTP_HEADER.pack(len(packet) + 8, RTP, 0, stream, arrival_ns) + packet


def voice_packet(number: int, payload: bytes) -> bytes:
    ts = number * OPUS_SAMPLES & rtp.TS_MASK
    return rtp.build(rtp.RtpPacket(False, 1, number & 0xFFFF, ts, 9, payload))


class Speaker:
    """Publishes the clip of its spec until told to stop, or so many packets."""

    async def run(self, link: WorkerLink, spec: Spec) -> dict[str, Any]:
        greet(link)
        self.sent = 0
        link.send(VOICE)
        playing = []
        async for message in link.messages():
            link.send({"t": "heard", "message": message})
            if message["t"] == "published":
                playing.append(asyncio.create_task(self.play(link, message["sources"][0], spec)))
        for task in playing:
            task.cancel()
        return {"packets": self.sent, "reason": message["reason"]}

    async def play(self, link: WorkerLink, stream: int, spec: Spec) -> None:
        clip, sink = [b64decode(each) for each in spec["clip"]], link.sink(stream)
        number, due = int.from_bytes(os.urandom(2), "big"), time.monotonic()
        while self.sent != spec.get("packets"):
            if not self.sent % 50:
                ntp = ((time.time_ns() + NTP_EPOCH_S * 10**9) << 32) // 10**9
                sink.clock(number * OPUS_SAMPLES & rtp.TS_MASK, ntp, time.monotonic_ns())
            packet = voice_packet(number, clip[self.sent % len(clip)])
            sink.write(packet, time.monotonic_ns())
            self.sent, number, due = self.sent + 1, number + 1, due + 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        link.stop("all was said", 5.0)


class Count:
    """Counts what comes for one stream."""

    def __init__(self, link: WorkerLink, identity: str) -> None:
        self._link, self._identity = link, identity
        self.packets = self.missing = 0
        self._next: int | None = None

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        seq = int.from_bytes(packet[2:4], "big")
        self.missing += 0 if self._next is None else seq - self._next & 0xFFFF
        self._next = seq + 1 & 0xFFFF
        self.packets += 1
        if self.packets % 50 == 0:
            self._link.send({
                "t": "counted", "identity": self._identity, "packets": self.packets,
                "missing": self.missing,
            })  # fmt: skip

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None: ...
    def gap(self, count: int, reason: int) -> None: ...
    def frame(self, frame: object) -> None: ...

    def end(self) -> None:
        self._link.send({"t": "ended", "identity": self._identity})


class Counter:
    """Subscribes to everything and counts."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        def listener(message: Mapping[str, Any], stream: int) -> bool:
            if message["t"] == "track":
                link.open(message["sink"], Count(link, message["identity"]))
            return message["t"] == "track"

        link.listen(listener)
        greet(link)
        link.send({"t": "watch", "what": ["participants"]})
        link.send({"t": "subscribe", "match": spec.get("match", {})})
        async for message in link.messages():
            link.send({"t": "heard", "message": message})


class Sleeper:
    """Takes a while to load."""

    def __init__(self) -> None:
        time.sleep(1.5)

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        async for _ in link.messages():
            pass


class Liar:
    """Publishes like a speaker, then does what its spec names."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        greet(link)
        link.send(VOICE)
        async for message in link.messages():
            if message["t"] == "published":
                sock = socket.socket(fileno=os.dup(int(sys.argv[1])))
                sock.setblocking(True)
                lie = getattr(self, spec["lie"])
                await asyncio.to_thread(lie, link, sock, message["sources"][0])

    def garbage(self, link: WorkerLink, sock: socket.socket, stream: int) -> None:
        sock.send(os.urandom(500))

    def foreign_stream(self, link: WorkerLink, sock: socket.socket, stream: int) -> None:
        sock.send(record(stream + 1, voice_packet(0, b"x"), time.monotonic_ns()))

    def wrong_publish(self, link: WorkerLink, sock: socket.socket, stream: int) -> None:
        self._say(sock, b'{"t":"publish","ref":"other","kind":["audio"]}')

    def name_twice(self, link: WorkerLink, sock: socket.socket, stream: int) -> None:
        text = b'{"t":"publish","ref":"voice","kind":"audio","mime":"audio/opus","source":"camera","name":""}'
        self._say(sock, text)

    def command_flood(self, link: WorkerLink, sock: socket.socket, stream: int) -> None:
        text = b'{"t":"publish","ref":"%d","kind":"audio","mime":"audio/opus","source":"unknown","name":""}'
        for number in range(100_000):
            self._say(sock, text % number)

    def packet_flood(self, link: WorkerLink, sock: socket.socket, stream: int) -> None:
        one = record(stream, voice_packet(0, bytes(1000)), time.monotonic_ns())
        while True:
            sock.send(one * 50)

    def wrong_times(self, link: WorkerLink, sock: socket.socket, stream: int) -> None:
        for number in range(100):
            for arrival_ns in (0, (1 << 64) - 1):
                sock.send(record(stream, voice_packet(number, b"x"), arrival_ns))
            body = number.to_bytes(4, "big") + b"\xff" * 16
            sock.send(HEADER.pack(len(body), CLOCK, 0, stream) + body)
            time.sleep(0.02)

    @staticmethod
    def _say(sock: socket.socket, text: bytes) -> None:
        sock.send(HEADER.pack(len(text), CONTROL, 0, 0) + text)
