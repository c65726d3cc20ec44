"""Builds and drops the indexes of a migration while requests read and write their tables."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from typing import Self

from alembic import op
from loguru import logger
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage.faults import was_rolled_back

ATTEMPTS = 20
LOOK_SECONDS = 5.0
LONGEST_LOOKS = 120
"""After so many looks, ten minutes, at the same wait for others' transactions, the build is given up."""
LOOKS_OF_A_LINE = 12

IS_VALID = text("SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(:name)")
BLOCKED = text("""
    SELECT a.pid, p.pid AS by,
        coalesce(nullif(b.application_name, ''), b.usename, b.backend_type, 'a prepared transaction') AS name,
        to_char(b.xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS') AS since
    FROM pg_stat_activity a
        CROSS JOIN LATERAL unnest(pg_blocking_pids(a.pid)) AS p (pid) LEFT JOIN pg_stat_activity b ON b.pid = p.pid
    WHERE a.query = :statement AND a.state = 'active' AND a.pid <> pg_backend_pid() AND a.datname = current_database()
    ORDER BY b.xact_start LIMIT 1
""")
CANCEL = text("SELECT pg_cancel_backend(:pid)")


def build_index(name: str, on: str) -> None:
    """Builds an index `on`, such as `firings (tenant_id, fired_at)`, if it is not there and whole.

    PostgreSQL waits for the transactions that are open meanwhile, but nobody waits for it. What a build that was cut
    off leaves behind is dropped first. Raises DatabaseUnavailable when others' transactions stay open for too long.
    """
    with op.get_context().autocommit_block():
        conn = op.get_bind()
        for _ in range(ATTEMPTS):
            is_valid = conn.scalar(IS_VALID, {"name": name})
            if is_valid:
                return
            if is_valid is False:
                _run(conn, f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            _run(conn, f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}")
    raise DatabaseUnavailable(f"The index {name} could not be built in {ATTEMPTS} attempts; try again.")


def drop_index(name: str) -> None:
    """Drops an index if it is there, as carefully as `build_index` builds one."""
    with op.get_context().autocommit_block():
        conn = op.get_bind()
        for _ in range(ATTEMPTS):
            if conn.scalar(IS_VALID, {"name": name}) is None:
                return
            _run(conn, f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    raise DatabaseUnavailable(f"The index {name} could not be dropped in {ATTEMPTS} attempts; try again.")


def _run(conn: Connection, statement: str) -> None:
    """Runs a statement, of which the server may have chosen to undo a part: then it is tried again."""
    with _Watch(conn, statement) as watch:
        try:
            conn.exec_driver_sql(statement)
        except DBAPIError as error:
            if watch.given_up is not None:
                raise DatabaseUnavailable(watch.given_up) from None
            if not was_rolled_back(error):
                raise


class _Watch:
    """Looks for whom a statement waits, over a connection of its own, once it takes longer than usual."""

    def __init__(self, conn: Connection, statement: str) -> None:
        self.given_up: str | None = None
        """Why the statement was cancelled."""
        self._engine = conn.engine
        self._statement = statement
        self._ended = Event()
        self._thread = Thread(target=self._look, name="index build", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        looks, last = 0, None
        while not self._ended.wait(LOOK_SECONDS):
            with (
                suppress(DBAPIError),
                self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn,
            ):
                found = conn.execute(BLOCKED, {"statement": self._statement}).one_or_none()
                looks = looks + 1 if found is not None and found.by == last else 0
                last = None if found is None else found.by
                if found is not None:
                    self._tell(
                        conn, looks, found.pid, f"process {found.by} ({found.name}, since {found.since} UTC)"
                    )

    def _tell(self, conn: Connection, looks: int, pid: int, whom: str) -> None:
        if looks % LOOKS_OF_A_LINE == 0:
            logger.warning("{} waits for the transaction of {}", self._statement, whom)
        if looks >= LONGEST_LOOKS:
            self.given_up = (
                f"{self._statement} waited too long for the transaction of {whom}: end it and migrate again."
            )
            conn.execute(CANCEL, {"pid": pid})
