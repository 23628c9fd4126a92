"""A client on the wire: aiortc's DTLS, libsrtp, and RTP written by hand."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from aioice import stun
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from pylibsrtp import Error as SrtpError

from roomful_rtc import rtcp, rtp
from roomful_rtc.peer import WirePeer

UFRAG, PWD = "clnt", "x" * 22


async def until(condition: Callable[[], object], patience: float = 5.0) -> None:
    """Wait for something that tells nobody when it happens."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)


class WireClient(asyncio.DatagramProtocol):
    """One transport of a client. `received`: packets by SSRC; `rtcp`: parsed, in order."""

    role, state = "controlling", "completed"

    def __init__(self) -> None:
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls = RTCDtlsTransport(self, [self.certificate])
        self.dtls._set_role("client")
        self.received: dict[int, list[rtp.RtpPacket]] = defaultdict(list)
        self.rtcp: list[rtcp.RtcpPacket] = []
        self.lose: Callable[[rtp.RtpPacket], bool] = lambda packet: False
        """packets that get lost on their way to us"""
        self._handshake: asyncio.Queue[bytes] = asyncio.Queue(100)
        self._answered = asyncio.Event()
        self._udp: asyncio.DatagramTransport | None = None
        self._to = ("127.0.0.1", 0)

    # --- what aiortc's DTLS needs of its ICE transport --------------------------------------

    async def _recv(self) -> bytes:
        return await self._handshake.get()

    async def _send(self, data: bytes) -> None:
        self.send_datagram(data)

    # --- the socket ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._udp = transport

    def send_datagram(self, data: bytes) -> None:
        self._udp.sendto(data, self._to)

    def datagram_received(self, data: bytes, addr: object) -> None:
        first = data[0]
        if first < 4:
            self._answered.set()
        elif first < 64:
            self._handshake.put_nowait(data)
        elif self.dtls._rx_srtp is not None:
            try:
                self._media(data)
            except SrtpError:
                self.refused += 1

    refused = 0

    def _media(self, data: bytes) -> None:
        if rtcp.is_rtcp(data):
            self.rtcp += rtcp.parse(self.dtls._rx_srtp.unprotect_rtcp(data))
            return
        packet = rtp.parse(self.dtls._rx_srtp.unprotect(data))
        if not self.lose(packet):
            self.received[packet.ssrc].append(packet)

    # --- life -----------------------------------------------------------------------------------

    async def connect(self, peer: WirePeer, port: int) -> None:
        """Check, shake hands; returns when DTLS is done on this side."""
        self._to = ("127.0.0.1", port)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        print_of = self.certificate.getFingerprints()[0]
        fingerprint = f"{print_of.algorithm} {print_of.value}"
        peer.transport.set_remote("actpass", UFRAG, PWD, fingerprint)
        self._check(peer)
        await asyncio.wait_for(self._answered.wait(), 5)
        algorithm, value = peer.transport.fingerprint.split(" ")
        expected = RTCDtlsFingerprint(algorithm=algorithm, value=value)
        await asyncio.wait_for(self.dtls.start(RTCDtlsParameters(fingerprints=[expected])), 5)

    def _check(self, peer: WirePeer) -> None:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{peer.transport.ufrag}:{UFRAG}"
        request.attributes["PRIORITY"] = 1862270975
        request.attributes["ICE-CONTROLLING"] = 12345
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(peer.transport.pwd.encode())
        request.add_fingerprint()
        self.send_datagram(bytes(request))

    async def stop(self) -> None:
        reader = self.dtls._task
        await self.dtls.stop()
        if reader is not None:
            await asyncio.wait([reader])
        if self._udp is not None:
            self._udp.close()

    # --- sending --------------------------------------------------------------------------------

    def send_rtp(self, packet: rtp.RtpPacket) -> None:
        self.send_datagram(self.dtls._tx_srtp.protect(rtp.build(packet)))

    def send_rtcp(self, *parts: bytes) -> None:
        self.send_datagram(self.dtls._tx_srtp.protect_rtcp(rtcp.compound(parts)))

    # --- what came ------------------------------------------------------------------------------

    def of(self, kind: type) -> list:
        """The RTCP packets of one kind that came so far."""
        return [packet for packet in self.rtcp if isinstance(packet, kind)]
