"""The witness room, in a process of its own: one raw publisher of audio, one raw subscriber.

    python -m tests.hostile.witness WS_URL KEY SECRET

Prints `ready`. For each line `mark` on stdin it prints one JSON object about the packets sent since
the mark before (`gaps.Hearing`); at the end of stdin it leaves.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from dataclasses import replace

from roomful_rtc import extensions, rtp
from roomful_testing.peer.description import LEVEL_ID, MID_ID, OPUS

from ..interop.server import RoomServer
from .descriptions import CHANNELS, EAR, MICROPHONE
from .gaps import PACKET_MS, Hearing, hearing
from .raw_client import RawClient

ROOM = "witness"
SSRC = 0x5EED
LAST_S = 3.0
"""how long the last packet may be on its way; what came before it and is missing then is lost"""
_INDEX = struct.Struct("!Q")


class Microphone:
    """Sends 50 packets a second; the payload is the packet's number."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self.sent_ns: list[int] = []
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        block = extensions.write([(MID_ID, MICROPHONE.mid.encode()), (LEVEL_ID, b"\x20")])
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            index = len(self.sent_ns)
            packet = rtp.RtpPacket(
                marker=index == 0, pt=OPUS, seq16=index & 0xFFFF, ts=index * 960 & 0xFFFFFFFF,
                ssrc=SSRC, payload=b"\xfc" + _INDEX.pack(index) + bytes(70),
                profile=int.from_bytes(block[:2], "big"), extension=block[4:],
            )  # fmt: skip
            data = rtp.build(packet)
            self.sent_ns.append(time.time_ns())
            self._client.peer.send_rtp(data)
            due = max(due + PACKET_MS / 1000, loop.time() - 0.1)
            await asyncio.sleep(max(0.0, due - loop.time()))


class Ear:
    """Notes when each packet came."""

    def __init__(self, client: RawClient) -> None:
        self.came_ns: dict[int, int] = {}
        self.twice = 0
        client.peer.intake.hand_to(self._hear)

    def _hear(self, packet: bytes, came_ns: int) -> None:
        payload = rtp.parse(packet).payload
        (index,) = _INDEX.unpack_from(payload, 1)
        self.twice += index in self.came_ns
        self.came_ns[index] = came_ns


class Witness:
    """Both participants."""

    def __init__(self, server: RoomServer) -> None:
        self.speaker, self.listener = RawClient(server), RawClient(server)
        self._from = self._asked = 0

    async def start(self) -> None:
        """Join both; returns when the listener hears the speaker."""
        await self.speaker.join(ROOM, "speaker", CHANNELS, MICROPHONE)
        await self.listener.join(ROOM, "listener", CHANNELS, EAR)
        await self.listener.subscribe(CHANNELS, EAR)
        self._asked = self._requirements()
        self.microphone, self.ear = Microphone(self.speaker), Ear(self.listener)
        self.checks = asyncio.create_task(self._keep_alive())
        async with asyncio.timeout(10):
            while len(self.ear.came_ns) < 10:
                await asyncio.sleep(0.02)
        self._from = max(self.ear.came_ns)

    async def mark(self) -> Hearing:
        """End a window and judge it; the next one begins."""
        begin, end = self._from, len(self.microphone.sent_ns)
        self._from = end
        late = time.monotonic() + LAST_S
        while end - 1 not in self.ear.came_ns and time.monotonic() < late:
            await asyncio.sleep(0.005)
        sent = self.microphone.sent_ns[begin:end]
        found = hearing(sent, [self.ear.came_ns.get(index) for index in range(begin, end)])
        both = (self.speaker, self.listener)
        return replace(
            found,
            signal_open=not any(client.closed.is_set() for client in both),
            leaves=sum(len(client.of("leave")) for client in both),
            offers=self._requirements() - self._asked,
        )

    def _requirements(self) -> int:
        """How often the server asked for an offer."""
        both = (self.speaker, self.listener)
        return sum(len(client.of("media_sections_requirement")) for client in both)

    async def _keep_alive(self) -> None:
        """Checks, as every client sends them."""
        await asyncio.gather(*(c.peer.keep_alive() for c in (self.speaker, self.listener)))

    async def stop(self) -> None:
        for task in (self.microphone.task, self.checks):
            task.cancel()
        await self.speaker.close()
        await self.listener.close()


async def main(url: str, key: str, secret: str) -> None:
    """Serve the marks of the parent process."""
    witness = Witness(RoomServer(url, key, secret))
    await witness.start()
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    print("ready", flush=True)
    while await commands.readline():
        print(json.dumps((await witness.mark()).record()), flush=True)
    await witness.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
