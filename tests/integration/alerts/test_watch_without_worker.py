"""A web process checks too, and notifies when no worker runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from scheduler.alerts.watch import Watch
from scheduler.alerts.web_watch import WebWatch
from scheduler.domain.clock import SystemClock
from scheduler.domain.ids import new_id
from scheduler.manage.notification_targets import create_target
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent
from tests.support.polls import Site, running_site


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as site:
        yield site


def guard(db: Database) -> WebWatch:
    return WebWatch(
        db,
        Watch(db),
        BOX,
        lambda: GuardedClient(allow_private=AllowedPrivate.parse("127.0.0.1")),
        SystemClock(),
    )


def no_worker_for(db: Database, silence: timedelta) -> None:
    change(
        db,
        "UPDATE watch SET looked_at = now(), since = now() - interval '1 day', last_pass_at = now() - :silence, "
        "last_heartbeat_at = now() - :silence",
        silence=silence,
    )


def add_target(db: Database, site: Site) -> None:
    secrets = BOX.encrypt(json.dumps({"url": site.url + "chat", "secret": None}))
    with db.begin() as conn:
        values = {"name": "ops", "kind": "slack", "host": "127.0.0.1", "secrets": secrets}
        create_target(conn, DEFAULT_TENANT, make_agent(db), values)


def said(site: Site) -> list[str]:
    return sorted(json.loads(each.body)["text"] for each in site.seen)


def test_without_a_worker_the_web_process_sends_the_alert_and_its_end(db: Database, site: Site) -> None:
    add_target(db, site)
    no_worker_for(db, timedelta(seconds=45))
    for one in (guard(db), guard(db)):
        one.look()
    first = said(site)
    assert len(first) == 2
    assert "the schedulers. No scheduler has looked for due triggers for " in first[0]
    assert "the workers. No worker that wakes agents has reported for " in first[1]
    change(db, "INSERT INTO scheduler_processes (id, name) VALUES (:id, 'here')", id=new_id())
    guard(db).look()
    assert len(said(site)) == 3
    assert "Over: the schedulers." in said(site)[2]
    assert {row.state for row in rows(db, "SELECT state FROM notification_deliveries")} == {"delivered"}


def test_the_web_process_sends_nothing_while_a_worker_runs(db: Database, site: Site) -> None:
    add_target(db, site)
    no_worker_for(db, timedelta(seconds=45))
    change(db, "INSERT INTO procrastinate_workers DEFAULT VALUES")
    guard(db).look()
    assert said(site) == []
    assert len(rows(db, "SELECT FROM procrastinate_jobs WHERE queue_name = 'io'")) == 1


def test_a_database_that_is_unavailable_disconnects_nobody(sqlalchemy_url: str) -> None:
    away = Database(sqlalchemy_url.replace("5432", "5999").replace("host=", "host=%2Fnowhere"), pool_size=1)
    guard(away).look()
    away.dispose()
