"""A worker on the wire: raw protobuf over a WebSocket, with the test deciding what it says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from livekit import api
from livekit.protocol import agent, models

WITHIN_S = 10.0


@dataclass
class WireWorker:
    """Answers to availability by `takes`, once `serve` runs."""

    websocket: aiohttp.ClientWebSocketResponse
    worker_id: str = ""
    takes: bool = True
    jobs: list[agent.Job] = field(default_factory=list)
    assignments: list[agent.JobAssignment] = field(default_factory=list)

    async def say(self, **message: Any) -> None:
        await self.websocket.send_bytes(agent.WorkerMessage(**message).SerializeToString())

    async def register(self, **fields: Any) -> agent.RegisterWorkerResponse:
        await self.say(register=agent.RegisterWorkerRequest(**fields))
        answer = (await self.hear("register")).register
        self.worker_id = answer.worker_id
        return answer

    async def status(self, load: float, status: int = 0) -> None:
        await self.say(update_worker=agent.UpdateWorkerStatus(status=status, load=load))  # type: ignore[arg-type]

    async def hear(self, wanted: str = "") -> agent.ServerMessage:
        """The next message, which is the wanted one."""
        async with asyncio.timeout(WITHIN_S):
            frame = await self.websocket.receive()
        assert frame.type is aiohttp.WSMsgType.BINARY, frame
        message = agent.ServerMessage.FromString(frame.data)
        assert not wanted or message.WhichOneof("message") == wanted, message
        return message

    async def closed(self) -> tuple[int, str]:
        """Code and reason that the server closes with; what it said before is passed over."""
        async with asyncio.timeout(15):
            while (frame := await self.websocket.receive()).type is aiohttp.WSMsgType.BINARY:
                continue
        assert frame.type is aiohttp.WSMsgType.CLOSE, frame
        return frame.data, frame.extra or ""

    async def accept(self, **fields: Any) -> agent.JobAssignment:
        """Take the next job that is offered."""
        job = (await self.hear("availability")).availability.job
        await self.answer(job, **fields)
        return (await self.hear("assignment")).assignment

    async def answer(self, job: agent.Job, available: bool = True, **fields: Any) -> None:
        fields = {"participant_identity": f"agent-{job.id}"} | fields
        answer = agent.AvailabilityResponse(job_id=job.id, available=available, **fields)
        await self.say(availability=answer)

    async def report(self, job_id: str, status: int, error: str = "") -> None:
        update = agent.UpdateJobStatus(job_id=job_id, status=status, error=error)  # type: ignore[arg-type]
        await self.say(update_job=update)

    async def serve(self) -> None:
        """Answer every question, keep what comes; ends with the connection."""
        async for frame in self.websocket:
            message = agent.ServerMessage.FromString(frame.data)
            match message.WhichOneof("message"):
                case "availability":
                    self.jobs.append(message.availability.job)
                    await self.answer(message.availability.job, self.takes)
                case "assignment":
                    self.assignments.append(message.assignment)
                case _:
                    continue


def worker_token(key: str, secret: str, **video: Any) -> str:
    grants = api.VideoGrants(**({"agent": True} | video))
    return api.AccessToken(key, secret).with_identity("w").with_grants(grants).to_jwt()


PERMISSIONS = models.ParticipantPermission(
    can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
)
