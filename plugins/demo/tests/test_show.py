"""Scenes of several plugins, their verdicts and the exit code."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from roomful.errors import ConfigError
from roomful.plugin import Plugin, hookimpl
from roomful.plugin.manager import PluginManager
from roomful_demo.plugin import DemoPlugin
from roomful_demo.scene import Stage
from roomful_demo.settings import demo_settings
from roomful_demo.show import check_all, scenes_of

STAGE = Stage("ws://127.0.0.1:1", "demo", "devkey", "secret")


class StillLife:
    """A scene of another plugin: it does nothing and finds what it is told."""

    def __init__(self, name: str, *found: tuple[str, str, bool]) -> None:
        self.name, self._found = name, found

    def start(self, stage: Any) -> "StillLife":
        return self

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def check(self, play: None) -> tuple[tuple[str, str, bool], ...]:
        return self._found

    def watch(self, play: None) -> list[tuple[str, str]]:
        return []


class Another(Plugin):
    """A plugin that brings a scene, whether the demo is installed or not."""

    @hookimpl(optionalhook=True)
    def demo_scenes(self) -> list[StillLife]:
        return [StillLife("another's", ("thing", "there", True))]


def manager(*plugins: tuple[str, Plugin[Any]]) -> PluginManager:
    made = PluginManager()
    for name, plugin in plugins:
        made.register(plugin, name)
    made.finish()
    return made


async def verdict(*scenes: Any) -> tuple[int, str]:
    file = io.StringIO()
    code = await check_all(STAGE, scenes, Console(file=file, highlight=False, width=200))
    return code, file.getvalue()


def test_hook_demo_scenes() -> None:
    server: Any = SimpleNamespace(plugins=manager(("another", Another()), ("demo", DemoPlugin())))

    assert [scene.name for scene in scenes_of(server)] == ["two participants", "another's"]


def test_a_plugin_with_a_scene_loads_without_the_demo() -> None:
    assert manager(("another", Another())).has("another")


def test_a_disabled_demo_is_named() -> None:
    server: Any = SimpleNamespace(plugins=manager(("another", Another())))

    with pytest.raises(ConfigError, match="'demo' is disabled"):
        scenes_of(server)


async def test_when_all_is_there_the_code_is_0_and_the_figures_are_printed() -> None:
    code, text = await verdict(StillLife("first", ("sound", "A4 440 Hz", True)))

    assert code == 0
    assert "first\n  ok      sound    A4 440 Hz\n" in text
    assert "all is well" in text


async def test_when_something_is_missing_anywhere_the_code_is_1_and_it_is_named() -> None:
    bad = StillLife("second", ("picture", "it is black", False))

    code, text = await verdict(StillLife("first", ("sound", "A4", True)), bad)

    assert code == 1
    assert "  MISSING picture  it is black" in text
    assert "NOT WELL" in text


async def test_without_any_scene_the_code_is_1() -> None:
    assert (await verdict())[0] == 1


def test_the_demos_server_listens_on_loopback_with_the_development_key(tmp_path: Path) -> None:
    settings = demo_settings(0, tmp_path)

    assert settings.bind == ("127.0.0.1",)
    assert settings.is_dev
    assert settings.keys["devkey"].get_secret_value() == "secret"
    assert settings.data_dir == tmp_path


def test_a_port_that_is_none_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="port"):
        demo_settings(70000, tmp_path)
