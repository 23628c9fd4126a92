"""Workers that die, hang, leak, flood and lie: each ends alone, and leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from roomful_media.link_socket import RECORDS_A_TURN
from roomful_media.worker_exit import EndReason
from roomful_rtc.link.record import FRAME, FRAME_BODY, FRAME_BYTES, HEADER, MORE, RTP

from .listening import first, rest

SERVER = Path(__file__).with_name("server.py")


def descriptors() -> set[str]:
    """Descriptors of this process and what they are."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue  # the listing's own
    return found


def children() -> set[int]:
    """Children of this process, zombies too."""
    return set(map(int, Path("/proc/thread-self/children").read_text().split()))


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] != "Z"


def shared_memory() -> set[str]:
    """Files in shared memory that no process has mapped: what a dead one left."""
    names = {entry.path for entry in os.scandir("/dev/shm")}
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            text = maps.read_text()
        except OSError:
            continue  # it ended
        names = {name for name in names if name not in text}
    return names


async def test_killing_fifty_workers_leaves_nothing(supervisor, spec, environment):
    steady = await supervisor.start(spec("idle"))
    warm = await supervisor.start(spec("idle"))
    os.kill(worker_of(warm), signal.SIGKILL)
    await warm.ended()
    before = descriptors(), children(), shared_memory()

    for number in range(50):
        job = await supervisor.start(spec("idle" if number % 2 else "recorder", _restarts=0))
        if number % 3:
            await asyncio.sleep(0.003 * (number % 7))
        os.kill(worker_of(job), signal.SIGKILL)
        if number % 2:
            assert (await job.ended()).worker.signal == signal.SIGKILL
        else:
            await job.stop(0)
    gc.collect()

    assert (descriptors(), children()) == before[:2]
    assert shared_memory() - before[2] == set()
    assert os.listdir(environment["TMPDIR"]) == []
    steady.send({"t": "echo", "value": 1})
    assert (await first(steady, "echoed"))["value"] == 1


def worker_of(job) -> int:
    """The pid of a job's worker."""
    return job.link._handler._process.pid


async def test_silent_workers_are_killed_and_told_within_ten_seconds(supervisor, spec):
    stopped = await supervisor.start(spec("idle"))
    in_c = await supervisor.start(spec("hanger"))
    in_python = await supervisor.start(spec("hanger", in_python=True))
    steady = await supervisor.start(spec("idle"))
    os.kill(worker_of(stopped), signal.SIGSTOP)

    async with asyncio.timeout(10):
        ends = await asyncio.gather(stopped.ended(), in_c.ended(), in_python.ended())

    assert {end.reason for end in ends} == {EndReason.HUNG}
    assert {end.worker.signal for end in ends} == {signal.SIGKILL}
    assert "silent for 6 s" in ends[0].detail
    # what it hung in can be read
    assert "in wait" in ends[1].worker.output
    assert "trial_jobs.py" in ends[2].worker.output
    assert steady.exit is None


async def test_worker_that_reads_nothing_is_killed(supervisor, spec):
    job = await supervisor.start(spec("deaf"))
    await first(job, "deaf")
    for _ in range(100):
        job.send({"t": "filler", "value": "x" * 50_000})

    async with asyncio.timeout(10):
        ended = await job.ended()

    assert ended.reason is EndReason.HUNG
    assert "control" in ended.detail


async def test_leak_ends_by_the_watch_or_by_the_kernel(supervisor, spec):
    slow = await supervisor.start(spec("leaker", mib=8, every_s=0.02, _memory_bytes=150 << 20))
    quick = await supervisor.start(spec("leaker", mib=1024, every_s=0, _memory_bytes=1 << 20))

    async with asyncio.timeout(20):
        ends = await asyncio.gather(slow.ended(), quick.ended())

    assert [end.reason for end in ends] == [EndReason.MEMORY] * 2
    assert "150 MiB are allowed" in ends[0].detail
    assert ends[0].worker.peak_rss_bytes > 150 << 20


async def test_worker_that_burns_more_than_its_share_is_killed(supervisor, spec):
    job = await supervisor.start(spec("burner", _cpu_cores=0.05))

    async with asyncio.timeout(30):
        ended = await job.ended()

    assert ended.reason is EndReason.CPU
    assert "0.05 are allowed" in ended.detail


async def test_files_are_limited(supervisor, spec):
    job = await supervisor.start(spec("greedy", _open_files=64))

    ended = await job.ended()

    assert ended.worker.result["error"] == "Too many open files"
    assert ended.worker.result["files"] < 64


