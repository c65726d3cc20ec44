"""The promise: every firing recorded exactly once, none lost, one wake at a time, whoever is killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from scheduler.storage.engine import Database
from tests.acceptance.chaos import BROKEN_RANGES, run_chaos
from tests.support.factories import make_agent, make_trigger
from tests.support.postgres import Databases

SECONDS = 60.0
SEED = 20


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_while_processes_are_killed(databases: Databases, tmp_path: Path) -> None:
    report = run_chaos(databases, tmp_path, seconds=SECONDS, seed=SEED)
    assert report.failures() == {}
    assert len(report.kills) >= 20
    assert "postgresql" in report.kills
    assert report.slots >= 300 * SECONDS * 0.9
    assert len(report.accepted) >= 50


@pytest.mark.parametrize(
    ("ranges", "broken"),
    [
        ([(1, 1, 1), (2, 2, 1), (3, 5, 3)], 0),
        ([(1, 1, 1), (3, 3, 1)], 1),
        ([(1, 2, 2), (2, 3, 2)], 1),
        ([(2, 2, 1)], 1),
        ([(1, 3, 2)], 1),
    ],
    ids=["whole", "a slot is missing", "a slot is doubled", "the first slot is missing", "a count is wrong"],
)
def test_the_audit_of_slots_sees_what_is_missing_or_doubled(
    database_url: str, sqlalchemy_url: str, ranges: Sequence[tuple[int, int, int]], broken: int
) -> None:
    db = Database(sqlalchemy_url)
    trigger = make_trigger(db, make_agent(db), config={"seconds": 1})
    db.dispose()
    insert = """
        INSERT INTO firings (id, tenant_id, agent_id, trigger_id, trigger_name, trigger_type, reason, occurrence_key,
            fired_at, first_scheduled_for, scheduled_for, slot_count, invocation_id, root_id)
        SELECT gen_random_uuid(), tenant_id, agent_id, id, name, type, '', %(last)s::text, anchor_at,
            anchor_at + %(first)s * interval '1 second', anchor_at + %(last)s * interval '1 second', %(count)s, id, id
        FROM triggers WHERE id = %(id)s
    """
    with psycopg.connect(database_url, autocommit=True) as conn:
        for first, last, count in ranges:
            conn.execute(insert, {"id": trigger.id, "first": first, "last": last, "count": count})
        assert len(conn.execute(BROKEN_RANGES.encode()).fetchall()) == broken
