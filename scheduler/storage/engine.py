"""Connects to PostgreSQL: one pool, READ COMMITTED, driver failures mapped to our errors."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

from scheduler.domain.errors import DatabaseUnavailable, RolledBack
from scheduler.metrics import CONNECTIONS, MOST_CONNECTIONS, later, open_tally, settle
from scheduler.storage.faults import first_line, was_cut_off, was_rolled_back
from scheduler.storage.pipelines import PipelinedConnection, send_along
from scheduler.storage.pooler import open_session
from scheduler.storage.repeats import may_write, note_commit
from scheduler.storage.silent_connections import CONNECTION, SESSION
from scheduler.storage.tables.base import CHANNEL
from scheduler.storage.ways import heed_right_of_way

T = TypeVar("T")
P = ParamSpec("P")

BY_INDEX: Mapping[str, str] = MappingProxyType(
    {
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_seqscan": "off",
        "enable_incremental_sort": "off",
        "jit": "off",
        "plan_cache_mode": "force_generic_plan",
    }
)
"""For sessions that join a batch of ids to a table.

Up to about 50,000 rows the planner would otherwise hash the whole table for each batch, which doubled the time of
a scheduler's pass. And a statement that was planned while a table was small would read all of it for each id when it
has grown: 1.8 s for the close of 1,000 windows. Before PostgreSQL 18, what is off counts as so costly that it would
be compiled. With all that off there is one way to run a statement, so it is not planned anew each time, which took
half a millisecond for some.
"""

SET = "SELECT set_config(name, value, %s) FROM unnest(%s::text[], %s::text[]) AS s(name, value)"
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
POOLED = "pooled"
"""A key in a connection's `info`: whether a pooler is in between."""
USED_AT = "used at"
PING_AFTER = 1.0
"""The seconds of idle time after which a connection is pinged before use."""


class Database:
    """A bounded connection pool and its transactions."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 3,
        application_name: str = "reveille",
        options: Mapping[str, str] = NO_SETTINGS,
    ) -> None:
        """`url` is a SQLAlchemy URL (`postgresql+psycopg://…`); `pool_size` is the maximum number of connections.

        `options` are PostgreSQL settings for these connections, e.g. BY_INDEX.
        """
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            isolation_level="READ COMMITTED",
            hide_parameters=True,
            connect_args={"application_name": application_name, **CONNECTION},
            json_deserializer=read_json,
        )
        _open_sessions(self.engine, options)
        _ping_idle(self.engine)
        _count_use(self.engine, application_name, pool_size)
        _watch_statements(self.engine)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Opens a transaction: commits at the end, rolls back on any error.

        Raises DatabaseUnavailable when the database is unreachable, RolledBack when it did that by itself, to break a
        deadlock for example; other database errors are passed on.
        """
        try:
            with self.engine.begin() as conn:
                tally = open_tally(conn)
                yield conn
            settle(tally)
        except (PoolTimeout, DBAPIError) as error:
            ours = _as_ours(error)
            if ours is error:
                raise
            raise ours from error

    @contextmanager
    def single(self) -> Iterator[Connection]:
        """Opens an autocommit connection, which saves the round trips of BEGIN and COMMIT for a single read.

        Raises as `begin` does.
        """
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                yield conn
        except (PoolTimeout, DBAPIError) as error:
            ours = _as_ours(error)
            if ours is error:
                raise
            raise ours from error

    def dispose(self) -> None:
        """Closes every idle connection."""
        self.engine.dispose()


def read_json(sent: bytes) -> Any:
    """Reads a JSON value as PostgreSQL sends it: in UTF-8, so that the encoding need not be guessed from the bytes."""
    return json.loads(sent.decode())


