"""Drives Alembic from code, on a server that is new enough. There is no alembic.ini; the URL is the process's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from scheduler.domain.errors import ConfigurationError, DatabaseUnavailable
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.engine import is_outage, unpooled_engine
from scheduler.storage.faults import was_rolled_back
from scheduler.storage.pooler import NEEDS_TRANSACTIONS, is_by_statement

MIN_MAJOR = 14
"""The oldest PostgreSQL that is still maintained."""
ATTEMPTS = 20
TURN_SECONDS = 0.1
"""How often it looks whether another has migrated."""


def server_version(conn: Connection) -> int:
    """Returns the server's `server_version_num`, such as 150018."""
    return int(conn.execute(text("SHOW server_version_num")).scalar_one())


def describe(number: int) -> str:
    """Formats a version number: `PostgreSQL 15.18`."""
    return f"PostgreSQL {number // 10_000}.{number % 10_000}"


def is_too_old(number: int) -> bool:
    """Whether the server is older than Reveille supports."""
    return number // 10_000 < MIN_MAJOR


def check_version(number: int) -> None:
    """Raises ConfigurationError when the server is too old."""
    if is_too_old(number):
        raise ConfigurationError(
            f"The server at DATABASE_URL is {describe(number)}, but Reveille needs {MIN_MAJOR} or newer: "
            "upgrade the server."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(sqlalchemy_url: str, revision: str = "head") -> None:
    """Upgrades the database to `revision`, each step in a transaction; does nothing when it is already there.

    Raises DatabaseUnavailable when it does not answer, ConfigurationError when the server or its pooler is
    unsuitable.
    """
    try:
        _upgrade_under_load(sqlalchemy_url, revision)
    except DBAPIError as error:
        _check_pooler(error)
        if not is_outage(error):
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise DatabaseUnavailable(f"The database of DATABASE_URL does not answer: {reason}") from None


def _upgrade_under_load(sqlalchemy_url: str, revision: str) -> None:
    """Upgrades, again when PostgreSQL chose the migration as the victim of a deadlock with what runs meanwhile.

    A migration that changes several tables locks them one after the other, in an order that is not everybody's.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            _run(sqlalchemy_url, revision, up=True)
        except DBAPIError as error:
            if not was_rolled_back(error):
                raise
        else:
            return
    _run(sqlalchemy_url, revision, up=True)


def downgrade(sqlalchemy_url: str, revision: str = "base") -> None:
    """Downgrades the database to `revision`, each step in a transaction. Data in dropped tables is lost."""
    _run(sqlalchemy_url, revision, up=False)


def _run(sqlalchemy_url: str, revision: str, *, up: bool) -> None:
    config = _config()
    engine = unpooled_engine(sqlalchemy_url)
    try:
        with _turn(engine), engine.connect() as conn:
            config.attributes["connection"] = conn
            (command.upgrade if up else command.downgrade)(config, revision)
    finally:
        engine.dispose()


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Waits until nobody else migrates, and lets others wait meanwhile.

    By a transaction of its own, as a pooler lends a session no longer than for one, and an index is built outside
    any. No transaction with a snapshot stays open here, for the build would wait for its end.
    """
    with engine.connect() as conn:
        check_version(server_version(conn))
        while not try_lock(conn, AdvisoryLock.MIGRATE):
            conn.rollback()
            time.sleep(TURN_SECONDS)
        # The result of a query keeps its snapshot until the next statement.
        conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def check_migrated(sqlalchemy_url: str) -> None:
    """Raises ConfigurationError with a remedy when the database is empty or its schema is older than this
    version's.

    Likewise when its server is too old or its pooler does not support transactions. A newer schema is accepted,
    since a release migrates first; so is a database that does not answer, which callers wait for.
    """
    engine = unpooled_engine(sqlalchemy_url)
    try:
        with engine.connect() as conn:
            check_version(server_version(conn))
            at = current_revision(conn)
    except DBAPIError as error:
        _check_pooler(error)
        if is_outage(error):
            return
        raise
    finally:
        engine.dispose()
    head = head_revision()
    earlier = {each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()} - {head}
    if at is None or at in earlier:
        found = "was never migrated" if at is None else f"is at revision {at}"
        raise ConfigurationError(f"The database {found}, and this version needs {head}: run `reveille migrate`.")


def _check_pooler(error: DBAPIError) -> None:
    if is_by_statement(error):
        raise ConfigurationError(NEEDS_TRANSACTIONS) from None


def head_revision() -> str:
    """Returns the revision that this code expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("There are no migrations.")
    return head


def current_revision(conn: Connection) -> str | None:
    """Returns the database's revision; None when it was never migrated."""
    return MigrationContext.configure(conn).get_current_revision()
