"""Inserts many triggers in bulk, for the bench."""

from __future__ import annotations

from sqlalchemy import text

from scheduler.storage.engine import Database

TRIGGERS_OF_AN_AGENT = 20

AGENTS = text("""
    INSERT INTO agents (id, tenant_id, name, runtime_kind, runtime, max_triggers)
    SELECT gen_random_uuid(), t.id, 'agent ' || n, 'command', '{"name": "x"}', 100000
    FROM generate_series(1, :agents) AS n JOIN tenants t ON t.name = 'default'
""")

TRIGGERS = text("""
    INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, reason)
    SELECT gen_random_uuid(), a.tenant_id, a.id, 'trigger ' || n, :type,
        CASE WHEN :type = 'interval' THEN '{"seconds": 3600}'::jsonb
             ELSE jsonb_build_object('expr', n % 100 % 60 || ' ' || n % 100 % 24 || ' * * ' || n % 100 % 7) END,
        'UTC', 'a bench'
    FROM generate_series(1, :triggers) AS n
    JOIN (SELECT *, row_number() OVER () AS place FROM agents) a ON a.place = 1 + n / :each
""")

JOBS = text("""
    INSERT INTO jobs (trigger_id, kind, next_run_time)
    SELECT id, 'fire', clock_timestamp() + interval '1 day' + random() * interval '1 day' FROM triggers
""")

MAKE_DUE = text("""
    UPDATE jobs SET next_run_time = :slot
    WHERE trigger_id IN (SELECT trigger_id FROM jobs ORDER BY trigger_id LIMIT :count)
""")


def populate(db: Database, count: int, kind_name: str = "interval") -> None:
    """Inserts `count` triggers, TRIGGERS_OF_AN_AGENT per agent, none due for a day; cron ones share 100
    expressions.
    """
    with db.begin() as conn:
        conn.execute(AGENTS, {"agents": count // TRIGGERS_OF_AN_AGENT + 1})
        conn.execute(TRIGGERS, {"triggers": count, "type": kind_name, "each": TRIGGERS_OF_AN_AGENT})
        conn.execute(JOBS)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
