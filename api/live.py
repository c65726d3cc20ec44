"""Shares one LISTEN connection per web process among all watchers of changes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Condition, Event, Lock, Thread
from types import TracebackType
from typing import Self
from uuid import UUID

import psycopg
from loguru import logger

from scheduler.storage.live import EVERYTHING, LIVE_CHANNEL, Change, decode
from scheduler.storage.pooler import supports_listen
from scheduler.storage.silent_connections import CONNECTION, PROBE_SECONDS, PatientConnection

BATCH_SECONDS = 0.1
"""The batch interval: a burst of changes wakes a watcher at most ten times a second."""
LOOK_SECONDS = 1.0
"""How often the listener checks whether it is still needed."""
RECONNECT_SECONDS = 1.0
POLL_SECONDS = 2.0
"""How often watchers are told to refresh when a pooler blocks notifications."""
MAX_WAITING = 1000
"""The most changes kept for a slow watcher; beyond that it is told to refresh everything."""


class Subscription:
    """What one watcher has not taken yet. Use it as a context manager; the listener runs until it is closed."""

    def __init__(self, live: Live, tenant_id: UUID | None) -> None:
        self._live = live
        self._tenant_id = tenant_id
        self._waiting: dict[Change, None] = {}
        self._filled = Condition()
        self._closed = False

    def get(self, timeout: float) -> list[Change]:
        """Returns the changes since the last call, oldest first, without duplicates; empty after `timeout` seconds
        without any.

        EVERYTHING means that changes may have been missed, as in a database outage. Returns empty at once after
        `close`.
        """
        with self._filled:
            self._filled.wait_for(lambda: self._waiting or self._closed, timeout)
            changes = list(self._waiting)
            self._waiting.clear()
        return changes

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will come."""
        return self._closed

    def close(self) -> None:
        """Stops watching."""
        self._live.forget(self)
        with self._filled:
            self._closed = True
            self._filled.notify_all()

    def offer(self, changes: Sequence[Change]) -> None:
        """Keeps those of `changes` that this watcher may see."""
        own = [change for change in changes if self._may_see(change)]
        if not own:
            return
        with self._filled:
            self._waiting.update(dict.fromkeys(own))
            if len(self._waiting) > MAX_WAITING:
                self._waiting = {EVERYTHING: None}
            self._filled.notify_all()

    def _may_see(self, change: Change) -> bool:
        return self._tenant_id is None or change.tenant_id in (None, self._tenant_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Live:
    """The hub. Its thread and connection exist while somebody watches, and are restored after an outage."""

    def __init__(self, libpq_url: str) -> None:
        self._url = libpq_url
        self._lock = Lock()
        self._subscriptions: set[Subscription] = set()
        self._thread: Thread | None = None
        self._ended = Event()

    def subscribe(self, tenant_id: UUID | None) -> Subscription:
        """Watches one tenant, or all for None. All later commits are seen, and EVERYTHING comes first."""
        subscription = Subscription(self, tenant_id)
        subscription.offer([EVERYTHING])
        with self._lock:
            self._subscriptions.add(subscription)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="live", daemon=True)
                self._thread.start()
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Removes `subscription`."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Closes every subscription and waits at most LOOK_SECONDS for the thread."""
        self._ended.set()
        with self._lock:
            thread, subscriptions = self._thread, list(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._is_wanted():
            try:
                self._listen()
            except psycopg.Error as error:
                logger.warning("The live events lost their connection: {}", str(error).partition("\n")[0])
                self._ended.wait(RECONNECT_SECONDS)

    def _is_wanted(self) -> bool:
        """Whether the thread must continue; if not, the next subscriber starts another."""
        with self._lock:
            if self._subscriptions and not self._ended.is_set():
                return True
            self._thread = None
            return False

    def _listen(self) -> None:
        with PatientConnection.connect(
            self._url, autocommit=True, application_name="reveille-live", **CONNECTION
        ) as conn:
            if not supports_listen(conn):
                logger.warning("A pooler blocks NOTIFY: set DATABASE_DIRECT_URL. Pages poll meanwhile")
                conn.close()
                self._poll()
                return
            conn.execute(f"LISTEN {LIVE_CHANNEL}")
            self._hand_on([EVERYTHING])
            heard_at = time.monotonic()
            while self._has_subscribers():
                first = list(_changes(conn, LOOK_SECONDS, stop_after=1))
                if first:
                    self._hand_on([*first, *_batch(conn)])
                elif time.monotonic() - heard_at < PROBE_SECONDS:
                    continue
                else:
                    conn.execute("SELECT 1")
                heard_at = time.monotonic()

    def _poll(self) -> None:
        while self._has_subscribers():
            self._hand_on([EVERYTHING])
            self._ended.wait(POLL_SECONDS)

    def _has_subscribers(self) -> bool:
        with self._lock:
            return bool(self._subscriptions) and not self._ended.is_set()

    def _hand_on(self, changes: Sequence[Change]) -> None:
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.offer(changes)


def _batch(conn: psycopg.Connection) -> Iterator[Change]:
    """Collects the changes within BATCH_SECONDS. A lost connection is detected by the next read."""
    end = time.monotonic() + BATCH_SECONDS
    with suppress(psycopg.Error):
        while (left := end - time.monotonic()) > 0:
            yield from _changes(conn, left)


def _changes(conn: psycopg.Connection, seconds: float, stop_after: int | None = None) -> Iterator[Change]:
    for note in conn.notifies(timeout=seconds, stop_after=stop_after):
        yield decode(note.payload)
