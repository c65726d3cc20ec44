"""Drift between triggers and jobs: the product makes none; drift from elsewhere is found, repaired and audited."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from scheduler.manage.triggers.reconcile import reconcile_jobs
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.drift import find_drift
from scheduler.storage.engine import Database
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import stepped


def test_everything_that_we_do_ourselves_leaves_no_drift(db: Database) -> None:
    triggers, agent = Triggers(db, BOX), make_agent(db)
    made = [
        make_trigger(db, agent),
        make_trigger(db, agent, "cron", config={"expr": "0 9 * * *"}, expires_at=datetime(2040, 1, 1, tzinfo=UTC)),
        make_trigger(db, agent, "once", config={"at": "2001-01-01", "allow_past": True}),
        make_trigger(db, agent, "webhook"),
        make_trigger(db, agent, max_fires=1),
    ]
    make_due(db, made[4].id)
    with stepped(db) as scheduler:
        scheduler.run_pass()
    triggers.pause(DEFAULT_TENANT, made[0].id, actor="test")
    triggers.update(DEFAULT_TENANT, made[1].id, {"expires_at": None}, actor="test")
    triggers.delete(DEFAULT_TENANT, made[3].id, actor="test")
    with db.begin() as conn:
        assert find_drift(conn) == []
    assert reconcile_jobs(db) == []


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("DELETE FROM jobs WHERE kind = 'fire'", "trigger without its job"),
        ("UPDATE jobs SET next_run_time = NULL WHERE kind = 'fire'", "trigger without its job"),
        ("UPDATE triggers SET is_enabled = false", "job of a paused trigger"),
        ("UPDATE triggers SET deleted_at = clock_timestamp()", "job without its trigger"),
        ("UPDATE triggers SET zone = 'Asia/Tokyo'", "job in an old zone"),
        ("DELETE FROM jobs WHERE kind = 'expiry'", "expiry that differs"),
        ("UPDATE triggers SET expires_at = NULL", "expiry that differs"),
    ],
)
def test_drift_is_found_repaired_and_audited(db: Database, damage: str, why: str) -> None:
    agent = make_agent(db)
    make_trigger(db, agent, "cron", config={"expr": "0 9 * * *"}, expires_at=datetime(2040, 1, 1, tzinfo=UTC))
    with db.begin() as conn:
        conn.execute(text(damage))
    assert [each.why for each in reconcile_jobs(db)] == [why]
    with db.begin() as conn:
        assert find_drift(conn) == []
        assert conn.scalar(text("SELECT count(*) FROM audit_events WHERE action = 'trigger.repaired'")) == 1
