"""One server and its witness for the suite, replaced where a module left them broken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from ..interop.server import start_roomful
from .arena import TURNS, Arena, Verdict

KEY = ("hostile", "canary-of-the-hostile-suite-0123456789")
"""API key and secret; the secret is looked for in what the server says"""
METER = Path(__file__).with_name("loop_meter")
_VERDICTS = pytest.StashKey[list[tuple[str, list[Verdict]]]]()


def settings(folder: Path) -> dict[str, str]:
    """Environment of the server under test; it is measured from inside, see `loop_meter`."""
    (folder / TURNS).touch()
    return {
        "ROOMFUL_PLUGINS__ENABLED": '["webrtc","media_plane"]',
        "LIVEKIT_KEYS": ": ".join(KEY),
        "ROOMFUL_TRUSTED_PROXIES": f'["{Arena.PROXY}/32"]',
        "PYTHONPATH": str(METER),
        "HOSTILE_TURNS": str(folder / TURNS),
    }


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of this suite."""
    config.addinivalue_line("markers", "hostile: attackers beside a witness, on a live server")
    config.stash[_VERDICTS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the suite; its coroutines share the loop in which its witness is heard."""
    for item in items:
        if "tests/hostile" in item.path.as_posix():
            item.add_marker(pytest.mark.hostile)
            if pytest_asyncio.is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what the witness noticed of every attack."""
    for control, verdicts in terminalreporter.config.stash[_VERDICTS]:
        terminalreporter.section(f"hostile: {control}", sep="-")
        for verdict in verdicts:
            terminalreporter.write_line(verdict.line())


class Ring:
    """The arena of the moment."""

    def __init__(self, folder: pytest.TempPathFactory) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._arena: Arena | None = None

    async def fit(self) -> Arena:
        """The arena there is if it is in order, else a new one."""
        if self._arena is None or not await self._arena.in_order():
            await self.close()
            folder: Path = self._folder.mktemp("hostile")
            started = start_roomful(folder, settings=settings(folder))
            found = self._stack.enter_context(started)
            server = replace(found, key=KEY[0], secret=KEY[1])
            self._arena = await Arena.open(server, folder)
            self._stack.push_async_callback(self._arena.close)
        return self._arena

    async def close(self) -> None:
        """End witness and server."""
        self._arena = None
        await self._stack.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ring(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ring]:
    """What every module takes its arena from."""
    made = Ring(tmp_path_factory)
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def arena(request: pytest.FixtureRequest, ring: Ring) -> AsyncIterator[Arena]:
    """A server with a witness, and what the witness hears while nobody attacks."""
    found = await ring.fit()
    await found.measure_control()
    yield found
    assert found.control is not None
    name = request.module.__name__.rpartition(".")[2]
    control = (
        f"{name}; without attacker: gap p99 {found.control.gap_p99:.1f} ms, "
        f"max {found.control.gap_max:.1f} ms"
    )
    request.config.stash[_VERDICTS].append((control, found.take_verdicts()))


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def leave_nobody_behind(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """A test that fails leaves its clients to nobody."""
    yield
    if "arena" in request.fixturenames:
        found: Arena = request.getfixturevalue("arena")
        await found.dismiss()
