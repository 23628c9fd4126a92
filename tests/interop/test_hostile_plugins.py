"""Plugins that raise, block and leak are named and counted; the rooms go on."""

import asyncio
import itertools
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc

from .guest import guest
from .media import until
from .server import start_roomful

HOSTILE = Path(__file__).parent / "hostile"
EVERY_S = 0.02
WATCHED_S = 6.0
LONGEST_GAP_S = 0.06


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH in which the hostile plugins look installed."""
    folder = tmp_path / "site"
    info = folder / "hostile-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    names = ("raising", "blocking", "leaking")
    points = "".join(f"{name} = hostile_plugins:{name.capitalize()}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[roomful.plugins]\n{points}")
    source = (HOSTILE / "hostile_plugins.py").read_text()
    (folder / "hostile_plugins.py").write_text(source)
    return folder


class Witness:
    """Notes when data packets of another participant arrive."""

    def __init__(self, room: rtc.Room) -> None:
        self.arrivals: list[float] = []
        room.on("data_received", self._note)

    def _note(self, packet: rtc.DataPacket) -> None:
        self.arrivals.append(asyncio.get_running_loop().time())


def gaps(times: list[float]) -> list[float]:
    """Return the times between, the longest first."""
    return sorted((b - a for a, b in itertools.pairwise(times)), reverse=True)


async def talk(room: rtc.Room, seconds: float) -> list[float]:
    """Send an unreliable packet every 20 ms; return when each was sent."""
    loop = asyncio.get_running_loop()
    sent: list[float] = []
    due, end = loop.time(), loop.time() + seconds
    while due < end:
        await room.local_participant.publish_data(b"tick", reliable=False)
        sent.append(loop.time())
        due += EVERY_S
        await asyncio.sleep(max(0.0, due - loop.time()))
    return sent


def records(log: Path) -> list[dict[str, Any]]:
    """Return the server's log records."""
    lines = log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


async def test_hostile_plugins_are_named_and_disturb_no_room(
    tmp_path: Path, installed: Path, room_name: str
) -> None:
    settings = {"PYTHONPATH": str(installed), "ROOMFUL_LOG_FORMAT": "json"}
    with start_roomful(tmp_path, settings=settings) as server:
        async with (
            guest(server, "alice", room_name) as alice,
            guest(server, "bob", room_name) as bob,
        ):
            witness = Witness(bob.room)
            await alice.meets("bob")
            talking = asyncio.create_task(talk(alice.room, WATCHED_S))
            await until(lambda: len(witness.arrivals) > 50, what="bob hears alice")
            async with guest(server, "blocker", "elsewhere"):
                await until(lambda: gaps(witness.arrivals)[0] > 1.5, what="the block is over")
            sent = gaps(await talking)
            with pytest.raises(rtc.ConnectError):
                async with guest(server, "unlucky", "elsewhere"):
                    pass
            metrics = await asyncio.to_thread(read, server.http_url + "/metrics")
            seen = gaps(witness.arrivals)

    assert seen[0] > 1.5, "the block itself shows at the witness"
    # what this machine adds shows in the sender's own gaps, and comes once more at the receiver
    noise = 2 * (sent[len(sent) // 100] - EVERY_S)
    assert seen[1 + len(seen) // 100] < LONGEST_GAP_S + noise, (seen[:10], sent[:10])

    said = records(tmp_path / "server.log")
    failed = {(r["plugin"], r["hook"]) for r in said if r["message"] == "plugin failed"}
    assert failed == {
        ("raising", "check_join"),
        ("raising", "choose_room_options"),
        ("raising", "on_event"),
        ("raising", "shutdown"),
    }
    services = {r["plugin"] for r in said if r["message"] == "service failed"}
    assert services == {"raising"}

    blocks = [r for r in said if r["message"] == "event loop was blocked"]
    (block,) = [r for r in blocks if r["plugin"] == "blocking"]
    assert block["distribution"] == "hostile 1.0"
    assert block["blocked_ms"] > 1900
    assert "time.sleep(2)" in block["stack"]

    for message in ("plugin keeps tasks that its hook started", "plugin left tasks running"):
        assert {r["plugin"] for r in said if r["message"] == message} == {"leaking"}

    assert 'roomful_plugin_failures_total{hook="on_event",plugin="raising"}' in metrics
    assert 'roomful_loop_stalls_total{plugin="blocking"} 1.0' in metrics


def read(url: str) -> str:
    """Return what a GET answers."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()
