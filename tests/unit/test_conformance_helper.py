"""The conformance helper finds the shared cases, and fails in CI when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import conformance


def test_cases_are_read_from_the_directory_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cron").mkdir()
    (tmp_path / "cron" / "cases.json").write_text(json.dumps({"valid": [1]}), encoding="utf-8")
    monkeypatch.setenv("REVEILLE_CONFORMANCE_DIR", str(tmp_path))
    assert conformance.load("cron/cases.json") == {"valid": [1]}


def test_missing_cases_skip_the_test_and_say_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVEILLE_CONFORMANCE_DIR", str(tmp_path))
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match=r"cron/none\.json"):
        conformance.load("cron/none.json")


def test_missing_cases_fail_a_run_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVEILLE_CONFORMANCE_DIR", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"cron/none\.json"):
        conformance.load("cron/none.json")
