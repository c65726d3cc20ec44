"""A worker without room for large jobs still takes the small ones of tenants with few."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Event
from uuid import UUID

import pytest
from procrastinate.jobs import Job, Status
from sqlalchemy import Connection, text

from scheduler.domain.clock import SystemClock
from scheduler.domain.roles import Jobs
from scheduler.invocations.lanes import Lanes
from scheduler.manage.canary import MAKE_TENANT, TENANT_NAME
from scheduler.queue.pulse import WorkerHeartbeat
from scheduler.queue.small_jobs import LOWEST_PRIORITY, RUNS_OF_A_SMALL_JOB, is_small
from scheduler.queue.tasks import QUEUE, Capacity, Run, RunsJob, defer_rest
from scheduler.queue.worker import make_worker_app
from scheduler.storage.engine import Database
from scheduler.storage.tenants import CANARY_TENANT
from tests.support.database import rows
from tests.support.factories import make_tenant

PATIENCE = 60.0

ONE, ANOTHER = UUID(int=1), UUID(int=2)
large_jobs = pytest.mark.parametrize(
    ("count", "priority", "delay"),
    [(RUNS_OF_A_SMALL_JOB + 1, 0, 0), (1, LOWEST_PRIORITY - 1, 0), (1, 0, 0.000001)],
)


async def nothing(_: Sequence[Run], __: RunsJob) -> None:
    return None


def fetch(db: Database, rooms: Sequence[Capacity], jobs: Jobs = Jobs.ANY) -> tuple[Job | None, int]:
    """Fetches with `rooms` as the answers to what there is room for; returns the job, and how many were left."""
    left = list(rooms)

    async def room() -> Capacity:
        return left.pop(0)

    async def run() -> Job | None:
        url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        app = make_worker_app(url, url, nothing, WorkerHeartbeat(SystemClock()), 5.0, room, lambda: None, jobs)
        async with app.open_async():
            worker_id = await app.job_manager.register_worker()
            try:
                return await app.job_manager.fetch_job([QUEUE], worker_id)
            finally:
                await app.job_manager.unregister_worker(worker_id)

    return asyncio.run(run()), len(left)


def defer(db: Database, invocation_id: UUID, count: int, priority: int, delay: float = 0.0) -> None:
    with db.begin() as conn:
        defer_rest(conn, [(invocation_id, 1)] * count, priority, 0, delay)


def test_ends_of_several_jobs_leave_a_connection_for_a_fetch(db: Database) -> None:
    for each in (ONE, ANOTHER):
        defer(db, each, 50, -1)
    url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def room() -> Capacity:
        return Capacity.ANY

    async def run() -> Job | None:
        app = make_worker_app(url, url, nothing, WorkerHeartbeat(SystemClock()), 5.0, room, lambda: None)
        async with app.open_async():
            worker_id = await app.job_manager.register_worker()
            done = [await app.job_manager.fetch_job([QUEUE], worker_id) for _ in range(2)]
            with db.begin() as conn:
                conn.execute(text("SELECT FROM procrastinate_jobs FOR UPDATE"))
                ends = [
                    asyncio.ensure_future(app.job_manager.finish_job(each, Status.SUCCEEDED, delete_job=True))
                    for each in done
                    if each is not None
                ]
                await asyncio.sleep(0)
                defer(db, ONE, 1, 0)
                next_job = await app.job_manager.fetch_job([QUEUE], worker_id)
                assert not any(each.done() for each in ends)
            await asyncio.gather(*ends)
            await app.job_manager.unregister_worker(worker_id)
            return next_job

    assert first_run(asyncio.run(run())) == ONE
    assert [row.status for row in rows(db, "SELECT status FROM procrastinate_jobs")] == ["doing"]


def first_run(job: Job | None) -> UUID | None:
    if job is None:
        return None
    runs = job.task_kwargs["runs"]
    assert isinstance(runs, list)
    assert isinstance(runs[0], list)
    return UUID(str(runs[0][0]))


def test_only_a_small_job_is_fetched_without_room_for_others(db: Database) -> None:
    defer(db, ONE, 50, 0)
    defer(db, ANOTHER, 1, 0)
    job, _ = fetch(db, [Capacity.SMALL])
    assert first_run(job) == ANOTHER
    [doing] = rows(db, "SELECT status, args FROM procrastinate_jobs WHERE status <> 'todo'")
    assert (doing.status, len(doing.args["runs"])) == ("doing", 1)


@large_jobs
def test_jobs_of_tenants_with_many_and_those_that_were_put_back_wait_for_room(
    db: Database, count: int, priority: int, delay: float
) -> None:
    defer(db, ONE, count, priority, delay)
    assert fetch(db, [Capacity.SMALL, Capacity.NONE]) == (None, 0)
    job, _ = fetch(db, [Capacity.SMALL, Capacity.ANY])
    assert first_run(job) == ONE, "it asks again for room, as there is none that is small"


@large_jobs
def test_a_process_takes_the_small_or_the_large_jobs(
    db: Database, count: int, priority: int, delay: float
) -> None:
    make_tenant(db, "neighbour")
    defer(db, ONE, count, priority, delay)
    defer(db, ANOTHER, 1, LOWEST_PRIORITY)
    for jobs, theirs in ((Jobs.SMALL, ANOTHER), (Jobs.LARGE, ONE)):
        assert first_run(fetch(db, [Capacity.ANY], jobs)[0]) == theirs
        assert fetch(db, [Capacity.ANY], jobs) == (None, 0)


def test_a_tenant_without_neighbours_has_its_large_jobs_run_by_both(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(MAKE_TENANT, {"id": CANARY_TENANT, "name": TENANT_NAME})
    defer(db, ONE, 50, 0)
    defer(db, ONE, 50, LOWEST_PRIORITY)
    defer(db, ANOTHER, 1, LOWEST_PRIORITY)
    assert fetch(db, [Capacity.SMALL, Capacity.NONE], Jobs.LARGE) == (None, 0)
    fetched = [fetch(db, [Capacity.ANY], jobs)[0] for jobs in (Jobs.LARGE, Jobs.SMALL, Jobs.SMALL)]
    assert [first_run(each) for each in fetched] == [ONE, ONE, ANOTHER]


def test_a_job_of_an_earlier_version_is_small(db: Database) -> None:
    make_tenant(db, "neighbour")
    defer(db, ONE, 1, 0)
    with db.begin() as conn:
        args = f'{{"invocation_id": "{ONE}", "attempt": 1}}'
        conn.execute(text("UPDATE procrastinate_jobs SET args = CAST(:args AS jsonb)"), {"args": args})
    assert fetch(db, [Capacity.ANY], Jobs.LARGE) == (None, 0)
    job, _ = fetch(db, [Capacity.ANY], Jobs.SMALL)
    assert job is not None
    assert job.task_kwargs["invocation_id"] == str(ONE)


def test_nothing_is_fetched_without_room(db: Database) -> None:
    defer(db, ONE, 1, 0)
    assert fetch(db, [Capacity.NONE]) == (None, 0)


def test_a_job_of_one_run_of_a_tenant_with_few_is_small() -> None:
    assert is_small(0, 1)
    assert is_small(LOWEST_PRIORITY, 1)
    assert not is_small(LOWEST_PRIORITY - 1, 1)
    assert not is_small(0, RUNS_OF_A_SMALL_JOB + 1)


def test_a_claim_of_few_waits_for_no_large_work_and_no_end(db: Database) -> None:
    own = Database(db.engine.url.render_as_string(hide_password=False), pool_size=3)
    others_may_end, few_may_end = Event(), Event()

    def until(event: Event) -> Callable[[Connection], bool]:
        return lambda _: event.wait(PATIENCE)

    async def run() -> list[bool]:
        others = [asyncio.ensure_future(lanes.transact(runs, until(others_may_end))) for runs in (50, 50, 1)]
        few = asyncio.ensure_future(lanes.claim_few(until(few_may_end)))
        await asyncio.sleep(0)
        next_few = asyncio.ensure_future(lanes.claim_few(lambda _: True))
        await asyncio.sleep(0)
        few_may_end.set()
        async with asyncio.timeout(PATIENCE / 2):
            assert await next_few
        others_go_on = [not each.done() for each in others]
        others_may_end.set()
        assert all(await asyncio.gather(*others, few))
        return others_go_on

    lanes = Lanes(own, 3)
    try:
        assert asyncio.run(run()) == [True, True, True]
    finally:
        others_may_end.set()
        lanes.close()
        own.dispose()
