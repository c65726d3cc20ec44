"""A server process says in one line that its database was not migrated, and gunicorn's refusals are problems too."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import pytest

from scheduler.domain.errors import ConfigurationError
from scheduler.storage.migrate import check_migrated, downgrade, head_revision
from tests.support.web import ROOT, SECRET_KEY, running_web

WEB = ["gunicorn", "-c", "config/gunicorn.py", "api.app:create_app()"]
WORKER = ["scheduler.cli", "worker"]
ELSEWHERE = "options=-csearch_path%3Delsewhere"
"""Where there are no tables, as in a new database."""


@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_on_a_new_database_a_process_ends_with_the_remedy(database_url: str, command: list[str]) -> None:
    url = f"{database_url}{'&' if '?' in database_url else '?'}{ELSEWHERE}"
    env = {
        "PATH": os.defpath,
        "DATABASE_URL": url,
        "REVEILLE_SECRET_KEY": SECRET_KEY,
        "REVEILLE_LOG_LEVEL": "ERROR",
    }
    ended = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.endswith(f"was never migrated, and this version needs {head_revision()}: run `reveille migrate`.")


def test_an_earlier_revision_is_refused(sqlalchemy_url: str) -> None:
    check_migrated(sqlalchemy_url)
    downgrade(sqlalchemy_url, "-1")
    with pytest.raises(ConfigurationError, match="is at revision"):
        check_migrated(sqlalchemy_url)


def test_a_database_that_does_not_answer_is_waited_for() -> None:
    check_migrated("postgresql+psycopg://nobody@127.0.0.1:1/none")


def test_a_url_that_is_too_long_is_answered_like_every_other_error(database_url: str) -> None:
    with running_web(database_url) as web:
        answer = httpx.get(f"{web.url}/api/v1/agents?after={'x' * 5000}")
    assert answer.status_code == 414
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["title"] == "URI Too Long"
    assert "4094" in answer.json()["detail"]
