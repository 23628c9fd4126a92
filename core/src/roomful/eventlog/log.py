"""The event log: takes events without waiting, writes them in order, tells, and is read by cursors.

    submit(event) ─► waiting ─(one transaction: events, live rooms and participants)─► written
                                                            └─► `told(record)`, in order

Nobody who causes an event waits for the disk; nobody is told of an event that is not on it. While
the store cannot write, events wait in memory (`WAITING_EVENTS`) and are tried again.

Bounds: what every cursor has passed is kept for a day; all in all the log keeps 100,000 events or
256 MiB, then the oldest go, and where a cursor had not passed them that is an ERROR and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TypeVar

from roomful.clock import Clock
from roomful.errors import Unavailable
from roomful.eventlog.codec import event_to_json
from roomful.eventlog.live import Live, LiveParticipant, LiveRoom
from roomful.eventlog.record import EventRecord, EventRow, key_of, record_of
from roomful.ids import EVENT, new_sid
from roomful.model.events import LifeCycleEvent
from roomful.store import Store, Table

log = logging.getLogger(__name__)

T = TypeVar("T")

KEEP_EVENTS = 100_000
KEEP_BYTES = 256 << 20
KEEP_PASSED_MS = 24 * 3600 * 1000
WAITING_EVENTS = 100_000
BATCH_EVENTS = 500
BATCH_BYTES = 4 << 20
TRIM_EVERY = 1000
"""events between two looks at the bounds"""
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class CursorRow:
    """How far a named reader has come."""

    name: str
    seq: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event on its way to the store."""

    event: LifeCycleEvent
    id: str
    created_at_ms: int
    body: str


