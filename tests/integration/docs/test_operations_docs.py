"""The backup in docs/operations.md works: it restores the data, and the key beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from scheduler.bootstrap import duties, keep_canary
from scheduler.manage.canary import Canary
from scheduler.manage.triggers.service import Triggers
from scheduler.postgres.embedded import NAME, SUPERUSER, EmbeddedPostgres
from scheduler.postgres.os_account import choose_account
from scheduler.storage.engine import Database
from scheduler.storage.migrate import upgrade
from scheduler.supervisor import secret_key
from tests.support.factories import BOX
from tests.support.postgres import UNSAFE_BUT_FAST

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
BACKUP, RESTORE, _, BY_HAND = re.findall(
    r"^```sh\n(.*?)^```", PAGE.partition("## Backups")[2].partition("\n## ")[0], re.M | re.S
)
PHRASE = "a phrase for tests"
DEBIAN = Path("/usr/lib/postgresql/15/bin")
COUNT = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in which `make run` has run: with data in `var`, and a short path, because a socket's path is
    limited.
    """
    with tempfile.TemporaryDirectory(prefix="reveille-backup-") as path:
        yield Path(path)


def bash(script: str, place: Path, **variables: str) -> str:
    env = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "REVEILLE_DATA_DIR": "var", **variables}
    script = script.replace(".venv/bin/python", f'"{sys.executable}"')
    script = script.replace(".venv/bin/reveille", f'"{sys.executable}" -m scheduler.cli')
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place,
        env=env,
        input=f"{PHRASE}\n",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def debian() -> Iterator[str]:
    """An empty database of Debian 12's PostgreSQL 15."""
    if not DEBIAN.exists():
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            pytest.skip("Debian's PostgreSQL 15 is not installed, and cannot be without root")
        subprocess.run(["apt-get", "install", "-qq", "-y", "postgresql-15"], capture_output=True, timeout=300)
        if not DEBIAN.exists():
            pytest.skip("Debian's PostgreSQL 15 cannot be installed here")
    with tempfile.TemporaryDirectory(prefix="reveille-pg15-") as path:
        data = Path(path) / "data"
        account = choose_account(Path(path) / "none", DEBIAN / "postgres")
        os.chown(path, account.uid, account.gid)

        def postgres(*command: str | Path) -> None:
            status, output = account.run(*command)
            assert status == 0, output

        postgres(DEBIAN / "initdb", "-D", data, "-A", "trust", "-U", SUPERUSER, "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses= -c fsync=off -k {path}"
        log = Path(path) / "log"
        postgres(DEBIAN / "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")
        try:
            address = f"postgresql://{SUPERUSER}@/postgres?host={path}"
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {NAME} LOGIN")
                connection.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")
            yield f"postgresql://{NAME}@/{NAME}?host={path}"
        finally:
            postgres(DEBIAN / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


@pytest.fixture
def running(place: Path) -> Iterator[str]:
    """Runs a migrated embedded database in `var` with some data."""
    server = EmbeddedPostgres(place / "var", UNSAFE_BUT_FAST)
    url = server.start()
    try:
        upgrade(url.replace("postgresql:", "postgresql+psycopg:", 1))
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE tenants SET timezone = 'Europe/Berlin'")
        secret_key(place / "var")
        yield url
    finally:
        server.stop()


def contents(url: str) -> tuple[object, object]:
    with psycopg.connect(url) as connection:
        zone = connection.execute("SELECT timezone FROM tenants").fetchone()
        return zone, connection.execute(COUNT).fetchone()


def test_a_backup_of_the_running_database_moves_to_debian_s(place: Path, running: str, debian: str) -> None:
    key = (place / "var/secret.key").read_text().strip()
    bash(BACKUP, place)
    assert key.encode() not in (place / "reveille.backup").read_bytes()
    assert (place / "reveille.backup").stat().st_mode & 0o077 == 0
    bash(RESTORE, place, DATABASE_URL=debian)
    assert contents(debian) == contents(running)
    assert (place / "reveille.key").read_text().strip() == key
    told = bash(
        '"$PYTHON" -m scheduler.cli doctor --after-restore',
        place,
        DATABASE_URL=debian,
        REVEILLE_SECRET_KEY=key,
        PYTHON=sys.executable,
    )
    assert "restored from" in told
    assert "no trigger has a slot that passed" in told


def test_a_backup_becomes_a_new_embedded_database_only_with_its_passphrase(place: Path, running: str) -> None:
    bash(BACKUP, place)
    before = contents(running)
    with pytest.raises(AssertionError, match="passphrase"):
        bash(RESTORE.replace("restore", "restore --passphrase other"), place, REVEILLE_DATA_DIR="new")
    assert not (place / "new").exists()
    bash(RESTORE, place, REVEILLE_DATA_DIR="new")
    assert (place / "new/secret.key").read_text() == (place / "var/secret.key").read_text()
    with pytest.raises(AssertionError, match="not empty"):
        bash(RESTORE, place, REVEILLE_DATA_DIR="new")
    server = EmbeddedPostgres(place / "new", UNSAFE_BUT_FAST)
    try:
        assert contents(server.start()) == before
    finally:
        server.stop()


def test_a_plain_dump_by_hand_is_read_by_debian_s(place: Path, running: str, debian: str) -> None:
    bash(BY_HAND, place, DATABASE_URL=debian)
    assert contents(debian) == contents(running)


def test_each_duty_of_a_worker_is_listed_with_its_period(database_url: str) -> None:
    db = Database(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    try:
        made = {
            duty.name: f"{duty.every_seconds:.0f} s"
            if duty.every_seconds < 60
            else f"{duty.every_seconds / 60:.0f} min"
            for duty in [*duties(db), keep_canary(Canary(db, Triggers(db, BOX), is_wanted=True))]
        }
    finally:
        db.dispose()
    table = PAGE.partition("## Automatic repairs")[2].split("\n\n")[2]
    assert dict(re.findall(r"^\| ([\w ]+) \| (\d+ \w+) \|", table, re.M)) == made
