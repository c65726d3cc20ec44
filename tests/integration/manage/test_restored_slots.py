"""Slots that passed since a backup are skipped on request, whatever the misfire policies say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.cli import run
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler


def doctor(monkeypatch: pytest.MonkeyPatch, url: str, *options: str) -> int:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("REVEILLE_SECRET_KEY", "a key of a restored one")
    return run(["doctor", "--after-restore", *options])


def test_late_slots_are_skipped_and_the_next_ones_fire(
    db: Database,
    database_url: str,
    scheduler: SteppedScheduler,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent = make_agent(db)
    every = make_trigger(db, agent, "interval", name="every", config={"minutes": 60}, misfire_policy="all")
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # noqa: TID251
    once = make_trigger(db, agent, "once", name="once", config={"at": at})
    later = make_trigger(db, agent, "once", name="later", config={"at": at})
    poll = make_trigger(db, agent, "poll", name="poll", config={"url": "https://example.org", "json_path": "$.a"})
    for trigger in (every, once, poll):
        make_due(db, trigger.id, 5)
    passed = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()  # noqa: TID251
    change(
        db,
        "UPDATE triggers SET config = config || jsonb_build_object('at', CAST(:at AS text)) WHERE id = :id",
        at=passed,
        id=once.id,
    )

    assert doctor(monkeypatch, database_url, "--late", "policy") == 0
    assert "1 with all" in capsys.readouterr().out
    assert len(rows(db, "SELECT 1 FROM jobs WHERE next_run_time < now()")) == 3, "it only looked"

    assert doctor(monkeypatch, database_url, "--late", "skip") == 0
    assert "what was late of 2 triggers" in capsys.readouterr().out
    skipped = rows(
        db,
        "SELECT subject_id, actor, detail->>'why' FROM audit_events WHERE action = 'trigger.skipped' ORDER BY 1",
    )
    assert skipped == sorted([(every.id, "operator", "restored"), (once.id, "operator", "restored")])
    found = rows(db, "SELECT trigger_id, next_run_time > now() AS waits FROM jobs WHERE kind = 'fire'")
    jobs = {row.trigger_id: row.waits for row in found}
    assert jobs == {every.id: True, once.id: None, later.id: True, poll.id: False}
    assert rows(db, "SELECT is_enabled, paused_note FROM triggers WHERE id = :id", id=once.id) == [
        (False, "finished")
    ]
    scheduler.run_pass()
    assert rows(db, "SELECT id FROM firings") == []


def test_it_is_refused_without_its_command_and_while_something_runs(
    sqlalchemy_url: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["doctor", "--late", "skip"]) == 2
    assert "--late requires --after-restore" in capsys.readouterr().err
    assert doctor(monkeypatch, database_url, "--late", "never") == 2
    assert "'skip', 'policy'" in capsys.readouterr().err
    running = Database(sqlalchemy_url, application_name="reveille-worker")
    with running.begin():
        assert doctor(monkeypatch, database_url, "--late", "skip") == 1
    running.dispose()
    assert "Reveille runs on it" in capsys.readouterr().out
