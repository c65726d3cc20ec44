"""Inserts a long history in bulk, for measuring the pages."""

from __future__ import annotations

from sqlalchemy import text

from scheduler.storage.engine import Database
from tests.bench.population import populate

FIRINGS_OF_AN_INVOCATION = 5

# An agent's firings are consecutive, so that each of its invocations holds some of them.
FIRINGS = text("""
    INSERT INTO firings (id, tenant_id, agent_id, trigger_id, trigger_name, trigger_type, reason, occurrence_key,
        fired_at, payload, content_type, state, invocation_id, root_id)
    SELECT id, tenant_id, agent_id, trigger_id, name, type, reason, id::text, clock_timestamp(), 'a payload',
        'text/plain', 'delivered', invocation_id, id
    FROM (
        SELECT uuidv7() AS id, t.id AS trigger_id, t.tenant_id, t.agent_id, t.name, t.type, t.reason,
            first_value(uuidv7()) OVER (PARTITION BY t.agent_id, (t.place * :each + n) / :batch) AS invocation_id
        FROM (SELECT *, row_number() OVER (PARTITION BY agent_id ORDER BY id) AS place FROM triggers) t,
            generate_series(0, :each - 1) AS n
    ) f
""")

INVOCATIONS = text("""
    INSERT INTO invocations (id, tenant_id, agent_id, state, firing_count, firing_ids, ready_at, started_at,
        finished_at, attempt, tries)
    SELECT f.invocation_id, f.tenant_id, f.agent_id,
        CASE WHEN row_number() OVER (ORDER BY f.invocation_id) % 4 = 0 THEN 'dead' ELSE 'succeeded' END,
        count(*), array_agg(f.id ORDER BY f.id), clock_timestamp(), clock_timestamp(), clock_timestamp(), 1,
        jsonb_build_array(jsonb_build_object('attempt', 1, 'started_at', clock_timestamp(),
            'ended_at', clock_timestamp(), 'outcome', 'succeeded', 'error', NULL))
    FROM firings f GROUP BY f.invocation_id, f.tenant_id, f.agent_id
""")

DELIVERIES = text("""
    INSERT INTO webhook_deliveries (id, tenant_id, trigger_id, verdict, size, firing_id)
    SELECT uuidv7(), tenant_id, trigger_id,
        CASE WHEN row_number() OVER () % 10 = 0 THEN 'bad_signature' ELSE 'accepted' END, 9, id
    FROM firings
""")

AUDIT = text("""
    INSERT INTO audit_events (id, tenant_id, actor, action, subject_type, subject_id, agent_id)
    SELECT uuidv7(), tenant_id, 'key:bench', 'trigger.created', 'trigger', id, agent_id FROM triggers
    UNION ALL
    SELECT uuidv7(), tenant_id, 'key:bench', 'agent.created', 'agent', id, id FROM agents
""")

SESSIONS = text("""
    INSERT INTO sessions (id, tenant_id, agent_id, channel, title, is_reflection, invocation_id)
    SELECT uuidv7(), tenant_id, agent_id, 'trigger', 'a run', true, id FROM invocations
""")

MESSAGES = text("""
    INSERT INTO messages (id, tenant_id, session_id, from_type, from_id, channel, text)
    SELECT uuidv7(), tenant_id, id, 'agent', agent_id, 'trigger', 'a reply' FROM sessions
""")

AWAITING = text("""
    UPDATE triggers SET approval = 'awaiting', is_enabled = false, created_by = 'agent:' || agent_id
    WHERE id IN (SELECT id FROM triggers ORDER BY id LIMIT (SELECT count(*) / 10 FROM triggers))
""")


def populate_history(db: Database, triggers: int, firings_each: int) -> None:
    """Inserts `triggers` triggers with `firings_each` firings each, and everything that follows from them."""
    populate(db, triggers)
    with db.begin() as conn:
        conn.execute(FIRINGS, {"each": firings_each, "batch": FIRINGS_OF_AN_INVOCATION})
        for statement in (INVOCATIONS, DELIVERIES, AUDIT, SESSIONS, MESSAGES, AWAITING):
            conn.execute(statement)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
