"""The doctor names problems and remedies; an embedded database of an older version is upgraded."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.settings import Settings, load_settings
from scheduler.commands.doctor.database import check_database
from scheduler.commands.doctor.findings import Finding, Status
from scheduler.commands.doctor.machine import check_python, check_web, local_port
from scheduler.commands.doctor.upgrade import programs_of, upgrade_database
from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import Conflict, ReveilleError
from scheduler.postgres.embedded import MAJOR, SUPERUSER, EmbeddedPostgres, binaries
from scheduler.postgres.os_account import Account, choose_account
from scheduler.storage.migrate import downgrade
from scheduler.storage.secrets import SecretBox
from scheduler.supervisor import data_directory_lock
from tests.acceptance.tools import command, environment
from tests.support.postgres import UNSAFE_BUT_FAST
from tests.support.web import free_port

OLD = 16
"""The older version whose programs the wheel includes."""


class OffClock(SystemClock):
    """A clock that is off by so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._off = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._off


@pytest.fixture
def short_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="reveille-doctor-") as path:
        yield Path(path)


def examine(url: str, key: str | None = "key", *, clock_off: float = 0) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_database(url, key, OffClock(clock_off))}


def doctor(*arguments: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = subprocess.run(
        command("doctor", "--json", *arguments), capture_output=True, env=environment(**variables), timeout=60
    )
    assert done.stderr == b""
    return done.returncode, {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_a_fresh_database_is_well_and_nothing_runs(sqlalchemy_url: str) -> None:
    found = examine(sqlalchemy_url)
    assert [(name, finding.status.value) for name, finding in found.items()] == [
        ("database", "ok"),
        ("migrations", "ok"),
        ("clocks", "ok"),
        ("scheduler", "warn"),
        ("worker", "warn"),
        ("secret key", "ok"),
    ]
    assert "PostgreSQL 18." in found["database"].text


def test_a_database_that_was_never_migrated_fails_with_the_command_to_run(sqlalchemy_url: str) -> None:
    downgrade(sqlalchemy_url)
    found = examine(sqlalchemy_url)
    assert found["migrations"].status is Status.FAIL
    assert found["migrations"].remedy == "`reveille migrate`"
    assert "scheduler" not in found


def test_a_database_out_of_reach_fails_without_showing_its_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        found = examine(f"postgresql+psycopg://user:hush@127.0.0.1:{port}/db")
    assert list(found) == ["database"]
    assert found["database"].status is Status.FAIL
    assert "refused" in found["database"].text
    assert "postgresql://user:***@" in found["database"].text
    assert "hush" not in found["database"].text


@pytest.mark.parametrize(("off", "status"), [(0, Status.OK), (-5, Status.WARN), (600, Status.FAIL)])
def test_clocks_that_disagree_are_noticed(sqlalchemy_url: str, off: float, status: Status) -> None:
    assert examine(sqlalchemy_url, clock_off=off)["clocks"].status is status


@pytest.mark.parametrize(("seconds", "status"), [(1, Status.OK), (600, Status.FAIL)])
def test_a_scheduler_or_worker_that_went_quiet_fails(
    sqlalchemy_url: str, database_url: str, seconds: int, status: Status
) -> None:
    ago = timedelta(seconds=seconds)
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO scheduler_processes (id, name, last_pass_at)"
            " VALUES (gen_random_uuid(), 'one', clock_timestamp() - %s)",
            [ago],
        )
        conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (clock_timestamp() - %s)", [ago])
    found = examine(sqlalchemy_url)
    assert (found["scheduler"].status, found["worker"].status) == (status, status)


def test_secrets_that_another_key_stored_fail(sqlalchemy_url: str, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        tenant = conn.execute("SELECT id FROM tenants").fetchone()
        assert tenant is not None
        conn.execute(
            "INSERT INTO agents (id, tenant_id, name, runtime_kind, runtime, runtime_secret)"
            " VALUES (gen_random_uuid(), %s, 'a', 'http', '{}', %s)",
            [tenant[0], SecretBox("the first key").encrypt("secret")],
        )
    assert examine(sqlalchemy_url, "the first key")["secret key"].status is Status.OK
    wrong = examine(sqlalchemy_url, "another key")["secret key"]
    assert (wrong.status, wrong.text) == (Status.FAIL, "1 of 1 stored secrets cannot be decrypted with it")
    assert examine(sqlalchemy_url, None)["secret key"].status is Status.FAIL


def test_a_python_that_is_too_old_fails() -> None:
    assert check_python((3, 10)).status is Status.FAIL
    assert check_python().status is Status.OK


def test_a_port_that_another_program_uses_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = check_web(Settings(port=listener.getsockname()[1]))
    assert found.status is Status.FAIL


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({}, 8080),
        ({"REVEILLE_URL": "http://127.0.0.1:9001"}, 9001),
        ({"REVEILLE_URL": "http://[::1]:9001"}, 9001),
        ({"REVEILLE_URL": "http://localhost"}, 80),
        ({"REVEILLE_URL": "https://reveille.example.org:9001"}, 8080),
        ({"REVEILLE_URL": "http://127.0.0.1:9001", "PORT": "9002"}, 9002),
    ],
)
def test_the_port_is_that_of_this_machines_reveille(variables: dict[str, str], port: int) -> None:
    assert local_port(load_settings(variables)) == port


