"""Read the shared conformance cases, which live beside the project and are never copied into it.

    CASES = conformance.load("cron/cases.json")     # at module level, ready to parametrise with

They are looked for in `REVEILLE_CONFORMANCE_DIR`, else in `../shared/conformance` from the project's
root. Where they are missing, a run with CI=true fails; elsewhere the calling test, or the whole module
when it loads at import, is skipped with one line. So a module that loads at import holds nothing
but conformance tests.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_BESIDE_THE_PROJECT = Path(__file__).resolve().parents[3] / "shared" / "conformance"


def load(relative_path: str) -> Any:
    """The JSON of one conformance file, such as `"cron/cases.json"`."""
    directory = _directory()
    path = directory / relative_path
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    # Naming the directory alone lets pytest fold all skips of a run into one line.
    missing = path if directory.is_dir() else directory
    reason = f"conformance cases are missing: {missing} (set REVEILLE_CONFORMANCE_DIR)"
    if _environment("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def _directory() -> Path:
    named = _environment("REVEILLE_CONFORMANCE_DIR")
    return Path(named) if named else _BESIDE_THE_PROJECT


def _environment(name: str) -> str:
    # These two switches belong to the test run, not to the product, so config/settings.py has none.
    return os.environ.get(name, "")  # noqa: TID251
