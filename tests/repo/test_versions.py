"""Versions, pins, extras, workspace sources and names agree over all distributions."""

import re
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from roomful.plugin.discovery import discover
from roomful.plugin.extras import EXTRAS

from .tree import ROOT, Distribution, members, read, root

VERSION = root().project["version"]
ALL = (root(), *members())
TEMPLATE = read(ROOT / "plugins/template")


def requirements(distribution: Distribution) -> Iterator[Requirement]:
    project = distribution.project
    texts = [*project.get("dependencies", [])]
    for extra in project.get("optional-dependencies", {}).values():
        texts += extra
    yield from map(Requirement, texts)


def ours(distribution: Distribution) -> list[Requirement]:
    return [r for r in requirements(distribution) if r.name.startswith("roomful")]


@pytest.mark.parametrize("member", [*ALL, TEMPLATE], ids=lambda d: d.name)
def test_one_version_licence_and_python(member: Distribution) -> None:
    project = member.project

    assert project["version"] == VERSION
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == root().project["requires-python"]
    assert (member.folder / "README.md").exists()


@pytest.mark.parametrize("member", [*members(), TEMPLATE], ids=lambda d: d.name)
def test_members_take_any_patch_of_this_minor(member: Distribution) -> None:
    major, minor, _ = VERSION.split(".")
    span = {f">={major}.{minor}", f"<{major}.{int(minor) + 1}"}

    wrong = [str(r) for r in ours(member) if set(str(r.specifier).split(",")) != span]

    assert wrong == []


def test_metapackage_pins_exactly() -> None:
    assert [str(r) for r in ours(root()) if str(r.specifier) != f"=={VERSION}"] == []


def test_every_extra_names_distributions_and_extras_that_exist() -> None:
    known = {canonicalize_name(m.name) for m in ALL}
    extras = root().project["optional-dependencies"]

    for requirement in ours(root()):
        assert canonicalize_name(requirement.name) in known
        assert requirement.extras <= set(extras)


def test_every_plugin_is_in_the_extra_all_and_has_an_extra_of_its_own() -> None:
    extras = root().project["optional-dependencies"]
    reached: set[str] = set()

    def follow(extra: str) -> None:
        for text in extras[extra]:
            requirement = Requirement(text)
            if requirement.name == "roomful":
                for nested in requirement.extras:
                    follow(nested)
            else:
                reached.add(requirement.name)
                reached.update(
                    r.name for m in members() if m.name == requirement.name for r in ours(m)
                )

    follow("all")
    plugins = {name: member.name for member in members() for name in member.plugins}

    assert [name for name, distribution in plugins.items() if distribution not in reached] == []
    assert [name for name in plugins if EXTRAS.get(name) not in extras] == []


def test_workspace_sources_name_every_member() -> None:
    uv = root().table["tool"]["uv"]

    assert {canonicalize_name(name) for name in uv["sources"]} == {m.name for m in ALL}
    assert uv["workspace"]["members"] == ["core", "libs/*", "plugins/*"]


@pytest.mark.parametrize("member", [*members(), TEMPLATE], ids=lambda d: d.name)
def test_names_differ_in_dashes_and_prefix_only(member: Distribution) -> None:
    folder = member.folder.name
    package = "roomful" if folder == "core" else f"roomful_{folder}"

    assert member.name == f"roomful-{folder.replace('_', '-')}"
    assert member.package.name == package
    assert (member.package / "py.typed").exists()
    if member.folder.parent.name == "plugins":
        assert list(member.plugins) == [folder]
        assert member.plugins[folder].startswith(f"{package}.plugin:")


def test_plugin_readmes_have_the_same_headings() -> None:
    wanted = ["What it does", "Install", "Settings", "Limits", "How it is tested"]
    plugins = [m for m in (*members(), TEMPLATE) if m.folder.parent.name == "plugins"]
    headings = {
        m.name: re.findall(r"^## (.+)$", (m.folder / "README.md").read_text(), re.MULTILINE)
        for m in plugins
    }

    assert {name: found for name, found in headings.items() if found != wanted} == {}


def test_workspace_is_what_is_installed() -> None:
    installed = {
        name for name, found in discover().items() if found.distribution.startswith("roomful-")
    }

    assert installed == {name for member in members() for name in member.plugins}


def test_constraints_hold_versions_only_and_satisfy_every_requirement() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}

    assert [line for line in lines if "/" in line and not line.startswith("#")] == []
    wanted = [r for member in ALL for r in requirements(member)]
    wanted += [Requirement(text) for text in root().table["dependency-groups"]["dev"]]
    foreign = [r for r in wanted if not r.name.startswith("roomful")]
    unmet = [
        str(r)
        for r in foreign
        if not r.specifier.contains(versions.get(canonicalize_name(r.name), "0"), prereleases=True)
    ]
    assert unmet == []
