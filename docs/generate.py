"""Writes the generated pages: hooks, settings and command line in docs/reference, and the index.

    python docs/generate.py           write them
    python docs/generate.py --check   exit 1 when a page is not what would be written
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from roomful.cli.parser import build_parser
from roomful.cli.setting_rows import setting_rows
from roomful.plugin import hookspecs
from roomful.plugin.discovery import discover, load_class
from roomful.plugin.markers import API_VERSION, rule_of
from roomful.settings import SECTIONS, Settings

DOCS = Path(__file__).parent
OURS = "roomful-"
NOTE = "<!-- Written by docs/generate.py (./dev docs): do not edit. -->\n\n"


def main(check: bool) -> int:
    """Write or compare every page."""
    wrong: list[str] = []
    for name, page in PAGES.items():
        path, text = DOCS / name, NOTE + page()
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            wrong.append(name)
    if wrong:
        sys.stderr.write(f"{', '.join(wrong)}: not what the code says; run ./dev docs\n")
    return 1 if wrong else 0


# --- hooks ---------------------------------------------------------------------------------------


def hooks_page() -> str:
    """Return every hook with its signature and its docstring."""
    major, minor = API_VERSION
    parts = [HOOKS_HEAD.format(major=major, minor=minor)]
    for name, function in specifications(hookspecs):
        rule = rule_of(function)
        assert rule is not None
        parts.append(f"## {name}\n\n```python\n{signature(function)}\n```\n\n")
        parts.append(f"Kind: **{rule.kind}**\n\n{inspect.getdoc(function)}\n\n")
    return "".join(parts).rstrip() + "\n"


def specifications(module: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield name and function of every hook of a module, in the order of the source."""
    for name, function in vars(module).items():
        if inspect.isfunction(function) and rule_of(function) is not None:
            yield name, function


def signature(function: Callable[..., object]) -> str:
    """Return `name(argument: type, …) -> type` as the source writes it."""
    spelled = inspect.signature(function)
    arguments = ", ".join(f"{p.name}: {p.annotation}" for p in spelled.parameters.values())
    return f"{function.__name__}({arguments}) -> {spelled.return_annotation}"


HOOKS_HEAD = """\
# Hooks

What the core asks of plugins; version {major}.{minor} of the plugin API. A hook belongs to one of
four kinds:

| kind | called | may be async | a failing plugin means |
|---|---|---|---|
| offer | once, while the server is built | no | the start fails, or the plugin is skipped (`plugins.on_error`) |
| life | once, in order, with a time limit | yes | `startup`: as above; `shutdown`: logged |
| decide | when needed, with a time limit | yes | `choose_…`, `find_…`: as if it had answered None; `check_…`, `prepare_…`: refused |
| notify | after the fact, through the plugin's own bounded queue | yes | logged and counted |

Implementations are methods of a `Plugin`, marked `@hookimpl`. They are called with those of the
listed arguments that they name, so an argument can be added without breaking anybody. Plugins are
asked in the order of their names; `@hookimpl(tryfirst=True)` and `trylast=True` move one.

A plugin brings hooks for others by `hookspecs`: functions of a module, marked with `offer`,
`offer_one`, `life`, `choose`, `check`, `prepare` or `notify` of `roomful.plugin`.

"""


# --- settings ------------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the core's settings and those of our plugins."""
    parts = [SETTINGS_HEAD]
    rows = [row for row in setting_rows(Settings) if row[0] not in (*SECTIONS, "mode")]
    tables: dict[str, list[tuple[str, ...]]] = {}
    for row in rows:
        table, _, name = row[0].rpartition(".")
        tables.setdefault(table, []).append((name, *row[1:]))
    for table, members in tables.items():
        parts.append(f"## [{table}]\n\n" if table else "## Top level\n\n")
        parts.append(markdown_table(members))
    for plugin in discover().values():
        if plugin.distribution.startswith(OURS):
            parts.append(plugin_settings(plugin.name))
    return "".join(parts).rstrip() + "\n"


def plugin_settings(name: str) -> str:
    """Return the section of one plugin."""
    cls = load_class(discover()[name])
    section = next((s for s, owner in SECTIONS.items() if owner == name), f"plugins.config.{name}")
    rows = setting_rows(cls.Config)
    table = markdown_table(rows) if rows else "No settings.\n\n"
    return f"## [{section}]\n\nOf the plugin `{name}`.\n\n{table}"


