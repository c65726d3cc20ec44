"""The backup that docs/operations.md shows is one: what it restores is what there was, and the key beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from scheduler.bootstrap import duties
from scheduler.postgres.embedded import NAME, SUPERUSER, EmbeddedPostgres, binaries
from scheduler.storage.engine import Database
from scheduler.storage.migrate import upgrade
from scheduler.supervisor import secret_key
from tests.support.postgres import UNSAFE_BUT_FAST

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
BACKUP, RESTORE = re.findall(r"^```sh\n(.*?)^```", PAGE.partition("## Backups")[2], re.M | re.S)
COUNT = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@pytest.fixture
def place() -> Iterator[Path]:
    """Where `make run` has run: with data in `var`, and a short path, for a socket has to fit."""
    with tempfile.TemporaryDirectory(prefix="reveille-backup-") as path:
        yield Path(path)


def bash(script: str, place: Path, **variables: str) -> None:
    env = {"PATH": f"{binaries()}:{os.defpath}", "PYTHONPATH": str(ROOT), **variables}
    script = script.replace(".venv/bin/python", f'"{sys.executable}"')
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=place, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_what_is_dumped_while_it_runs_is_restored_whole(place: Path) -> None:
    server = EmbeddedPostgres(place / "var", UNSAFE_BUT_FAST)
    url = server.start()
    try:
        upgrade(url.replace("postgresql:", "postgresql+psycopg:", 1))
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE tenants SET timezone = 'Europe/Berlin'")
        key = secret_key(place / "var").get_secret_value()
        bash(BACKUP, place)
        assert (place / "reveille.key").read_text().strip() == key

        with psycopg.connect(server.url_of(SUPERUSER, SUPERUSER), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE another OWNER {NAME}")
        another = server.url_of("another")
        bash(RESTORE, place, DATABASE_URL=another)
        with psycopg.connect(another) as connection:
            assert connection.execute("SELECT timezone FROM tenants").fetchone() == ("Europe/Berlin",)
            restored = connection.execute(COUNT).fetchone()
        with psycopg.connect(url) as connection:
            assert connection.execute(COUNT).fetchone() == restored
    finally:
        server.stop()


def test_each_duty_of_a_worker_is_listed_with_its_period(database_url: str) -> None:
    db = Database(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    try:
        made = {
            duty.name: f"{duty.every_seconds:.0f} s"
            if duty.every_seconds < 60
            else f"{duty.every_seconds / 60:.0f} min"
            for duty in duties(db)
        }
    finally:
        db.dispose()
    table = PAGE.partition("## What is repaired by itself")[2].split("\n\n")[2]
    assert dict(re.findall(r"^\| ([\w ]+) \| (\d+ \w+) \|", table, re.M)) == made
