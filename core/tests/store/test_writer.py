"""The writing thread: what a failing job, a failing disk and too much work do to whom."""

import asyncio
import sqlite3
import threading
from concurrent.futures import wait

import pytest

from roomful.errors import InvalidArgument, Unavailable
from roomful.store import writer as writer_module
from roomful.store.writer import Writer


class Disk(sqlite3.Connection):
    """A connection whose commits and writes can be made to fail as on a full disk."""

    fails_commit = False
    commits = 0

    def execute(self, sql, *arguments):
        if sql == "COMMIT":
            self.commits += 1
            if self.fails_commit:
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *arguments)


@pytest.fixture
def disk():
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, factory=Disk
    )
    connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    return connection


@pytest.fixture
async def writer(disk):
    writer = Writer(disk)
    yield writer
    await writer.close()


def insert(number: int):
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (number,)).lastrowid


def count(connection) -> int:
    return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def held(writer: Writer) -> threading.Event:
    """Keep the thread busy until the event is set, so that what follows makes one group."""
    gate = threading.Event()
    writer.submit(lambda _: gate.wait(10), writes=False)
    return gate


def test_waiting_jobs_share_a_commit(writer, disk):
    gate = held(writer)
    jobs = [writer.submit(insert(number), writes=True) for number in range(50)]

    gate.set()
    wait(jobs)

    assert disk.commits < 10
    assert writer.submit(count, writes=False).result() == 50


def test_failing_job_undoes_itself_alone(writer):
    def fails(connection):
        insert(2)(connection)
        raise InvalidArgument("no")

    gate = held(writer)
    jobs = [
        writer.submit(insert(1), writes=True),
        writer.submit(fails, writes=True),
        writer.submit(insert(1), writes=True),
        writer.submit(insert(3), writes=True),
    ]

    gate.set()
    wait(jobs)

    assert isinstance(jobs[1].exception(), InvalidArgument)
    assert isinstance(jobs[2].exception(), Unavailable)
    assert (jobs[0].result(), jobs[3].result()) == (1, 3)
    assert writer.submit(count, writes=False).result() == 2


def test_failing_commit_fails_all_that_relied_on_it(writer, disk):
    disk.fails_commit = True
    gate = held(writer)
    jobs = [writer.submit(insert(number), writes=True) for number in range(3)]

    gate.set()
    wait(jobs)
    disk.fails_commit = False

    assert all(isinstance(job.exception(), Unavailable) for job in jobs)
    assert writer.submit(count, writes=False).result() == 0
    assert writer.submit(insert(7), writes=True).result() == 7


def test_transaction_that_the_database_gave_up_fails_its_whole_group(writer):
    def gives_up(connection):
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    gate = held(writer)
    jobs = [
        writer.submit(insert(1), writes=True),
        writer.submit(gives_up, writes=True),
        writer.submit(insert(2), writes=True),
    ]

    gate.set()
    wait(jobs)

    assert isinstance(jobs[0].exception(), Unavailable)
    assert isinstance(jobs[1].exception(), Unavailable)
    assert jobs[2].result() == 2
    assert writer.submit(count, writes=False).result() == 1


def test_cancelled_job_is_not_run(writer):
    gate = held(writer)
    job = writer.submit(insert(1), writes=True)

    assert job.cancel()
    gate.set()

    assert writer.submit(count, writes=False).result() == 0


def test_too_much_waiting_is_refused(writer, monkeypatch):
    # the bound itself, so that the test need not queue thousands
    monkeypatch.setattr(writer_module, "WAITING_JOBS", 2)
    small = Writer(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
    gate, started = threading.Event(), threading.Event()

    def hold(_):
        started.set()
        gate.wait(10)

    small.submit(hold, writes=False)
    started.wait(10)
    small.submit(lambda _: None, writes=False)
    small.submit(lambda _: None, writes=False)

    with pytest.raises(Unavailable, match="too much to do"):
        small.submit(lambda _: None, writes=False)
    gate.set()
    asyncio.run(small.close())


async def test_closing_finishes_what_is_queued_and_refuses_the_rest(disk):
    writer = Writer(disk)
    job = writer.submit(insert(1), writes=True)

    await writer.close()
    await writer.close()

    assert job.result() == 1
    with pytest.raises(Unavailable, match="closed"):
        writer.submit(count, writes=False)
