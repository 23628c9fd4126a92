"""A transport that keeps what it is given, for streams and players."""

from __future__ import annotations

from roomful_rtc import rtcp, rtp
from roomful_testing.peer.description import OPUS, VP8
from roomful_testing.peer.flows import Flow
from roomful_testing.peer.srtp import Buffer
from roomful_testing.peer.stream import OutStream, TransportNumbers


class Wire:
    """Answers to `Transport` where streams ask it."""

    def __init__(self) -> None:
        self.buffer = Buffer()
        self.packets: list[rtp.RtpPacket] = []
        self.again: list[bytes] = []
        self.reports: list[rtcp.SenderReport] = []
        self.receiver_reports: list[rtcp.ReceiverReport] = []
        self.flows: dict[int, Flow] = {}
        self.on_rtcp: object = None

    def send_sealed(self, size: int) -> memoryview:
        self.packets.append(rtp.parse(bytes(self.buffer.view[:size])))
        return self.buffer.view[:size]

    def send_raw(self, data: bytes) -> None:
        self.again.append(data)

    def send_rtcp(self, compound: bytes) -> None:
        parts = rtcp.parse(compound)
        self.reports += [part for part in parts if isinstance(part, rtcp.SenderReport)]
        self.receiver_reports += [part for part in parts if isinstance(part, rtcp.ReceiverReport)]

    def stream(self, *, audio: bool = False, rid: str = "") -> OutStream:
        return OutStream(
            self,  # pyright: ignore[reportArgumentType]
            self.buffer, TransportNumbers(), ssrc=77, pt=OPUS if audio else VP8, mid="3", rid=rid,
        )  # fmt: skip
