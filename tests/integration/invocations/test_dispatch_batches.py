"""Jobs of many invocations: claimed and ended together, each still atomic, and none waits for another."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from loguru import logger
from sqlalchemy import text

from scheduler.domain.run import Failed, Outcome, Replied, RunRequest
from scheduler.invocations.ends import finish_all
from scheduler.invocations.run import claim_all
from scheduler.queue.tasks import Capacity, RunsJob
from scheduler.storage.engine import Database
from tests.support.database import change, rows, until_blocked
from tests.support.dispatching import Scripted, make_dispatcher, reply
from tests.support.invocations import (
    audited,
    close,
    fire,
    make_agent_with_trigger,
    queued_jobs,
    row_of,
    start,
    window_of,
)


def ready_many(db: Database, count: int) -> list[UUID]:
    """Creates ready invocations, each of a separate agent."""
    for number in range(count):
        fire(db, make_agent_with_trigger(db, f"agent {number}"))
    return close(db).ready


def states(db: Database) -> list[str]:
    return [row.state for row in rows(db, "SELECT state FROM invocations ORDER BY state, id")]


def count(db: Database, table: str, where: str = "true") -> int:
    [row] = rows(db, f"SELECT count(*) AS n FROM {table} WHERE {where}")  # noqa: S608  # a test's own words
    return int(row.n)


def test_a_job_carries_many_and_each_ends_as_one_alone_would(db: Database) -> None:
    ids = ready_many(db, 60)
    assert sorted(len(args["runs"]) for _, args in queued_jobs(db)) == [10, 50]

    async def run() -> None:
        dispatcher = make_dispatcher(db, Scripted(reply))
        await asyncio.gather(
            *(
                dispatcher.run([(UUID(each), attempt) for each, attempt in args["runs"]])
                for _, args in queued_jobs(db)
            )
        )
        dispatcher.close()

    asyncio.run(run())
    assert states(db) == ["succeeded"] * 60
    assert count(db, "firings", "state = 'delivered'") == 60
    assert count(db, "notifications") == 60
    assert count(db, "sessions", "is_reflection") == 60
    assert count(db, "messages", "text = 'done' AND from_type = 'agent'") == 60
    assert count(db, "messages", "from_type = 'system'") == 60
    assert count(db, "agent_usage", "invocations = 1") == 60
    assert audited(db, ids[0]) == ["invocation.succeeded"]
    row = row_of(db, ids[0])
    assert (row.reply, row.attempt, row.worker, len(row.tries)) == ("done", 1, "test:1", 1)
    assert row.context


def test_windows_are_freed_in_the_order_of_their_agents_whatever_the_ends(db: Database) -> None:
    """Else it could deadlock with intake, which locks several windows in that order too."""
    agents = sorted((make_agent_with_trigger(db, name) for name in ("ada", "bob")), key=lambda each: each.agent_id)
    runs = []
    for each in agents:
        fire(db, each)
        runs.append(start(db, close(db).ready[0]))
        fire(db, each)
    close(db)
    windows = [window_of(db, each) for each in agents]
    assert [each.held_reason for each in windows] == ["busy", "busy"]
    first, second = (each.id for each in windows)
    lock = text("SELECT id FROM invocations WHERE id = :id FOR UPDATE NOWAIT")
    ends: list[tuple[UUID, int, Outcome]] = [
        (runs[1].id, 1, Replied("done")),
        (runs[0].id, 1, Failed("never", permanent=True)),
    ]

    def finish() -> list[bool]:
        with db.begin() as conn:
            return finish_all(conn, ends)

    with ThreadPoolExecutor(1) as threads:
        with db.begin() as conn:
            conn.execute(lock, {"id": first})
            ending = threads.submit(finish)
            until_blocked(db)
            conn.execute(lock, {"id": second})  # not held yet
        assert ending.result() == [True, True]
    assert len(close(db).ready) == 2


def test_runs_without_a_place_are_queued_again_and_the_job_keeps_the_others(db: Database) -> None:
    ids = ready_many(db, 8)
    [job] = rows(db, "UPDATE procrastinate_jobs SET status = 'doing' RETURNING id")
    let_go = asyncio.Event()

    async def wait(_: RunRequest) -> Outcome:
        await let_go.wait()
        return Replied("done")

    async def run() -> None:
        runtime = Scripted(wait)
        dispatcher = make_dispatcher(db, runtime, places=3)
        running = asyncio.ensure_future(dispatcher.run([(each, 1) for each in ids], RunsJob(job.id)))
        async with asyncio.timeout(20):
            while len(runtime.requests) < 3:
                await asyncio.sleep(0.01)
        assert await dispatcher.room() is Capacity.NONE
        assert states(db) == ["ready"] * 5 + ["running"] * 3
        assert [(status, len(args["runs"])) for status, args in queued_jobs(db)] == [("doing", 3), ("todo", 5)]
        let_go.set()
        async with asyncio.timeout(20):
            await running
        assert await dispatcher.room() is Capacity.ANY
        dispatcher.close()

    asyncio.run(run())
    assert states(db) == ["ready"] * 5 + ["succeeded"] * 3


def test_a_slow_run_delays_no_other_of_its_job(db: Database) -> None:
    ids = ready_many(db, 5)

    async def slow(request: RunRequest) -> Outcome:
        if request.invocation_id == ids[2]:
            await asyncio.Event().wait()
        return Replied("done")

    async def run() -> None:
        dispatcher = make_dispatcher(db, Scripted(slow))
        running = asyncio.ensure_future(dispatcher.run([(each, 1) for each in ids]))
        async with asyncio.timeout(20):
            while await asyncio.to_thread(count, db, "invocations", "state = 'succeeded'") < 4:
                await asyncio.sleep(0.01)
        assert row_of(db, ids[2]).state == "running"
        running.cancel()
        await asyncio.wait([running])
        dispatcher.close()

    asyncio.run(run())
    assert row_of(db, ids[2]).tries[0]["outcome"] == "handed_back"


def test_an_end_that_cannot_be_written_is_found_by_halving(db: Database) -> None:
    ids = ready_many(db, 9)
    bad = ids[4]
    in_the_way = """
        INSERT INTO notifications (id, tenant_id, agent_id, invocation_id, summary, triggers, session_ids)
        SELECT id, tenant_id, agent_id, id, 'in the way', '{}', '{}' FROM invocations WHERE id = :id
    """
    with db.begin() as conn:
        conn.execute(text(in_the_way), {"id": bad})
    told: list[str] = []
    sink = logger.add(lambda message: told.append(str(message)), level="ERROR")

    async def run() -> None:
        dispatcher = make_dispatcher(db, Scripted(reply))
        await dispatcher.run([(each, 1) for each in ids])
        dispatcher.close()

    asyncio.run(run())
    logger.remove(sink)
    assert states(db) == ["running"] + ["succeeded"] * 8
    assert row_of(db, bad).state == "running"
    assert count(db, "notifications") == 9
    assert count(db, "sessions", f"invocation_id = '{bad}'") == 0, "all or nothing"
    assert any("could not be written" in line for line in told)


def test_a_run_that_cannot_be_prepared_fails_alone(db: Database) -> None:
    ids = ready_many(db, 4)
    change(db, "UPDATE agents SET runtime_secret = 'not sealed by this key' WHERE name = 'agent 1'")
    change(db, "UPDATE agents SET deleted_at = now() WHERE name = 'agent 2'")

    async def run() -> None:
        dispatcher = make_dispatcher(db, Scripted(reply))
        await dispatcher.run([(each, 1) for each in ids])
        dispatcher.close()

    asyncio.run(run())
    found = {
        row.name: row for row in rows(db, "SELECT i.*, a.name FROM invocations i JOIN agents a ON a.id = agent_id")
    }
    assert [found[f"agent {number}"].state for number in range(4)][1:3] != ["succeeded", "succeeded"]
    assert found["agent 0"].state == found["agent 3"].state == "succeeded"
    assert found["agent 1"].tries[0]["outcome"] == "failed"
    assert (found["agent 2"].state, found["agent 2"].reason) == ("skipped", "agent_deleted")


@pytest.mark.parametrize("ours", [1, 2])
def test_of_a_job_only_what_is_still_ready_for_its_attempt_is_run(db: Database, ours: int) -> None:
    ids = ready_many(db, 3)
    with db.begin() as conn:
        assert claim_all(conn, [(ids[0], 1)], "other:1")

    async def run() -> Scripted:
        runtime = Scripted(reply)
        dispatcher = make_dispatcher(db, runtime)
        await dispatcher.run([(ids[0], 1), (ids[1], 1), (ids[2], ours)])
        dispatcher.close()
        return runtime

    called = {request.invocation_id for request in asyncio.run(run()).requests}
    assert called == ({ids[1], ids[2]} if ours == 1 else {ids[1]})
    assert (row_of(db, ids[0]).state, row_of(db, ids[0]).worker) == ("running", "other:1")


def test_the_place_of_a_run_is_free_while_its_end_is_written(db: Database) -> None:
    first, second = ready_many(db, 2)
    lock = db.engine.connect()

    async def behave(request: RunRequest) -> Outcome:
        if request.invocation_id == first:  # so that its end has to wait
            lock.execute(text("SELECT FROM invocations WHERE id = :id FOR UPDATE"), {"id": first})
        else:
            lock.rollback()
        return Replied("done")

    async def run() -> None:
        dispatcher = make_dispatcher(db, Scripted(behave), places=1)
        async with asyncio.timeout(60):
            running = asyncio.ensure_future(dispatcher.run([(first, 1)]))
            while not lock.in_transaction() or not dispatcher._places.free:
                await asyncio.sleep(0.01)
            await dispatcher.run([(second, 1)])
            await running
        dispatcher.close()

    asyncio.run(run())
    lock.close()
    assert states(db) == ["succeeded"] * 2
