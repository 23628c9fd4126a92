"""From entry points to instances: nothing disabled is imported, every failure is blamed."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from roomful.errors import ConfigError, PluginError
from roomful.plugin import Plugin, hookimpl
from roomful.plugin import manager as manager_module
from roomful.plugin.discovery import build, discover, load_class, select
from roomful.plugin.manager import PluginManager
from roomful.plugin.registry import PluginState
from roomful.settings import Settings

from .conftest import FakeEntryPoint


class AcmeConfig(BaseModel, extra="forbid"):
    bucket: str = "b"
    sizes_mb: list[int] = []
    password: SecretStr = SecretStr("")


class Acme(Plugin[AcmeConfig]):
    Config = AcmeConfig

    @hookimpl
    def routes(self) -> list[object]:
        return []


def selection(**changes: Any) -> Any:
    chosen = {"enabled": "all", "disabled": (), "on_error": "fail", "config": {}}
    return SimpleNamespace(**{**chosen, **changes})


def found(**loads: object) -> Any:
    return discover([FakeEntryPoint.of(name, thing) for name, thing in loads.items()])


def test_discovery_imports_nothing_and_sorts_by_name() -> None:
    assert list(found(zebra=ImportError(), ape=ImportError())) == ["ape", "zebra"]


def test_two_distributions_of_one_name_are_named() -> None:
    points = [FakeEntryPoint.of("acme", Acme, "one"), FakeEntryPoint.of("acme", Acme, "two")]

    with pytest.raises(PluginError, match=r"one 1.0 and two 1.0.*both distributions"):
        discover(points)


def test_one_distribution_found_twice_counts_once() -> None:
    points = [FakeEntryPoint.of("acme", Acme), FakeEntryPoint.of("acme", Acme)]

    assert list(discover(points)) == ["acme"]


@pytest.mark.parametrize("name", ["Acme", "two__words", "9lives", "with-dash", "_x"])
def test_name_that_no_variable_could_spell_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match="rename its entry point"):
        discover([FakeEntryPoint.of(name, Acme)])


def test_all_means_all_but_the_disabled() -> None:
    plugins = found(a=Acme, b=Acme)

    assert select(plugins, selection()) == {"a", "b"}
    assert select(plugins, selection(disabled=("b", "webhooks"))) == {"a"}
    assert select(plugins, selection(enabled=("b",))) == {"b"}
    assert select(plugins, selection(enabled=("a", "b"), disabled=("b",))) == {"a"}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"enabled": ("acne",)}, "plugins.enabled.*'acne'.*installed: acme"),
        ({"disabled": ("acne",)}, "plugins.disabled.*'acne'"),
        ({"config": {"acne": {}}}, "plugins.config.*'acne'"),
        ({"enabled": ("sip",)}, r"'sip'.*pip install 'roomful\[sip\]'"),
    ],
)
def test_unknown_name_is_refused_with_the_known_ones(changes: Any, names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        select(found(acme=Acme), selection(**changes))


def load(thing: object) -> Any:
    return load_class(found(acme=thing)["acme"])


def test_failing_import_is_blamed() -> None:
    with pytest.raises(PluginError, match=r"'acme' of acme 1.0.*cannot be imported.*no boto"):
        load(ImportError("no boto"))


def test_class_that_is_no_plugin_is_blamed() -> None:
    with pytest.raises(PluginError, match=r"is no roomful\.plugin\.Plugin"):
        load(dict)


@pytest.mark.parametrize(
    ("api", "remedy"),
    [((2, 0), "upgrade roomful-core"), ((1, 99), "upgrade roomful-core"), ((0, 9), "upgrade acme")],
)
def test_other_api_version_is_refused_with_what_to_upgrade(api: Any, remedy: str) -> None:
    with pytest.raises(PluginError) as caught:
        load(type("Old", (Plugin,), {"api": api}))

    assert caught.value.remedy == remedy


def test_settings_reach_the_plugin_checked() -> None:
    plugin = build(
        found(acme=Acme)["acme"],
        Acme,
        "plugins.config.acme",
        {"bucket": "x", "sizes_mb": "[1, 2]", "password": "[p"},
    )

    assert plugin.config.bucket == "x"
    assert plugin.config.sizes_mb == [1, 2]
    assert plugin.config.password.get_secret_value() == "[p"


def test_wrong_plugin_setting_is_named_without_its_secrets() -> None:
    with pytest.raises(PluginError) as caught:
        build(found(acme=Acme)["acme"], Acme, "plugins.config.acme", {"bukket": "hunter2"})

    assert "'plugins.config.acme.bukket'" in caught.value.message
    assert "did you mean 'bucket'" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_plugin_that_cannot_be_made_is_blamed() -> None:
    class Failing(Plugin):
        def __init__(self, config: Any = None) -> None:
            raise OSError("no disk")

    with pytest.raises(PluginError, match="cannot be made: OSError: no disk"):
        build(found(acme=Failing)["acme"], Failing, "plugins.config.acme", {})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make entry points the installed ones: `installed(name=class or error)`."""

    def install(**loads: object) -> None:
        # discovery reads the interpreter's metadata; this test has none to install
        monkeypatch.setattr(manager_module, "discover", lambda: found(**loads))

    return install


def test_disabled_plugin_is_never_imported(installed: Any) -> None:
    installed(acme=Acme, broken=AssertionError("imported"))

    manager = PluginManager.load(Settings.model_validate({"plugins": {"disabled": ["broken"]}}))

    states = {name: record.state for name, record in manager.records.items()}
    assert states == {"acme": PluginState.OK, "broken": PluginState.DISABLED}
    assert manager.records["acme"].hooks == ("routes",)


def test_broken_plugin_stops_the_start(installed: Any) -> None:
    installed(acme=Acme, broken=ImportError("x"))

    with pytest.raises(PluginError, match="'broken'"):
        PluginManager.load(Settings())


def test_broken_plugin_is_skipped_where_settings_say_so(installed: Any) -> None:
    installed(acme=Acme, broken=ImportError("x"))

    manager = PluginManager.load(Settings.model_validate({"plugins": {"on_error": "skip"}}))

    assert [record.name for record in manager.active()] == ["acme"]
    assert "cannot be imported" in manager.records["broken"].problem
    assert manager.counters.failures == {("broken", "start"): 1}


def test_top_level_section_reaches_its_plugin(installed: Any) -> None:
    class Plane(Acme):
        pass

    installed(media_plane=Plane)

    with pytest.raises(PluginError, match=r"unknown setting 'rtc\.bukket'"):
        PluginManager.load(Settings.model_validate({"rtc": {"bukket": "x"}}))


def test_plugins_get_their_own_settings_only(installed: Any) -> None:
    installed(a=Acme, b=Acme)
    settings = Settings.model_validate({"plugins": {"config": {"a": {"bucket": "of-a"}}}})

    manager = PluginManager.load(settings)

    configs = {name: record.plugin.config for name, record in manager.records.items()}  # type: ignore[union-attr]
    assert configs["a"].bucket == "of-a"
    assert configs["b"].bucket == "b"
