"""The cost of the check of on_message triggers: queries per pass, however many triggers there are."""

from __future__ import annotations

import math

from scheduler.clock.trigger_store import TriggerStore
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import make_agent
from tests.support.messages import all_due, counted, listen, make_user
from tests.support.stepped_scheduler import SteppedScheduler


def test_ten_thousand_message_triggers_cost_one_query_for_each_pass(
    db: Database, scheduler: SteppedScheduler
) -> None:
    crowd(db, 10_000)
    all_due(db)
    with counted(db) as statements:
        passes = 1
        while scheduler.run_pass() == 0:
            passes += 1
    assert passes <= 1 + math.ceil(10_000 / TriggerStore.max_rows), "the first one is small"
    looks = [each for each in statements if "FROM messages" in each]
    assert len(looks) == passes
    assert rows(db, "SELECT count(*) FROM jobs WHERE next_run_time <= clock_timestamp()") == [(0,)]


def crowd(db: Database, count: int) -> None:
    """Creates so many on_message triggers, each of a separate agent and listening to one user."""
    make_user(db)
    listen(db, make_agent(db), {"from_user": "grace"})
    change(
        db,
        """
        WITH made AS (
            INSERT INTO agents (id, tenant_id, name, runtime_kind, runtime)
            SELECT gen_random_uuid(), tenant_id, 'agent ' || n, runtime_kind, runtime
            FROM agents, generate_series(2, :count) AS n RETURNING id
        ), copied AS (
            INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, cooldown_seconds)
            SELECT gen_random_uuid(), t.tenant_id, made.id, t.name, t.type, t.config, t.zone, 0
            FROM triggers t, made RETURNING id
        )
        INSERT INTO jobs (trigger_id, kind, next_run_time) SELECT id, 'fire', clock_timestamp() FROM copied
        """,
        count=count,
    )


def write_to_all(db: Database) -> None:
    """Stores a message for every agent, as if intake had not seen the triggers."""
    change(
        db,
        """
        WITH opened AS (
            INSERT INTO sessions (id, tenant_id, agent_id, user_id, channel)
            SELECT gen_random_uuid(), a.tenant_id, a.id, u.id, 'web' FROM agents a, users u RETURNING *
        )
        INSERT INTO messages (id, tenant_id, session_id, from_type, from_id, to_agent_id, channel, text)
        SELECT gen_random_uuid(), tenant_id, id, 'user', user_id, agent_id, 'web', 'hello' FROM opened
        """,
    )
