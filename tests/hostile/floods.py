"""Floods at a stated rate: what the attacker's process can do does not decide the case."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

TURN_S = 0.01


@contextmanager
def strangers(sources: Sequence[str]) -> Iterator[list[socket.socket]]:
    """UDP sockets on these addresses."""
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sources]
    try:
        for sock, source in zip(made, sources, strict=True):
            sock.setblocking(False)
            sock.bind((source, 0))
        yield made
    finally:
        for sock in made:
            sock.close()


async def flood(send: Callable[[], object], *, per_s: int, seconds: float) -> int:
    """Call `send` so often, in turns of 10 ms; return how often it was called."""
    loop = asyncio.get_running_loop()
    began, done = loop.time(), 0
    while (now := loop.time()) - began < seconds:
        due = int((now - began) * per_s)
        # after a pause the flood goes on, it does not catch up
        done = max(done, due - int(per_s * 5 * TURN_S))
        for _ in range(due - done):
            send()
        done = max(done, due)
        await asyncio.sleep(TURN_S)
    return done


def datagrams(
    sockets: Sequence[socket.socket], to: tuple[str, int], shapes: Sequence[bytes]
) -> Callable[[], object]:
    """A `send` for `flood`: the shapes in turn, from the sockets in turn."""
    turn = itertools.cycle(sockets)
    shape = itertools.cycle(shapes)

    def send() -> None:
        with suppress(OSError):
            next(turn).sendto(next(shape), to)

    return send
