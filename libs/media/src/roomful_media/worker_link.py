"""What a job's class sees of the server: messages, streams in, streams out, when to stop.

    class Recorder:
        async def run(self, link: WorkerLink, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
            async for message in link.messages():   # ends after `stop`, or when the server is gone
                ...
            return {"parts": 2}                     # becomes `done`; an exception becomes `failed`

Everything here is for the loop's thread. What decodes or encodes belongs into other threads: a loop
that does not run for 6 s is taken for dead.
"""

from __future__ import annotations

import asyncio
import faulthandler
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from roomful.errors import ConnectionLost, RemoteProtocolError
from roomful_media.heartbeat import SILENT_S
from roomful_media.link_socket import LinkSocket, LinkStats
from roomful_rtc.link import control, vocabulary
from roomful_rtc.link.control import Message
from roomful_rtc.link.policy import LIVE_FRAMES
from roomful_rtc.link.sink import LinkSink
from roomful_rtc.link.streams import StreamConsumer
from roomful_rtc.link.vocabulary import Welcome

MESSAGES = 10_000
"""that the job has not taken"""
ORPHAN_S = 5.0
"""When the server is gone a worker finishes its files and ends within this."""


class JobClass(Protocol):
    """What an entry point of the group `roomful.jobs` names: a class without arguments."""

    async def run(self, link: WorkerLink, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Do the job; return its result. Cancelled when it does not stop in time."""
        ...


class WorkerLink:
    """The worker's end of its link."""

    def __init__(self, sock: socket.socket) -> None:
        self._link = LinkSocket(sock, self, LIVE_FRAMES, strict=False)
        self._inbox: deque[Message] = deque()
        """bounded by `_keep`"""
        self._came = asyncio.Event()
        self._listener: Callable[[Message, int], bool] | None = None
        self._when_stopping: Callable[[], object] | None = None
        self._welcome: Welcome | None = None
        self.stopping = asyncio.Event()
        """set by `stop`, and when the server is gone"""
        self.stop_within_s = ORPHAN_S
        """from then on"""
        self.error: Exception | None = None
        """what the server, or who handles its records, did wrong"""

    @property
    def welcome(self) -> Welcome:
        """Job, room, limits, and the server's clocks at the start."""
        assert self._welcome is not None, "the server has not said welcome"
        return self._welcome

    @property
    def stats(self) -> LinkStats:
        return self._link.stats

    # -- for jobs ----------------------------------------------------------------------------------

    def send(self, message: Mapping[str, object], stream: int = 0) -> None:
        """Queue a control message; lost when the server is gone.

        Raises:
            LocalProtocolError: it is none.
        """
        self._link.send(message, stream)

    def status(self, **fields: object) -> None:
        """Say how the job goes; the last one is kept for whoever asks why a worker ended."""
        self.send(vocabulary.status(fields))

    def listen(self, listener: Callable[[Message, int], bool]) -> None:
        """Call `listener` with (message, stream) of every message in its place among the records.

        It opens the stream of a `track` before its first packet comes, when it listens before the
        job first waits. What it returns True for does not come by `messages` again.
        """
        self._listener = listener
        waiting = tuple(self._inbox)
        self._inbox.clear()
        self._inbox.extend(message for message in waiting if not listener(message, 0))

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what the server says. `stop` is the last; it is made up when the server is gone."""
        while True:
            while self._inbox:
                message = self._inbox.popleft()
                yield message
                if message["t"] == "stop":
                    return
            self._came.clear()
            await self._came.wait()

    def open(self, stream: int, consumer: StreamConsumer) -> None:
        """Hand what comes for a stream to its consumer; until then it is discarded."""
        self._link.open(stream, consumer)

    def close_stream(self, stream: int) -> None:
        """Discard what still comes for a stream; its consumer is told that it ended."""
        self._link.close_stream(stream)

    def sink(
        self,
        stream: int,
        *,
        video: bool = False,
        codec: str = "",
        ask_key_frame: Callable[[], None] | None = None,
    ) -> LinkSink:
        """Return what writes one stream to the server, see `LinkSocket.sink`."""
        return self._link.sink(stream, video=video, codec=codec, ask_key_frame=ask_key_frame)

    def when_stopping(self, call: Callable[[], object]) -> None:
        """Call this once when `stopping` is set, now if it is."""
        self._when_stopping = call
        if self.stopping.is_set():
            call()

    # -- for the worker's main ---------------------------------------------------------------------

    async def welcomed(self, timeout_s: float) -> Welcome:
        """Wait for the server's first message.

        Raises:
            ConnectionLost: it does not come.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self._welcome is None and not self._link.closed:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            pass
        if self._welcome is None:
            raise ConnectionLost("the server did not say welcome")
        return self._welcome

    async def leave(self, timeout_s: float) -> None:
        """Send what is queued, then close."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._link.sent_all()
        except TimeoutError:
            pass
        faulthandler.cancel_dump_traceback_later()
        self._link.close()

    def stop(self, reason: str, deadline_s: float) -> None:
        """Tell the job to stop, as when the server says so."""
        self._stop(vocabulary.stop(reason, deadline_s))

    # -- link --------------------------------------------------------------------------------------

    def on_control(self, message: Message, stream: int) -> None:
        """Take what the server says."""
        if self._welcome is None:
            self._welcome = vocabulary.read_welcome(message)
            self._came.set()
            _trace_when_hung()
            return
        match message["t"]:
            case "ping":
                self._link.send(vocabulary.pong(message))
                _trace_when_hung()
            case "stop":
                self._stop(message)
            case _:
                taken = self._listener is not None and self._listener(message, stream)
                if message["t"] == "track_ended":
                    self._link.close_stream(control.stream_field(message, "sink"))
                if not taken:
                    self._keep(message)

    def on_closed(self, error: Exception | None) -> None:
        """The server is gone, or the link is broken: finish what can be finished."""
        self.error = error
        self._came.set()
        self.stop("the server is gone", ORPHAN_S)

    def _stop(self, message: Message) -> None:
        if self.stopping.is_set():
            return
        self.stop_within_s = float(message.get("deadline_s", ORPHAN_S))
        self._inbox.append(message)
        self._came.set()
        self.stopping.set()
        if self._when_stopping is not None:
            self._when_stopping()

    def _keep(self, message: Message) -> None:
        if len(self._inbox) >= MESSAGES:
            raise RemoteProtocolError("the job takes no messages")
        self._inbox.append(message)
        self._came.set()


def _trace_when_hung() -> None:
    """Write where every thread is, shortly before the server takes this worker for dead."""
    faulthandler.dump_traceback_later(SILENT_S - 1.5)
