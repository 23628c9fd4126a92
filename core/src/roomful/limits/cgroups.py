"""CPU quotas of control groups: a container with one CPU on a machine with 64 has one.

Version 2 (cgroups(7), `cpu.max`) and version 1 (`cpu.cfs_quota_us`); of our own group and of every
group above it that can be seen from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from roomful.limits.sample import Budget


@dataclass(frozen=True, slots=True)
class _Mount:
    """One line of /proc/self/mountinfo that mounts control groups."""

    root: PurePosixPath
    folder: Path
    kind: str
    options: tuple[str, ...]


def find_groups(proc: Path = Path("/proc")) -> tuple[Path, ...]:
    """Return the folders of the groups that bound this process's CPU, its own first."""
    try:
        mounts = list(_mounts((proc / "self/mountinfo").read_text()))
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return ()
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for mount in mounts:
            if _governs(mount, controllers):
                found += _upwards(mount, PurePosixPath(path))
    return tuple(dict.fromkeys(found))


def read_quota(group: Path) -> Budget | None:
    """Return a group's quota; None when it has none or is gone."""
    try:
        cores = _cores_v2(group) if (group / "cpu.max").exists() else _cores_v1(group)
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return None if cores is None else Budget(str(group), cores, _used(group))


def _mounts(text: str) -> Iterator[_Mount]:
    """Parse mountinfo: `… root folder options… - kind source options` (proc(5))."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, about = left.split(), right.split()
        if len(fields) < 5 or len(about) < 3 or about[0] not in ("cgroup", "cgroup2"):
            continue
        root, folder = (field.replace("\\040", " ") for field in fields[3:5])
        yield _Mount(PurePosixPath(root), Path(folder), about[0], tuple(about[2].split(",")))


def _governs(mount: _Mount, controllers: str) -> bool:
    if not controllers:
        return mount.kind == "cgroup2"
    return mount.kind == "cgroup" and "cpu" in controllers.split(",") and "cpu" in mount.options


def _upwards(mount: _Mount, path: PurePosixPath) -> Iterator[Path]:
    """Yield the group's folder and those above it, up to what is mounted."""
    # in a container without a name space of groups, the mount shows the container's part only
    inside = path.relative_to(mount.root) if path.is_relative_to(mount.root) else PurePosixPath()
    if ".." in inside.parts:
        inside = PurePosixPath()
    for part in (inside, *inside.parents):
        yield mount.folder / part


def _cores_v2(group: Path) -> float | None:
    quota, period = (group / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _cores_v1(group: Path) -> float | None:
    quota = int((group / "cpu.cfs_quota_us").read_text())
    return None if quota < 0 else quota / int((group / "cpu.cfs_period_us").read_text())


def _used(group: Path) -> float | None:
    """CPU seconds of all in the group; version 1 tells them where cpu and cpuacct are one mount."""
    try:
        if (group / "cpuacct.usage").exists():
            return int((group / "cpuacct.usage").read_text()) / 1e9
        words = (group / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) / 1e6
    except (OSError, ValueError, IndexError):
        return None
