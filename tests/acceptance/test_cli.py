"""The service commands as an operator runs them: separate processes on a real database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.metadata import version

import psycopg
import pytest

from scheduler.domain.ids import token_hash
from tests.acceptance.tools import ROOT, command, environment
from tests.support.postgres import Databases

UNMIGRATED = "template1"
SECRET_KEY = "a secret key for tests"


def migrate(database_url: str, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = environment(DATABASE_URL=database_url, REVEILLE_SECRET_KEY=SECRET_KEY, **variables)
    return subprocess.run(command("migrate"), env=settings, capture_output=True, text=True, timeout=120)


def key_hashes(database_url: str) -> list[bytes]:
    with psycopg.connect(database_url) as conn:
        return [row[0] for row in conn.execute("SELECT key_hash FROM api_keys")]


def test_migrate_makes_the_admin_key_and_prints_it_once(databases: Databases) -> None:
    url = databases.create(UNMIGRATED)
    first = migrate(url.replace("postgresql:", "postgres:", 1))
    assert (first.returncode, first.stderr) == (0, "")
    revision, key_line = first.stdout.splitlines()
    assert revision.startswith("The database is at revision ")
    key = key_line.removeprefix("The admin key, shown this once: ")
    assert key_hashes(url) == [token_hash(key)]

    again = migrate(url)
    assert (again.returncode, again.stdout.splitlines()) == (0, [revision])
    assert key_hashes(url) == [token_hash(key)]
    databases.drop(url)


def test_migrate_takes_the_operator_s_own_admin_key_and_does_not_print_it(databases: Databases) -> None:
    url = databases.create(UNMIGRATED)
    done = migrate(url, REVEILLE_ADMIN_KEY="chosen-by-the-operator")
    assert done.returncode == 0
    assert "chosen" not in done.stdout + done.stderr
    assert key_hashes(url) == [token_hash("chosen-by-the-operator")]
    databases.drop(url)


def test_migrate_without_a_database_that_answers_is_unreachable_in_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = migrate(f"postgres://user:hush@127.0.0.1:{unused.getsockname()[1]}/db")
    assert (done.returncode, done.stdout) == (5, "")
    assert "refused" in done.stderr
    assert "hush" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("process", ["web", "worker", "migrate"])
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "postgres://h/db"}, "REVEILLE_SECRET_KEY is required"),
        ({"DATABASE_URL": "mysql://h/db"}, "DATABASE_URL"),
    ],
)
def test_a_process_without_its_settings_says_so_in_one_line(
    process: str, variables: dict[str, str], words: str
) -> None:
    done = subprocess.run(
        command(process), env=environment(**variables), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_command_it_shows_its_help_and_fails() -> None:
    done = subprocess.run(command(), env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("Usage: reveille")


def test_the_version_is_printed() -> None:
    done = subprocess.run(command("--version"), env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{version('reveille-server')}\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_user_without_a_home_has_a_data_directory() -> None:
    """Such as a container's, whose number no name belongs to."""
    program = (
        "import os, config.installation as place, platformdirs.unix; place.is_checkout = bool; "
        "os.setuid(54321); print(place.data_directory())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd="/",
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("/var/lib/reveille\n", "")
