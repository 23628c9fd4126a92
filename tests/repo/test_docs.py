"""Generated pages are what the code says; links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from .tree import ROOT, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs/generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = [link for link in _LINK.findall(page.read_text("utf-8")) if not leads(page, link)]

    assert broken == []


def leads(page: Path, link: str) -> bool:
    """Whether a link of a page leads somewhere; other sites are not asked."""
    if re.match(r"[a-z]+:", link):
        return True
    name, _, heading = unquote(link).partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not heading or heading in headings(target)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_first_screen_of_the_readme_says_what_for_whom_on_what_and_how() -> None:
    screen = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:30])

    for word in ("room server", "Linux", "./dev demo", "./dev test"):
        assert word in screen


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/adr").glob("*.md"))

    assert numbers == list(range(1, len(numbers) + 1))


def test_index_names_every_page_of_the_docs() -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8")
    pages = [p.relative_to(ROOT / "docs") for p in PAGES if p.is_relative_to(ROOT / "docs")]

    assert [str(p) for p in pages if p.name != "README.md" and str(p) not in index] == []
