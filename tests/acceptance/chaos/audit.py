"""Checks the promise using only the tables and what the agents recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.acceptance.agent_server import AgentServer, Run

BROKEN_RANGES = """
    WITH ranges AS (
        SELECT trigger_id, first_scheduled_for AS first, scheduled_for AS last, slot_count,
            lag(scheduled_for) OVER (PARTITION BY trigger_id ORDER BY scheduled_for) AS before
        FROM firings WHERE trigger_type = 'interval'
    )
    SELECT r.*, t.anchor_at FROM ranges r JOIN triggers t ON t.id = r.trigger_id
    WHERE first <> coalesce(before, t.anchor_at) + interval '1 second'
        OR extract(epoch FROM last - first) + 1 <> slot_count
"""
OPEN = """
    SELECT id FROM invocations WHERE state IN ('collecting', 'ready', 'running', 'awaiting', 'retrying') LIMIT 1
"""
JOBS = "SELECT id FROM procrastinate_jobs WHERE task_name LIKE '%run%'"
QUARANTINED = "SELECT action, detail FROM audit_events WHERE action LIKE '%.quarantined'"
UNFINISHED = "SELECT state, count(*) AS count FROM invocations WHERE state <> 'succeeded' GROUP BY state"
COUNTS = {
    "undelivered": "SELECT count(*) FROM firings WHERE state <> 'delivered'",
    "drift": "SELECT count(*) FROM audit_events WHERE action = 'trigger.repaired'",
    "left_jobs": f"SELECT count(*) FROM ({JOBS}) AS jobs",  # noqa: S608
    "given_twice": """
        SELECT count(*) FROM (SELECT unnest(firing_ids) FROM invocations GROUP BY 1 HAVING count(*) > 1) AS twice
    """,
}
"""Each of these must be 0."""
TOTALS = """
    SELECT count(*) AS firings, count(DISTINCT invocation_id) AS invocations,
        coalesce(sum(slot_count - 1), 0) AS late,
        coalesce(sum(slot_count) FILTER (WHERE trigger_type = 'interval'), 0) AS slots FROM firings
"""


@dataclass
class Report:
    """What was done and what was found; `failures` is empty if the promise was kept."""

    seed: int
    faults: list[str] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    firings: int = 0
    slots: int = 0
    invocations: int = 0
    late_slots: int = 0
    calls: int = 0
    refused: int = 0
    """The number of webhook deliveries that got 503 and were sent again."""
    found: dict[str, object] = field(default_factory=dict)

    def failures(self) -> dict[str, object]:
        """Returns the broken promises."""
        return {name: value for name, value in self.found.items() if value}

    def lines(self) -> list[str]:
        """Returns the report for people."""
        counts = ", ".join(f"{number} × {name}" for name, number in sorted(Counter(self.faults).items()))
        return [
            f"{len(self.faults)} faults: {counts}",
            f"{self.slots} slots in {self.firings} firings, {self.late_slots} in a later one",
            f"{len(self.accepted)} webhooks accepted, {self.refused} refused before",
            f"{self.invocations} invocations by {self.calls} calls",
            f"failures: {self.failures() or 'none'}",
        ]


def examine(url: str, agents: AgentServer, report: Report) -> None:
    """Adds the findings from the tables and the agents."""
    keys = query(url, "SELECT occurrence_key AS key FROM firings WHERE trigger_type = 'webhook'")
    webhooks = [str(row["key"]).rpartition(":")[2] for row in keys]
    done = query(url, "SELECT id::text, firing_ids::text[] AS ids FROM invocations WHERE state = 'succeeded'")
    report.found = {
        "broken_ranges": query(url, BROKEN_RANGES)[:5],
        "lost_webhooks": report.accepted - set(webhooks),
        "doubled_webhooks": sorted(key for key, count in Counter(webhooks).items() if count > 1),
        "unfinished": {str(row["state"]): row["count"] for row in query(url, UNFINISHED)},
        "quarantined": query(url, QUARANTINED)[:5],
        "overlaps": len(agents.overlaps()),
        "stale_calls": stale_calls(agents.runs),
        "not_called": not_called({row["id"]: row["ids"] for row in done}, agents.runs),
        **{name: query(url, each)[0]["count"] for name, each in COUNTS.items()},
    }
    totals = query(url, TOTALS)[0]
    report.firings, report.slots = int(totals["firings"]), int(totals["slots"])
    report.invocations, report.late_slots = int(totals["invocations"]), int(totals["late"])
    report.calls = len(agents.runs)


def stale_calls(runs: Sequence[Run]) -> list[str]:
    """Returns calls of an attempt that was made twice, or after a later attempt of its invocation had begun."""
    newest: dict[str, Run] = {}
    stale = []
    for run in sorted(runs, key=lambda each: each.started):
        before = newest.setdefault(run.invocation_id, run)
        if before is not run and run.attempt <= before.attempt:
            later = run.started - before.started
            stale.append(f"{run.invocation_id} attempt {run.attempt}, {later:.1f} s after {before.attempt}")
        elif run.attempt > before.attempt:
            newest[run.invocation_id] = run
    return stale


def not_called(done: Mapping[str, Sequence[str]], runs: Sequence[Run]) -> list[str]:
    """Returns invocations that succeeded although no agent was called with exactly their firings."""
    seen = {run.invocation_id: sorted(run.firing_ids) for run in runs}
    return [each for each, firing_ids in done.items() if seen.get(each) != sorted(firing_ids)]


def query(url: str, statement: str) -> list[dict[str, Any]]:
    """Returns rows as dicts."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        return list(conn.execute(statement.encode()))


def execute(url: str, statement: str) -> None:
    """Runs one statement and commits it."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(statement.encode())
