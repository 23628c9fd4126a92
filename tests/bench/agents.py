"""CPU of rooms with a caller and an agent, both talking, for each participant and second.

    ./dev bench agents [--rooms 10] [--repeats 3] [--seconds 8]

Callers and agents are raw participants. A worker on the wire takes the jobs and hands the tokens that
the server made to the agents, so the whole road of a dispatch is in the run; its time, from the
request to the assignment, is told beside the CPU of the server.
"""

from __future__ import annotations

import asyncio
import time

import aiohttp
from livekit import api
from livekit.protocol import agent

from .figures.bench import Bench, leave, options, run
from .figures.report import quantiles
from .figures.servers import Target
from .peers.order import Order
from .peers.pool import Pool, counts

SETTLE_S = 3.0
NAME = "bench"
ASSIGNED_WITHIN_S = 20.0


class Jobs:
    """A worker that takes every job; its agents' tokens by room."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._tokens: dict[str, asyncio.Future[str]] = {}
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Register, then serve until the connection ends."""
        register = agent.RegisterWorkerRequest(agent_name=NAME)
        await self._say(agent.WorkerMessage(register=register))
        await self._websocket.receive_bytes()
        update = agent.UpdateWorkerStatus(status=agent.WorkerStatus.WS_AVAILABLE, load=0.1)
        await self._say(agent.WorkerMessage(update_worker=update))
        self._task = asyncio.create_task(self._serve())

    async def end(self) -> None:
        await self._websocket.close()
        if self._task is not None:
            await self._task

    async def token(self, room: str) -> str:
        """The token of the agent that was sent to a room."""
        waiting = self._tokens.setdefault(room, asyncio.get_running_loop().create_future())
        return await asyncio.wait_for(waiting, ASSIGNED_WITHIN_S)

    async def _serve(self) -> None:
        async for frame in self._websocket:
            message = agent.ServerMessage.FromString(frame.data)
            if message.HasField("availability"):
                job = message.availability.job
                answer = agent.AvailabilityResponse(
                    job_id=job.id, available=True, participant_identity=f"agent-{job.room.name}"
                )
                await self._say(agent.WorkerMessage(availability=answer))
            elif message.HasField("assignment"):
                room = message.assignment.job.room.name
                waiting = self._tokens.setdefault(room, asyncio.get_running_loop().create_future())
                waiting.set_result(message.assignment.token)

    async def _say(self, message: agent.WorkerMessage) -> None:
        await self._websocket.send_bytes(message.SerializeToString())


async def measure(bench: Bench) -> None:
    """On all servers in turn."""
    for _ in range(bench.options.repeats):
        for target in bench.targets:
            await _once(bench, target)


async def _once(bench: Bench, target: Target) -> None:
    token = target.server.grant("worker", agent=True).to_jwt()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, bench.pool(target) as pool:
        jobs = Jobs(await http.ws_connect(f"{target.server.http_url}/agent", headers=headers))
        await jobs.begin()
        await pool.prepare("audio")
        rooms = [bench.room() for _ in range(bench.options.rooms)]
        orders, delays_ms = await _dispatch(bench, target, jobs, rooms)
        await pool.join(orders)
        await asyncio.sleep(SETTLE_S)
        await _window(bench, target, pool, len(orders))
        await jobs.end()
    found = quantiles(delays_ms)
    bench.report.add(target.name, "dispatch: request to assignment, median", "ms", found["median"])


async def _dispatch(
    bench: Bench, target: Target, jobs: Jobs, rooms: list[str]
) -> tuple[list[Order], list[float]]:
    """A caller for each room, and the agent that the server sent there."""
    orders: list[Order] = []
    delays_ms: list[float] = []
    async with target.server.api() as client:
        for room in rooms:
            began = time.monotonic()
            request = api.CreateAgentDispatchRequest(room=room, agent_name=NAME)
            await client.agent_dispatch.create_dispatch(request)
            token = await jobs.token(room)
            delays_ms.append((time.monotonic() - began) * 1e3)
            orders.append(bench.order(target, room, f"caller-{room}", "audio", audios=1))
            orders.append(Order(f"agent-{room}", token, ["audio"], audios=1))
    return orders, delays_ms


async def _window(bench: Bench, target: Target, pool: Pool, people: int) -> None:
    loop = asyncio.get_running_loop()
    before, begin, cpu_s = await pool.snapshot(), loop.time(), target.meter.cpu_s()
    await asyncio.sleep(bench.options.seconds)
    cpu_s, seconds = target.meter.cpu_s() - cpu_s, loop.time() - begin
    found = counts(before, await pool.snapshot())
    for count in found:
        if count.left or count.gaps or count.flows != 1:
            bench.report.fail(
                f"{target.name}: {count.identity} heard {count.flows} voices with {count.gaps} "
                f"numbers missing{f', and was ended: {count.left}' if count.left else ''}"
            )
    per_second = 1e3 * cpu_s / seconds / people
    bench.report.add(target.name, "CPU per participant-second", "ms", per_second)
    bench.report.line(server=target.name, people=people, cpu_s=round(cpu_s, 3),
                      seconds=round(seconds, 2))  # fmt: skip


def main() -> int:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--rooms", type=int, default=10, help="each with a caller and an agent")
    return run("agents", parser, measure)


if __name__ == "__main__":
    leave(main())
