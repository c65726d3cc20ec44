"""A request that the database rolls back, to break a deadlock for example, is repeated, or refused with 503."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from scheduler.domain.errors import DatabaseUnavailable, RolledBack
from scheduler.storage.engine import Database
from scheduler.storage.repeats import TRIES, repeat
from tests.support.api import Api, served
from tests.support.database import change, rows, until_blocked

FIRST, THEN = (
    "SELECT FROM triggers WHERE id = :id FOR UPDATE",
    "SELECT FROM jobs WHERE trigger_id = :id FOR UPDATE",
)


@contextmanager
def limited(api: Api, db: Database, **limits: str) -> Iterator[str]:
    """Serves the application, whose sessions have these settings, over HTTP; yields the API's address."""
    name = rows(db, "SELECT current_database() AS name")[0].name
    for limit, value in limits.items():
        change(db, f"ALTER DATABASE {name} SET {limit} = '{value}'")
    api.db.dispose()
    with served(api) as address:
        yield f"{address}/api/v1"


def test_the_victim_of_a_deadlock_is_repeated(api: Api, db: Database) -> None:
    """A pause locks jobs, then the trigger; another transaction does so the other way around."""
    trigger = api.trigger(api.agent()["id"])
    others = 0
    with served(api) as address:
        while not pause_beside(api, db, f"{address}/api/v1/triggers/{trigger['id']}"):
            others += 1  # on a busy machine the other one, which waits later, may be the victim
            assert others < 20
    assert rows(db, "SELECT count(*) FROM audit_events WHERE action = 'trigger.paused'") == [(others + 1,)]


def pause_beside(api: Api, db: Database, url: str) -> bool:
    """Pauses a trigger beside a transaction with which it deadlocks. Returns whether the pause was the victim."""
    httpx.post(f"{url}/resume", headers=api.headers).raise_for_status()
    id_ = url.rpartition("/")[2]
    with ThreadPoolExecutor(1) as threads:
        try:
            with db.begin() as other:
                other.execute(text(FIRST), {"id": id_})
                asked = threads.submit(httpx.post, f"{url}/pause", headers=api.headers, json={}, timeout=60)
                until_blocked(db)
                other.execute(text(THEN), {"id": id_})
        except RolledBack:
            was_victim = False
        else:
            was_victim = True
        answer = asked.result()
        assert (answer.status_code, answer.json()["is_enabled"]) == (200, False)
    return was_victim


@pytest.mark.parametrize("kind", ["fire", "webhook"])
def test_what_is_rolled_back_again_and_again_is_refused_with_503(api: Api, db: Database, kind: str) -> None:
    """By the API and for a webhook, which shares its commit: with one line, and nothing is recorded."""
    agent = api.agent()["id"]
    made = api.trigger(agent, type="webhook", config={}) if kind == "webhook" else api.trigger(agent)
    id_ = made["id"]
    with limited(api, db, lock_timeout="30ms") as address, db.begin() as other:
        other.execute(text(FIRST), {"id": id_})
        path = f"{address}/triggers/{id_}/fire"
        if kind == "webhook":
            path = f"{address.removesuffix('/api/v1')}/hooks/{made['hook_url'].rpartition('/')[2]}"
        answer = httpx.post(path, headers=api.headers, json={}, timeout=60)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.json()["detail"] == (
            "The database rolled this back (canceling statement due to lock timeout); nothing was recorded, try again."
        )
    assert rows(db, "SELECT FROM firings") == []


def test_what_was_partly_committed_is_not_repeated(db: Database) -> None:
    """Nor is anything else than a conflict, and what only reads does not count as committed."""
    change(db, "CREATE TABLE notes (id int)")
    calls: list[int] = []

    def work(first: str) -> None:
        calls.append(1)
        change(db, first)
        with db.begin() as conn:
            conn.execute(text("SET LOCAL lock_timeout = 10"))
            conn.execute(text("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE"))

    with db.begin() as other:
        other.execute(text("SELECT FROM notes"))
        with pytest.raises(
            DatabaseUnavailable, match=r"rolled the last part of this back .* see what was recorded"
        ):
            repeat(lambda: work("INSERT INTO notes VALUES (1)"))
        assert len(calls) == 1
        with pytest.raises(DatabaseUnavailable, match="nothing was recorded"):
            repeat(lambda: work("SELECT FROM notes"))
        assert len(calls) == 1 + TRIES
        with pytest.raises(ZeroDivisionError):
            repeat(lambda: divide(calls))
    assert len(calls) == 2 + TRIES
    assert len(rows(db, "SELECT FROM notes")) == 1


def divide(calls: list[int]) -> Any:
    calls.append(1)
    return 1 / 0
