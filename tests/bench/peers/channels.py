"""Data channels of one raw participant: aiortc's SCTP on a `Link`."""

from __future__ import annotations

import asyncio
from typing import Any

from aiortc import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from .link import Link

PORT, MAX_MESSAGE = 5000, 65_535
SPECS = (("_reliable", True, None), ("_lossy", False, 0))
"""label, ordered, retransmissions: what clients open"""


class DataPipe:
    """What aiortc's SCTP asks of a DTLS transport, on a `Link`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._receiver: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        link.data_receiver = self

    @property
    def _role(self) -> str:
        return "client" if self._link.is_client else "server"

    @property
    def state(self) -> str:
        return "connected" if self._link.ciphers is not None else "new"

    def _register_data_receiver(self, receiver: Any) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, receiver: Any) -> None:
        if self._receiver is receiver:
            self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        self._link.send_data(data)

    def take(self, data: bytes) -> None:
        """A record came."""
        if self._receiver is not None:
            task = asyncio.get_running_loop().create_task(self._receiver._handle_data(data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class Channels:
    """The association of one link with the channels that clients open."""

    def __init__(self, link: Link) -> None:
        self._sctp = RTCSctpTransport(DataPipe(link), PORT)  # pyright: ignore[reportArgumentType]
        self.open: list[RTCDataChannel] = []

    async def start(self) -> None:
        """Associate and open; returns when the association was asked for."""
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=MAX_MESSAGE), PORT)
        for label, ordered, retransmissions in SPECS:
            parameters = RTCDataChannelParameters(
                label=label, ordered=ordered, maxRetransmits=retransmissions
            )
            self.open.append(RTCDataChannel(self._sctp, parameters))

    async def stop(self) -> None:
        """Abort."""
        await self._sctp.stop()
