"""What the docs list is what the code declares."""

from __future__ import annotations

import pytest

from tools.reference import ROOT, pages


@pytest.mark.parametrize("path", ["docs/api.md", "docs/settings.md", "docs/cli.md", "docs/cli-reference.md"])
def test_the_generated_parts_of_the_docs_are_current(path: str) -> None:
    written = (ROOT / path).read_text(encoding="utf-8")
    assert written == pages()[path], "Run: python -m tools.reference"
