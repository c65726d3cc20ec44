"""Sends statements together: one whose result is not needed yet waits for the next one of its transaction, or for the
commit, and goes with it.

The statements keep their order, and each sees what those before it did. An error of one that waited appears where it
was sent: at the next statement or at the commit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg.abc import Params
from psycopg.errors import PipelineAborted
from sqlalchemy import Connection, Select, TextClause, Update, text
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.exc import DBAPIError

from scheduler.metrics import later
from scheduler.storage.repeats import may_write, note_commit
from scheduler.storage.silent_connections import PatientConnection
from scheduler.storage.ways import heed_right_of_way

DIALECT = dialects.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
SAVEPOINT, RELEASE = text("SAVEPOINT before"), text("RELEASE SAVEPOINT before")
GO_BACK = text("ROLLBACK TO SAVEPOINT before")
REMEMBERED = 500
"""How many compiled statements are kept; ours are constants."""


class PipelinedConnection(PatientConnection):
    """A connection on which statements can wait for the next one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = PipelinedCursor
        self.waiting: list[Answer] = []

    def commit(self) -> None:
        """Commits, after what waits."""
        if self.waiting:
            self.send_waiting(lambda: psycopg.Cursor(self).execute("COMMIT", prepare=False))
        else:
            super().commit()

    def rollback(self) -> None:
        """Rolls back, and forgets what waits."""
        self.waiting.clear()
        super().rollback()

    def send_waiting(self, last: Callable[[], object] | None = None) -> None:
        """Sends what waits, and what `last` executes, in one message; raises the first error of any."""
        waiting, self.waiting = self.waiting, []
        if last is None and len(waiting) == 1:
            waiting[0].execute()
            return
        first: psycopg.Error | None = None
        try:
            with self.pipeline():
                try:
                    for answer in waiting:
                        answer.execute()
                    if last is not None:
                        last()
                except psycopg.Error as error:
                    first = error  # not raised here: what fails at the end of the block is logged then
        except psycopg.Error as error:
            first = first or error
        if first is not None:
            raise _cause(first)


class PipelinedCursor(psycopg.Cursor[Any]):
    """A cursor that takes along what waits on its connection."""

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> PipelinedCursor:
        """Executes a statement, after those that wait."""
        connection = cast("PipelinedConnection", self.connection)
        if connection.waiting:
            execute = super().execute
            connection.send_waiting(lambda: execute(query, params, **options))
        else:
            super().execute(query, params, **options)
        return self


class Answer:
    """The result of a statement that is sent with others."""

    def __init__(
        self, conn: Connection, driver: PipelinedConnection, query: bytes, values: Mapping[str, Any]
    ) -> None:
        self._conn = conn
        self._driver = driver
        self._query = query
        self._values = values
        self._cursor: psycopg.Cursor[Any] | None = None

    def execute(self) -> None:
        """Executes the statement now, or in the pipeline that is open."""
        self._cursor = psycopg.Cursor(self._driver)
        self._cursor.execute(self._query, self._values)

    def keys(self) -> Sequence[str]:
        """Returns the names of the columns. Sends the statement if it still waits."""
        return [column.name for column in self._answered().description or ()]

    def all(self) -> Sequence[Any]:
        """Returns the rows, once. Sends the statement if it still waits."""
        return self._answered().fetchall()

    def scalar(self) -> Any:
        """Returns the only value of the only row, once."""
        [[value]] = self.all()
        return value

    def wait(self) -> None:
        """Waits until the statement is executed. Sends it if it still waits."""
        self._answered()

    def _answered(self) -> psycopg.Cursor[Any]:
        if self._cursor is None:
            heed_right_of_way(self._conn)
            try:
                self._driver.send_waiting()
            except psycopg.Error as error:
                raise _as_sqlalchemy(error, is_lost=self._driver.closed) from error
        assert self._cursor is not None  # noqa: S101  # it waited, so it was sent
        return self._cursor


def send_along(conn: Connection, statement: TextClause | Select[Any] | Update, **parameters: Any) -> Answer:
    """Sends a statement with the next one of its transaction, with the commit, or when its answer is read."""
    compiled = _compiled(statement)
    if compiled.may_write:
        later(conn, note_commit)
    connection = conn.connection.driver_connection
    assert isinstance(connection, PipelinedConnection)  # noqa: S101  # `Database` opens no other
    answer = Answer(conn, connection, compiled.query, compiled.encoded(parameters))
    connection.waiting.append(answer)
    if connection.autocommit:
        answer.wait()
    elif not conn.in_transaction():
        conn.begin()  # as SQLAlchemy does before its own statements
    return answer


@contextmanager
def savepoint(conn: Connection) -> Iterator[None]:
    """Sends what the block does together with a savepoint, to which an error goes back."""
    send_along(conn, SAVEPOINT)
    try:
        yield
        send_along(conn, RELEASE).wait()
    except DBAPIError as error:
        if not error.connection_invalidated:
            conn.execute(GO_BACK)
        raise


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as the driver takes it."""

    query: bytes
    constants: Mapping[str, Any]
    encoders: Mapping[str, Callable[[Any], Any]]
    may_write: bool

    def encoded(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns all parameters as the driver takes them."""
        values = {**self.constants, **parameters}
        for name, encode in self.encoders.items():
            values[name] = encode(values[name])
        return values


@functools.lru_cache(REMEMBERED)
def _compiled(statement: TextClause | Select[Any] | Update) -> _Compiled:
    compiled = statement.compile(dialect=DIALECT)
    encoders = {
        name: encode
        for parameter, name in compiled.bind_names.items()
        if (encode := parameter.type.dialect_impl(DIALECT).bind_processor(DIALECT)) is not None
    }
    constants = {
        name: parameter.value for parameter, name in compiled.bind_names.items() if not parameter.required
    }
    query = str(compiled)
    return _Compiled(query.encode(), constants, encoders, may_write(query))


def _cause(error: psycopg.Error) -> psycopg.Error:
    """Returns the error because of which the statements after it were not executed."""
    found: BaseException | None = error
    while isinstance(found, PipelineAborted):
        found = found.__context__
    return found if isinstance(found, psycopg.Error) else error


def _as_sqlalchemy(error: psycopg.Error, *, is_lost: bool) -> BaseException:
    """Returns an error as SQLAlchemy raises it for its own statements."""
    return DBAPIError.instance(
        None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=is_lost, dialect=DIALECT
    )
