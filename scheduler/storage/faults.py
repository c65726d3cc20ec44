"""Classifies database errors: caused by a row, worth retrying, or to be shown to people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scheduler.domain.errors import Conflict, DatabaseUnavailable
from scheduler.domain.text import storable

# SQLSTATE classes: 08 connection, 25 transaction state, 28 authentication, 3D no database, 40 rolled back
# (deadlock), 53 resources, 55 locks, 57 intervention (shutdown, cancel, timeout), 58 system error of the server.
_PASSING = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58"})
_ROLLED_BACK = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock timeout: the same may succeed at once."""
_CUT_OFF = frozenset({"25006", "25P03", "25P04", "57014"})
"""Read-only, as during a failover; idle for too long; transaction or statement timeout: the same may succeed later."""
_OUT_OF_MEMORY = "53200"
_OF_THE_SCHEMA = "42"
NOTE_BYTES = 500


def blames_rows(error: BaseException, *, own_statements: bool = True) -> bool:
    """Whether `error` is caused by the rows being processed and would recur with them.

    `own_statements`: the statements were ours, so a missing table or column means that the database is not
    migrated; otherwise the other code is at fault.
    """
    if isinstance(error, DatabaseUnavailable | MemoryError):
        return False
    driver = _driver_error(error)
    if driver is not None:
        state = driver.sqlstate
        if state is None:
            return isinstance(driver, psycopg.DataError)
        return state[:2] not in _PASSING and not (own_statements and state[:2] == _OF_THE_SCHEMA)
    return not isinstance(error, SQLAlchemyError) or isinstance(error, StatementError)


def may_blame_rows(error: BaseException) -> bool:
    """Returns whether `error` may come from the rows although it looks like trouble of the machine.

    What a row makes can exhaust memory or end the connection, such as a payload that is longer than a message to the
    server may be. Only that it comes again with the same rows tells. Locks, timeouts and a full disk are never theirs.
    """
    if isinstance(error, MemoryError):
        return True
    driver = _driver_error(error)
    if driver is not None:
        state = driver.sqlstate
        return state is None or state[:2] == "08" or state == _OUT_OF_MEMORY or state.startswith("57P")
    return isinstance(error, SQLAlchemyError) and not isinstance(error, PoolTimeout)


def was_rolled_back(error: DBAPIError) -> bool:
    """Whether the database undid the transaction because of others, so that it may be repeated at once."""
    return getattr(error.orig, "sqlstate", None) in _ROLLED_BACK


def was_cut_off(error: DBAPIError) -> bool:
    """Whether a limit or a failover of the server ended the transaction, so that it may be tried again later."""
    return getattr(error.orig, "sqlstate", None) in _CUT_OFF


def _driver_error(error: BaseException) -> psycopg.Error | None:
    """Returns the driver's error that `error` is, or wraps as SQLAlchemy's and Procrastinate's do."""
    found: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(found, ConnectorException):
        found = found.__cause__
    return found if isinstance(found, psycopg.Error) else None


def first_line(error: BaseException | None) -> str:
    """Returns the first line of an error for the log; the class name if it cannot be printed."""
    try:
        return str(error).partition("\n")[0]
    except Exception:  # noqa: BLE001  # an error of somebody else's, whose __str__ is wrong too
        return f"<{type(error).__name__}>"


def quarantine_note(error: BaseException) -> str:
    """Returns the `paused_note` for a trigger quarantined because of `error`, safe to store."""
    return storable(f"quarantined: {type(error).__name__}: {first_line(error)}", NOTE_BYTES)[0]


@contextmanager
def refuse_duplicate(constraint: str, message: str) -> Iterator[None]:
    """Raises Conflict on `name` when the block violates the unique `constraint`. The transaction is then aborted."""
    try:
        yield
    except IntegrityError as error:
        diagnostics = getattr(error.orig, "diag", None)
        if getattr(diagnostics, "constraint_name", None) == constraint:
            raise Conflict(message, field="name") from None
        raise
