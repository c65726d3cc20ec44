from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from scheduler.domain.errors import ConfigurationError
from scheduler.postgres import os_account as account
from scheduler.postgres.data_directory import ensure_directory
from scheduler.postgres.embedded import SOCKET_PATH_LIMIT, SUPERUSER, EmbeddedPostgres
from tests.support.postgres import UNSAFE_BUT_FAST, Databases

ROOT = Path(__file__).parents[3]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that was never started; stopped after the test, whoever started it."""
    server = EmbeddedPostgres(tmp_path / "data", UNSAFE_BUT_FAST)
    yield server
    server.stop()


def scalar(url: str, sql: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql).fetchone()
        return row[0] if row else None


def refusal(server: EmbeddedPostgres) -> str:
    with pytest.raises(ConfigurationError) as caught:
        server.start()
    assert "\n" not in caught.value.message
    return caught.value.message


def test_data_stays_over_a_restart_and_the_url_stays_the_same(server: EmbeddedPostgres) -> None:
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first = server.pid
    assert server.restart() == url
    assert server.pid != first
    assert scalar(url, "SELECT answer FROM kept") == 42


def test_the_application_is_no_superuser_but_owns_its_database(server: EmbeddedPostgres) -> None:
    url = server.start()
    assert scalar(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    owner = "SELECT pg_get_userbyid(datdba) = current_user FROM pg_database WHERE datname = current_database()"
    assert scalar(url, owner) is True


def test_real_data_are_durable_and_nothing_listens_on_the_network(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    url = server.start()
    try:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert scalar(url, f"SHOW {setting}") == "on"
        assert scalar(url, "SHOW listen_addresses") == ""
    finally:
        server.stop()


def test_stop_leaves_no_process_and_may_be_repeated(server: EmbeddedPostgres) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    family = [psutil.Process(pid), *psutil.Process(pid).children()]
    server.stop()
    assert server.pid is None
    assert not [process for process in family if process.is_running()]
    server.stop()


def test_a_server_left_over_from_a_killed_run_is_found_and_reused(server: EmbeddedPostgres) -> None:
    code = (
        "import sys, signal\nfrom pathlib import Path\nfrom scheduler.postgres.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]))\nserver.start()\n"
        "print(server.pid, flush=True)\nsignal.pause()"
    )
    command = [sys.executable, "-c", code, str(server.data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        supervisor.kill()
    url = server.start()
    assert server.pid == pid
    assert scalar(url, "SELECT 1") == 1
    server.stop()
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("content", ["{pytest}\n/nowhere\n", "{postgres}\n/nowhere\n", "", "12"])
def test_a_stale_pid_file_is_not_believed(server: EmbeddedPostgres, databases: Databases, content: str) -> None:
    server.start()
    server.stop()
    stale = content.format(pytest=os.getpid(), postgres=databases.server.pid)
    (server.directory / "postmaster.pid").write_text(stale, encoding="ascii")
    url = server.start()
    assert server.pid not in (None, os.getpid(), databases.server.pid)
    assert scalar(url, "SELECT 1") == 1


def test_a_killed_server_comes_back_although_a_query_outlives_it(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    busy = psycopg.connect(url)
    query = threading.Thread(
        target=_run_until_cut, args=(busy, "SELECT count(*) FROM generate_series(1, 20000000)")
    )
    query.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)], timeout=10)
    assert server.pid is None
    server.start()
    assert scalar(url, "SELECT answer FROM kept") == 42
    query.join()
    busy.close()
    server.stop()


def _run_until_cut(connection: psycopg.Connection, query: str) -> None:
    try:
        connection.execute(query)
    except psycopg.OperationalError:
        return


def test_data_of_another_major_version_stop_the_start_with_the_remedy(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.directory / "PG_VERSION").write_text("16\n", encoding="ascii")
    message = refusal(server)
    assert "PostgreSQL 16" in message
    assert "reveille doctor --upgrade-database" in message


def test_a_directory_that_holds_no_database_is_refused_not_overwritten(server: EmbeddedPostgres) -> None:
    server.directory.mkdir(parents=True)
    os.chown(server.directory, *_unprivileged())
    (server.directory / "notes.txt").touch()
    assert "contains no readable PostgreSQL data" in refusal(server)
    assert (server.directory / "notes.txt").exists()


def _unprivileged() -> tuple[int, int]:
    return (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def test_half_made_data_of_an_interrupted_first_start_are_recreated(server: EmbeddedPostgres) -> None:
    unfinished = server.data_dir / "postgres.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n", encoding="ascii")
    assert scalar(server.start(), "SELECT 1") == 1
    assert not unfinished.exists()


@pytest.mark.parametrize("name", ["x" * 120, "with space, 'quotes' \"and\" a comma", "per%cent $HOME é"])
def test_the_data_directory_may_have_any_path(tmp_path: Path, name: str) -> None:
    server = EmbeddedPostgres(tmp_path / name, UNSAFE_BUT_FAST)
    url = server.start()
    try:
        assert scalar(url, "SELECT 1") == 1
        socket_path = str(psycopg.conninfo.conninfo_to_dict(url)["host"]) + "/.s.PGSQL.5432"
        assert len(os.fsencode(socket_path)) <= SOCKET_PATH_LIMIT
        assert Path(socket_path).is_socket()
        assert Path(socket_path).parent.stat().st_mode & 0o077 == 0
    finally:
        server.stop()
    assert not Path(socket_path).exists()
    assert not list(Path("/tmp").glob(f"{Path(socket_path).parent.name}*"))


def test_a_short_socket_directory_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("y" * 120), UNSAFE_BUT_FAST)
    directory = Path(str(psycopg.conninfo.conninfo_to_dict(server.url)["host"]))
    directory.mkdir(mode=0o755)
    assert f"{directory} is not a private directory" in refusal(server)
    directory.rmdir()


@AS_ROOT
def test_as_root_it_passes_a_closed_directory_without_opening_it(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    way = [closed, *closed.parents]
    modes = [path.stat().st_mode for path in way]
    server = EmbeddedPostgres(closed / "data", UNSAFE_BUT_FAST)
    url = server.start()
    try:
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective != 0
        assert scalar(url, "SELECT 1") == 1
        assert [path.stat().st_mode for path in way] == modes
    finally:
        server.stop()


@AS_ROOT
def test_as_root_a_closed_directory_that_cannot_be_passed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "CAPABILITIES", ())
    tmp_path.chmod(0o700)
    message = refusal(EmbeddedPostgres(tmp_path / "data"))
    assert f"may not enter {tmp_path}" in message
    assert "ordinary user" in message


@AS_ROOT
def test_data_that_belong_to_root_are_refused_with_the_remedy(server: EmbeddedPostgres) -> None:
    server.directory.mkdir(parents=True)
    assert f"chown -R reveille '{server.directory}'" in refusal(server)


@AS_ROOT
def test_another_user_of_the_machine_cannot_connect(databases: Databases) -> None:
    code = "import os, sys, psycopg; os.setuid(int(sys.argv[1])); psycopg.connect(sys.argv[2]).close()"
    url = databases.server.url_of(SUPERUSER, SUPERUSER)

    def connect_as(uid: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(uid), url]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    assert connect_as(0).returncode == 0
    assert "Permission denied" in connect_as(65534).stderr


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal(EmbeddedPostgres(tmp_path / "file" / "data"))
    assert str(tmp_path / "file" / "data") in message
    assert "REVEILLE_DATA_DIR" in message


def test_without_a_wheel_for_the_platform_a_database_url_is_required(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "DATABASE_URL" in refusal(server)


def test_the_data_directory_and_the_log_are_closed_also_those_of_an_earlier_version(
    server: EmbeddedPostgres,
) -> None:
    server.data_dir.mkdir(0o755)
    server.log.touch(0o644)
    server.start()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (server.data_dir, server.log)]
    assert modes == [0o700, 0o600]


def test_a_directory_that_holds_what_is_not_ours_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letters.txt").touch()
    ensure_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
