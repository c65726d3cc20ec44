"""A once trigger that is due when its agent changes zone, or when it is edited, is decided once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.manage.triggers.jobs import rezone_agent
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.database import change, firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler

LATER = datetime(2040, 1, 1, tzinfo=UTC)

JUST_PASSED = "SELECT to_char((now() - interval '5 minutes') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI') AS at"


@pytest.mark.parametrize("policy", ["latest", "skip"])
@pytest.mark.parametrize(
    ("at", "zone"),
    [
        ("2001-01-01T09:00", "Pacific/Kiritimati"),
        ("2001-01-01T09:00", "America/St_Johns"),
        ("just passed", "Etc/GMT+12"),
    ],
)
def test_a_once_that_is_due_when_its_agent_moves_does_not_come_again(
    db: Database, scheduler: SteppedScheduler, at: str, zone: str, policy: str
) -> None:
    agent = make_agent(db)
    local = rows(db, JUST_PASSED)[0].at if at == "just passed" else at
    config = {"at": local, "allow_past": True}
    trigger = make_trigger(db, agent, "once", config=config, misfire_policy=policy, grace_seconds=1)
    change(db, "UPDATE agents SET timezone = :zone WHERE id = :id", zone=zone, id=agent)
    with db.begin() as conn:
        rezone_agent(conn, agent)
    for _ in range(2):
        [row] = rows(db, "SELECT is_enabled, paused_note, zone FROM triggers WHERE id = :id", id=trigger.id)
        assert (row.is_enabled, row.paused_note, row.zone) == (False, "finished", zone)
        assert len(firings_by_slot(db, trigger.id)) == (policy == "latest")
        skipped = rows(db, "SELECT 1 FROM audit_events WHERE action = 'trigger.skipped'")
        assert len(skipped) == (policy == "skip")
        scheduler.run_pass()


def test_a_once_that_was_skipped_at_a_change_does_not_fire_by_the_policy_that_the_change_brings(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    config = {"at": "2001-01-01T09:00Z", "allow_past": True}
    trigger = make_trigger(
        db, make_agent(db), "once", config=config, misfire_policy="skip", grace_seconds=1, expires_at=LATER
    )
    patch = {"config": {"at": "2001-01-01T18:00+09:00"}, "misfire_policy": "latest"}
    changed = triggers.update(DEFAULT_TENANT, trigger.id, patch, actor="test")
    scheduler.run_pass()
    assert (changed.is_enabled, changed.paused_note) == (False, "finished")
    assert firings_by_slot(db, trigger.id) == []