def _as_ours(error: PoolTimeout | DBAPIError) -> Exception:
    """Returns DatabaseUnavailable for what passes, or the error itself when the database refused a statement."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("All database connections are busy; try again.")
    if was_rolled_back(error):
        return RolledBack(first_line(error.orig))
    if is_outage(error):
        return DatabaseUnavailable()
    if was_cut_off(error):
        return DatabaseUnavailable(f"The database cut this off ({first_line(error.orig)}); try again.")
    return error


def _ping_idle(engine: Engine) -> None:
    """Replaces a connection that the server has closed before it is used.

    Recently used connections are not pinged, which saves a round trip per transaction.
    """

    @event.listens_for(engine, "checkin")
    def checkin(_connection: psycopg.Connection | None, record: ConnectionPoolEntry) -> None:
        record.info[USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def checkout(connection: psycopg.Connection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get(USED_AT, time.monotonic()) < PING_AFTER:
            return
        try:
            engine.dialect.do_ping(connection)  # type: ignore[arg-type]  # psycopg's are no typed DBAPI
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def _count_use(engine: Engine, name: str, size: int) -> None:
    """Shows in the metrics how many of the pool's connections are in use."""
    used = CONNECTIONS.labels(name)
    MOST_CONNECTIONS.labels(name).set(size)
    pool = cast("QueuePool", engine.pool)

    @event.listens_for(engine, "checkout")
    def checkout(_connection: psycopg.Connection, _record: ConnectionPoolEntry, _proxy: object) -> None:
        used.set(pool.checkedout())

    @event.listens_for(engine, "checkin")
    def checkin(_connection: psycopg.Connection | None, _record: ConnectionPoolEntry) -> None:
        used.set(pool.checkedout() - 1)


def _watch_statements(engine: Engine) -> None:
    """Gives or takes the right of way before each statement, and notes those whose commit ends repeating."""

    @event.listens_for(engine, "before_cursor_execute")
    def before(conn: Connection, _cursor: object, statement: str, *_: object) -> None:
        if may_write(statement):
            later(conn, note_commit)
        heed_right_of_way(conn)


def _open_sessions(engine: Engine, options: Mapping[str, str] = NO_SETTINGS) -> None:
    """Prepares each new connection. Through a pooler, options are set per transaction instead of per session."""
    given = (list(options), list(options.values()))
    of_session = {**SESSION, **options}

    @event.listens_for(engine, "do_connect")
    def do_connect(
        _dialect: object, _record: object, arguments: Sequence[str], parameters: Mapping[str, Any]
    ) -> PipelinedConnection:
        return PipelinedConnection.connect(*arguments, **parameters)

    @event.listens_for(engine, "connect")
    def connect(connection: psycopg.Connection, record: ConnectionPoolEntry) -> None:
        driver: psycopg.Connection = getattr(connection, "driver_connection", connection)
        record.info[POOLED] = open_session(driver)
        if not record.info[POOLED]:
            driver.execute(SET, (False, list(of_session), list(of_session.values())))
            driver.commit()

    if options:

        @event.listens_for(engine, "begin")
        def begin(conn: Connection) -> None:
            if conn.info[POOLED]:
                conn.exec_driver_sql(SET, (True, *given))


def favor_event_loop() -> None:
    """Lets a thread keep the interpreter from the event loop for a millisecond at most, instead of Python's five.

    The loop gives it up at each system call: a thread that writes ends would delay each of the eight or so steps from a
    job to its call by that much.
    """
    sys.setswitchinterval(0.001)


async def transact(
    db: Database,
    threads: Executor,
    work: Callable[Concatenate[Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Runs `work` in one of `threads` with a transaction's connection, without blocking the event loop."""

    def call() -> T:
        with db.begin() as conn:
            return work(conn, *args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(threads, call)


def is_outage(error: DBAPIError) -> bool:
    """Whether the database is unavailable, as opposed to having refused a statement.

    Matches SQLSTATE classes 08 (connection), 53 (no resources) and 57P0x (shutting down), and operational errors
    without a SQLSTATE: the driver never reached a server.
    """
    if error.connection_invalidated:
        return True
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        return type(error).__name__ in {"OperationalError", "InterfaceError"}
    return state[:2] in {"08", "53"} or state.startswith("57P0")


SOON = timedelta(seconds=5)
"""Schedulers look at least this often, so only what is due sooner needs a NOTIFY."""


NOTIFY = text(f"NOTIFY {CHANNEL}")


def notify(conn: Connection) -> None:
    """Wakes the schedulers when this transaction commits."""
    send_along(conn, NOTIFY)


def unpooled_engine(url: str) -> Engine:
    """Creates an engine without a pool, for migrations and one-off commands."""
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        connect_args=dict(CONNECTION),
    )
    _open_sessions(engine)
    return engine
