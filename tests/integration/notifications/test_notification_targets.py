"""Sending notifications to targets: queued with the run's end, retried, given up, and never affecting the run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.clock import SystemClock
from scheduler.domain.model import Trust
from scheduler.domain.retries import MAX_TRIES
from scheduler.domain.run import Replied
from scheduler.domain.signatures import SignatureConfig, SignedRequest, new_standard_secret, verify
from scheduler.intake.polls.queue import sweep_checks
from scheduler.manage.notification_targets import create_target
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.notifications.deliveries import Deliverer, send_again
from scheduler.queue.pulse import WorkerHeartbeat
from scheduler.queue.worker import make_check_app
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import BOX, DEFAULT_TENANT
from tests.support.invocations import AgentWithTrigger, fire, make_agent_with_trigger, row_of, run_once
from tests.support.polls import Site, answered, json_answer, running_site

SECRET = new_standard_secret()


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def woken(db: Database) -> AgentWithTrigger:
    return make_agent_with_trigger(db)


def make_target(db: Database, woken: AgentWithTrigger, url: str, kind: str = "webhook", name: str = "ops") -> UUID:
    secrets = {"url": url, "secret": SECRET if kind == "webhook" else None}
    values = {"name": name, "kind": kind, "host": "127.0.0.1", "secrets": BOX.encrypt(json.dumps(secrets))}
    with db.begin() as conn:
        target_id: UUID = create_target(conn, DEFAULT_TENANT, woken.agent_id, values).id
    return target_id


def reply(db: Database, woken: AgentWithTrigger, text: str = "All quiet.") -> UUID:
    fire(db, woken)
    return run_once(db, Replied(text))


def jobs(db: Database) -> list[tuple[UUID, int]]:
    """Returns the queued deliveries, removed from the queue."""
    query = "DELETE FROM procrastinate_jobs WHERE queue_name = 'io' RETURNING id, args"
    found = sorted(rows(db, query), key=lambda job: job.id)
    return [(UUID(job.args["delivery_id"]), job.args["attempt"]) for job in found]


def work(db: Database, *tries: tuple[UUID, int], allow: str = "127.0.0.1") -> None:
    """Makes these attempts at once."""

    async def run() -> None:
        async with GuardedClient(allow_private=AllowedPrivate.parse(allow)) as client:
            deliverer = Deliverer(db, BOX, client, SystemClock())
            await asyncio.gather(*[deliverer.deliver(*each) for each in tries])
            deliverer.close()

    asyncio.run(run())


def deliveries(db: Database) -> list[Any]:
    return rows(db, "SELECT *, clock_timestamp() AS now FROM notification_deliveries ORDER BY id")


def all_due(db: Database) -> None:
    change(db, "UPDATE notification_deliveries SET due_at = clock_timestamp() WHERE state = 'pending'")


def target(db: Database) -> Any:
    [row] = rows(db, "SELECT * FROM notification_targets")
    return row


def test_a_reply_is_sent_to_each_target_signed(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url + "hook")
    make_target(db, woken, site.url + "slack", "slack", "chat")
    reply(db, woken)
    queued = jobs(db)
    assert [attempt for _, attempt in queued] == [1, 1]
    work(db, *queued)
    by_path = {exchange.request_line.split(" ")[1]: exchange for exchange in site.seen}
    assert json.loads(by_path["/slack"].body)["text"].endswith("All quiet.")
    hook = by_path["/hook"]
    config = SignatureConfig.model_validate({"scheme": "standard-webhooks", "secret": SECRET})
    assert verify(config, SignedRequest(hook.headers, hook.body), SystemClock().now()).accepted
    assert {row.state for row in deliveries(db)} == {"delivered"}
    assert all(row.delivered_at for row in rows(db, "SELECT * FROM notification_targets"))


def test_nothing_is_sent_for_agents_among_themselves(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url)
    fire(db, woken, trust=Trust.AGENT)
    run_once(db, Replied("to my colleague"))
    assert jobs(db) == []


def test_procrastinate_runs_the_job(db: Database, woken: AgentWithTrigger, site: Site, database_url: str) -> None:
    make_target(db, woken, site.url)
    reply(db, woken)

    async def check(_: object) -> None:
        raise AssertionError

    async def run() -> None:
        async with GuardedClient(allow_private=AllowedPrivate.parse("127.0.0.1")) as client:
            deliverer = Deliverer(db, BOX, client, SystemClock())
            app = make_check_app(
                database_url, check, WorkerHeartbeat(SystemClock()), deliverer.deliver, check, 5.0
            )
            async with app.open_async():
                # Without LISTEN: a worker that ends at once would cancel its listener while that connects.
                await app.run_worker_async(
                    wait=False, queues=["io"], install_signal_handlers=False, listen_notify=False
                )
            deliverer.close()

    asyncio.run(run())
    assert len(site.seen) == 1
    assert deliveries(db)[0].state == "delivered"


def test_a_target_that_is_unavailable_is_retried_and_then_given_up(
    db: Database, woken: AgentWithTrigger, site: Site
) -> None:
    make_target(db, woken, site.url)
    site.answer = answered("500 Internal Server Error", retry_after="7")
    invocation_id = reply(db, woken)
    [(delivery_id, attempt)] = jobs(db)
    assert send_again(db) == 0
    for number in range(1, MAX_TRIES + 1):
        assert attempt == number
        work(db, (delivery_id, attempt))
        [row] = deliveries(db)
        assert row.error == target(db).note == "The target answered HTTP 500."
        if number < MAX_TRIES:
            assert row.state == "pending"
            assert timedelta(seconds=6) < row.due_at - row.now < timedelta(seconds=165)
            all_due(db)
            assert send_again(db) == 1
            [(_, attempt)] = jobs(db)
    assert row.state == "dead"
    assert {exchange.headers["webhook-id"] for exchange in site.seen} == {str(row.notification_id)}
    assert len(site.seen) == MAX_TRIES
    [event] = rows(db, "SELECT * FROM audit_events WHERE action = 'notification_target.failed'")
    assert (event.subject_id, event.detail["attempts"]) == (target(db).id, MAX_TRIES)
    assert row_of(db, invocation_id).state == "succeeded"


def test_a_receiver_that_says_when_to_come_back_uses_up_no_tries(
    db: Database, woken: AgentWithTrigger, site: Site
) -> None:
    make_target(db, woken, site.url)
    site.answer = answered("429 Too Many Requests", retry_after="1")
    reply(db, woken)
    work(db, *jobs(db))
    for _ in range(MAX_TRIES):
        all_due(db)
        send_again(db)
        work(db, *jobs(db))
    [row] = deliveries(db)
    assert (row.state, row.attempt, row.put_offs) == ("pending", MAX_TRIES + 1, MAX_TRIES + 1)
    assert row.due_at - row.now > timedelta(seconds=200), "the back-off goes on growing"
    change(db, "UPDATE notifications SET created_at = now() - interval '6 hours'")
    change(db, "UPDATE notification_deliveries SET put_offs = put_offs - 4")
    all_due(db)
    send_again(db)
    work(db, *jobs(db))
    assert deliveries(db)[0].state == "dead"


def test_a_target_that_names_no_coding_gets_it_once(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url)
    site.answer = answered("200 OK", content_encoding="none")
    reply(db, woken)
    work(db, *jobs(db))
    assert deliveries(db)[0].state == "delivered"


def test_it_arrives_at_a_later_try_and_the_note_goes(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url)
    site.answer = answered("429 Too Many Requests")
    reply(db, woken)
    work(db, *jobs(db))
    site.answer = json_answer({})
    all_due(db)
    send_again(db)
    work(db, *jobs(db))
    assert deliveries(db)[0].state == "delivered"
    assert target(db).note is None


@pytest.mark.parametrize("status", ["404 Not Found", "302 Found", "401 Unauthorized"])
def test_a_refusal_is_final(db: Database, woken: AgentWithTrigger, site: Site, status: str) -> None:
    make_target(db, woken, site.url)
    site.answer = answered(status, location="http://127.0.0.1/")
    reply(db, woken)
    work(db, *jobs(db))
    assert deliveries(db)[0].state == "dead"
    assert len(site.seen) == 1


def test_a_forbidden_address_is_final_and_its_url_is_not_told(
    db: Database, woken: AgentWithTrigger, site: Site
) -> None:
    make_target(db, woken, site.url + "t0ken")
    reply(db, woken)
    work(db, *jobs(db), allow="10.0.0.0/8")
    assert deliveries(db)[0].state == "dead"
    assert site.seen == []
    assert "t0ken" not in str(rows(db, "SELECT detail FROM audit_events")) + target(db).note


def test_of_two_jobs_for_one_try_one_does_nothing(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url)
    reply(db, woken)
    [job] = jobs(db)
    work(db, job, job)
    work(db, job)
    assert len(site.seen) == 1


def test_what_was_lost_with_its_worker_is_queued_again(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url)
    reply(db, woken)
    change(db, "UPDATE procrastinate_jobs SET status = 'doing' WHERE queue_name = 'io'")
    assert sweep_checks(db) == 1
    assert send_again(db) == 0
    all_due(db)
    assert send_again(db) == 1
    work(db, *jobs(db))
    assert len(site.seen) == 1


def test_workers_that_are_lost_every_time_end_it(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url)
    reply(db, woken)
    [(delivery_id, _)] = jobs(db)
    change(db, "UPDATE notification_deliveries SET attempt = :tries", tries=MAX_TRIES)
    work(db, (delivery_id, MAX_TRIES + 1))
    assert deliveries(db)[0].state == "dead"
    assert site.seen == []


def test_a_deleted_target_gets_nothing_more(db: Database, woken: AgentWithTrigger, site: Site) -> None:
    make_target(db, woken, site.url)
    reply(db, woken)
    change(db, "DELETE FROM notification_targets")
    work(db, *jobs(db))
    assert site.seen == []
