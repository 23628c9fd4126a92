"""Every hook is documented with its exact signature and has a test of its own."""

import ast
import inspect
import re

from roomful.plugin import hookspecs
from roomful.plugin.markers import Kind, rule_of

from .tree import ROOT, members

REFERENCE = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8")
HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if inspect.isfunction(function) and rule_of(function) is not None
}


def hook_tests() -> set[str]:
    found: set[str] = set()
    for member in members():
        for path in (member.folder / "tests").rglob("test_*.py"):
            found |= set(re.findall(r"def (test_hook_\w+)", path.read_text(encoding="utf-8")))
    return found


def test_there_are_hooks() -> None:
    assert len(HOOKS) >= 17


def test_every_hook_is_documented_with_its_exact_signature() -> None:
    tree = ast.parse(inspect.getsource(hookspecs))
    written = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            returns = ast.unparse(node.returns) if node.returns else "None"
            written[node.name] = f"{node.name}({ast.unparse(node.args)}) -> {returns}"

    assert [line for name, line in written.items() if name in HOOKS and line not in REFERENCE] == []


def test_every_hook_has_a_test() -> None:
    assert {f"test_hook_{name}" for name in HOOKS} - hook_tests() == set()


def test_every_specification_says_kind_and_version() -> None:
    for name, function in HOOKS.items():
        rule = rule_of(function)
        assert rule is not None
        words = inspect.getdoc(function) or ""
        assert f"\n\n{rule.kind.value.capitalize()}" in words, name
        assert "Added in" in words, name


def test_names_tell_the_kind_of_deciding_and_noticing_hooks() -> None:
    prefix = {Kind.DECIDE: ("choose_", "find_", "check_", "prepare_"), Kind.NOTIFY: ("on_",)}
    for name, function in HOOKS.items():
        rule = rule_of(function)
        assert rule is not None
        for kind, prefixes in prefix.items():
            assert name.startswith(prefixes) == (rule.kind is kind), name