def markdown_table(rows: list[tuple[str, ...]]) -> str:
    """Return rows of (name, type, default, description) as a table."""
    lines = ["| name | takes | default | |", "|---|---|---|---|"]
    for name, kind, default, description in rows:
        shown = f"`{default}`" if default and default not in ("computed", "required") else default
        cells = (f"`{name}`", kind, shown, description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n\n"


SETTINGS_HEAD = """\
# Settings

Defaults, then one TOML file (`--config`), then environment variables, then options: the later wins.
Nothing unknown is accepted; `roomful config check` reads every source, checks the settings of the
enabled plugins too, and lists `ROOMFUL_…` variables that no setting reads.

**Variables** are `ROOMFUL_` and the path with two underscores between its parts:
`ROOMFUL_ROOM__EMPTY_TIMEOUT_S=60`, `ROOMFUL_RTC__UDP_PORT=0`,
`ROOMFUL_PLUGINS__CONFIG__WEBHOOKS__API_KEY=devkey`. A list is JSON or has commas between its
members; a table is JSON. Names of variables have no case, so an API key with capitals is given by
the whole table, `ROOMFUL_KEYS={"APIkey": "secret"}`, or by `LIVEKIT_KEYS="APIkey: secret"` (more by
commas or new lines); `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET` add one.

**Plugins** have their settings in `[plugins.config.NAME]`, checked by the plugin's own model;
the media plane's table has the short name `[rtc]`. A plugin sees its own settings and no other.

**Secrets** are never printed, also not in an error.

"""


# --- command line --------------------------------------------------------------------------------


def cli_page() -> str:
    """Return every command of the core with its options."""
    parts = [CLI_HEAD]
    for words, parser in commands(build_parser("dev"), ()):
        parts.append(f"## roomful {' '.join(words)}\n\n")
        about = parser.description or ""
        parts.append(f"{about}\n\n" if about else "")
        for action in parser._actions:
            if line := option(action):
                parts.append(line)
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield every command that does something, depth first."""
    nested = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not nested:
        yield words, parser
    for action in nested:
        helps = {choice.dest: choice.help for choice in action._choices_actions}
        for name, child in action.choices.items():
            about = (helps.get(name) or "").removesuffix(".")
            child.description = child.description or f"{about[:1].upper()}{about[1:]}."
            yield from commands(child, (*words, name))


def option(action: argparse.Action) -> str:
    """Return one line for an option or argument, nothing for `--help`."""
    if "-h" in action.option_strings:
        return ""
    name = ", ".join(action.option_strings) or action.dest
    if action.option_strings and action.nargs != 0:
        name += f" {action.metavar or action.dest.upper()}"
    choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
    return f"- `{name}`: {action.help or ''}{choices}\n"


CLI_HEAD = """\
# Command line

Plugins add commands (`roomful demo`); `roomful --help` lists them. Exit codes: 0 well; 1 a plugin
is broken or a variable unknown; 2 wrong usage or settings, with one line on standard error that
names the setting and the remedy, before any listener opens; 130 ended by a second interrupt.

`dev` and `serve` print one line `roomful ready at URL` on standard output when every listener is
up. SIGTERM, and the first SIGINT, end the server well within `drain_timeout_s`; the second SIGINT
ends it at once.

"""

# --- index ---------------------------------------------------------------------------------------


def index_page() -> str:
    """Return the list of all pages, by folder, with their own titles."""
    parts = ["# Documentation\n"]
    for folder, about in FOLDERS.items():
        pages = sorted((DOCS / folder).glob("*.md"))
        if pages:
            parts.append(f"\n## {about}\n\n")
            parts += [f"- [{title(page)}]({folder}/{page.name})\n" for page in pages]
    return "".join(parts)


def title(page: Path) -> str:
    """Return a page's first heading."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("# ") for line in lines if line.startswith("# "))


FOLDERS = {
    "tutorial": "Tutorials",
    "how-to": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
    "adr": "Decisions, never edited, only superseded",
}

PAGES: dict[str, Callable[[], str]] = {
    "reference/hooks.md": hooks_page,
    "reference/settings.md": settings_page,
    "reference/cli.md": cli_page,
    "README.md": index_page,
}

if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
