"""Nobody takes everything: neither a tenant with thousands of invocations nor a host whose agents do not answer."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.ids import new_id
from scheduler.domain.run import Outcome, Replied, RunRequest
from scheduler.invocations.concurrency import BETWEEN_RETURNS, LONGEST_WAIT, Candidate, ReturnTimes, RunSlots
from scheduler.queue.tasks import Capacity, RunsJob
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.dispatching import Scripted, hang, make_dispatcher, reply
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import close, fire, make_agent_with_trigger

NEIGHBOUR = UUID(int=7)


def candidate(host: str = "", tenant_id: UUID = DEFAULT_TENANT, *, beside_others: bool = True) -> Candidate:
    return Candidate(new_id(), tenant_id, f"http://{host}/run" if host else "", None, beside_others)


def take(places: RunSlots, wanted: list[Candidate], **rooms: int) -> int:
    return len(places.take(wanted, {DEFAULT_TENANT: rooms["room"]} if rooms else {}))


def test_a_host_takes_three_times_what_is_free_and_two_leave_a_share_for_others() -> None:
    places = RunSlots(200)
    assert take(places, [candidate("one:80", beside_others=False)] * 300) == 150
    assert take(places, [candidate("two:80", beside_others=False)] * 300) > 30
    assert places.free > 0
    assert take(places, [candidate("three:80", beside_others=False)]) == 1


def test_a_tenant_alone_has_all_places_and_beside_others_a_share() -> None:
    assert take(RunSlots(200), [candidate(beside_others=False)] * 300) == 200
    places = RunSlots(200)
    assert take(places, [candidate()] * 300) == 150
    assert take(places, [candidate(tenant_id=NEIGHBOUR)]) == 1


def test_places_that_are_given_back_count_again() -> None:
    places = RunSlots(8)
    taken = places.take([candidate("one:80")] * 20, {})
    for each in taken:
        places.give_back(each)
    assert places.free == 8
    assert take(places, [candidate("one:80")] * 20) == len(taken) == 6


@pytest.mark.parametrize(("total", "expected"), [(1, 1), (2, 2), (3, 3)])
def test_a_worker_of_few_places_uses_them(total: int, expected: int) -> None:
    assert take(RunSlots(total), [candidate("one:80")] * 20) == expected


def test_a_tenants_own_limit_is_kept() -> None:
    places = RunSlots(200)
    assert take(places, [candidate()] * 10, room=4) == 4
    assert take(places, [candidate()] * 10, room=0) == 0


def test_a_run_is_kept_when_its_host_ends_runs_so_fast_that_it_has_a_place_soon() -> None:
    now = 100.0
    places = RunSlots(200, lambda: now)
    for each in places.take([candidate("one:80")] * 30, {}):
        places.give_back(each)
    assert places.frees_soon([candidate("one:80")] * 12)
    assert not places.frees_soon([candidate("one:80")] * 13)
    assert not places.frees_soon([candidate("two:80")])
    assert not places.frees_soon([Candidate(new_id(), DEFAULT_TENANT, "http://one:80/run", 5, False)])
    now += 2
    assert not places.frees_soon([candidate("one:80")] * 12)


def test_runs_that_ask_for_a_place_leave_no_room_but_for_a_small_job() -> None:
    places = RunSlots(60)
    places.asked = 50
    assert asyncio.run(places.room(50)) is Capacity.ANY
    places.asked = 60
    assert asyncio.run(places.room(50)) is Capacity.NONE
    places.is_announced = True
    assert asyncio.run(places.room(50)) is Capacity.SMALL, "a job that was added meanwhile may be another tenant's"
    assert asyncio.run(places.room(50)) is Capacity.NONE


def test_jobs_that_were_put_back_return_one_after_another() -> None:
    returns = ReturnTimes(lambda: 100.0)
    delays = [returns.delay(0) for _ in range(100)]
    assert delays[0] == pytest.approx(0.05)
    assert delays[-1] == pytest.approx(0.05 + 99 * BETWEEN_RETURNS)
    assert ReturnTimes(lambda: 100.0).delay(20) == pytest.approx(LONGEST_WAIT)


def test_a_job_waits_on_its_worker_for_places_that_are_soon_free(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = partial(RunSlots, now=lambda: 100.0)  # so that the rate does not depend on the machine
    monkeypatch.setattr("scheduler.invocations.dispatch.RunSlots", frozen)
    ids = flood(db, 29)
    [job] = rows(db, "UPDATE procrastinate_jobs SET status = 'doing' RETURNING id")

    async def run() -> None:
        dispatcher = make_dispatcher(db, Scripted(reply), places=8)
        for start in (0, 8):
            await dispatcher.run([(each, 1) for each in ids[start : start + 8]])
        await dispatcher.run([(each, 1) for each in ids[16:]], RunsJob(job.id))
        dispatcher.close()

    asyncio.run(run())
    assert {row.state for row in rows(db, "SELECT state FROM invocations")} == {"succeeded"}
    assert [each.id for each in jobs(db)] == [job.id], "none was put back"


def flood(db: Database, count: int) -> list[UUID]:
    for number in range(count):
        fire(db, make_agent_with_trigger(db, f"agent {number}"))
    return close(db).ready


def jobs(db: Database) -> list[Any]:
    return rows(db, "SELECT * FROM procrastinate_jobs ORDER BY priority DESC, id")


def test_the_job_of_a_tenant_with_few_goes_before_those_of_one_with_many(db: Database) -> None:
    many = flood(db, 120)
    assert [(len(job.args["runs"]), job.priority) for job in jobs(db)] == [(50, 0), (50, -1), (20, -2)]
    woken = make_agent_with_trigger(db, "late")
    fire(db, woken)
    with db.begin() as conn:
        conn.execute(text("INSERT INTO tenants (id, name) VALUES (:id, 'neighbour')"), {"id": NEIGHBOUR})
    change(db, f"UPDATE invocations SET tenant_id = '{NEIGHBOUR}' WHERE state = 'collecting'")  # noqa: S608
    [lone] = close(db).ready
    assert lone not in many
    place = [job.args["runs"][0][0] for job in jobs(db)].index(str(lone))
    assert (place, jobs(db)[place].priority) == (1, 0), "before all but the first of the many"
    fire(db, make_agent_with_trigger(db, "one more of the many"))
    close(db)
    assert jobs(db)[-1].priority == -2


def test_what_a_tenant_may_not_run_yet_waits_and_comes_again(db: Database) -> None:
    ids = flood(db, 5)
    change(db, "UPDATE tenants SET max_concurrent_runs = 2")
    [job] = rows(db, "UPDATE procrastinate_jobs SET status = 'doing' RETURNING id")
    let_go = asyncio.Event()

    async def wait(_: RunRequest) -> Outcome:
        await let_go.wait()
        return Replied("done")

    async def run() -> None:
        runtime = Scripted(wait)
        one, other = make_dispatcher(db, runtime), make_dispatcher(db, runtime, worker="other:1")
        running = asyncio.ensure_future(one.run([(each, 1) for each in ids], RunsJob(job.id, -3)))
        async with asyncio.timeout(20):
            while len(runtime.requests) < 2:
                await asyncio.sleep(0.01)
        [rest] = [each for each in jobs(db) if each.status == "todo"]
        assert (len(rest.args["runs"]), rest.args["waits"], rest.priority) == (3, 1, -3)
        [late] = rows(db, "SELECT scheduled_at > now() AS is_later FROM procrastinate_jobs WHERE status = 'todo'")
        assert late.is_later
        await other.run([(UUID(each), attempt) for each, attempt in rest.args["runs"]])
        assert len(runtime.requests) == 2, "the limit holds over all workers"
        let_go.set()
        async with asyncio.timeout(20):
            await running
            await other.run([(UUID(each), attempt) for each, attempt in rest.args["runs"]])
        assert len(runtime.requests) == 4
        one.close()
        other.close()

    asyncio.run(run())


def test_agents_of_a_host_that_do_not_answer_leave_places_for_others(db: Database) -> None:
    ids = flood(db, 12)
    change(db, """UPDATE agents SET runtime = '{"name": "echo", "url": "http://slow.example/run"}'""")
    lone = make_agent_with_trigger(db, "lone")
    fire(db, lone)
    [other] = close(db).ready

    async def answer(request: RunRequest) -> Outcome:
        return await (reply(request) if request.invocation_id == other else hang(request))

    async def run() -> None:
        runtime = Scripted(answer)
        dispatcher = make_dispatcher(db, runtime, places=12)
        slow = asyncio.ensure_future(dispatcher.run([(each, 1) for each in ids]))
        async with asyncio.timeout(20):
            while len(runtime.requests) < 9:
                await asyncio.sleep(0.01)
            await dispatcher.run([(other, 1)])
        slow.cancel()
        await asyncio.wait([slow])
        dispatcher.close()

    asyncio.run(run())
    states = rows(db, "SELECT state, count(*) AS n FROM invocations GROUP BY state ORDER BY state")
    assert [(row.state, row.n) for row in states] == [("ready", 3), ("retrying", 9), ("succeeded", 1)]


def test_a_tenant_does_not_take_all_that_a_host_may_have() -> None:
    places = RunSlots(200)
    assert take(places, [candidate("api.example")] * 300) == 139
    assert take(places, [candidate("api.example", NEIGHBOUR)]) == 1, "at the same host"


def test_running_invocations_count_for_the_priority_too(db: Database) -> None:
    flood(db, 60)
    change(db, "UPDATE invocations SET state = 'running', started_at = now()")
    fire(db, make_agent_with_trigger(db, "one more of the many"))
    close(db)
    assert jobs(db)[-1].priority == -1
