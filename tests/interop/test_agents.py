"""Unmodified livekit-agents workers: dispatched, heard, interrupted, killed."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from livekit import api, rtc
from livekit.protocol.agent import JobStatus

from .guest import Guest, guest
from .media import LOUDNESS, Ear, until
from .server import RoomServer, start_roomful
from .workers import (
    ROOT,
    Worker,
    agents_python,
    environment_of,
    run_worker,
    start_worker,
)

AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
CALLER_HZ = 440
VOICE_HZ = 880
LONG_S = 30.0
"""a process that starts on a busy machine takes its time"""
CROWD_S = 120.0


@pytest.fixture(scope="module")
def agent_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomServer]:
    """A server of this module alone: unnamed workers answer in all of its rooms."""
    agents_python()
    with start_roomful(tmp_path_factory.mktemp("agents")) as server:
        yield server


@pytest.fixture(scope="module")
def echo(agent_server: RoomServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker that is dispatched by the name `echo`."""
    folder = tmp_path_factory.mktemp("echo")
    with start_worker(agent_server, "tone", folder, agent_name="echo") as worker:
        yield worker


async def the_agent(caller: Guest, *, within: float = LONG_S) -> rtc.RemoteParticipant:
    """The one agent of the caller's room."""

    def agents() -> list[rtc.RemoteParticipant]:
        return [p for p in caller.room.remote_participants.values() if p.kind == AGENT]

    await until(lambda: len(agents()) == 1, within=within, what="an agent comes")
    return agents()[0]


async def converses(caller: Guest) -> rtc.RemoteParticipant:
    """The caller's tone is heard by the agent, and the agent's by the caller."""
    await caller.speak(CALLER_HZ)
    agent = await the_agent(caller)
    ear = await _ear(caller, agent.identity)
    await ear.hears_tone(2 * CALLER_HZ, within=LONG_S)
    assert abs(float(agent.attributes["heard"]) - CALLER_HZ) <= 4
    return agent


async def _ear(caller: Guest, identity: str, *, within: float = LONG_S) -> Ear:
    await caller.track(identity, rtc.TrackKind.KIND_AUDIO, within=within)
    return await caller.ear(identity)


async def dispatch(server: RoomServer, room: str, name: str, metadata: str = "") -> str:
    """Send an agent to the room by the API; returns the dispatch's id."""
    async with server.api() as client:
        request = api.CreateAgentDispatchRequest(room=room, agent_name=name, metadata=metadata)
        return (await client.agent_dispatch.create_dispatch(request)).id


async def job_state(server: RoomServer, room: str, dispatch_id: str):
    """The state of a dispatch's one job."""
    async with server.api() as client:
        found = await client.agent_dispatch.get_dispatch(dispatch_id, room)
    assert found is not None
    [job] = found.state.jobs
    return job.state


async def test_an_agent_dispatched_by_name_hears_and_is_heard(
    agent_server: RoomServer, echo: Worker, room_name: str
) -> None:
    async with guest(agent_server, "caller", room_name) as caller:
        dispatch_id = await dispatch(agent_server, room_name, "echo", "for the caller")
        agent = await converses(caller)
        assert agent.kind == AGENT and agent.name == "Echo"
        assert agent.attributes["lk.agent_name"] == "echo"
        assert agent.attributes["mood"] == "good"
        assert agent.attributes["metadata"] == "for the caller"
        state = await job_state(agent_server, room_name, dispatch_id)
        assert state.status == JobStatus.JS_RUNNING
        assert state.participant_identity == agent.identity

        async with agent_server.api() as client:
            await client.agent_dispatch.delete_dispatch(dispatch_id, room_name)
        await caller.hears_of("participant_disconnected", within=LONG_S)


async def test_a_token_brings_its_agent(
    agent_server: RoomServer, echo: Worker, room_name: str
) -> None:
    config = api.RoomConfiguration(
        agents=[api.RoomAgentDispatch(agent_name="echo", metadata="by token")]
    )
    token = agent_server.grant("caller", room_join=True, room=room_name).with_room_config(config)
    async with guest(agent_server, "caller", room_name, token=token.to_jwt()) as caller:
        agent = await converses(caller)
        assert agent.attributes["metadata"] == "by token"


