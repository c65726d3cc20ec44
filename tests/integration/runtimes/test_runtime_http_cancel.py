"""A followed run is cancelled at its service when its invocation is cancelled here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState
from scheduler.domain.retries import MAX_TRIES
from scheduler.domain.run import Failed
from scheduler.intake.polls.queue import sweep_checks
from scheduler.invocations import remote_cancels
from scheduler.invocations.lifecycle import request_cancel
from scheduler.invocations.remote_cancels import Canceller
from scheduler.runtimes import http_follow
from scheduler.runtimes.base import Operator
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.registry import make_runtime
from scheduler.storage.engine import Database
from scheduler.storage.remote_tasks import KnownTask, RemoteTasks
from tests.integration.net.net_servers import serve
from tests.support.database import change, rows
from tests.support.dispatching import make_dispatcher
from tests.support.factories import BOX, DEFAULT_TENANT
from tests.support.http_agents import answered
from tests.support.http_shapes import Script, replied
from tests.support.invocations import (
    audited,
    bring_to,
    close,
    end,
    make_agent_with_trigger,
    ready_one,
    row_of,
    start,
)
from tests.support.runs import LOOPBACK, SECRET, make_parts

HOW = {"poll_path": "/runs/{{answer.id}}", "done_path": "$.state", "cancel_path": "/runs/{{answer.id}}/cancel"}
OPERATOR = Operator(BOX, LOOPBACK, (), ())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_follow, "FIRST_LOOK", 0.01)
    monkeypatch.setattr(http_follow, "LONGEST_LOOK", 0.01)
    monkeypatch.setattr(remote_cancels, "PAUSES", (0.0, 0.0, 0.0))


def make_follower(db: Database, url: str, how: dict[str, Any] | None = None, **settings: Any) -> UUID:
    """A ready invocation of an agent whose runs are followed."""
    runtime = {"kind": "http", "url": url, "async": how or HOW, **settings}
    secret = BOX.encrypt(HttpRuntime.pack({"secret": SECRET, "token": "t"}))
    return ready_one(
        db,
        make_agent_with_trigger(
            db, f"a{new_id().hex}", runtime_kind="http", runtime=runtime, runtime_secret=secret
        ),
    )


@asynccontextmanager
async def at_work(db: Database, script: Script) -> AsyncIterator[tuple[str, Any, Canceller]]:
    """A service by a script, and a dispatcher and a canceller beside it."""
    async with serve(script) as server, make_parts(remote_tasks=RemoteTasks(db)) as parts:
        dispatcher = make_dispatcher(db, lambda spec: make_runtime(spec, parts))
        watching = asyncio.ensure_future(dispatcher.watch())
        yield server.url, dispatcher, Canceller(db, lambda spec: make_runtime(spec, parts), BOX)
        watching.cancel()
        dispatcher.close()


def cancel(db: Database, invocation_id: UUID) -> None:
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")


def cancels(db: Database) -> list[str]:
    query = "SELECT args->>'invocation_id' AS id FROM procrastinate_jobs WHERE task_name = 'reveille.cancel_remote_run'"
    return [row.id for row in rows(db, query)]


async def until(script: Script, count: int) -> None:
    while len(script.seen) < count:
        await asyncio.sleep(0.01)


def test_a_run_that_is_followed_is_cancelled(db: Database) -> None:
    script = Script(lambda seen: replied({"id": 7} if seen.target == "/" else {"state": "running"}))

    async def tell() -> UUID:
        async with at_work(db, script) as (url, dispatcher, canceller):
            invocation_id = make_follower(db, url)
            running = asyncio.ensure_future(dispatcher.run([(invocation_id, 1)]))
            await until(script, 2)
            cancel(db, invocation_id)
            await running
            assert cancels(db) == [str(invocation_id)], "deferred in the transaction that cancels"
            await canceller.cancel(invocation_id)
            return invocation_id

    invocation_id = asyncio.run(tell())
    assert row_of(db, invocation_id).state == "cancelled"
    assert script.told[-1] == "POST /runs/7/cancel"
    assert script.seen[-1].headers["authorization"] == "Bearer t"
    assert "webhook-signature" in script.seen[-1].headers
    assert audited(db, invocation_id)[-1] == "invocation.run_cancelled"


def test_a_run_whose_start_is_on_its_way_is_known_when_it_is_cancelled(db: Database) -> None:
    asked = asyncio.Event()

    class Slow(Script):
        async def __call__(self, exchange: Any) -> None:
            asked.set()
            await asyncio.sleep(0.3)
            await super().__call__(exchange)

    script = Slow(lambda _: replied({"id": 8}, "202 Accepted"))

    async def tell() -> UUID:
        async with at_work(db, script) as (url, dispatcher, _):
            invocation_id = make_follower(db, url)
            running = asyncio.ensure_future(dispatcher.run([(invocation_id, 1)]))
            await asked.wait()
            cancel(db, invocation_id)
            await dispatcher._look_after(set(dispatcher._runs))
            await running
            return invocation_id

    invocation_id = asyncio.run(tell())
    assert script.told == ["POST /"]
    assert row_of(db, invocation_id).state == "cancelled"
    assert cancels(db) == [str(invocation_id)]


def remember(db: Database, invocation_id: UUID, cancel_url: str | None) -> None:
    task = KnownTask("http://127.0.0.1:1/", "http://127.0.0.1:1/runs/1", cancel_url)
    asyncio.run(RemoteTasks(db).remember(invocation_id, task))


def test_a_run_whose_invocation_waits_for_its_next_attempt_is_cancelled(db: Database) -> None:
    for name, cancel_url, count in (("ada", "http://127.0.0.1:1/runs/1/cancel", 1), ("bob", None, 1)):
        invocation_id = bring_to(db, make_agent_with_trigger(db, name), InvocationState.RETRYING)
        remember(db, invocation_id, cancel_url)
        cancel(db, invocation_id)
        assert len(cancels(db)) == count


@pytest.mark.parametrize("reason", ["timeout", "worker_lost"])
def test_a_run_that_was_given_up_is_cancelled_and_none_before_that(db: Database, reason: str) -> None:
    invocation_id = ready_one(db, make_agent_with_trigger(db, "ada"))
    for number in range(1, MAX_TRIES + 1):
        claimed = start(db, invocation_id)
        remember(db, claimed.id, "http://127.0.0.1:1/runs/1/cancel")
        assert cancels(db) == []
        end(db, claimed, Failed("It went on and on.", reason=reason))
        if number < MAX_TRIES:
            change(db, "UPDATE invocations SET due_at = clock_timestamp() WHERE state = 'retrying'")
            close(db)
    assert row_of(db, invocation_id).state == "dead"
    assert cancels(db) == [str(invocation_id)]


def test_a_cancellation_whose_worker_stops_or_dies_is_left_to_another(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_cancels, "PAUSES", (0.0, 60.0))
    script = Script(lambda _: answered("503 Busy"))

    async def stop() -> UUID:
        async with at_work(db, script) as (url, _, canceller):
            invocation_id = make_follower(db, url)
            await RemoteTasks(db).remember(invocation_id, KnownTask(url, f"{url}runs/1", f"{url}runs/1/cancel"))
            cancel(db, invocation_id)
            change(db, "DELETE FROM procrastinate_jobs")  # the job that is in progress
            working = asyncio.ensure_future(canceller.cancel(invocation_id))
            await until(script, 1)
            working.cancel()
            await asyncio.wait([working])
            return invocation_id

    invocation_id = asyncio.run(stop())
    assert cancels(db) == [str(invocation_id)]
    change(db, "UPDATE procrastinate_jobs SET status = 'doing' WHERE task_name = 'reveille.cancel_remote_run'")
    assert sweep_checks(db) == 1
    (job,) = rows(
        db, "SELECT status, args->>'invocation_id' AS id FROM procrastinate_jobs WHERE queue_name = 'io'"
    )
    assert (job.status, job.id) == ("todo", str(invocation_id))


def test_a_run_that_ended_otherwise_is_not_cancelled(db: Database) -> None:
    for name, outcome in (("ada", Failed("no", permanent=True)), ("bob", Failed("not now"))):
        claimed = start(db, ready_one(db, make_agent_with_trigger(db, name)))
        remember(db, claimed.id, "http://127.0.0.1:1/runs/1/cancel")
        end(db, claimed, outcome)
    assert cancels(db) == []


def tried(db: Database, *answers: bytes, how: dict[str, Any] | None = None) -> tuple[Script, list[str], Any]:
    """Cancels a run at a service that answers so. Returns what it saw, and the audited end with its detail."""
    left = list(answers)
    script = Script(lambda _: left.pop(0) if len(left) > 1 else left[0])

    async def tell() -> UUID:
        async with at_work(db, script) as (url, _, canceller):
            invocation_id = make_follower(db, url, how)
            task = KnownTask(url, f"{url}runs/1", f"{url}runs/1/cancel")
            await RemoteTasks(db).remember(invocation_id, task)
            cancel(db, invocation_id)
            await canceller.cancel(invocation_id)
            return invocation_id

    invocation_id = asyncio.run(tell())
    query = "SELECT subject_id, action, detail FROM audit_events WHERE action LIKE 'invocation.run_%'"
    [row] = [each for each in rows(db, query) if each.subject_id == invocation_id]
    return script, script.told, row


def test_what_is_cancelled_or_over_is_settled(db: Database) -> None:
    for status in ("200 OK", "202 Accepted", "204 No Content", "404 Gone", "409 Over", "410 Gone"):
        _, told, row = tried(db, answered(status))
        assert (told, row.action) == (["POST /runs/1/cancel"], "invocation.run_cancelled")


def test_a_cancellation_is_retried_while_the_service_is_unavailable(db: Database) -> None:
    _, told, row = tried(db, answered("503 Busy"), answered("500 Broken"), answered("200 OK"))
    assert (len(told), row.action) == (3, "invocation.run_cancelled")


def test_the_agent_chooses_the_method_of_a_cancellation(db: Database) -> None:
    _, told, _ = tried(db, answered("204 No Content"), how=HOW | {"cancel_method": "DELETE"})
    assert told == ["DELETE /runs/1/cancel"]


def test_a_cancellation_that_fails_is_audited(db: Database) -> None:
    for answer, tries, error in (
        (answered("401 No", b"who are you"), 1, "The agent answered HTTP 401: who are you"),
        (answered("302 Found", b"", "Location: http://127.0.0.1:1/"), 1, "The agent answered HTTP 302."),
        (answered("500 Broken"), 3, "The agent answered HTTP 500."),
    ):
        _, told, row = tried(db, answer)
        assert len(told) == tries
        assert (row.action, row.detail["error"]) == ("invocation.run_not_cancelled", error)


def test_the_address_of_a_cancellation_is_read_from_the_response(db: Database) -> None:
    for answer, where, known in (
        ({"id": 1, "stop": "/halt/1"}, "$.stop", "/halt/1"),
        ({"id": 1}, "$.stop", None),
        ({"id": 1}, "/runs/{{answer.other}}/cancel", None),
        ({"id": 1, "other": ".."}, "/runs/{{answer.other}}/cancel", None),
    ):
        url, task = asyncio.run(known_of(db, answer, where))
        assert task is not None
        assert task.cancel_url == (known and url.rstrip("/") + known)


async def known_of(db: Database, answer: dict[str, Any], where: str) -> tuple[str, KnownTask | None]:
    """What is kept of a run that begins with this answer."""
    script = Script(lambda seen: replied(answer if seen.method == "POST" else {"state": "done"}))
    async with at_work(db, script) as (url, dispatcher, _):
        invocation_id = make_follower(db, url, HOW | {"cancel_path": where})
        await dispatcher.run([(invocation_id, 1)])
        assert row_of(db, invocation_id).state == "succeeded", "a run that cannot be cancelled is run all the same"
        return url, await RemoteTasks(db).recall(invocation_id)


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"poll_path": "/x", "cancel_path": "runs/1"}, "runtime.async.cancel_path"),
        ({"poll_path": "/x", "cancel_path": "/runs/{{anser.id}}"}, "runtime.async.cancel_path"),
        ({"poll_path": "/x", "cancel_path": "$["}, "runtime.async.cancel_path"),
        ({"poll_path": "/x", "cancel_method": "DELETE"}, "runtime.async.cancel_path"),
    ],
    ids=["no path", "unknown value", "no JSONPath", "a method alone"],
)
def test_a_wrong_cancel_path_is_refused(how: dict[str, Any], field: str) -> None:
    with pytest.raises((InvalidField, ValueError)) as caught:
        HttpRuntime.model_validate({"kind": "http", "url": "http://127.0.0.1/", "async": how}).check(OPERATOR)
    assert field.rpartition(".")[2] in str(caught.value)
