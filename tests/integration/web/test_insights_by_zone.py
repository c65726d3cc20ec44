"""Figures over time are what a plain query counts, in any zone and over clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from scheduler.domain.periods import Step, period
from scheduler.storage.engine import Database
from scheduler.storage.read_models.insights import InsightsFilter, read_buckets
from scheduler.storage.tenants import DEFAULT_TENANT
from tests.support.database import change, rows
from tests.support.invocations import make_agent_with_trigger

DAYS = 4
# One each 7 minutes and 11 seconds, so that every hour of every offset has some; each later than the last.
FIRINGS = """
    WITH moments AS (
        SELECT number, CAST(:since AS timestamptz) + number * interval '431 s' AS at,
            CAST(rpad(lpad(to_hex(CAST(1000 * extract(epoch FROM CAST(:since AS timestamptz)) AS bigint)
                + number * 431000), 12, '0'), 32, '0') AS uuid) AS id
        FROM generate_series(0, :days * 86400 / 431) AS number
    ), fired AS (
        INSERT INTO firings (id, tenant_id, agent_id, trigger_id, trigger_name, trigger_type, reason, occurrence_key,
            fired_at, scheduled_for, invocation_id, root_id)
        SELECT m.id, t.tenant_id, t.agent_id, t.id, t.name, t.type, '', CAST(m.id AS text), m.at,
            m.at - m.number * interval '37 ms', m.id, m.id
        FROM moments m, triggers t WHERE t.id = :trigger
    )
    INSERT INTO invocations (id, tenant_id, agent_id, state, opened_at, ready_at, firing_count, firing_ids, tokens_in)
    SELECT m.id, a.tenant_id, a.id, CASE number % 5 WHEN 0 THEN 'dead' ELSE 'succeeded' END, at, at, 1, ARRAY[m.id],
        number
    FROM moments m, agents a WHERE a.id = :agent
"""
PLAIN = """
    SELECT date_trunc(:step, f.fired_at, :zone) AS start, count(*) AS firings,
        count(*) FILTER (WHERE i.state = 'dead') AS failures, sum(i.tokens_in)::bigint AS tokens,
        percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (
            ORDER BY extract(epoch FROM f.fired_at - f.scheduled_for)::float8) AS late
    FROM firings f JOIN invocations i ON i.id = f.invocation_id
    WHERE f.fired_at >= :since AND f.fired_at < :until GROUP BY 1 ORDER BY 1
"""


@pytest.mark.parametrize(
    ("zone", "change_at"),
    [
        ("UTC", "2030-03-31T01:00Z"),
        ("Europe/Berlin", "2030-03-31T01:00Z"),
        ("Europe/Berlin", "2030-10-27T01:00Z"),
        ("America/St_Johns", "2030-03-10T05:30Z"),
        ("Asia/Kathmandu", "2030-06-01T00:00Z"),
        ("Pacific/Chatham", "2030-04-06T14:00Z"),
        ("Pacific/Chatham", "2030-09-28T14:00Z"),
        ("America/Santiago", "2030-09-08T04:00Z"),
    ],
)
def test_buckets_are_those_of_a_plain_query(db: Database, zone: str, change_at: str) -> None:
    since = datetime.fromisoformat(change_at) - timedelta(days=DAYS / 2)
    woken = make_agent_with_trigger(db)
    change(db, FIRINGS, since=since, days=DAYS, trigger=woken.trigger_id, agent=woken.agent_id)
    until = since + timedelta(days=DAYS)
    for step in Step:
        span = period(since, until, step, zone, until)
        with db.begin() as conn:
            found = read_buckets(conn, InsightsFilter(DEFAULT_TENANT, span))
        plain = rows(db, PLAIN, step=step, zone=zone, since=span.since, until=span.until)
        assert len(plain) >= DAYS
        assert sum(each.firings for each in found) > DAYS * 150
        assert [
            (each.start, each.firings, each.failures, each.tokens_in, each.lateness_p50, each.lateness_p95)
            for each in found
            if each.firings
        ] == [
            (row.start.astimezone(UTC), row.firings, row.failures, row.tokens, *map(pytest.approx, row.late[:2]))
            for row in plain
        ]
        hours = {(later.start - each.start) / timedelta(hours=1) for each, later in pairwise(found)}
        assert hours <= ({1} if step is Step.HOUR else {23, 24, 25})
