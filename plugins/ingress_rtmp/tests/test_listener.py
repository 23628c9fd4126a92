"""Which port the listener takes."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from roomful.errors import ConfigError
from roomful_ingress_rtmp import listener
from roomful_ingress_rtmp.config import RtmpConfig
from roomful_ingress_rtmp.listener import RtmpListener


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The usual port, which another program has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(listener, "PORT", port)
        yield port


async def port_of(config: RtmpConfig, *, is_dev: bool) -> int:
    server: Any = SimpleNamespace(settings=SimpleNamespace(is_dev=is_dev))
    listening, ready = RtmpListener(server, config), asyncio.Event()
    running = asyncio.create_task(listening.run(ready.set))
    done, _ = await asyncio.wait(
        [running, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    if running in done:
        running.result()
    running.cancel()
    return listening.port


async def test_trying_out_takes_a_free_port_where_the_usual_one_is_taken(taken: int) -> None:
    assert await port_of(RtmpConfig(), is_dev=True) not in (0, taken)


async def test_serving_names_the_setting_of_a_port_that_is_taken(taken: int) -> None:
    with pytest.raises(ConfigError, match=f"ingress_rtmp.port': {taken} cannot be opened"):
        await port_of(RtmpConfig(), is_dev=False)


async def test_a_port_that_was_asked_for_is_not_replaced(taken: int) -> None:
    with pytest.raises(ConfigError, match="choose another"):
        await port_of(RtmpConfig(port=taken), is_dev=True)
