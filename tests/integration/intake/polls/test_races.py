"""Polls and events during a check: crashes, edits, pauses, full windows. No change is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from scheduler.domain.clock import SystemClock
from scheduler.intake.polls.check import Poller
from scheduler.intake.polls.queue import sweep_checks
from scheduler.net.client import GuardedClient
from scheduler.storage.read_models.triggers import TriggerView
from tests.integration.net.net_servers import Exchange
from tests.support.factories import BOX, DEFAULT_TENANT
from tests.support.polls import ONLY_127_0_0_1, Polls, Site, check, json_answer


def look_while(
    polls: Polls, site: Site, poll: TriggerView, value: object, meanwhile: Callable[[], object]
) -> None:
    """Runs a check that finds `value`, and calls `meanwhile` after the request has arrived and before its answer."""
    jobs = polls.queue(poll)

    async def answer(exchange: Exchange) -> None:
        await asyncio.to_thread(meanwhile)
        await exchange.send(json_answer(value))

    site.answer = answer
    polls.check(*jobs)
    site.says(value)


def test_a_worker_that_dies_between_answer_and_commit_loses_no_change(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    site.says(2)
    jobs = polls.queue(poll)

    async def die_before_the_commit() -> None:
        async with GuardedClient(allow_private=ONLY_127_0_0_1) as client:
            poller = Poller(polls.db, BOX, client, SystemClock())
            try:
                with polls.db.begin() as held:  # the commit waits for this lock
                    held.execute(text("SELECT 1 FROM jobs WHERE trigger_id = :id FOR UPDATE"), {"id": poll.id})
                    checking = asyncio.ensure_future(poller.check(jobs[0]))
                    while not polls.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                        await asyncio.sleep(0.01)
                    held.execute(
                        text(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                        )
                    )
                    await checking
            finally:
                poller.close()

    asyncio.run(die_before_the_commit())
    assert polls.data(poll) == []
    assert polls.state(poll).baseline == "1"
    with polls.db.begin() as conn:
        conn.execute(text("UPDATE poll_states SET checking_until = clock_timestamp()"))
    polls.look(poll)
    assert polls.data(poll) == [{"old": 1, "new": 2}]


def test_a_full_window_loses_no_change(polls: Polls, site: Site) -> None:
    with polls.db.begin() as conn:
        conn.execute(text("UPDATE agents SET max_batch = 1"))
    poll = polls.make()
    for value in range(1, 6):
        site.says(value)
        polls.look(poll)
    assert polls.data(poll) == [{"old": value, "new": value + 1} for value in range(1, 5)]
    polls.pass_over()
    polls.pass_over()
    (carried,) = polls.rows("SELECT count(DISTINCT invocation_id) AS n FROM firings")
    assert carried.n == 2


def test_a_firing_that_cannot_be_written_leaves_the_baseline(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    with polls.db.begin() as conn:
        conn.execute(text("ALTER TABLE firings RENAME TO elsewhere"))
    site.says(2)
    polls.look(poll)
    assert polls.state(poll).baseline == "1"
    with polls.db.begin() as conn:
        conn.execute(text("ALTER TABLE elsewhere RENAME TO firings"))
        conn.execute(text("UPDATE poll_states SET checking_until = NULL"))
    polls.look(poll)
    assert polls.data(poll) == [{"old": 1, "new": 2}]


def test_an_edit_while_in_flight_drops_the_result_and_the_new_config_is_looked_at_at_once(
    polls: Polls, site: Site
) -> None:
    poll = polls.make({"json_path": "$"})
    site.says({"a": 1})
    polls.look(poll)
    look_while(polls, site, poll, {"a": 2}, lambda: polls.edit(poll, config={"json_path": "$.a"}))
    assert polls.data(poll) == []
    state = polls.state(poll)
    assert (state.baseline, state.checking_until) == ('{"a": 1}', None)
    jobs = polls.pass_over()
    assert len(jobs) == 1
    polls.check(*jobs)
    assert (polls.state(poll).baseline, polls.data(poll)) == ("2", [])
    site.says({"a": 3})
    polls.look(poll)
    assert polls.data(poll) == [{"old": 2, "new": 3}]


def test_an_edit_while_in_flight_drops_a_result_that_changes_nothing_too(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    look_while(polls, site, poll, 1, lambda: polls.edit(poll, config={"json_path": "$.a"}))
    assert len(polls.pass_over()) == 1


def test_an_edit_of_the_interval_or_the_headers_keeps_the_baseline(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    polls.edit(poll, config={"interval_min": 60, "headers": {"X-A": "b"}})
    site.says(2)
    polls.check(*polls.pass_over())
    assert polls.data(poll) == [{"old": 1, "new": 2}]


@pytest.mark.parametrize("edit", [{"json_path": "$.a"}, {"fire_on": "match", "match_value": {"a": 2}}])
def test_editing_the_awaited_value_starts_again(polls: Polls, site: Site, edit: dict[str, object]) -> None:
    poll = polls.make()
    site.says({"a": 1}, etag='"1"')
    polls.look(poll)
    site.says({"a": 2})
    polls.edit(poll, config=edit)
    polls.check(*polls.pass_over())
    assert "if-none-match" not in site.seen[-1].headers
    assert polls.data(poll) == ([{"new": {"a": 2}}] if "fire_on" in edit else [])


def test_failures_of_a_config_that_was_replaced_do_not_count(polls: Polls, site: Site) -> None:
    poll = polls.make()
    site.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    polls.look(poll)
    polls.look(poll)
    polls.edit(poll, config={"json_path": "$.a"})
    polls.check(*polls.pass_over())
    assert polls.state(poll).failures == 1
    assert polls.audited(poll) == ["trigger.poll_failed", "trigger.updated", "trigger.poll_failed"]


def test_a_pause_while_in_flight_fires_nothing_and_the_change_fires_after_the_resume(
    polls: Polls, site: Site
) -> None:
    poll = polls.make()
    polls.look(poll)
    look_while(polls, site, poll, 2, lambda: polls.triggers.pause(DEFAULT_TENANT, poll.id, actor="test"))
    assert polls.data(poll) == []
    paused = polls.get(poll)
    assert (paused.is_enabled, paused.next_fire_at) == (False, None)
    polls.triggers.resume(DEFAULT_TENANT, poll.id, actor="test")
    polls.check(*polls.pass_over())
    assert polls.data(poll) == [{"old": 1, "new": 2}]


def test_a_failure_while_it_was_paused_does_not_set_its_job_going(polls: Polls, site: Site) -> None:
    poll = polls.make()
    jobs = polls.queue(poll)

    async def answer(exchange: Exchange) -> None:
        await asyncio.to_thread(polls.triggers.pause, DEFAULT_TENANT, poll.id, actor="test")
        await exchange.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

    site.answer = answer
    polls.check(*jobs)
    assert polls.get(poll).next_fire_at is None
    assert polls.audited(poll) == ["trigger.paused"]


def test_expiry_while_in_flight_fires_nothing(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)

    def expire() -> None:
        with polls.db.begin() as conn:
            conn.execute(text("UPDATE triggers SET expires_at = clock_timestamp()"))

    look_while(polls, site, poll, 2, expire)
    assert polls.data(poll) == []
    assert polls.state(poll).baseline == "1"


def test_a_deletion_while_in_flight_leaves_nothing(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    look_while(polls, site, poll, 2, lambda: polls.triggers.delete(DEFAULT_TENANT, poll.id, actor="test"))
    assert polls.data(poll) == []
    assert polls.rows("SELECT 1 FROM jobs") == []


def test_two_looks_at_once_take_one_result(polls: Polls, site: Site) -> None:
    poll = polls.make({"fire_on": "match", "match_value": 1, "repeat": True})
    (job,) = polls.queue(poll)
    arrived: list[Exchange] = []

    async def answer(exchange: Exchange) -> None:
        arrived.append(exchange)
        while len(arrived) < 2:
            await asyncio.sleep(0.01)
        await exchange.send(json_answer(1))

    site.answer = answer
    asyncio.run(check(polls.db, job, job))
    assert len(polls.data(poll)) == 1
    assert polls.get(poll).fire_count == 1


def test_a_look_that_comes_late_does_not_take_the_baseline_back(polls: Polls, site: Site) -> None:
    poll = polls.make()
    polls.look(poll)
    (job,) = polls.queue(poll)
    asked: list[Exchange] = []

    async def answer(exchange: Exchange) -> None:
        asked.append(exchange)
        site.says(3)
        while not polls.data(poll):
            await asyncio.sleep(0.01)
        await exchange.send(json_answer(2))

    async def both() -> None:
        late = asyncio.ensure_future(check(polls.db, job))
        while not asked:
            await asyncio.sleep(0.01)
        await check(polls.db, job)
        await late

    site.answer = answer
    asyncio.run(both())
    assert polls.data(poll) == [{"old": 1, "new": 3}]
    assert polls.state(poll).baseline == "3"


def test_jobs_of_lost_workers_are_swept_and_others_are_not(polls: Polls) -> None:
    insert_worker = (
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - CAST(:age AS interval)) RETURNING id"
    )
    insert_job = """
        INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id)
        VALUES ('io', 'reveille.check_polls', 'doing', :worker)
    """
    with polls.db.begin() as conn:
        live = conn.scalar(text(insert_worker), {"age": timedelta(seconds=10)})
        gone = conn.scalar(text(insert_worker), {"age": timedelta(seconds=60)})
        for worker in (live, gone, None):
            conn.execute(text(insert_job), {"worker": worker})
    polls.make()
    polls._scheduler.run_pass()
    assert sweep_checks(polls.db) == 2
    assert [row.status for row in polls.rows("SELECT status FROM procrastinate_jobs ORDER BY id")] == [
        "doing",
        "todo",
    ]
