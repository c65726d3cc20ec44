"""Wakes the scheduler when another process has committed something that is due soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

import psycopg
from loguru import logger

from scheduler.storage.pooler import supports_listen
from scheduler.storage.silent_connections import CONNECTION, PROBE_SECONDS, PatientConnection
from scheduler.storage.tables.base import CHANNEL

POLL_SECONDS = 1.0
RECONNECT_SECONDS = 1.0


class Listener:
    """LISTENs on its own connection and calls `wake` for each batch of notifications.

    Behind a pooler, where LISTEN does not work, it calls `wake` every POLL_SECONDS.
    """

    def __init__(self, libpq_url: str, wake: Callable[[], None]) -> None:
        self._url = libpq_url
        self._wake = wake
        self._stop = Event()
        self._thread = Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Listens in a thread until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread; takes up to POLL_SECONDS."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                logger.warning("The listener lost its connection: {}", str(error).partition("\n")[0])
                self._stop.wait(RECONNECT_SECONDS)

    def _listen(self) -> None:
        with PatientConnection.connect(
            self._url, autocommit=True, application_name="reveille-listener", **CONNECTION
        ) as conn:
            if not supports_listen(conn):
                logger.warning("A pooler blocks NOTIFY: set DATABASE_DIRECT_URL. The scheduler looks every second")
                conn.close()
                self._poll()
                return
            conn.execute(f"LISTEN {CHANNEL}")
            self._wake()  # for notifications that were missed before
            heard_at = time.monotonic()
            while not self._stop.is_set():
                for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
                    heard_at = time.monotonic()
                    self._wake()
                if time.monotonic() - heard_at > PROBE_SECONDS:
                    conn.execute("SELECT 1")
                    heard_at = time.monotonic()

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._wake()
