"""A real PostgreSQL for tests: one server per session, one database per test, copied from a migrated template."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from scheduler.postgres.embedded import NAME, SUPERUSER, EmbeddedPostgres
from scheduler.storage.migrate import upgrade

UNSAFE_BUT_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "128MB",
}
IN_MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
"""What has to be free in memory for a server to live there."""
TEMPLATE = "template_reveille"


class Databases:
    """The databases of one running server."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server

    def create(self, template: str = TEMPLATE) -> str:
        """Creates a copy of `template`; returns its URL, `postgresql://…`, for the role that the application uses."""
        name = f"test_{uuid4().hex[:12]}"
        self._execute(
            SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy").format(
                Identifier(name), Identifier(template), Identifier(NAME)
            )
        )
        return self.server.url_of(name)

    def drop(self, url: str) -> None:
        """Removes a database and disconnects its clients."""
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        self._execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(str(name))))

    def make_template(self) -> None:
        """Migrates the database that the others are copied from."""
        self._execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(TEMPLATE), Identifier(NAME)))
        upgrade(self.server.url_of(TEMPLATE).replace("postgresql:", "postgresql+psycopg:", 1))

    def _execute(self, statement: psycopg.sql.Composed) -> None:
        with psycopg.connect(self.server.url_of(SUPERUSER, SUPERUSER), autocommit=True) as connection:
            connection.execute(statement)


def fastest_place() -> Path | None:
    """Where a server that nobody needs afterwards is kept: in memory where there is room, else in the usual place.

    A database is made for most tests, which is some megabytes each to write: on a disk that others use, it takes
    longer than the tests.
    """
    try:
        return IN_MEMORY if shutil.disk_usage(IN_MEMORY).free >= ROOM else None
    except OSError:
        return None


@contextmanager
def running_server(directory: Path, options: Mapping[str, str] = UNSAFE_BUT_FAST) -> Iterator[Databases]:
    """Runs a server on `directory`, with a migrated template; stops it at the end."""
    server = EmbeddedPostgres(directory, options)
    server.start()
    try:
        databases = Databases(server)
        databases.make_template()
        yield databases
    finally:
        server.stop()
