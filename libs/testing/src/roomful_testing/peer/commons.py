"""What raw participants of one loop may share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import aiohttp

from roomful_testing.peer.dtls import Certificate
from roomful_testing.peer.metronome import Metronome
from roomful_testing.peer.srtp import Buffer


@dataclass(frozen=True, slots=True)
class Commons:
    """Made inside the loop; `close` them."""

    session: aiohttp.ClientSession
    certificate: Certificate
    buffer: Buffer
    metronome: Metronome

    @classmethod
    def make(cls, metronome: Metronome | None = None) -> Self:
        """Return new ones, but for a metronome that there is."""
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return cls(session, Certificate(), Buffer(), metronome or Metronome())

    async def close(self) -> None:
        """Free them."""
        self.metronome.stop()
        await self.session.close()
