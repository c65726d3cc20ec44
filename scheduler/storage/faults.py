"""Classifies database errors: caused by a row, worth retrying, or to be shown to people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scheduler.domain.errors import Conflict, DatabaseUnavailable
from scheduler.domain.text import storable

# SQLSTATE classes: 08 connection, 25 transaction state, 28 authentication, 3D no database, 40 rolled back
# (deadlock), 53 resources, 55 locks, 57 intervention (shutdown, cancel, timeout), 58 system error of the server.
_PASSING = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58"})
_BROKEN = frozenset({"08", "53"})
_OF_THE_SCHEMA = "42"
NOTE_BYTES = 500


def blames_rows(error: BaseException, *, own_statements: bool = True) -> bool:
    """Whether `error` is caused by the rows being processed and would recur with them.

    `own_statements`: the statements were ours, so a missing table or column means that the database is not
    migrated; otherwise the other code is at fault.
    """
    if isinstance(error, DatabaseUnavailable | MemoryError):
        return False
    if not isinstance(error, SQLAlchemyError):
        return True
    if not isinstance(error, DBAPIError):
        return isinstance(error, StatementError)
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        return type(error) is DataError
    return state[:2] not in _PASSING and not (own_statements and state[:2] == _OF_THE_SCHEMA)


def may_blame_rows(error: BaseException) -> bool:
    """Returns whether `error` may come from the rows although it looks like trouble of the machine.

    What a row makes can exhaust memory or end the connection, such as a payload that is longer than a message to the
    server may be. Only that it comes again with the same rows tells. Locks and timeouts are never theirs.
    """
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, SQLAlchemyError):
        return False
    if not isinstance(error, DBAPIError):
        return not isinstance(error, PoolTimeout)
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state is None or state[:2] in _BROKEN or state.startswith("57P")


def first_line(error: BaseException) -> str:
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
