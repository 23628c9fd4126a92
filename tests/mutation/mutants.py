"""Mutated input, and the two oracles: only errors of ours, and quickly."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

COUNT, SEED = 2000, 20_240_118
LONGEST_S = 0.005
"""CPU that one input may cost"""
TRIES = 5
"""measurements of an input that seemed to cost more: other programs disturb them"""


def mutants(name: str, originals: Sequence[bytes]) -> Iterator[bytes]:
    """2,000 variants: bytes and lengths changed, cut, repeated, spliced; the same in every run."""
    chance = random.Random(f"{SEED} {name}")
    for number in range(COUNT):
        yield mutated(originals[number % len(originals)], originals, chance)


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One to four changes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(8):
            case 0:
                del out[at:]
            case 1:
                out[at:at] = chance.randbytes(chance.randint(1, 8))
            case 2:
                out[at:at] = out[chance.randrange(at + 1) : at][:64]
            case 3:
                other = chance.choice(others)
                out[at:] = other[chance.randrange(len(other) + 1) :]
            case 4:
                del out[at : at + chance.randint(1, 8)]
            case 5 if at < len(out):
                out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, 0x22, 0x5B, 0x7B))
            case _ if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case _:
                out += chance.randbytes(2)
    return bytes(out)


def survived(
    inputs: Iterable[bytes],
    call: Callable[[bytes], object],
    ours: type[Exception] | tuple[type[Exception], ...],
) -> int:
    """Call with every input; return how many were accepted. Raises AssertionError."""
    accepted = 0
    for data in inputs:
        answered, spent = _once(call, data, ours)
        accepted += answered
        if spent > LONGEST_S:
            best = min(_once(call, data, ours)[1] for _ in range(TRIES))
            assert best < LONGEST_S, f"{best * 1000:.1f} ms for {data!r}"
    return accepted


def _once(
    call: Callable[[bytes], object],
    data: bytes,
    ours: type[Exception] | tuple[type[Exception], ...],
) -> tuple[bool, float]:
    begin = time.thread_time()
    try:
        call(data)
    except ours:
        return False, time.thread_time() - begin
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error} for {data!r}") from error
    return True, time.thread_time() - begin


def run(work: Awaitable[object]) -> object:
    """Run a coroutine that never waits."""
    stepping = work.__await__()
    try:
        next(stepping)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")
