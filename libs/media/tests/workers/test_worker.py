"""What passes between a server and a real worker: frames, packets, log lines, output."""

from __future__ import annotations

import asyncio
import logging

import pytest

from roomful_rtc.link.policy import LIVE_FRAMES
from roomful_rtc.link.record import FRAME_BYTES, Frame

PACKET = b"\x80\x60" + bytes(10) + b"payload"


class Back:
    """Keeps what comes back, and the order of everything."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.packets: list[bytes] = []
        self.frames: list[Frame] = []

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self.order.append("packet")
        self.packets.append(bytes(packet))

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self.order.append(f"clock {rtp_ts} {ntp} {arrival_ns}")

    def gap(self, count: int, reason: int) -> None:
        self.order.append(f"gap {count} {reason}")

    def frame(self, frame: Frame) -> None:
        self.order.append("frame")
        self.frames.append(frame)

    def end(self) -> None:
        self.order.append("end")


class User:
    """Opens streams 11 and 12 for what comes back of 1 and 2."""

    def __init__(self) -> None:
        self.video, self.audio = Back(), Back()
        self.seen: list[object] = []
        self.lost = 0

    def on_ready(self, link):
        link.open(11, self.video)
        link.open(12, self.audio)
        for stream in (1, 2):
            link.send({"t": "track", "sink": stream}, stream)

    def on_control(self, message, stream):
        self.seen.append(message)
        self.video.order.append(message["t"])
        return message["t"] == "note"

    def on_lost(self):
        self.lost += 1


def payload(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


async def test_key_frame_of_300_kb_passes_both_ways_between_control_and_audio(
    supervisor, spec, until
):
    user = User()
    job = await supervisor.start(spec("echo", _queue=LIVE_FRAMES), user)
    link = job.link
    video, audio = link.sink(1, video=True), link.sink(2)
    sent = Frame(payload(300_000), 5, 1, -1, 7, key=True)

    video.frame(sent)
    for number in range(20):
        audio.write(PACKET + bytes((number,)), number)
        job.send({"t": "note", "number": number})
    await until(lambda: user.video.frames and len(user.audio.packets) == 20)

    assert user.video.frames == [sent]
    assert [packet[-1] for packet in user.audio.packets] == list(range(20))
    # what came later overtook the fragments
    assert user.video.order[:20] == ["note"] * 20
    assert [message["number"] for message in user.seen] == list(range(20))


@pytest.mark.parametrize("size", [0, FRAME_BYTES])
async def test_smallest_and_longest_frame_come_back(supervisor, spec, until, size):
    user = User()
    job = await supervisor.start(spec("echo", _queue=LIVE_FRAMES), user)
    sent = Frame(payload(size), 5, 1, -1, 7, key=True)

    job.link.sink(1, video=True).frame(sent)
    await until(lambda: user.video.frames)

    assert user.video.frames == [sent]


async def test_packets_clocks_gaps_and_ends_come_back_in_order(supervisor, spec, until):
    user = User()
    job = await supervisor.start(spec("echo"), user)
    sink = job.link.sink(2)

    sink.write(PACKET, 10)
    sink.clock(1, 2 << 60, 3)
    sink.gap(4, 2)
    sink.write(PACKET, 11)
    sink.end()
    await until(lambda: user.audio.order[-1:] == ["packet"] and user.seen)

    assert user.audio.order == ["packet", f"clock 1 {2 << 60} 3", "gap 4 2", "packet"]
    assert user.seen == [{"t": "track_ended", "sink": 12}]
    await job.stop()
    assert user.audio.order[-1] == "end"
    assert user.lost == 1


async def test_workers_log_lines_are_the_servers(supervisor, spec, until, caplog):
    caplog.set_level(logging.INFO)
    job = await supervisor.start(spec("talker", _log_fields={"egress": "EG_7"}))
    await until(lambda: any("not decoded" in record.message for record in caplog.records))

    by_message = {record.message: record for record in caplog.records}
    opened = by_message["encoder opened"]
    assert (opened.codec, opened.pii_name, opened.egress) == ("h264", "Zoë", "EG_7")
    assert (opened.job, opened.job_kind, opened.worker_logger) == (
        job.spec.job_id, "talker", "trial.jobs",
    )  # fmt: skip
    assert "ValueError: inner" in by_message["a frame was not decoded"].trace
    assert "not worth sending" not in by_message
    ended = await job.stop()
    assert "concealing 5 errors" in ended.worker.output
    assert "printed" in ended.worker.output


async def test_flood_of_log_lines_is_bounded(supervisor, spec, until, caplog):
    caplog.set_level(logging.INFO)
    job = await supervisor.start(spec("talker", lines=3000))
    await until(lambda: sum(record.message == "line" for record in caplog.records) > 100)

    await job.stop(5)

    assert sum(record.message == "line" for record in caplog.records) < 1500


async def test_flood_of_output_waits_in_its_pipe(supervisor, spec):
    job = await supervisor.start(spec("writer"))
    process = job.link._handler._process
    taken = []
    feed = process._on_output
    process._on_output = lambda data: (taken.append(len(data)), feed(data))

    turns = 0
    async with asyncio.timeout(10):
        while process._reading or turns < 3:
            turns += 1
            await asyncio.sleep(0.01)

    assert sum(taken) < 1 << 20
    ended = await job.stop(0.2)
    assert len(ended.worker.output) == 4096


async def test_use_of_a_worker_is_seen(supervisor, spec, until):
    job = await supervisor.start(spec("burner"))
    await until(lambda: job.cores > 0.05 and job.rss_bytes > 1 << 20)

    await job.stop(3)

    assert (job.cores, job.rss_bytes) == (0.0, 0)
