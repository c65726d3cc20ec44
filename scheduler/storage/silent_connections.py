"""Keeps connections from waiting forever for a server or a network that went silent.

If packets vanish, the kernel gives up after about 25 s (CONNECTION). If something in between accepts packets but does
not forward them, no kernel notices. So a thread asks the server, over another connection, about those that have waited
a long time.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Protocol
from weakref import WeakSet

import psycopg
from loguru import logger
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

CONNECT_TIMEOUT = 5
"""Seconds that a new connection may take."""

CONNECTION: Mapping[str, Any] = MappingProxyType(
    {
        "connect_timeout": CONNECT_TIMEOUT,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
    }
)
"""Parameters of every connection. By default a lost peer is noticed after 15 minutes to 2 hours."""

SESSION: Mapping[str, str] = MappingProxyType(
    {
        "idle_in_transaction_session_timeout": "30s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }
)
"""The same on the server's side.

Rows locked by a process that froze, or whose machine is gone, are free again after 30 s, and so are its connections.
"""

ASK_AFTER = 10.0
"""Seconds without an answer after which the server is asked about the connection."""
LOOK_SECONDS = 1.0
PROBE_SECONDS = 15.0
"""Seconds of silence after which a listener checks its connection."""
SERVED = """
    SELECT pg_backend_pid(), ARRAY(SELECT pid FROM pg_stat_activity
        WHERE pid = ANY(%s) AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client')
"""
"""Finds the connections that the server is working for. A backend that waits for its client did not get the message."""


class Watched(Protocol):
    """A connection that the watch can look at."""

    waiting_since: float | None
    asked_at: float

    @property
    def pgconn(self) -> psycopg.pq.abc.PGconn:
        """The libpq connection."""
        ...

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """Address and backend of the connection."""
        ...


class PatientConnection(psycopg.Connection[Any]):
    """A connection that records since when it waits, so that it can be watched."""

    waiting_since: float | None = None
    asked_at: float = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        WATCH.add(self)

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Waits for the server and records since when."""
        self.waiting_since = time.monotonic()
        try:
            return super().wait(*args, **kwargs)
        finally:
            self.waiting_since = None


class PatientAsyncConnection(psycopg.AsyncConnection[Any]):
    """A connection of an event loop that records since when it waits, and when it last had an answer."""

    waiting_since: float | None = None
    asked_at: float = 0.0
    answered_at: float = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        WATCH.add(self)

    async def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Waits for the server and records since when."""
        self.waiting_since = time.monotonic()
        try:
            answer = await super().wait(*args, **kwargs)
        finally:
            self.waiting_since = None
        self.answered_at = time.monotonic()
        return answer


class Watch:
    """Checks, in its own thread, connections that have waited a long time."""

    def __init__(self) -> None:
        self._connections: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, connection: Watched) -> None:
        """Watches a connection for as long as it exists."""
        with self._lock:
            self._connections.add(connection)
            if self._thread is None or not self._thread.is_alive():  # a fork leaves threads behind
                self._thread = threading.Thread(target=self._run, name="patience", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  # e.g. one was closed meanwhile; the next look comes soon
                logger.debug("The waiting connections could not be checked: {}", error)

    def _look(self) -> None:
        with self._lock:
            connections: list[Watched] = list(self._connections)
        late: dict[str, dict[Watched, float]] = {}
        for connection in connections:
            if (since := connection.waiting_since) is not None and _is_late(connection, since):
                late.setdefault(_address(connection), {})[connection] = since
        for address, waiting in late.items():
            served = _served(address, [each.info.backend_pid for each in waiting])
            lost = {each: since for each, since in waiting.items() if each.info.backend_pid not in served}
            if lost:
                time.sleep(LOOK_SECONDS)  # an answer may be on its way
                _cut_all({each: since for each, since in lost.items() if each.waiting_since == since})


def _is_late(connection: Watched, since: float) -> bool:
    """Whether it is time to ask about a connection. Waiting for notifications does not count."""
    now = time.monotonic()
    if now - max(since, connection.asked_at) < ASK_AFTER:
        return False
    if connection.pgconn.transaction_status != TransactionStatus.ACTIVE:
        return False
    connection.asked_at = now
    return True


def _address(connection: Watched) -> str:
    info = connection.info
    return make_conninfo(info.dsn, password=info.password or None, application_name="reveille-watch")


def _served(address: str, pids: Sequence[int]) -> Collection[int]:
    """Returns the pids that the server is working for. Returns all of them if that cannot be known."""
    try:
        with psycopg.connect(address, autocommit=True, **CONNECTION) as asking:
            timer = threading.Timer(CONNECT_TIMEOUT, _cut, [asking])
            timer.start()
            try:
                row = asking.execute(SERVED, [pids]).fetchone()
            finally:
                timer.cancel()
            own_pid = asking.info.backend_pid
    except psycopg.OperationalError as error:
        return pids if "FATAL" in str(error) else ()  # the server is there but refuses this connection
    # A pooler reports its own pids: it answers, but what its backends do cannot be known.
    return row[1] if row is not None and row[0] == own_pid else pids


def _cut_all(waiting: Mapping[Watched, float]) -> None:
    for connection, since in waiting.items():
        logger.warning(
            "The database has not answered for {:.0f} s: the connection is cut", time.monotonic() - since
        )
        _cut(connection)


def _cut(connection: Watched | psycopg.Connection[Any]) -> None:
    """Closes the socket, so that the driver sees the connection as lost."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as end:
        end.shutdown(socket.SHUT_RDWR)


WATCH = Watch()
