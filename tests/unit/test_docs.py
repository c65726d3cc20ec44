"""Everything that the pages refer to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler.domain.model import MisfirePolicy
from scheduler.triggers.registry import OURS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TRIGGERS = ROOT / "docs/triggers"
AS_A_WHOLE = ("decisions", "presets", "triggers")
"""Folders of pages that are linked as a whole."""
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FILE = re.compile(r"`?((?:scheduler|api|tests|config|docs|tools)/[\w/.-]+\.(?:py|md))`?")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")
BARE_TEST = re.compile(r"`(?:test_\w+\.py::)?(test_\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_file_and_page_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    for file, name in TEST.findall(text):
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
    for file in FILE.findall(text):
        assert (ROOT / file).exists(), file
    for link in LINK.findall(text):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_heading_that_is_linked_exists(page: Path) -> None:
    for target, anchor in ANCHOR.findall(page.read_text()):
        text = (page.parent / target if target else page).read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}, anchor


def test_every_test_that_is_named_without_its_file_exists() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for page in PAGES:
        for name in BARE_TEST.findall(page.read_text()):
            assert f"def {name}(" in tests, f"{page.name}: {name}"


def linked_tests(page: str) -> dict[str, dict[str, str]]:
    """Returns the tests of each row of a page's tables: file and name, by the row's first cell."""
    tests: dict[str, dict[str, str]] = {}
    for line in (Path(__file__).parent / f"pages/{page}.txt").read_text().splitlines():
        row, _, test = line.rpartition(" | ")
        file, _, name = test.partition("::")
        tests.setdefault(row, {})[file] = name
    return tests


@pytest.mark.parametrize("page", ["crashes", "threat-model"])
def test_each_row_is_covered_by_the_tests_that_it_links(page: str) -> None:
    rows = [line for line in (ROOT / f"docs/{page}.md").read_text().splitlines() if "[test](" in line]
    tests = linked_tests(page)
    assert len(rows) == len(tests) > 20
    for row in rows:
        first, _, links = row.strip("| ").split(" | ")
        assert re.findall(r"\[test\]\(\.\./([^)]+)\)", links) == list(tests[first]), row
        for file, name in tests[first].items():
            assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


def test_every_row_of_the_crash_table_has_a_test() -> None:
    table = (ROOT / "docs/crashes.md").read_text().partition("|---|---|---|\n")[2].strip().splitlines()
    assert len(table) > 20
    assert all("[test](" in row for row in table)


def test_each_file_in_the_picture_of_a_firing_exists() -> None:
    picture = (ROOT / "docs/path-of-a-firing.md").read_text().split("```")[1]
    files = re.findall(r"(?:\w+/)+\w+\.py", picture)
    assert len(files) > 8
    assert all((ROOT / "scheduler" / file).exists() for file in files), files


def test_the_files_on_the_way_are_counted() -> None:
    section = (ROOT / "docs/architecture.md").read_text().split("### Every file on the way")[1].split("\n## ")[0]
    lists = re.findall(r"(\d+) files[^:]*:\n\n((?:`[^`]+`[,.]\s+)+)", section)
    counts = [len(set(FILE.findall(files))) for _, files in lists]
    assert [int(number) for number, _ in lists] == counts
    to_firing, to_agent, from_message, to_notification = counts
    assert f"an agent is {to_firing + to_agent} files" in section
    assert f"notification {from_message + to_agent + to_notification} (" in section.replace("\n", " ")


def test_the_front_page_leads_to_every_page() -> None:
    front = (ROOT / "docs/README.md").read_text()
    linked = {(ROOT / "docs" / link).resolve() for link in LINK.findall(front)}
    assert TRIGGERS in linked
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.parent.name not in AS_A_WHOLE}
    assert pages - linked <= {ROOT / "docs/README.md"}


def test_each_threat_has_a_defence_in_the_code_and_a_test() -> None:
    borders = (ROOT / "docs/threat-model.md").read_text().split("\n## ")[1:-1]
    assert len(borders) > 10
    for border in borders:
        rows = border.partition("|---|---|---|\n")[2].strip().splitlines()
        assert rows, border.splitlines()[0]
        for row in rows:
            assert row.count(" | ") == 2, row
            _, defence, test = row.split(" | ")
            assert FILE.search(defence), row
            assert "[test](" in test, row


def test_no_page_names_what_is_only_on_the_writers_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(work|root|home)/", page.read_text()), page


def test_each_kind_of_trigger_has_a_page_among_those_that_the_readme_links() -> None:
    assert "](docs/triggers)" in (ROOT / "README.md").read_text()
    for kind in OURS:
        assert not kind.is_offered or (ROOT / kind.docs).parent == TRIGGERS, kind
        assert not kind.is_offered or (ROOT / kind.docs).exists(), kind


def test_each_misfire_policy_is_explained() -> None:
    page = (ROOT / "docs/misfire.md").read_text()
    assert all(f"| `{policy}`" in page for policy in MisfirePolicy)


def test_each_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        linked = {(page.parent / link).resolve() for link in LINK.findall(page.read_text())}
        waiting += [each for each in linked - reached if each.suffix == ".md" and each.exists()]
    whole = {page for page in PAGES if page.parent.name in AS_A_WHOLE}
    assert set(PAGES) - reached - whole <= {ROOT / "CHANGELOG.md"}
