"""The rules about single triggers: silent, unsigned, failing, quarantined, and out of step with their jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from scheduler.alerts.findings import CATCH_UP_SECONDS, Finding, Rule, by_query, id_ago, seconds_ago
from scheduler.domain.local_time import spell_duration
from scheduler.storage.drift import find_drift

MOST_DRIFT = 100
"""The most triggers that get an alert for drift; more would add nothing."""
HELD_FOR = 7 * 86_400
"""How many seconds a firing may wait for its invocation and still be found as a success."""

# Only a success waits for pauses to end: firings are recorded during any pause.
SILENT = f"""
    SELECT t.tenant_id, t.agent_id, t.id AS subject_id, a.name || '/' || t.name AS subject_name,
        extract(epoch FROM clock_timestamp() - since.time)::float8 AS seconds, t.expect_within AS limit,
        CASE t.expect WHEN 'success' THEN 'succeeded' ELSE 'fired' END AS note
    FROM triggers t JOIN agents a ON a.id = t.agent_id JOIN tenants n ON n.id = t.tenant_id
        CROSS JOIN service_pause s
    CROSS JOIN LATERAL (SELECT CASE t.expect
        WHEN 'success' THEN greatest(coalesce(t.expected_since, t.updated_at), a.expected_since, n.resumed_at,
            s.resumed_at, (
                SELECT i.finished_at FROM firings f JOIN invocations i ON i.id = f.invocation_id
                WHERE f.trigger_id = t.id AND f.id >= {id_ago(f"t.expect_within + {HELD_FOR}")}
                    AND i.state = 'succeeded' ORDER BY f.id DESC LIMIT 1))
        ELSE greatest(coalesce(t.expected_since, t.updated_at), t.last_fired_at) END AS time) AS since
    WHERE t.expect_within IS NOT NULL AND t.is_enabled AND t.deleted_at IS NULL
        AND since.time < {seconds_ago("t.expect_within")}
        AND NOT (t.expect = 'success' AND (a.is_paused OR n.is_paused OR s.is_paused))
"""  # noqa: S608  # expressions of ours

# One valid signature in an hour shows that the secret is right; the invalid ones are then a stranger's.
UNSIGNED = f"""
    SELECT t.tenant_id, t.agent_id, t.id AS subject_id, a.name || '/' || t.name AS subject_name,
        wrong.count, wrong.since
    FROM (
        SELECT DISTINCT trigger_id FROM webhook_deliveries
        WHERE verdict = 'bad_signature' AND id >= {id_ago("86400")}
    ) unsigned
    JOIN triggers t ON t.id = unsigned.trigger_id AND t.deleted_at IS NULL AND t.is_enabled
    JOIN agents a ON a.id = t.agent_id
    CROSS JOIN LATERAL (
        SELECT coalesce((
            SELECT d.received_at FROM webhook_deliveries d
            WHERE d.trigger_id = t.id AND d.verdict <> 'bad_signature' AND d.received_at > {seconds_ago("86400")}
            ORDER BY d.received_at DESC LIMIT 1), {seconds_ago("86400")}) AS at
    ) good
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(d.received_at) AS since FROM webhook_deliveries d
        WHERE d.trigger_id = t.id AND d.verdict = 'bad_signature' AND d.received_at > good.at
    ) wrong
    WHERE wrong.count >= 3 AND good.at < {seconds_ago("3600")}
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


def drifted(conn: Connection) -> Sequence[Finding]:
    """Finds triggers that disagree with their jobs."""
    found = find_drift(conn, MOST_DRIFT)
    return [Finding(each.tenant_id, each.agent_id, each.trigger_id, each.name, note=each.why) for each in found]


def _from(since: datetime | None) -> str:
    return "" if since is None else f" since {since:%Y-%m-%d %H:%M} UTC"


TRIGGER_RULES = (
    Rule(
        "trigger_silent",
        "trigger",
        by_query(SILENT),
        lambda each: (
            f"It has not {each.note} in the last {spell_duration(each.seconds)}; "
            f"expected within {spell_duration(each.limit)}."
        ),
        "Check the trigger's history: is its source, its agent or its schedule at fault?",
        patience=CATCH_UP_SECONDS,
    ),
    Rule(
        "signatures_fail",
        "trigger",
        by_query(UNSIGNED),
        lambda each: f"All {each.count} deliveries{_from(each.since)} had a wrong signature.",
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
        "schedule_drift",
        "trigger",
        drifted,
        lambda each: f"It disagrees with its scheduled job: {each.note}.",
        "It is repaired within five minutes. If it happens again, something else writes to this database.",
        is_seldom=True,
    ),
)
