"""Rules of the code that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

from roomful.cli.setting_rows import setting_rows
from roomful.settings import SECTIONS, Settings

from .tree import ROOT, calls, members, sources, tracked

CLOCKS = {
    "core/src/roomful/clock.py",
    "libs/rtc/src/roomful_rtc/py_engine/engine.py",  # arrival times, once per batch
    "libs/testing/src/roomful_testing/peer/wall.py",  # the kernel's clock of arrivals
}
READS_TIME = re.compile(
    r"(time\.(time|monotonic|perf_counter)(_ns)?|datetime\.(datetime\.)?(now|utcnow|today))\Z"
)
BLOCK_ON_PURPOSE = {"core/tests/plugin/test_loop_lag.py"}
"""Tests of what happens when the loop is blocked."""
NEED_OTHER_TOOLS = {"tests/interop/test_go.py"}
"""Suites marked apart, which `./dev test` does not run and `./dev interop` reports as skipped."""
UNBOUNDED = {"asyncio.Queue": 0, "queue.Queue": 0, "Queue": 0, "deque": 1, "collections.deque": 1}
"""Queue → arguments that it takes before its bound."""


def test_queues_are_bounded_or_say_beside_them_by_what() -> None:
    found: list[str] = []
    for path, text, tree in sources():
        lines = text.splitlines()
        for name, call in calls(tree):
            if name.endswith("SimpleQueue") or (name in UNBOUNDED and not has_bound(name, call)):
                near = lines[
                    max(0, call.lineno - 2) : call.end_lineno + 1 if call.end_lineno else None
                ]
                if not any("bounded" in line for line in near):
                    found.append(f"{path}:{call.lineno}: {name}")

    assert found == []


def has_bound(name: str, call: ast.Call) -> bool:
    named = any(keyword.arg in ("maxsize", "maxlen") for keyword in call.keywords)
    return named or len(call.args) > UNBOUNDED[name]


def test_time_is_read_by_the_clock_only() -> None:
    found = [
        f"{path}:{call.lineno}: {name}"
        for path, _, tree in sources()
        for name, call in calls(tree)
        if READS_TIME.match(name) and str(path) not in CLOCKS
    ]

    assert found == []


def test_environment_is_read_by_settings_and_commands_only() -> None:
    allowed = ("core/src/roomful/settings.py", "core/src/roomful/cli/")
    found = [
        str(path)
        for path, text, _ in sources()
        if re.search(r"\bos\.(environ|getenv)\b", text) and not str(path).startswith(allowed)
    ]

    assert found == []


def test_participants_enter_rooms_by_the_door_only() -> None:
    """`server.join` → `Door` → `RoomSession.enter` → `Room.add`; nobody else calls these."""
    callers: dict[str, set[str]] = {"add": set(), "enter": set()}
    for path, _, tree in sources():
        for name, _call in calls(tree):
            owner, _, method = name.rpartition(".")
            if method in callers and owner.split(".")[-1] in (
                "room",
                "session",
                "_room",
                "_session",
            ):
                callers[method].add(str(path))

    assert callers == {
        "add": {"core/src/roomful/room/session.py"},
        "enter": {"core/src/roomful/room/door.py"},
    }


def test_every_setting_is_read_by_something() -> None:
    names = {name.rpartition(".")[2] for name, *_ in setting_rows(Settings)} - {*SECTIONS, "mode"}
    read = "\n".join(text for path, text, _ in sources() if path.name != "settings.py")

    assert [name for name in sorted(names) if not re.search(rf"\.{name}\b", read)] == []


def test_modules_are_named_by_a_noun() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "version"}

    assert [str(path) for path, _, _ in sources() if path.stem in vague] == []


def test_unit_tests_do_not_block() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for member in members()
        for path in (member.folder / "tests").rglob("*.py")
        for name, call in calls(ast.parse(path.read_text("utf-8")))
        if name == "time.sleep" and str(path.relative_to(ROOT)) not in BLOCK_ON_PURPOSE
    ]

    assert found == []


def test_no_test_is_skipped() -> None:
    skips = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail)\b|importorskip")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py" and path.name != Path(__file__).name and skips.search(text_of(path))
    ]

    assert set(found) - NEED_OTHER_TOOLS == set()


@pytest.mark.parametrize(
    "pattern",
    [
        # spelled apart so that this file does not hold what it forbids
        "/" + "work/",
        "/" + "root/",
        "py" + "pi.org",
        "python" + "hosted",
        "npm" + "js.org",
        "npm" + "js.com",
    ],
)
def test_tree_names_no_machine_and_no_registry(pattern: str) -> None:
    found = [str(path.relative_to(ROOT)) for path in tracked() if pattern in text_of(path)]

    assert found == []


def text_of(path: Path) -> str:
    """Return a file's text, nothing for a binary one."""
    data = path.read_bytes()
    return "" if b"\0" in data[:4096] else data.decode("utf-8", "replace")
