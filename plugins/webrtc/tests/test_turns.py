"""A crowd goes in one by one, and what else the loop does comes in between."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from roomful_webrtc.turns import Turns


async def test_one_task_goes_on_in_each_turn_of_the_loop() -> None:
    turns, went = Turns(), list[int]()

    async def come(number: int) -> None:
        await turns.wait()
        went.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(5)]
    counts = list[int]()
    while len(went) < 5:
        await asyncio.sleep(0)
        counts.append(len(went))

    assert went == list(range(5))
    assert all(after - before <= 1 for before, after in pairwise(counts))
    await asyncio.gather(*tasks)


async def test_who_was_cancelled_has_no_turn_and_holds_up_nobody() -> None:
    turns, went = Turns(), list[int]()

    async def come(number: int) -> None:
        await turns.wait()
        went.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(5)]
    await asyncio.sleep(0)
    for task in tasks[1:4]:
        task.cancel()
    await asyncio.wait(tasks)

    assert went == [0, 4]


async def test_a_later_crowd_is_let_in_too() -> None:
    turns = Turns()
    await turns.wait()
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        await asyncio.gather(*(turns.wait() for _ in range(3)))
