"""Fixtures shared by the suites that need a running server.

``room_server`` is the one way a test gets a server: ours as a child process, or the one named
by ``ROOMFUL_TEST_SERVER=ws://host:port,key,secret`` (to see whether a test or the server is wrong).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .interop.server import RoomServer, named_server, start_roomful


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark of the tests that build a Go program; `./dev interop` runs them."""
    config.addinivalue_line("markers", "interop_go: needs the Go toolchain; run by ./dev interop")


@pytest.fixture(scope="session")
def room_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomServer]:
    """A server that answers on loopback, shared by the whole run; tests use rooms of their own."""
    external = named_server()
    if external is not None:
        yield external
        return
    data_dir: Path = tmp_path_factory.mktemp("roomful")
    with start_roomful(data_dir) as server:
        yield server
