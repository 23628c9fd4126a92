"""Twenty-five in one room, all speaking, one with a camera: nothing is missing, the loop is free.

Twenty-four are raw participants, which notice every sequence number that does not come; one is a
real client, which decodes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.bench.figures.process import ProcessMeter, favour
from tests.bench.peers.clips import SMALL
from tests.bench.peers.order import Order
from tests.bench.peers.pool import Count, Pool, counts
from tests.interop.guest import Guest, guest
from tests.interop.server import RoomServer, start_roomful

from .loop_lag import LagCounts, read_lag

PEOPLE, ROOM = 25, "hall"
SETTLE_S, MEASURED_S = 3.0, 60.0
HERTZ = 523.0
AUDIO_PER_S = 50
LAG_S = 0.05


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomServer]:
    """A server that nobody else uses."""
    disabled = {"ROOMFUL_PLUGINS__DISABLED": '["demo"]'}
    with start_roomful(tmp_path_factory.mktemp("load"), settings=disabled) as running:
        yield running


@asynccontextmanager
async def crowd(server: RoomServer) -> AsyncIterator[tuple[Pool, Guest]]:
    """Everybody in the room: the raw participants, and the client that speaks and listens."""
    raw = [
        Order(
            f"raw-{number}",
            server.token(f"raw-{number}", ROOM),
            ["audio", "small"] if number == 0 else ["audio"],
            audios=PEOPLE - 1,
            videos=1,
            hertz=HERTZ,
        )
        for number in range(PEOPLE - 1)
    ]
    assert server.pid is not None
    favour(server.pid)
    async with (
        guest(server, "witness", ROOM) as witness,
        Pool(server.url, favoured=True) as pool,
    ):
        await witness.speak()
        await pool.prepare("audio", "small")
        await pool.join(raw)
        yield pool, witness


def missing(found: list[Count]) -> dict[str, str]:
    """Who did not get everything, and how it shows."""
    wrong: dict[str, str] = {}
    for count in found:
        streams = PEOPLE if count.identity != "raw-0" else PEOPLE - 1
        enough = 0.9 * MEASURED_S * min(AUDIO_PER_S, SMALL.per_second)
        if count.left or count.gaps or count.late or count.refused:
            wrong[count.identity] = f"{count}"
        elif count.flows != streams or count.fewest < enough:
            wrong[count.identity] = f"{count.flows} of {streams} streams, {count.fewest} packets"
    return wrong


async def test_hall_of_25_speakers_gets_every_packet_and_a_free_loop(server: RoomServer) -> None:
    random.seed(25)
    assert server.pid is not None
    meter = ProcessMeter(server.pid)
    async with crowd(server) as (pool, witness):
        ear, eye = await witness.ear("raw-0"), await witness.eye("raw-0")
        await asyncio.sleep(SETTLE_S)

        pictures, waited_s = eye.count, meter.waited_s()
        lag, before = await read_lag(server), await pool.snapshot()
        await asyncio.sleep(MEASURED_S)
        found = counts(before, await pool.snapshot())
        lag = (await read_lag(server)).since(lag)
        waited_s = meter.waited_s() - waited_s

        assert len(found) == PEOPLE - 1
        assert missing(found) == {}
        assert sum(count.authentic for count in found) > 0
        # the client throws pictures away where the machine leaves it no time to show them
        assert eye.count - pictures > 0.5 * MEASURED_S * SMALL.per_second
        await ear.hears_tone(HERTZ)
        await eye.sees_bars()
    _assert_free(lag, waited_s)


def _assert_free(lag: LagCounts, waited_s: float) -> None:
    assert lag.samples > 5 * MEASURED_S
    assert lag.bound_of(0.99) <= LAG_S, (
        f"99 % of {lag.samples:.0f} samples of the loop's lag are below {lag.bound_of(0.99)} s; "
        f"the server waited {waited_s:.1f} s for a processor; {lag.at_most}"
    )