def test_before_the_first_start_nothing_is_wrong(tmp_path: Path) -> None:
    code, found = doctor(REVEILLE_DATA_DIR=str(tmp_path / "none"), PORT=str(free_port()))
    assert code == 0
    assert {finding["status"] for finding in found.values()} == {"ok", "warn"}
    assert found["embedded PostgreSQL"]["remedy"] == "`reveille run` creates it"
    assert not (tmp_path / "none").exists()


def test_a_running_embedded_database_is_examined(short_path: Path) -> None:
    server = EmbeddedPostgres(short_path, UNSAFE_BUT_FAST)
    server.start()
    try:
        code, found = doctor(REVEILLE_DATA_DIR=str(short_path), PORT=str(free_port()))
    finally:
        server.stop()
    assert code == 1
    assert found["embedded PostgreSQL"]["status"] == "ok"
    assert found["migrations"]["status"] == "fail"


def test_settings_that_cannot_be_read_fail_in_one_line() -> None:
    done = subprocess.run(command("doctor"), capture_output=True, env=environment(PORT="many"), timeout=60)
    last = done.stdout.decode().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("fail  settings")
    assert "PORT" in last


def test_an_embedded_database_of_an_older_version_is_upgraded_and_the_old_files_stay(short_path: Path) -> None:
    old_directory = make_old_database(short_path)
    code, found = doctor(REVEILLE_DATA_DIR=str(short_path), PORT=str(free_port()))
    assert code == 1
    assert "doctor --upgrade-database" in found["embedded PostgreSQL"]["remedy"]

    text = upgrade_database(short_path)
    assert f"PostgreSQL {MAJOR}" in text
    assert (short_path / f"postgres.{OLD}" / "PG_VERSION").read_text(encoding="ascii").strip() == str(OLD)
    server = EmbeddedPostgres(short_path, UNSAFE_BUT_FAST)
    server.start()
    try:
        with psycopg.connect(server.url_of("kept", SUPERUSER)) as conn:
            assert conn.execute("SELECT sum(n) FROM numbers").fetchone() == (5050,)
    finally:
        server.stop()
    assert "nothing to upgrade" in upgrade_database(short_path)
    assert old_directory.exists()


def test_an_upgrade_waits_until_nobody_uses_the_data(short_path: Path) -> None:
    directory = short_path / "postgres"
    directory.mkdir()
    (directory / "PG_VERSION").write_text("16\n", encoding="ascii")
    with data_directory_lock(short_path), pytest.raises(ReveilleError, match="already running on"):
        upgrade_database(short_path)
    (short_path / "postgres.16").mkdir()
    with pytest.raises(Conflict, match="earlier upgrade"):
        upgrade_database(short_path)


def test_a_version_whose_programs_are_not_here_is_left_alone_and_the_steps_are_told(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    directory.mkdir()
    (directory / "PG_VERSION").write_text("12\n", encoding="ascii")
    with pytest.raises(ReveilleError) as caught:
        upgrade_database(tmp_path)
    assert "pg_dump" in caught.value.message
    assert f"mv '{directory}'" in caught.value.message
    assert [path.name for path in directory.iterdir()] == ["PG_VERSION"]


def test_without_an_embedded_database_there_is_nothing_to_upgrade(tmp_path: Path) -> None:
    assert "nothing to upgrade" in upgrade_database(tmp_path)


def make_old_database(data_dir: Path) -> Path:
    """A database of version OLD with a table in it, made and stopped in good order."""
    programs = programs_of(OLD)
    if programs is None:
        pytest.skip(f"the wheel carries no programs of PostgreSQL {OLD}")
    directory = data_dir / "postgres"
    account = choose_account(directory, binaries() / "postgres", programs / "postgres", data_dir)
    directory.mkdir(mode=0o700)
    os.chown(directory, account.uid, account.gid)
    options = f"-c listen_addresses= -c fsync=off -k {directory}"
    run(
        account,
        programs / "initdb",
        f"--pgdata={directory}",
        f"--username={SUPERUSER}",
        "--auth=trust",
        "--no-sync",
    )
    run(account, programs / "pg_ctl", "-D", directory, "-w", "-l", directory / "log", "-o", options, "start")
    try:
        psql = (programs / "psql", "-h", directory, "-U", SUPERUSER, "-v", "ON_ERROR_STOP=1")
        run(account, *psql, "-c", "CREATE DATABASE kept", "postgres")
        run(account, *psql, "-c", "CREATE TABLE numbers AS SELECT generate_series(1, 100) AS n", "kept")
    finally:
        run(account, programs / "pg_ctl", "-D", directory, "-w", "stop")
    return directory


def run(account: Account, *arguments: str | Path) -> None:
    status, output = account.run(*arguments)
    assert status == 0, output