async def test_a_job_that_ends_well_is_told_so(
    agent_server: RoomServer, echo: Worker, room_name: str
) -> None:
    """A caller who hangs up leaves a room that closes; agents do not keep it."""
    async with agent_server.api() as client:
        request = api.CreateRoomRequest(name=room_name, departure_timeout=1, empty_timeout=60)
        await client.room.create_room(request)
    await dispatch(agent_server, room_name, "echo")
    async with guest(agent_server, "caller", room_name) as caller:
        await the_agent(caller)
    async with agent_server.api() as client:

        async def is_gone() -> bool:
            rooms = await client.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
            return not rooms.rooms

        async with asyncio.timeout(LONG_S):
            while not await is_gone():
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("job_type", ["ROOM", "PUBLISHER"])
async def test_automatic_dispatch(
    agent_server: RoomServer, tmp_path: Path, room_name: str, job_type: str
) -> None:
    with start_worker(agent_server, "tone", tmp_path, job_type=job_type):
        async with guest(agent_server, "caller", room_name) as caller:
            agent = await converses(caller)
            assert agent.attributes["lk.agent_name"] == ""
            wanted = "" if job_type == "ROOM" else "caller"
            assert agent.attributes.get("for", "") == wanted


async def test_a_worker_that_is_killed_with_its_agent(
    agent_server: RoomServer, tmp_path: Path, room_name: str
) -> None:
    """The room is told; as with the reference, a job whose agent was there is not given again."""
    with start_worker(agent_server, "tone", tmp_path, agent_name="mortal") as worker:
        async with guest(agent_server, "caller", room_name) as caller:
            dispatch_id = await dispatch(agent_server, room_name, "mortal")
            agent = await converses(caller)
            with start_worker(agent_server, "tone", tmp_path, agent_name="mortal"):
                worker.kill()
                await caller.hears_of("participant_disconnected", within=60)
                assert agent.identity not in caller.room.remote_participants
                state = await job_state(agent_server, room_name, dispatch_id)
                while state.status == JobStatus.JS_RUNNING:
                    await asyncio.sleep(0.2)
                    state = await job_state(agent_server, room_name, dispatch_id)
                assert state.status == JobStatus.JS_FAILED
                assert "went away" in state.error
                assert not [p for p in caller.room.remote_participants.values() if p.kind == AGENT]


@pytest.mark.bench  # twenty clients and twelve processes: for a machine with nothing else to do
async def test_ten_calls_at_once_over_two_workers(
    agent_server: RoomServer, tmp_path: Path, room_name: str
) -> None:
    """Every caller has an agent of its own, which hears it and is heard, all at the same time."""
    rooms = [f"{room_name}-{number}" for number in range(10)]
    microphones = [Microphone() for _ in rooms]
    async with AsyncExitStack() as stack:
        for _ in range(2):
            worker = start_worker(agent_server, "tone", tmp_path, agent_name="crowd")
            stack.enter_context(worker)
        callers = [
            await stack.enter_async_context(guest(agent_server, "caller", room)) for room in rooms
        ]
        for microphone, caller in zip(microphones, callers, strict=True):
            stack.push_async_callback(microphone.close)
            await microphone.publish(caller)
            microphone.sound_on()
        made = await asyncio.gather(*(dispatch(agent_server, room, "crowd") for room in rooms))
        agents = [await the_agent(caller, within=CROWD_S) for caller in callers]
        for caller, agent in zip(callers, agents, strict=True):
            ear = await _ear(caller, agent.identity, within=CROWD_S)
            await ear.hears_tone(2 * CALLER_HZ, within=LONG_S)
            await ear.close()
        states = [
            await job_state(agent_server, room, one) for room, one in zip(rooms, made, strict=True)
        ]
    assert {state.status for state in states} == {JobStatus.JS_RUNNING}
    assert len({state.participant_identity for state in states}) == 10


