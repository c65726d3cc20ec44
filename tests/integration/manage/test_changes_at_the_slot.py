"""Changes at the exact moment of a slot, by other processes and at random: each slot is fired once or audited."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.errors import Conflict
from scheduler.manage.triggers.jobs import rezone_agent
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.database import change, firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler

SCHEDULER = """
import sys
from scheduler.clock.scheduler import LedgerScheduler
from scheduler.domain.clock import SystemClock
from scheduler.storage.engine import Database
scheduler = LedgerScheduler(Database(sys.argv[1], pool_size=2), SystemClock())
scheduler.start()
print("ready", flush=True)
sys.stdin.read()
scheduler.shutdown()
"""


def ranges(db: Database, trigger_id: UUID) -> list[tuple[datetime, datetime, int]]:
    """Returns the ranges of all recorded slots: of firings, and of those audited as skipped; oldest first."""
    found = [
        (row.first_scheduled_for, row.scheduled_for, row.slot_count)
        for row in firings_by_slot(db, trigger_id)
        if row.scheduled_for is not None
    ]
    query = "SELECT detail FROM audit_events WHERE subject_id = :id AND action = 'trigger.skipped'"
    for row in rows(db, query, id=trigger_id):
        first, last = (datetime.fromisoformat(row.detail[name]) for name in ("first", "last"))
        found.append((first, last, row.detail["count"]))
    return sorted(found)


def assert_each_slot_once(found: Sequence[tuple[datetime, datetime, int]], step: timedelta) -> None:
    """Checks that every slot from the first to the last is in exactly one range."""
    for before, after in pairwise(found):
        assert after[0] - before[1] == step
    for first, last, count in found:
        assert (last - first) / step + 1 == count


def test_a_patch_at_the_slot_beside_a_running_scheduler_loses_and_doubles_nothing(
    db: Database, database_url: str, triggers: Triggers
) -> None:
    agent = make_agent(db)
    made = [make_trigger(db, agent, config={"seconds": 1}, misfire_policy="all").id for _ in range(6)]
    other = subprocess.Popen(
        [sys.executable, "-c", SCHEDULER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"ready\n"
        patched = 0
        while min(len(firings_by_slot(db, each)) for each in made) < 5:
            # Whichever slot comes next, some of these come within a millisecond of it, and hundreds around it.
            trigger_id = made[patched % len(made)]
            patch: dict[str, Any] = {"config": {"exclude": [f"2001-01-{patched % 28 + 1:02}"]}}
            if patched % 3 == 0:
                patch = {"reason": str(patched), "config": {"until": "2999-12-31"}}
            triggers.update(DEFAULT_TENANT, trigger_id, patch, actor="test")
            patched += 1
    finally:
        other.stdin.close()
        other.wait(30)
        other.stdout.close()
    for each in made:
        found = ranges(db, each)
        assert len(found) >= 5
        assert_each_slot_once(found, timedelta(seconds=1))


@pytest.mark.parametrize("seed", range(6))
def test_changes_at_random_lose_and_double_no_slot(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, seed: int
) -> None:
    random = Random(seed)
    step = timedelta(seconds=60)
    agent = make_agent(db)
    policy = random.choice(["latest", "all", "skip"])
    trigger = make_trigger(db, agent, config={"seconds": 60}, misfire_policy=policy, grace_seconds=1)
    make_due(db, trigger.id)
    for number in range(25):
        _let_time_pass(db, trigger.id, step, random.choice([0, 0, 1, 3]))
        _do(random.randrange(8), db, triggers, scheduler, agent, trigger.id, number)
    scheduler.run_pass()
    found = ranges(db, trigger.id)
    assert len(found) > 1
    assert_each_slot_once(found, step)


def _let_time_pass(db: Database, trigger_id: UUID, step: timedelta, slots: int) -> None:
    """Moves everything back by some steps, which is the same as letting time pass, without waiting."""
    values = {"id": trigger_id, "by": slots * step}
    change(db, "UPDATE triggers SET anchor_at = anchor_at - CAST(:by AS interval) WHERE id = :id", **values)
    change(
        db,
        "UPDATE jobs SET next_run_time = next_run_time - CAST(:by AS interval) WHERE trigger_id = :id",
        **values,
    )
    change(
        db,
        "UPDATE firings SET scheduled_for = scheduled_for - CAST(:by AS interval), "
        "first_scheduled_for = first_scheduled_for - CAST(:by AS interval), occurrence_key = id::text "
        "WHERE trigger_id = :id AND scheduled_for IS NOT NULL",
        **values,
    )
    for row in rows(db, "SELECT id, detail FROM audit_events WHERE action = 'trigger.skipped'"):
        moved = {
            name: (datetime.fromisoformat(row.detail[name]) - slots * step).isoformat()
            for name in ("first", "last")
        }
        change(
            db,
            "UPDATE audit_events SET detail = detail || jsonb_build_object('first', CAST(:first AS text), "
            "'last', CAST(:last AS text)) WHERE id = :id",
            id=row.id,
            **moved,
        )


def _do(
    what: int,
    db: Database,
    triggers: Triggers,
    scheduler: SteppedScheduler,
    agent: UUID,
    trigger_id: UUID,
    number: int,
) -> None:
    """Does one thing that may happen to a trigger, or to a scheduler."""
    if what == 0:
        scheduler.run_pass()
    elif what == 1:
        triggers.pause(DEFAULT_TENANT, trigger_id, actor="test")
        triggers.resume(DEFAULT_TENANT, trigger_id, actor="test")
    elif what == 2:
        zone = ["Asia/Tokyo", "UTC", "Europe/Berlin"][number % 3]
        change(db, "UPDATE agents SET timezone = :zone", zone=zone)
        with db.begin() as conn:
            rezone_agent(conn, agent)
    elif what == 3:
        with pytest.raises(Conflict):
            triggers.update(DEFAULT_TENANT, trigger_id, {"max_fires": 0, "is_enabled": True}, actor="test")
    else:
        patches: list[dict[str, Any]] = [
            {"config": {"exclude": [f"2001-01-{number % 28 + 1:02}"]}},
            {"config": {"seconds": None, "minutes": 1} if number % 2 else {"minutes": None, "seconds": 60}},
            {"misfire_policy": ["latest", "all", "skip"][number % 3]},
            {"config": {"until": "2999-12-31" if number % 2 else None}, "reason": str(number)},
        ]
        triggers.update(DEFAULT_TENANT, trigger_id, patches[what - 4], actor="test")