class EventLog:
    """`server.events`. `start` before the first event, `stop` after the last."""

    def __init__(
        self, store: Store, clock: Clock, told: Callable[[EventRecord], None] | None = None
    ) -> None:
        """`told` is called on the loop for each written event; it must neither wait nor raise."""
        self._store, self._clock, self._told = store, clock, told
        self._events = store.table("core.events", EventRow, key="key")
        self._cursors = store.table("core.cursors", CursorRow, key="name")
        self._rooms = store.table("core.live_rooms", LiveRoom, key="sid")
        self._participants = store.table("core.live_participants", LiveParticipant, key="sid")
        self._live = Live()
        self._waiting: deque[_Waiting] = deque()
        """bounded by `WAITING_EVENTS`"""
        self._stored: dict[str, int] = {}
        self._opened: dict[str, Cursor] = {}
        self._last = self._submitted = self._bytes = self._since_trim = 0
        self._work = asyncio.Event()
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.dropped = 0
        """events gone before an open cursor passed them, or that found no room to wait"""

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> int:
        """Read where the log stands, add what a killed server left unsaid, begin to write.

        Returns how many events were added. Raises `ConfigError` or `Unavailable`.
        """
        await self._load()
        endings = list(self._live.endings())
        for event in endings:
            self.submit(event)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="event-log")
        self._task.add_done_callback(_report_end)
        await self.flush()
        await self._trim()
        if endings:
            log.warning("log completed after an unclean end", extra={"events": len(endings)})
        return len(endings)

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Write what is waiting, for so long at most."""
        self._stopping = True
        self._work.set()
        if self._task is None:
            return
        done, _ = await asyncio.wait([self._task], timeout=timeout_s)
        if not done:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._waiting:
            log.error("events were not written", extra={"events": len(self._waiting)})

    # --- writing -----------------------------------------------------------------------------

    def submit(self, event: LifeCycleEvent) -> None:
        """Take an event, in order, without waiting; it is told once it is written.

        Raises `InvalidArgument` for a `PluginEvent` that JSON cannot say.
        """
        body = event_to_json(event)
        if len(self._waiting) >= WAITING_EVENTS:
            self._count_dropped(1, "too many wait for the store")
            return
        self._submitted += 1
        self._waiting.append(_Waiting(event, new_sid(EVENT), self._clock.wall_ms(), body))
        self._work.set()

    async def flush(self) -> None:
        """Wait until everything submitted so far is written and told."""
        until = self._submitted
        async with self._news:
            await self._news.wait_for(lambda: self._submitted - len(self._waiting) >= until)

    # --- reading -----------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """Number of the last written event, 0 before the first."""
        return self._last

    async def read(self, after_seq: int, limit: int = 100) -> list[EventRecord]:
        """Return written events after `after_seq`, in order."""
        rows = await self._events.find(after=key_of(max(0, after_seq)), limit=limit)
        return [record_of(row) for row in rows]

    async def wait(self, after_seq: int) -> None:
        """Wait until there is an event after `after_seq`."""
        async with self._news:
            await self._news.wait_for(lambda: self._last > after_seq)

    async def cursor(self, name: str) -> Cursor:
        """Return the durable cursor of this name; a new one begins at the end of the log."""
        if name not in self._opened:
            seq = self._stored.get(name)
            if seq is None:
                seq = self._last
                await self._cursors.put(CursorRow(name, seq))
            self._opened[name] = Cursor(self, self._cursors, name, min(seq, self._last))
        return self._opened[name]

    async def forget_cursors(self, prefix: str, keep: Iterable[str]) -> None:
        """Give up the cursors whose names begin so, but for those in `keep`."""
        for name in {*self._stored, *self._opened} - set(keep):
            if name.startswith(prefix):
                self._stored.pop(name, None)
                self._opened.pop(name, None)
                await self._cursors.delete(name)

    # --- inside ------------------------------------------------------------------------------

    async def _load(self) -> None:
        extent = await self._events.extent()
        self._bytes = extent.bytes
        if oldest := await self._events.find(limit=1):
            self._last = int(oldest[0].key) + extent.rows - 1
        self._stored = {row.name: row.seq for row in await _all(self._cursors, lambda r: r.name)}
        # An empty log has numbered events before: go on behind what anybody has seen.
        self._last = max(self._last, *self._stored.values(), 0)
        self._live.rooms = {row.sid: row for row in await _all(self._rooms, lambda r: r.sid)}
        self._live.participants = {
            row.sid: row for row in await _all(self._participants, lambda r: r.sid)
        }

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                if not await self._write_batch():
                    if self._stopping:
                        return
                    await asyncio.sleep(RETRY_S)

    async def _write_batch(self) -> bool:
        """Write what is waiting, or some of it; return False when the store cannot."""
        records, rows = self._batch()
        try:
            await self._write(rows)
        except Unavailable as error:
            log.error("event log cannot be written", extra={"error": error.message})
            return False
        self._live.clean()
        self._last += len(records)
        self._since_trim += len(records)
        self._bytes += sum(len(row.body) for row in rows)
        for record in records:
            self._waiting.popleft()
            if self._told:
                self._told(record)
        async with self._news:
            self._news.notify_all()
        if self._since_trim >= TRIM_EVERY:
            await self._try_trim()
        return True

    async def _try_trim(self) -> None:
        try:
            await self._trim()
        except Unavailable as error:
            log.error("event log cannot be trimmed", extra={"error": error.message})

    def _batch(self) -> tuple[list[EventRecord], list[EventRow]]:
        """Number the next events. Noting them again after a failed write changes nothing."""
        records: list[EventRecord] = []
        rows: list[EventRow] = []
        size = 0
        for seq, waiting in enumerate(islice(self._waiting, BATCH_EVENTS), self._last + 1):
            self._live.note(waiting.event)
            at = waiting.created_at_ms
            records.append(EventRecord(seq, waiting.id, at, waiting.event))
            rows.append(EventRow(key_of(seq), waiting.id, at, waiting.body))
            size += len(waiting.body)
            if size >= BATCH_BYTES:
                break
        return records, rows

    async def _write(self, rows: list[EventRow]) -> None:
        async with self._store.transaction():
            for row in rows:
                await self._events.put(row, if_rev=0)
            await _mirror(self._rooms, self._live.rooms, self._live.dirty_rooms)
            await _mirror(
                self._participants, self._live.participants, self._live.dirty_participants
            )

    async def _trim(self) -> None:
        """Let go of the oldest events, as the bounds say."""
        self._since_trim = 0
        passed = min((cursor.position for cursor in self._opened.values()), default=self._last)
        if self._bytes > KEEP_BYTES:
            self._bytes = (await self._events.extent()).bytes
        while oldest := await self._events.find(limit=TRIM_EVERY):
            going = list(takewhile(lambda row: self._may_go(row, passed), oldest))
            if not going:
                return
            until = int(going[-1].key)
            await self._events.trim(going[-1].key)
            lost = until - max(passed, int(going[0].key) - 1)
            if lost > 0:
                self._count_dropped(lost, "the log is full and a cursor is far behind")
            if len(going) < len(oldest):
                return

    def _may_go(self, row: EventRow, passed: int) -> bool:
        """Whether a bound asks for this oldest row; counts its bytes as gone if so."""
        seq = int(row.key)
        too_many = self._last - seq >= KEEP_EVENTS or self._bytes > KEEP_BYTES
        old = seq <= passed and row.created_at_ms < self._clock.wall_ms() - KEEP_PASSED_MS
        if too_many or old:
            self._bytes -= len(row.body)
        return too_many or old

    def _count_dropped(self, number: int, why: str) -> None:
        self.dropped += number
        log.error("events dropped", extra={"events": number, "why": why, "all": self.dropped})


class Cursor:
    """A named place in the log that outlives the process."""

    def __init__(self, events: EventLog, table: Table[CursorRow], name: str, position: int) -> None:
        self._events, self._table = events, table
        self.name = name
        self.position = position
        """number of the last event that needs no second look"""

    async def advance(self, seq: int) -> None:
        """Note durably that everything up to `seq` is done; never goes back."""
        if seq > self.position:
            self.position = seq
            await self._table.put(CursorRow(self.name, seq))


async def _mirror(table: Table[T], rows: Mapping[str, T], dirty: set[str]) -> None:
    for sid in dirty:
        row = rows.get(sid)
        if row is None:
            await table.delete(sid)
        else:
            await table.put(row)


async def _all(table: Table[T], key: Callable[[T], str]) -> list[T]:
    rows: list[T] = []
    while page := await table.find(after=key(rows[-1]) if rows else None, limit=1000):
        rows += page
    return rows


def _report_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("event log has stopped", exc_info=error)
