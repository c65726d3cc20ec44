"""Measures what 200 open live pages cost a web process during firings, and which connections they hold."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from uuid import UUID

import psutil
from sqlalchemy import text

from api.web.streams import PER_VIEWER
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from scheduler.storage.keys import create_key
from scheduler.storage.web_sessions import start_session
from tests.bench.server import sqlalchemy_url
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_trigger
from tests.support.postgres import Databases
from tests.support.web import Web, running_web

PAGES = 200
AGENTS = 10
FIRINGS_A_SECOND = 5
SETTLE_SECONDS = 5.0
SECONDS = 20.0
CONNECTIONS = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name IN ('reveille-web', 'reveille-live') AND datname = current_database()
""")


@dataclass(frozen=True)
class LivePages:
    """`cores`: of the web process;

    `pictures`: that each page received per second; `connections`: to the database in all.
    """

    cores: float
    pictures: float
    connections: int


def live_pages(databases: Databases) -> LivePages:
    """Opens the pages, makes firings, and counts."""
    url = databases.create()
    db = Database(sqlalchemy_url(url))
    try:
        triggers = [make_trigger(db, make_agent(db, f"agent-{n}"), cooldown_seconds=0).id for n in range(AGENTS)]
        with running_web(url) as web, _firing(db, triggers), _reading(_open_pages(web, db)) as reader:
            time.sleep(SETTLE_SECONDS)
            before, events = _cpu_seconds(web), reader.events
            time.sleep(SECONDS)
            used, events = _cpu_seconds(web) - before, reader.events - events
            with db.begin() as conn:
                connections = conn.execute(CONNECTIONS).scalar_one()
        return LivePages(used / SECONDS, events / SECONDS / PAGES, connections)
    finally:
        db.dispose()
        databases.drop(url)


class _Reader:
    """Receives what the pages get, as browsers would, and counts the events."""

    def __init__(self, pages: list[socket.socket]) -> None:
        self.pages = pages
        self.events = 0
        self.stopped = Event()

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for page in self.pages:
                selector.register(page, selectors.EVENT_READ, page)
            while not self.stopped.is_set():
                for key, _ in selector.select(0.2):
                    piece = key.data.recv(1 << 20)
                    assert piece, "a live page was closed"
                    self.events += piece.endswith(b"\n\n")


@contextmanager
def _reading(pages: list[socket.socket]) -> Iterator[_Reader]:
    reader = _Reader(pages)
    thread = Thread(target=reader.run)
    thread.start()
    try:
        yield reader
    finally:
        reader.stopped.set()
        thread.join()
        for page in pages:
            page.close()


@contextmanager
def _firing(db: Database, trigger_ids: list[UUID]) -> Iterator[None]:
    """Fires one trigger after another, FIRINGS_A_SECOND, meanwhile."""
    triggers, stopped = Triggers(db, BOX), Event()

    def fire() -> None:
        turn = 0
        while not stopped.wait(1 / FIRINGS_A_SECOND):
            triggers.fire(DEFAULT_TENANT, trigger_ids[turn % len(trigger_ids)], actor="bench")
            turn += 1

    thread = Thread(target=fire)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _open_pages(web: Web, db: Database) -> list[socket.socket]:
    pages = []
    for viewer in range(0, PAGES, PER_VIEWER):
        request = (
            "GET /now/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
            f"Cookie: {_cookie(db, f'viewer {viewer}')}\r\n\r\n"
        )
        for _ in range(PER_VIEWER):
            page = web.connect()
            page.sendall(request.encode())
            pages.append(page)
    return pages


def _cookie(db: Database, name: str) -> str:
    with db.begin() as conn:
        key = create_key(conn, tenant_id=None, name=name, scopes=["admin"])
        return f"reveille_session={start_session(conn, DEFAULT_TENANT, key_id=key.row.id)}"


def _cpu_seconds(web: Web) -> float:
    """Returns the CPU seconds of gunicorn's master and its worker."""
    master = psutil.Process(web.process.pid)
    times = [process.cpu_times() for process in (master, *master.children(recursive=True))]
    return sum(each.user + each.system for each in times)
