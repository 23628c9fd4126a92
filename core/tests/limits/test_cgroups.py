"""Quotas of our group and of those above it, both versions, seen from inside and outside."""

from pathlib import Path

import pytest

from roomful.limits.cgroups import find_groups, read_quota

V2 = "30 20 0:26 / {sys} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "31 20 0:27 {root} {sys} rw - cgroup cgroup rw,cpu,cpuacct\n"
OTHERS = (
    "19 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "32 20 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "broken line\n"
)


def container(proc: Path, group: Path, **files: str) -> None:
    """Put this process into one group of version 2, mounted at its own folder."""
    group.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (group / name).write_text(text + "\n")
    (proc / "self").mkdir(exist_ok=True)
    (proc / "self/mountinfo").write_text(OTHERS + V2.format(sys=group))
    (proc / "self/cgroup").write_text("0::/\n")


@pytest.fixture
def sys(tmp_path) -> Path:
    """Where groups are mounted; the name holds a space, which mountinfo escapes."""
    (tmp_path / "self").mkdir()
    folder = tmp_path / "sys fs"
    folder.mkdir()
    return folder


def mount(proc: Path, line: str, sys: Path, cgroup: str, root: str = "/") -> None:
    escaped = str(sys).replace(" ", "\\040")
    (proc / "self/mountinfo").write_text(OTHERS + line.format(sys=escaped, root=root))
    (proc / "self/cgroup").write_text(cgroup)


def test_own_group_and_those_above_it_are_found(tmp_path, sys):
    mount(tmp_path, V2, sys, "9:name=systemd:/x\n0::/system.slice/roomful.service\n")

    assert find_groups(tmp_path) == (
        sys / "system.slice/roomful.service",
        sys / "system.slice",
        sys,
    )


def test_container_that_sees_its_own_part_only_is_at_the_mount(tmp_path, sys):
    mount(tmp_path, V1, sys, "5:cpu,cpuacct:/docker/abc\n", root="/docker/abc")
    assert find_groups(tmp_path) == (sys,)

    mount(tmp_path, V1, sys, "5:cpu,cpuacct:/elsewhere\n", root="/docker/abc")
    assert find_groups(tmp_path) == (sys,)

    mount(tmp_path, V2, sys, "0::/../other\n")
    assert find_groups(tmp_path) == (sys,)


def test_groups_of_other_controllers_bound_no_cpu(tmp_path, sys):
    mount(tmp_path, V1, sys, "4:memory:/x\n3:cpuset:/x\n")

    assert find_groups(tmp_path) == ()


def test_machine_without_groups_has_none(tmp_path):
    assert find_groups(tmp_path) == ()


def test_quota_of_version_2_tells_cores_and_what_all_used(sys):
    (sys / "cpu.max").write_text("150000 100000\n")
    (sys / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\n")

    quota = read_quota(sys)

    assert quota is not None
    assert (quota.name, quota.cores, quota.used) == (str(sys), 1.5, 2.5)


def test_quota_of_version_1_tells_cores_and_what_all_used(sys):
    (sys / "cpu.cfs_quota_us").write_text("50000\n")
    (sys / "cpu.cfs_period_us").write_text("100000\n")
    assert read_quota(sys).used is None

    (sys / "cpuacct.usage").write_text("2500000000\n")
    quota = read_quota(sys)
    assert (quota.cores, quota.used) == (0.5, 2.5)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000"},
        {"cpu.max": ""},
        {"cpu.max": "50000 0"},
        {"cpu.max": "many 100000"},
        {"cpu.cfs_quota_us": "-1"},
        {"cpu.cfs_quota_us": "50000"},
    ],
)
def test_group_without_a_quota_bounds_nothing(sys, files):
    for name, text in files.items():
        (sys / name).write_text(text + "\n")

    assert read_quota(sys) is None


@pytest.mark.parametrize("text", ["", "usage_usec", "usage_usec x"])
def test_quota_whose_use_is_not_told_bounds_alone(sys, text):
    (sys / "cpu.max").write_text("150000 100000\n")
    (sys / "cpu.stat").write_text(text)

    assert read_quota(sys).used is None