@pytest.mark.parametrize("batched", [False, True])
async def test_flood_takes_no_more_than_its_turn(supervisor, spec, until, batched):
    job = await supervisor.start(spec("flooder", batched=batched))
    link, most, turns, before = job.link, 0, 0, 0
    await until(lambda: link.stats.records_in > 1000)

    before = link.stats.records_in
    while turns < 500:
        await asyncio.sleep(0)
        turns += 1
        most, before = max(most, link.stats.records_in - before), link.stats.records_in
    ended = await job.stop(0.5)

    assert 0 < most <= RECORDS_A_TURN
    assert ended.reason is EndReason.OVERDUE


async def test_worker_that_says_more_than_anybody_takes_is_ended(supervisor, spec):
    job = await supervisor.start(spec("chatterbox"))

    ended = await job.ended()

    assert ended.reason is EndReason.PROTOCOL
    assert len(await rest(job)) <= 1001


def record(kind: int, body: bytes, flags: int = 0, stream: int = 1) -> bytes:
    return HEADER.pack(len(body), kind, flags, stream) + body


LONG = FRAME_BODY.pack(0, 0, 0, 0, FRAME_BYTES + 1) + b"x"
ENDLESS = FRAME_BODY.pack(0, 0, 0, 0, 9) + b"x"


@pytest.mark.parametrize(
    ("lie", "messages"),
    [
        ("junk", [b"\xff" * 100]),
        ("half a record", [b"\x00\x10\x00\x00"]),
        ("a length beyond its message", [HEADER.pack(50, 0, 0, 0) + b"{}"]),
        ("control that is no JSON", [record(0, b"[" * 20_000, stream=0)]),
        ("a second hello", [record(0, b'{"t":"hello"}', stream=0)]),
        ("done without a result", [record(0, b'{"t":"done"}', stream=0)]),
        ("a stream of another link", [record(RTP, bytes(8) + b"\x80" + bytes(11), stream=77)]),
        ("a frame over the limit", [record(FRAME, LONG, MORE)]),
        ("a frame that is never there", [record(FRAME, ENDLESS, MORE), record(FRAME, b"", MORE)]),
        ("a message over the limit", [b"\0"]),
    ],
)
async def test_lie_ends_that_worker_only(supervisor, spec, lie, messages):
    steady = await supervisor.start(spec("idle"))

    class User:
        """Opens a stream, so that frames can lie."""

        def on_ready(self, link):
            link.open(1, link.sink(1))

        def on_control(self, message, stream):
            return False

        def on_lost(self):
            pass

    times = 100_000 if messages == [b"\0"] else 1
    job = await supervisor.start(
        spec("garbage", messages=[(message.hex(), times) for message in messages]), User()
    )

    ended = await job.ended()

    assert ended.reason is EndReason.PROTOCOL
    assert ended.worker.signal == signal.SIGKILL
    steady.send({"t": "echo", "value": lie})
    assert (await first(steady, "echoed"))["value"] == lie


async def test_user_that_fails_over_a_record_costs_one_worker(supervisor, spec, caplog):
    class Broken:
        def on_ready(self, link):
            pass

        def on_control(self, message, stream):
            raise KeyError("a bug of ours")

        def on_lost(self):
            pass

    job = await supervisor.start(spec("idle"), Broken())

    assert (await job.ended()).reason is EndReason.PROTOCOL
    assert "not handled" in caplog.text


async def test_what_a_worker_started_ends_with_it(supervisor, spec, until):
    job = await supervisor.start(spec("parent"))
    grandchild = (await first(job, "child"))["pid"]
    os.kill(worker_of(job), signal.SIGKILL)

    await job.ended()

    await until(lambda: not alive(grandchild))


# -- the server dies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "left"),
    [({}, "finished"), ({"hangs": True}, None), ({"lingers": True}, "finished")],
)
async def test_worker_ends_with_a_killed_server(environment, tmp_path, until, options, left):
    path = tmp_path / "kept"
    arguments = [f"{key}={value}" for key, value in options.items()]
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), str(path), *arguments, env=dict(environment)
    )
    await until(lambda: path.exists() and path.read_text())
    worker = int(path.read_text())
    assert alive(worker)

    server.kill()
    await server.wait()

    await until(lambda: not alive(worker), 8)
    assert path.read_text() == (left or str(worker))
