"""A /proc made of files, whose processes live, work, are orphaned and end as a test says."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ProcTree:
    """Processes by pid; seconds of CPU go in, `stat` files come out."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self._births = 0
        self._stats: dict[int, list[int]] = {}
        """pid → parent, session, started, and ticks: user, system, of children that ended"""
        self._cpus = [0, 0]
        self._write_machine()

    def spawn(
        self, pid: int, parent: int, *, session: int | None = None, used: float = 0.0
    ) -> None:
        """Start a process, in a session of its own unless told; a pid may be used again."""
        self._births += 1
        self._stats[pid] = [parent, session or pid, self._births, 0, 0, 0, 0]
        (self.proc / str(pid)).mkdir()
        self.work(pid, used)

    def work(self, pid: int, seconds: float) -> None:
        """Use CPU: a third of it in the kernel, all of it on CPU 0."""
        ticks = round(seconds * TICKS_PER_S)
        self._stats[pid][3] += ticks - ticks // 3
        self._stats[pid][4] += ticks // 3
        self.burn(seconds)
        self._write(pid)

    def burn(self, seconds: float, *, cpu: int = 0) -> None:
        """Use CPU in a program that is not in this /proc."""
        self._cpus[cpu] += round(seconds * TICKS_PER_S)
        self._write_machine()

    def end(self, pid: int, *, is_waited: bool = True) -> None:
        """End a process; its parent inherits what it used, process 1 inherits its children."""
        parent, *_, user, system, waited_user, waited_system = self._stats.pop(pid)
        (self.proc / str(pid) / "stat").unlink()
        (self.proc / str(pid)).rmdir()
        if is_waited and parent in self._stats:
            self._stats[parent][5] += user + waited_user
            self._stats[parent][6] += system + waited_system
            self._write(parent)
        for other, fields in self._stats.items():
            if fields[0] == pid:
                fields[0] = 1
                self._write(other)

    def _write(self, pid: int) -> None:
        parent, session, started, *ticks = self._stats[pid]
        # state ppid pgrp session tty tpgid flags 4 faults, 4 times, prio nice threads 0 started …
        fields = ["S", parent, session, session, 0, -1, 4194304, 9, 0, 0, 0, *ticks]
        fields += [20, 0, 1, 0, started, 1000, 20]
        line = f"{pid} (a) job) {' '.join(map(str, fields))}\n"
        (self.proc / str(pid) / "stat").write_text(line)

    def _write_machine(self) -> None:
        rows = [f"cpu{n} {ticks} 0 0 900 50 0 0 0 0 0" for n, ticks in enumerate(self._cpus)]
        whole = f"cpu  {sum(self._cpus)} 0 0 900 50 0 0 0 0 0"
        (self.proc / "stat").write_text("\n".join((whole, *rows, "intr 5 0 0", "")))
