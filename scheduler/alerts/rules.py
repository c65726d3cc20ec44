"""The rules that find trouble. Each is one query over the tables, a sentence, and advice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.ids import NIL
from scheduler.domain.local_time import spell_duration
from scheduler.storage.rows import rows_as
from scheduler.storage.spans import first_id_sql


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a rule found: the subject, and the figures of the reason."""

    tenant_id: UUID | None
    agent_id: UUID | None
    subject_id: UUID
    subject_name: str
    count: int = 0
    seconds: float = 0.0
    """How long it has lasted."""
    limit: float = 0.0
    """The seconds that were allowed."""
    since: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `find` returns the subjects that are in trouble now."""

    name: str
    subject_kind: str
    find: Callable[[Connection], Sequence[Trouble]]
    reason: Callable[[Trouble], str]
    advice: str


def by_query(query: str) -> Callable[[Connection], Sequence[Trouble]]:
    """Returns a `find` that reads Trouble by `query`, whose columns are named as its fields."""
    statement = text(query)
    return lambda conn: rows_as(Trouble, conn.execute(statement))


_WITHIN = "clock_timestamp() - make_interval(secs => {seconds})"


def _since_id(seconds: str) -> str:
    return first_id_sql(_WITHIN.format(seconds=seconds))


SILENT = f"""
    SELECT t.tenant_id, t.agent_id, t.id AS subject_id, a.name || '/' || t.name AS subject_name,
        extract(epoch FROM clock_timestamp() - since.time)::float8 AS seconds, t.expect_within AS limit,
        CASE t.expect WHEN 'success' THEN 'succeeded' ELSE 'fired' END AS note
    FROM triggers t JOIN agents a ON a.id = t.agent_id JOIN tenants n ON n.id = t.tenant_id
    CROSS JOIN LATERAL (SELECT CASE t.expect
        WHEN 'success' THEN greatest(t.updated_at, (
            SELECT max(i.finished_at) FROM firings f JOIN invocations i ON i.id = f.invocation_id
            WHERE f.trigger_id = t.id AND f.id >= {_since_id("t.expect_within + 86400")} AND i.state = 'succeeded'))
        ELSE greatest(t.updated_at, t.last_fired_at) END AS time) AS since
    WHERE t.expect_within IS NOT NULL AND t.is_enabled AND t.deleted_at IS NULL
        AND since.time < {_WITHIN.format(seconds="t.expect_within")}
        AND NOT (t.expect = 'success' AND (a.is_paused OR n.is_paused))
"""  # noqa: S608  # expressions of ours

ASLEEP = f"""
    SELECT a.tenant_id, a.id AS agent_id, a.id AS subject_id, a.name AS subject_name,
        extract(epoch FROM clock_timestamp() - since.time)::float8 AS seconds, a.expect_wake_within AS limit
    FROM agents a JOIN tenants n ON n.id = a.tenant_id
    CROSS JOIN LATERAL (SELECT greatest(a.updated_at, (
        SELECT max(i.started_at) FROM invocations i
        WHERE i.agent_id = a.id AND i.id >= {_since_id("a.expect_wake_within + 86400")})) AS time) AS since
    WHERE a.expect_wake_within IS NOT NULL AND a.deleted_at IS NULL AND NOT a.is_paused AND NOT n.is_paused
        AND since.time < {_WITHIN.format(seconds="a.expect_wake_within")}
"""  # noqa: S608  # expressions of ours

DEAD = f"""
    SELECT i.tenant_id, i.agent_id, i.agent_id AS subject_id, a.name AS subject_name, count(*) AS count,
        (array_agg(coalesce(i.tries->-1->>'error', i.reason, '') ORDER BY i.id DESC))[1] AS note
    FROM invocations i JOIN agents a ON a.id = i.agent_id AND a.deleted_at IS NULL
    WHERE i.state = 'dead' AND i.replayed_into IS NULL AND i.id >= {_since_id("2 * 86400")}
        AND i.finished_at > {_WITHIN.format(seconds="86400")}
    GROUP BY i.tenant_id, i.agent_id, a.name
"""  # noqa: S608  # expressions of ours

BUDGET = """
    SELECT i.tenant_id, i.agent_id, i.agent_id AS subject_id, a.name AS subject_name, i.firing_count AS count,
        coalesce(i.held_note, '') AS note
    FROM invocations i JOIN agents a ON a.id = i.agent_id
    WHERE i.state = 'collecting' AND i.held_reason = 'budget'
"""

SIGNATURES = f"""
    SELECT d.tenant_id, t.agent_id, t.id AS subject_id, a.name || '/' || t.name AS subject_name, count(*) AS count
    FROM webhook_deliveries d JOIN triggers t ON t.id = d.trigger_id AND t.deleted_at IS NULL
        JOIN agents a ON a.id = t.agent_id
    WHERE d.id >= {_since_id("3600")}
    GROUP BY d.tenant_id, t.agent_id, t.id, a.name, t.name
    HAVING count(*) >= 3 AND bool_and(d.verdict = 'bad_signature')
