"""Real children that burn real CPU. Time is what they burn: a busy machine makes it slow, not wrong.

A burner burns a tenth of a CPU second for each byte it is sent, and answers with a byte. The clock of
admission moves by as much as the test says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from roomful.limits import Lease, Limits, Machine, Pace, Refused

BURNER = """\
import os, subprocess, sys, time
depth, program = sys.argv[1:]
if depth != "0":
    nested = (sys.executable, "-c", program, str(int(depth) - 1), program)
    sys.exit(subprocess.call(nested, start_new_session=True))
while os.read(0, 1):
    done = time.process_time() + 0.1
    while time.process_time() < done:
        pass
    os.write(1, b".")
"""
IDLE = "import sys; sys.stdin.read()"


@dataclass
class Bench:
    """Stands in for the server: a child that idles, and what is started beside or below it."""

    now: float = 0.0
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def burner(self, depth: int = 0) -> subprocess.Popen[bytes]:
        """Start one that burns; with a depth, its descendant of that depth does, waited for."""
        process = self.start(BURNER, str(depth), BURNER)
        burn(process, 0.1)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End a process; its descendants read that nobody wants more."""
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        self.running.remove(process)

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0


def burn(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Have that many CPU seconds burnt."""
    assert process.stdin is not None
    assert process.stdout is not None
    tenths = round(seconds * 10)
    process.stdin.write(b"." * tenths)
    process.stdin.flush()
    for _ in range(tenths):
        assert process.stdout.read(1) == b"."


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for process in list(bench.running):
        bench.end(process)


@pytest.fixture
def limits(bench) -> Limits:
    """Of a "server" that is another process, so that what the test starts is foreign to it."""
    machine = Machine(bench.start(IDLE).pid)
    limits = Limits(4.0, bench, machine.sample, machine_cores=4, pace=Pace(1.0, 0.0, 30.0))
    limits.sample()
    return limits


def pass_time(limits: Limits, bench: Bench, seconds: float) -> None:
    bench.now += seconds
    limits.sample()


def test_foreign_hog_is_seen_and_forgotten_when_it_ends(bench, limits):
    hog = bench.burner()
    pass_time(limits, bench, 1.0)
    burn(hog, 1.0)
    pass_time(limits, bench, 1.0)

    assert limits.foreign > 0.85
    assert limits.used < 0.1
    assert isinstance(limits.admit("composite", 3.2), Refused)

    bench.end(hog)
    pass_time(limits, bench, 1.0)
    pass_time(limits, bench, 1000.0)
    assert limits.foreign < 0.1


def test_job_at_twice_its_estimate_counts_with_what_it_uses(bench, limits):
    job = bench.burner()
    lease = limits.admit("composite", 0.5)
    assert isinstance(lease, Lease)
    lease.watch(job.pid)
    pass_time(limits, bench, 1.0)
    burn(job, 1.0)
    pass_time(limits, bench, 1.0)

    assert lease.counted == pytest.approx(1.0, abs=0.15)
    assert limits.used == pytest.approx(1.0, abs=0.15)
    lease.release()
    assert limits.counted == 0.0


def test_nested_children_in_sessions_of_their_own_are_the_jobs(bench, limits):
    job = bench.burner(depth=3)
    lease = limits.admit("composite", 0.5)
    assert isinstance(lease, Lease)
    lease.watch(job.pid)
    pass_time(limits, bench, 1.0)
    before = lease.used_s
    burn(job, 1.0)
    pass_time(limits, bench, 1.0)

    assert lease.used_s - before == pytest.approx(1.0, abs=0.15)


def test_restarted_worker_goes_on_under_the_same_lease(bench, limits):
    lease = limits.admit("composite", 0.5)
    assert isinstance(lease, Lease)
    for _ in range(2):
        worker = bench.burner()
        lease.watch(worker.pid)
        pass_time(limits, bench, 1.0)
        burn(worker, 0.5)
        pass_time(limits, bench, 1.0)
        bench.end(worker)
        pass_time(limits, bench, 1.0)

    assert lease.used_s == pytest.approx(1.0, abs=0.25)
    assert lease.is_watched


def test_worker_that_ends_between_two_looks_leaves_its_last_use_to_its_lease(bench):
    limits = Limits(4.0, bench, Machine(os.getpid()).sample, 4, Pace(1.0, 0.0, 30.0))
    limits.sample()
    lease = limits.admit("composite", 0.5)
    assert isinstance(lease, Lease)
    worker = bench.burner()
    lease.watch(worker.pid)
    burn(worker, 0.3)
    pass_time(limits, bench, 1.0)
    seen = lease.used_s
    burn(worker, 0.5)
    bench.end(worker)
    pass_time(limits, bench, 1.0)

    assert lease.used_s - seen == pytest.approx(0.5, abs=0.1)
