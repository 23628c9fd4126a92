"""What the verbs share: options, servers, participants, a witness that decodes."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.bench.peers.order import Order
from tests.bench.peers.pool import Pool
from tests.interop.guest import Guest, guest

from .process import favour
from .report import Report
from .servers import Target, targets


class Bench:
    """One run of a verb on the servers that are measured."""

    def __init__(self, verb: str, options: argparse.Namespace, running: list[Target]) -> None:
        self.options, self.targets = options, running
        self.report = Report(verb)
        self._random = random.Random(options.seed)
        self._rooms = 0

    def room(self) -> str:
        """The name of a new room."""
        self._rooms += 1
        return f"bench-{self._rooms}-{self._random.randrange(1 << 20):05x}"

    def pool(self, target: Target, workers: int = 1) -> Pool:
        """Processes with participants for this server."""
        return Pool(target.server.url, workers, favoured=self.options.favour)

    def order(
        self, target: Target, room: str, identity: str, *publish: str, **wish: object
    ) -> Order:
        """What a raw participant of this server shall do."""
        token = target.server.token(identity, room)
        return Order(identity, token, list(publish), **wish)  # pyright: ignore[reportArgumentType]


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every verb has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs, servers in turn")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--favour", action="store_true",
        help="let servers and participants go before other programs (root; on a crowded machine)",
    )  # fmt: skip
    return parser


def run(
    verb: str,
    parser: argparse.ArgumentParser,
    measure: Callable[[Bench], Awaitable[None]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Start the servers, measure, print; return the exit status."""
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", "The HMAC key is")
    random.seed(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch, targets(Path(scratch)) as running:
        bench = Bench(verb, chosen, running)
        if chosen.favour:
            for target in running:
                favour(target.meter.pid)
        asyncio.run(measure(bench))
        return bench.report.finish()


def leave(status: int) -> None:
    """End the process at once: threads of the SDK would hold it up."""
    sys.stdout.flush()
    os._exit(status)


@asynccontextmanager
async def witness(target: Target, room: str) -> AsyncIterator[Guest]:
    """A real client in the room, which decodes what it gets."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(guest(target.server, "witness", room))
