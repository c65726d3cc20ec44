"""Tells small jobs, those of tenants with few, from large ones, and fetches only the one or the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from procrastinate import PsycopgConnector
from procrastinate.jobs import Job

from scheduler.domain.roles import Jobs
from scheduler.queue.tasks import Capacity
from scheduler.storage.tenants import CANARY_TENANT

# Small is only a new job: one that was put back has waited for a place in vain.
IS_SMALL: Final = """(
    priority >= %(lowest)s AND scheduled_at IS NULL AND COALESCE(jsonb_array_length(args->'runs'), 1) <= %(most)s
)"""
IS_DUE: Final = "(scheduled_at IS NULL OR scheduled_at <= now())"
# The canary's tenant, which every installation has, is nobody's neighbour.
HAS_NO_NEIGHBOURS: Final = f"""(
    SELECT count(*) < 2 FROM (SELECT FROM tenants WHERE id <> '{CANARY_TENANT}' LIMIT 2) AS first_two
)"""  # noqa: S608  # an id of ours
FETCH: Final = """
    UPDATE procrastinate_jobs SET status = 'doing', worker_id = %(worker_id)s
    WHERE id = (
        SELECT id FROM procrastinate_jobs
        WHERE status = 'todo' AND queue_name = ANY(%(queues)s::varchar[]) AND {wanted}
        ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
"""
FETCHES: Final = {
    (Jobs.ANY, Capacity.SMALL): FETCH.format(wanted=IS_SMALL),
    (Jobs.SMALL, Capacity.SMALL): FETCH.format(wanted=IS_SMALL),
    # A tenant that is alone disturbs nobody: both processes share its large jobs.
    (Jobs.SMALL, Capacity.ANY): FETCH.format(wanted=f"{IS_DUE} AND ({IS_SMALL} OR {HAS_NO_NEIGHBOURS})"),
    (Jobs.LARGE, Capacity.ANY): FETCH.format(wanted=f"{IS_DUE} AND NOT {IS_SMALL}"),
}
"""What a process that takes some jobs fetches, with so much room."""
RUNS_OF_A_SMALL_JOB = 20
LOWEST_PRIORITY = -1
"""That of a tenant with fewer than 100 others ready or running. Beside a flood a run counts until its end is written,
which may take seconds on a busy machine: without that room, twenty wakes a second would soon not be few.
"""


def is_small(priority: int, runs: int) -> bool:
    """Whether a job of so many runs is small: its tenant has few others that wait."""
    return priority >= LOWEST_PRIORITY and runs <= RUNS_OF_A_SMALL_JOB


async def fetch_some(
    jobs: Jobs, room: Capacity, connector: PsycopgConnector, queues: Iterable[str], worker_id: int
) -> Job | None:
    """Takes the next job of the queues that a process which takes `jobs` has room for, as Procrastinate's own fetch
    would take any; None if there is none.
    """
    query = FETCHES.get((jobs, room))
    if query is None:
        return None
    rows = await connector.execute_query_all_async(
        query, queues=list(queues), worker_id=worker_id, lowest=LOWEST_PRIORITY, most=RUNS_OF_A_SMALL_JOB
    )
    return Job.from_row(rows[0]) if rows else None
