"""How one worker ended, and why."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from roomful_rtc.link.vocabulary import Failed


class EndReason(StrEnum):
    """Why a worker ended."""

    DONE = "done"
    """it said so"""
    FAILED = "failed"
    """it said so"""
    STOPPED = "stopped"
    """it was asked to, in time"""
    OVERDUE = "overdue"
    """it was asked to, and killed at the deadline"""
    CRASHED = "crashed"
    """it exited or died without a word"""
    HUNG = "hung"
    """silent, or not reading its control"""
    MEMORY = "memory"
    CPU = "cpu"
    PROTOCOL = "protocol"
    """it broke the link's format or said what it must not"""
    LATE = "late"
    """it did not say hello in time"""
    UNKNOWN_KIND = "unknown_kind"
    """nothing installed offers this job"""
    NOT_STARTED = "not_started"
    """the machine did not let us"""


FINAL = frozenset({EndReason.DONE, EndReason.STOPPED, EndReason.OVERDUE, EndReason.UNKNOWN_KIND})
"""After these no new worker starts."""


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How one worker ended."""

    reason: EndReason
    detail: str
    """for a person"""
    status: int | None
    """exit status, None when a signal ended it"""
    signal: int | None
    last_status: Mapping[str, Any] | None
    """the last `status` message"""
    peak_rss_bytes: int
    cpu_s: float
    ran_s: float
    output: str
    """the last 4 KiB of its standard error"""
    dropped: int
    """packets and frames for it that found no room in the link"""
    result: Mapping[str, Any] | None = None
    """of `done`"""
    failure: Failed | None = None

    @property
    def final(self) -> bool:
        """Whether this ends the job whatever the restart table says."""
        failed_for_good = self.failure is not None and not self.failure.retryable
        return self.reason in FINAL or (self.reason is EndReason.FAILED and failed_for_good)


def failed_start(detail: str) -> WorkerExit:
    """Return the end of a worker that never was."""
    return WorkerExit(
        EndReason.NOT_STARTED, detail, None, None, None,
        peak_rss_bytes=0, cpu_s=0.0, ran_s=0.0, output="", dropped=0,
    )  # fmt: skip


def death(status: int | None, number: int | None) -> str:
    """Say in words how a process ended that said nothing itself."""
    if number is None:
        return f"exited with status {status}"
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:  # a real-time signal
        return f"was ended by signal {number}"
