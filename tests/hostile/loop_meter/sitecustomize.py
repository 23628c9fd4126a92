"""Loaded by the server under test at its start: notes turns of the event loop that cost much CPU.

CPU time of the loop's thread, so that other programs of the machine do not count. One line a turn
goes to the file named by ``HOSTILE_TURNS``: its length in ms.
"""

import asyncio.base_events
import os
import time

NOTED_S = 0.005
_run_once = asyncio.base_events.BaseEventLoop._run_once


def _measured(loop):
    began = time.thread_time()
    _run_once(loop)
    spent = time.thread_time() - began
    if spent > NOTED_S:
        _notes.write(f"{spent * 1000:.1f}\n")


if path := os.environ.get("HOSTILE_TURNS"):
    _notes = open(path, "a", buffering=1)
    asyncio.base_events.BaseEventLoop._run_once = _measured