async def test_the_how_to_pages_own_programs(
    agent_server: RoomServer, tmp_path: Path, room_name: str
) -> None:
    page = (ROOT / "docs/how-to/agents.md").read_text()
    programs = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in programs] == ["agent.py", "send.py"]
    for name, text in programs:
        (tmp_path / name).write_text(text.replace('"lobby"', repr(room_name)))
    with run_worker(agent_server, tmp_path / "agent.py", tmp_path, "dev", "--no-reload"):
        async with guest(agent_server, "caller", room_name) as caller:
            command = [str(agents_python()), str(tmp_path / "send.py")]
            sent = await asyncio.create_subprocess_exec(
                *command, env=environment_of(agent_server), stdout=asyncio.subprocess.PIPE
            )
            agent = await the_agent(caller)
            await until(lambda: agent.attributes.get("about") == "be kind", within=LONG_S)
            said = await caller.local.perform_rpc(
                destination_identity=agent.identity, method="hello", payload="hi"
            )
            assert said == "hello caller, you said hi"
            output, _ = await sent.communicate()
            assert sent.returncode == 0 and b"greeter" in output


class Transcript:
    """Text streams of one topic, by who said them."""

    def __init__(self, room: rtc.Room) -> None:
        self.said: list[tuple[str, str]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler("lk.transcription", self._take)

    def _take(self, reader: rtc.TextStreamReader, identity: str) -> None:
        task = asyncio.get_running_loop().create_task(self._read(reader, identity))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self.said.append((identity, await reader.read_all()))

    def by(self, identity: str) -> list[str]:
        return [text for who, text in self.said if who == identity]


async def test_an_agent_session_takes_turns_and_is_interrupted(
    agent_server: RoomServer, tmp_path: Path, room_name: str
) -> None:
    with start_worker(agent_server, "talk", tmp_path, agent_name="talker"):
        someone, microphone = Guest(agent_server, "caller"), Microphone()
        transcript = Transcript(someone.room)
        states: list[str] = []

        def note(changed: dict[str, str], _: rtc.Participant) -> None:
            if "lk.agent.state" in changed:
                states.append(changed["lk.agent.state"])

        someone.room.on("participant_attributes_changed", note)
        await someone.join(agent_server.token("caller", room_name))
        try:
            await dispatch(agent_server, room_name, "talker")
            agent = await the_agent(someone)
            await until(lambda: agent.attributes.get("ready") == "yes", within=LONG_S)
            said = await someone.local.perform_rpc(
                destination_identity=agent.identity, method="greet", payload="hello"
            )
            assert said == "caller said hello"

            ear = await _ear(someone, agent.identity)
            await microphone.publish(someone)
            await microphone.sound(1.0)
            await ear.hears_tone(VOICE_HZ, within=LONG_S)
            await until(lambda: "speaking" in states, within=LONG_S, what="it speaks")

            # the answer lasts for 13 s; a tone in the middle of it ends it
            states.clear()
            await microphone.sound(1.0)
            await until(lambda: "speaking" in states, within=LONG_S, what="it speaks again")
            assert states[0] in ("listening", "thinking"), states
            await ear.hears_tone(VOICE_HZ, within=LONG_S)

            await until(lambda: len(transcript.by("caller")) >= 2, within=LONG_S)
            assert "a tone" in transcript.by("caller")[-1]
            await until(lambda: len(transcript.by(agent.identity)) >= 1, within=LONG_S)
            answers = transcript.by(agent.identity)
            assert answers[0].startswith("turn 1") and answers[0].count("so") < 8, answers
        finally:
            await microphone.close()
            await someone.leave()


class Microphone:
    """A microphone that is silent but for when it is told to sound."""

    RATE, SAMPLES = 48_000, 2_400

    def __init__(self) -> None:
        self._source = rtc.AudioSource(self.RATE, 1, queue_size_ms=200)
        self._left = 0
        self._task: asyncio.Task[None] | None = None

    async def publish(self, who: Guest) -> None:
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await who.local.publish_track(track, options)
        self._task = asyncio.create_task(self._play())

    def sound_on(self) -> None:
        """Sound until it is closed."""
        self._left = 1 << 40

    async def sound(self, seconds: float) -> None:
        """Sound for so long; returns when it is over."""
        self._left = int(seconds * self.RATE)
        while self._left > 0:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _play(self) -> None:
        phase = np.arange(self.SAMPLES) * (2 * np.pi * CALLER_HZ / self.RATE)
        loud = (LOUDNESS * np.sin(phase)).astype(np.int16).tobytes()
        while True:
            data = loud if self._left > 0 else bytes(2 * self.SAMPLES)
            self._left -= self.SAMPLES
            await self._source.capture_frame(rtc.AudioFrame(data, self.RATE, 1, self.SAMPLES))
