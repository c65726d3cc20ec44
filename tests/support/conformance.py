"""Reads the shared conformance cases, which are beside the project and are never copied into it.

    CASES = conformance.load("cron/cases.json")     # at module level, ready for parametrize

They are looked up in `REVEILLE_CONFORMANCE_DIR`, else in `../shared/conformance` from the project's root. If they
are missing, a run with CI=true fails. Otherwise the calling test is skipped with one line, or the whole module
when it loads them at import. So a module that loads them at import contains only conformance tests.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_BESIDE_THE_PROJECT = Path(__file__).resolve().parents[3] / "shared" / "conformance"


def load(relative_path: str) -> Any:
    """Returns the JSON of one conformance file, such as `"cron/cases.json"`."""
    directory = _directory()
    path = directory / relative_path
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    # Naming only the directory lets pytest merge all skips of a run into one line.
    missing = path if directory.is_dir() else directory
    reason = f"conformance cases are missing: {missing} (set REVEILLE_CONFORMANCE_DIR)"
    if _environment("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def _directory() -> Path:
    named = _environment("REVEILLE_CONFORMANCE_DIR")
    return Path(named) if named else _BESIDE_THE_PROJECT


def _environment(name: str) -> str:
    # These two variables belong to the test run, not to the product, so config/settings.py does not have them.
    return os.environ.get(name, "")  # noqa: TID251
