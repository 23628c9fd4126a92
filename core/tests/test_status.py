"""Health and metrics over HTTP, on a server of this process."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from roomful.plugin import Plugin, hookimpl
from roomful.plugin.manager import PluginManager
from roomful.server import RoomServer
from roomful.settings import Settings


class Disk(Plugin):
    """A health check that says what it is told to."""

    name = "disk"
    wrong: str | None = None

    @hookimpl
    def health_checks(self) -> list[Any]:
        return [self]

    async def check(self) -> str | None:
        return self.wrong


async def answers(tmp_path: Path, plugin: Disk, path: str) -> tuple[int, str]:
    manager = PluginManager()
    manager.register(plugin, "acme", "dist-acme", "1.0")
    manager.finish()
    settings = Settings(port=0, data_dir=tmp_path)
    async with (
        RoomServer(settings, plugins=manager) as server,
        aiohttp.ClientSession() as client,
        client.get(server.url.replace("ws", "http", 1) + path) as answer,
    ):
        return answer.status, await answer.text()


async def test_server_that_is_well_says_so(tmp_path: Path) -> None:
    assert await answers(tmp_path, Disk(), "/") == (200, "OK")


async def test_server_with_a_failing_check_is_unavailable(tmp_path: Path) -> None:
    disk = Disk()
    disk.wrong = "full"

    assert await answers(tmp_path, disk, "/") == (503, "acme/disk: full")


@pytest.mark.parametrize("name", ["roomful_rooms 0.0", "roomful_participants 0.0", "process_"])
async def test_metrics_are_prometheus_text(tmp_path: Path, name: str) -> None:
    status, text = await answers(tmp_path, Disk(), "/metrics")

    assert status == 200
    assert name in text