"""  # noqa: S608  # expressions of ours

CHECKS = """
    SELECT t.tenant_id, t.agent_id, t.id AS subject_id, a.name || '/' || t.name AS subject_name,
        s.failures AS count, s.first_failure_at AS since, coalesce(s.note, '') AS note
    FROM poll_states s JOIN triggers t ON t.id = s.trigger_id JOIN agents a ON a.id = t.agent_id
    WHERE s.failures >= 3 AND t.is_enabled AND t.deleted_at IS NULL
"""

QUARANTINED = """
    SELECT t.tenant_id, t.agent_id, t.id AS subject_id, a.name || '/' || t.name AS subject_name,
        t.paused_note AS note
    FROM triggers t JOIN agents a ON a.id = t.agent_id
    WHERE NOT t.is_enabled AND t.deleted_at IS NULL AND t.paused_note LIKE 'quarantined:%'
"""

OVERDUE = """
    SELECT i.tenant_id, i.agent_id, i.agent_id AS subject_id, a.name AS subject_name,
        extract(epoch FROM clock_timestamp() - min(i.due_at))::float8 AS seconds
    FROM invocations i JOIN agents a ON a.id = i.agent_id
    WHERE i.state IN ('collecting', 'retrying') AND i.due_at < clock_timestamp() - interval '1 minute'
    GROUP BY i.tenant_id, i.agent_id, a.name
"""

STALE = f"""
    SELECT CAST(NULL AS uuid) AS tenant_id, CAST(NULL AS uuid) AS agent_id, CAST('{NIL}' AS uuid) AS subject_id,
        'the schedulers' AS subject_name, count(*) AS count,
        coalesce(extract(epoch FROM clock_timestamp() - max(last_pass_at)), 0)::float8 AS seconds
    FROM scheduler_processes HAVING coalesce(max(last_pass_at) < clock_timestamp() - interval '30 seconds', true)
"""  # noqa: S608  # expressions of ours

RULES = (
    Rule(
        "trigger_silent",
        "trigger",
        by_query(SILENT),
        lambda each: (
            f"It has not {each.note} for {spell_duration(each.seconds)}; expected within {spell_duration(each.limit)}."
        ),
        "Look at the trigger's history: is its source, its agent or its schedule at fault?",
    ),
    Rule(
        "agent_asleep",
        "agent",
        by_query(ASLEEP),
        lambda each: (
            f"It has not been woken for {spell_duration(each.seconds)}; expected within {spell_duration(each.limit)}."
        ),
        "Look at its triggers: are they enabled, and do they fire?",
    ),
    Rule(
        "invocations_failed",
        "agent",
        by_query(DEAD),
        lambda each: (
            f"{_many(each.count, 'invocation')} failed for good in a day and {_were(each.count)} not "
            f"replayed. The last: {each.note or 'no reason was given'}"
        ),
        "Open Failed, mend the cause, and replay or leave them.",
    ),
    Rule(
        "budget_spent",
        "agent",
        by_query(BUDGET),
        lambda each: (
            f"Its budget is spent, and {_many(each.count, 'firing')} {_wait(each.count)}. {each.note}".strip()
        ),
        "Wait until the budget is renewed, or raise it.",
    ),
    Rule(
        "signatures_fail",
        "trigger",
        by_query(SIGNATURES),
        lambda each: f"All {each.count} deliveries of the last hour had a wrong signature.",
        "Compare the secret here with the sender's.",
    ),
    Rule(
        "check_fails",
        "trigger",
        by_query(CHECKS),
        lambda each: f"Its check failed {each.count} times in a row{_from(each.since)}. {each.note}".strip(),
        "Open the trigger and try the check; its source may be gone or refuse the key.",
    ),
    Rule(
        "trigger_quarantined",
        "trigger",
        by_query(QUARANTINED),
        lambda each: f"It was stopped because it could not be run: {each.note.partition(': ')[2]}",
        "Correct its config and resume it, or delete it.",
    ),
    Rule(
        "window_overdue",
        "agent",
        by_query(OVERDUE),
        lambda each: f"What fired should have left {spell_duration(each.seconds)} ago and still waits.",
        "Look at the worker: does it run, and is it overloaded? See `reveille doctor`.",
    ),
    Rule(
        "scheduler_stale",
        "service",
        by_query(STALE),
        lambda each: (
            f"No scheduler has looked for due triggers for {spell_duration(each.seconds)}."
            if each.count
            else "No scheduler runs."
        ),
        "Start a worker, or look at its log: `reveille worker`.",
    ),
)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"


def _from(since: datetime | None) -> str:
    return "" if since is None else f" since {since:%Y-%m-%d %H:%M} UTC"
