"""What the pages refer to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FILE = re.compile(r"`?((?:scheduler|api|tests|config|docs|tools)/[\w/.-]+\.(?:py|md))`?")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_file_and_page_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    for file, name in TEST.findall(text):
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
    for file in FILE.findall(text):
        assert (ROOT / file).exists(), file
    for link in LINK.findall(text):
        assert (page.parent / link).exists(), link


def test_no_page_names_what_is_only_on_the_writers_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(work|root|home)/", page.read_text()), page
