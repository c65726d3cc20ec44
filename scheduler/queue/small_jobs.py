"""Fetches the small jobs of tenants with few, when a worker has no room for others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from procrastinate import PsycopgConnector
from procrastinate.jobs import Job

# Only new jobs: one that was put back has waited for a place in vain.
FETCH: Final = """
    UPDATE procrastinate_jobs SET status = 'doing', worker_id = %(worker_id)s
    WHERE id = (
        SELECT id FROM procrastinate_jobs
        WHERE status = 'todo' AND priority >= %(lowest)s AND queue_name = ANY(%(queues)s::varchar[])
            AND scheduled_at IS NULL AND jsonb_array_length(args->'runs') <= %(most)s
        ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
"""
RUNS_OF_A_SMALL_JOB = 20
LOWEST_PRIORITY = -1
"""That of a tenant with fewer than 100 others ready or running. Beside a flood a run counts until its end is written,
which may take seconds on a busy machine: without that room, twenty wakes a second would soon not be few.
"""


def is_small(priority: int, runs: int) -> bool:
    """Whether a job of so many runs is small: its tenant has few others that wait."""
    return priority >= LOWEST_PRIORITY and runs <= RUNS_OF_A_SMALL_JOB


async def fetch_small_job(connector: PsycopgConnector, queues: Iterable[str] | None, worker_id: int) -> Job | None:
    """Takes the next small job of the queues, as Procrastinate's own fetch would; None if there is none."""
    rows = await connector.execute_query_all_async(
        FETCH, queues=list(queues or ()), worker_id=worker_id, lowest=LOWEST_PRIORITY, most=RUNS_OF_A_SMALL_JOB
    )
    return Job.from_row(rows[0]) if rows else None
