"""Debian's PgBouncer in front of the tests' PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from scheduler.postgres.embedded import NAME
from scheduler.postgres.os_account import choose_account
from tests.support.postgres import Databases
from tests.support.web import free_port

PROGRAM = Path("/usr/sbin/pgbouncer")
PATIENCE = 20.0


def find_pgbouncer() -> Path:
    """Returns the program, or skips the test if there is none. tools/setup installs it where possible."""
    found = shutil.which("pgbouncer") or (str(PROGRAM) if PROGRAM.exists() else None)
    if found is None:
        pytest.skip("pgbouncer is not installed")
    return Path(found)


class PgBouncer:
    """A running pooler."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database_url: str) -> str:
        """Returns the address of a database of the tests' server through this pooler."""
        name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
        return f"postgresql://{NAME}@127.0.0.1:{self.port}/{name}"


@contextmanager
def pgbouncer(databases: Databases, mode: str = "transaction", size: int = 6) -> Iterator[PgBouncer]:
    """Runs a pooler in a mode, with `size` connections to each database."""
    program, server, port = find_pgbouncer(), databases.server, free_port()
    account = choose_account(server.directory, server.directory, program)
    where = psycopg.conninfo.conninfo_to_dict(server.url)
    with tempfile.TemporaryDirectory(prefix="reveille-pgbouncer-") as directory:
        place = Path(directory)
        (place / "users").write_text(f'"{NAME}" ""\n')
        (place / "pgbouncer.ini").write_text(f"""
[databases]
* = host={where["host"]} port={where["port"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {place}/users
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
""")
        if os.geteuid() == 0:
            for path in (place, *place.iterdir()):
                os.chown(path, account.uid, account.gid)
        with tempfile.TemporaryFile() as log:
            process = account.start(program, place / "pgbouncer.ini", output=log)
            try:
                _wait(process, port)
                yield PgBouncer(port)
            finally:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "pgbouncer ended"
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise TimeoutError("pgbouncer does not listen")
