"""Data channels of a raw peer: aiortc's SCTP on a `Transport` (RFC 8831)."""

# aiortc's association is driven by its private names, as `roomful_rtc.sctp` does
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from typing import Any

from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpCapabilities, RTCSctpTransport

from roomful_rtc.dtls import drive
from roomful_testing.peer.transport import PATIENCE_S, Transport

PORT, MAX_MESSAGE = 5000, 65_535
SPECS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("_reliable", {}),
    ("_lossy", {"ordered": False, "maxRetransmits": 0}),
)
"""what clients open: label and parameters"""
_POLL_S = 0.005


class _Carrier:
    """What aiortc's association asks of a DTLS transport."""

    state = "connected"

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def _role(self) -> str:
        return "client" if self._transport.is_client else "server"

    async def _send_data(self, data: bytes) -> None:
        self._transport.send_record(data)

    def _register_data_receiver(self, receiver: Any) -> None:
        self._transport.on_record = lambda packet: drive(receiver._handle_data(packet))

    def _unregister_data_receiver(self, receiver: object) -> None:
        self._transport.on_record = None


async def begin(transport: Transport) -> RTCSctpTransport:
    """Ask for an association and return it before it is there."""
    association = RTCSctpTransport(_Carrier(transport), PORT)  # type: ignore[arg-type]
    await association.start(RTCSctpCapabilities(maxMessageSize=MAX_MESSAGE), PORT)
    return association


async def associate(transport: Transport) -> RTCSctpTransport:
    """Return an association that is there. Raises TimeoutError."""
    association = await begin(transport)
    async with asyncio.timeout(PATIENCE_S):
        # aiortc tells nobody when it is there
        while association.state != "connected":  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    return association


def channel(association: RTCSctpTransport, label: str, **parameters: Any) -> RTCDataChannel:
    """Return a channel that opens once the association is there."""
    return RTCDataChannel(association, RTCDataChannelParameters(label=label, **parameters))


async def opened(association: RTCSctpTransport, label: str, **parameters: Any) -> RTCDataChannel:
    """Return an open channel. Raises TimeoutError."""
    is_open = asyncio.Event()
    made = channel(association, label, **parameters)
    made.on("open", is_open.set)
    async with asyncio.timeout(PATIENCE_S):
        await is_open.wait()
    return made


def silence(association: RTCSctpTransport) -> None:
    """Stop the timers of an association whose peer is gone."""
    for cancel in ("_t1_cancel", "_t2_cancel", "_t3_cancel", "_reconfig_timer_cancel"):
        getattr(association, cancel)()
    association._outbound_queue.clear()
    association._sent_queue.clear()
