"""The rules about agents: not woken, failing, out of budget, and with overdue firings."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.alerts.findings import CATCH_UP_SECONDS, Finding, Rule, by_query, id_ago, many, seconds_ago
from scheduler.domain.budgets import Owner, Spending
from scheduler.domain.local_time import spell_duration
from scheduler.storage.budgets import Accounts, read_accounts

ASLEEP = f"""
    SELECT a.tenant_id, a.id AS agent_id, a.id AS subject_id, a.name AS subject_name,
        extract(epoch FROM clock_timestamp() - since.time)::float8 AS seconds, a.expect_wake_within AS limit
    FROM agents a JOIN tenants n ON n.id = a.tenant_id CROSS JOIN service_pause s
    CROSS JOIN LATERAL (SELECT greatest(coalesce(a.expected_since, a.updated_at), n.resumed_at, s.resumed_at, (
        SELECT i.started_at FROM invocations i
        WHERE i.agent_id = a.id AND i.started_at IS NOT NULL ORDER BY i.id DESC LIMIT 1)) AS time) AS since
    WHERE a.expect_wake_within IS NOT NULL AND a.deleted_at IS NULL
        AND NOT (a.is_paused OR n.is_paused OR s.is_paused)
        AND since.time < {seconds_ago("a.expect_wake_within")}
"""  # noqa: S608  # expressions of ours

# A week: a window may have been held for long before its invocation failed.
DEAD = f"""
    SELECT i.tenant_id, i.agent_id, i.agent_id AS subject_id, a.name AS subject_name, count(*) AS count,
        (array_agg(coalesce(i.tries->-1->>'error', i.reason, '') ORDER BY i.finished_at DESC))[1] AS note
    FROM invocations i JOIN agents a ON a.id = i.agent_id AND a.deleted_at IS NULL
    WHERE i.state = 'dead' AND i.replayed_into IS NULL AND i.id >= {id_ago("7 * 86400")}
        AND i.finished_at > {seconds_ago("86400")}
    GROUP BY i.tenant_id, i.agent_id, a.name
"""  # noqa: S608  # expressions of ours

MOST_COUNTED = 20_000
"""The most invocations that a check counts. Beyond that, a spent budget is noticed by the window that it holds."""
MAYBE_SPENT = text(f"""
    SELECT agent_id FROM invocations WHERE state = 'collecting' AND held_reason = 'budget'
    UNION
    SELECT a.id FROM agents a JOIN agent_usage u ON u.agent_id = a.id AND u.day >= current_date - 1
    WHERE a.deleted_at IS NULL AND u.tokens_in + u.tokens_out >= a.max_tokens_per_day
    UNION
    SELECT a.id FROM (
        SELECT agent_id, count(*) AS made FROM (
            SELECT agent_id FROM invocations WHERE id >= {id_ago("7200")} ORDER BY id DESC LIMIT {MOST_COUNTED}
        ) newest GROUP BY agent_id
    ) recent JOIN agents a ON a.id = recent.agent_id
    WHERE a.deleted_at IS NULL AND recent.made >= a.max_invocations_per_hour
    UNION
    SELECT (SELECT a.id FROM agents a WHERE a.tenant_id = n.id AND a.deleted_at IS NULL LIMIT 1) FROM tenants n
    WHERE coalesce(n.max_tokens_per_day, n.max_invocations_per_hour) IS NOT NULL
    UNION
    SELECT id FROM agents WHERE deleted_at IS NULL AND 0 IN (max_tokens_per_day, max_invocations_per_hour)
""")  # noqa: S608  # expressions of ours
"""Any agent of a tenant is enough to read the tenant's account."""
NAMES = text("""
    SELECT id, tenant_id, id AS agent_id, name FROM agents WHERE id = ANY(CAST(:ids AS uuid[]))
    UNION ALL SELECT id, id, NULL, name FROM tenants WHERE id = ANY(CAST(:ids AS uuid[]))
""")
HELD = text("""
    SELECT owner.id, coalesce(sum(i.firing_count), 0)::bigint AS firings
    FROM unnest(CAST(:ids AS uuid[])) AS owner(id)
        JOIN invocations i ON (i.agent_id = owner.id OR i.tenant_id = owner.id)
            AND i.state = 'collecting' AND i.held_reason = 'budget'
    GROUP BY owner.id
""")

OVERDUE = """
    SELECT i.tenant_id, i.agent_id, i.agent_id AS subject_id, a.name AS subject_name,
        extract(epoch FROM clock_timestamp() - min(i.due_at))::float8 AS seconds
    FROM invocations i JOIN agents a ON a.id = i.agent_id
    WHERE i.state IN ('collecting', 'retrying') AND i.due_at < clock_timestamp() - interval '1 minute'
    GROUP BY i.tenant_id, i.agent_id, a.name
"""


def spent(conn: Connection) -> Sequence[Finding]:
    """Finds agents and tenants one of whose budgets is at 100 %."""
    accounts = read_accounts(conn, [each for each in conn.scalars(MAYBE_SPENT) if each is not None])
    found = {} if accounts is None else _worst(accounts)
    if not found:
        return []
    ids = {"ids": list(found)}
    held = {row.id: row.firings for row in conn.execute(HELD, ids)}
    return [
        Finding(
            row.tenant_id,
            row.agent_id,
            row.id,
            row.name,
            count=held.get(row.id, 0),
            note=_note(found[row.id]),
            subject_kind=found[row.id].owner.value,
        )
        for row in conn.execute(NAMES, ids)
    ]


def _worst(accounts: Accounts) -> dict[UUID, Spending]:
    """Returns by owner the spent budget that frees last."""
    spent_ones = (each for spendings in accounts.spendings.values() for each in spendings if each.is_spent)
    return {each.owner_id: each for each in sorted(spent_ones, key=_frees_at)}


def _frees_at(each: Spending) -> float:
    return each.frees_at.timestamp()


def _note(each: Spending) -> str:
    whose = "Its" if each.owner is Owner.AGENT else "The tenant's"
    what = each.budget.value.replace("_", " ")
    until = f"{each.frees_at:%Y-%m-%d %H:%M} UTC"
    return f"{whose} {what} are spent: {each.used:,} of {each.limit:,}, until {until}."


def _waiting(count: int) -> str:
    return f" {many(count, 'firing')} {'waits' if count == 1 else 'wait'}." if count else ""


AGENT_RULES = (
    Rule(
        "agent_asleep",
        "agent",
        by_query(ASLEEP),
        lambda each: (
            f"It has not been woken in the last {spell_duration(each.seconds)}; "
            f"expected within {spell_duration(each.limit)}."
        ),
        "Check its triggers: are they enabled, and do they fire?",
        patience=CATCH_UP_SECONDS,
    ),
    Rule(
        "invocations_failed",
        "agent",
        by_query(DEAD),
        lambda each: (
            f"{many(each.count, 'invocation')} failed permanently within a day "
            f"and {'was' if each.count == 1 else 'were'} not replayed. The last: {each.note or 'no reason was given'}"
        ),
        "Open Failed and fix the cause; then replay what failed, or leave it.",
    ),
    Rule(
        "budget_spent",
        "agent",
        spent,
        lambda each: f"{each.note}{_waiting(each.count)}",
        "Wait until the budget is renewed, or raise it.",
    ),
    Rule(
        "window_overdue",
        "agent",
        by_query(OVERDUE),
        lambda each: (
            f"Its firings should have been delivered {spell_duration(each.seconds)} ago and are still waiting."
        ),
        "Check the worker: is it running, and is it overloaded? See `reveille doctor`.",
        patience=CATCH_UP_SECONDS,
    ),
)
