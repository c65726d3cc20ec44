"""Changes to a native job through APScheduler apply to its trigger, as the API would make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.clock.jobs import ScheduleTrigger
from scheduler.domain.errors import Conflict
from scheduler.manage.triggers.approvals import reject
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_trigger
from tests.support.invocations import audited
from tests.support.stepped_scheduler import SteppedScheduler


def test_removing_a_job_takes_the_triggers_expiry_with_it(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    spec = TriggerSpec("ends", "interval", {"seconds": 90}, expires_at=datetime(2040, 1, 1, tzinfo=UTC))
    trigger = triggers.create(DEFAULT_TENANT, make_agent(db), spec, actor="test").trigger
    scheduler.remove_job(str(trigger.id))
    assert rows(db, "SELECT kind FROM jobs WHERE trigger_id = :id", id=trigger.id) == []


def test_a_rescheduled_job_keeps_its_new_grid(db: Database, scheduler: SteppedScheduler) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 90})
    anchor = trigger.created_at + timedelta(seconds=7)
    scheduler.reschedule_job(str(trigger.id), trigger=ScheduleTrigger("interval", {"minutes": 60}, "UTC", anchor))
    (stored,) = rows(db, "SELECT anchor_at FROM triggers WHERE id = :id", id=trigger.id)
    assert stored.anchor_at == anchor


def test_a_resumed_job_counts_its_fires_from_zero_and_hears_nothing_of_before(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    sender, agent = make_agent(db, "sender"), make_agent(db, "listener")
    made = make_trigger(db, agent, "on_message", config={"from_agent": str(sender)})
    scheduler.pause_job(str(made.id))
    with db.begin() as conn:
        conn.exec_driver_sql("UPDATE triggers SET fire_count = 3 WHERE id = %s", (made.id,))
    scheduler.resume_job(str(made.id))
    assert triggers.get(DEFAULT_TENANT, made.id).fire_count == 0
    (stored,) = rows(db, "SELECT listens_since, created_at FROM triggers WHERE id = :id", id=made.id)
    assert stored.listens_since > stored.created_at
    assert audited(db, made.id) == ["trigger.created", "trigger.paused", "trigger.resumed"]


@pytest.mark.parametrize("is_rejected", [False, True])
def test_no_call_of_the_scheduler_enables_what_nobody_approved(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, *, is_rejected: bool
) -> None:
    agent = make_agent(db, approve_triggers=True)
    spec = TriggerSpec("tick", "interval", {"minutes": 5})
    made = triggers.create(DEFAULT_TENANT, agent, spec, actor="test", by_agent=True).trigger
    if is_rejected:
        reject(db, DEFAULT_TENANT, made.id, actor="test", note="too often")
    before = triggers.get(DEFAULT_TENANT, made.id)
    with pytest.raises(Conflict):
        scheduler.resume_job(str(made.id))
    with pytest.raises(Conflict):
        scheduler.reschedule_job(
            str(made.id), trigger=ScheduleTrigger("interval", {"minutes": 1}, "UTC", made.created_at)
        )
    assert triggers.get(DEFAULT_TENANT, made.id) == before
    assert rows(db, "SELECT 1 FROM jobs WHERE kind = 'fire' AND next_run_time IS NOT NULL") == []
