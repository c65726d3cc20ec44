"""Running invocations on the worker's event loop: what an agent is given, and every way in which a run can end."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RunRequest, Runtime, RuntimeSpec
from scheduler.invocations import dispatch
from scheduler.invocations.dispatch import Dispatcher
from scheduler.invocations.lifecycle import complete, request_cancel
from scheduler.storage.engine import Database
from tests.database import change
from tests.factories import BOX, DEFAULT_TENANT
from tests.invocations import Woken, close, fire, make_woken, row_of

BASE_URL = "http://reveille.example"
Behaviour = Callable[[RunRequest], Awaitable[Outcome]]


class Scripted:
    """A runtime that does what the test says, and notes what it was given and made from."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.requests: list[RunRequest] = []
        self.specs: list[RuntimeSpec] = []
        self.started = asyncio.Event()
        self.was_cancelled = False

    def __call__(self, spec: RuntimeSpec) -> Runtime:
        self.specs.append(spec)
        return self

    async def run(self, request: RunRequest) -> Outcome:
        self.requests.append(request)
        self.started.set()
        try:
            return await self._behaviour(request)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


async def reply(_: RunRequest) -> Outcome:
    return Replied("done")


async def hang(_: RunRequest) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


def make_dispatcher(db: Database, runtime: Callable[[RuntimeSpec], Runtime], **values: Any) -> Dispatcher:
    fields: dict[str, Any] = {"box": BOX, "base_url": BASE_URL, "worker": "test:1", "heartbeat_age": lambda: 0.0}
    return Dispatcher(db, runtime, **(fields | values))


def dispatch_once(db: Database, invocation_id: UUID, behaviour: Behaviour = reply, attempt: int = 1) -> Scripted:
    """One run to its end, with nobody watching."""

    async def run() -> Scripted:
        runtime = Scripted(behaviour)
        dispatcher = make_dispatcher(db, runtime)
        await dispatcher.run(invocation_id, attempt)
        dispatcher.close()
        return runtime

    return asyncio.run(run())


def ready_one(db: Database, woken: Woken | None = None, **values: Any) -> UUID:
    fire(db, woken or make_woken(db), **values)
    [invocation_id] = close(db).ready
    return invocation_id


def test_the_agent_is_given_all_firings_with_their_context(db: Database) -> None:
    woken = make_woken(db)
    firings = [
        *fire(db, woken, payload=b"hello", content_type="text/plain"),
        *fire(db, woken, payload=b"\xff\x00", data={"new": 1}),
        *fire(db, woken, payload=b"with a \x00 in it"),
    ]
    [invocation_id] = close(db).ready
    runtime = dispatch_once(db, invocation_id)
    [request] = runtime.requests
    assert (request.invocation_id, request.attempt, request.agent.id) == (invocation_id, 1, woken.agent_id)
    assert request.complete_url == f"{BASE_URL}/api/v1/invocations/{invocation_id}/complete"
    assert [each.id for each in request.firings] == firings
    text, binary, _ = request.firings
    assert (text.payload, text.payload_base64, text.content_type) == ("hello", None, "text/plain")
    assert (binary.payload, binary.payload_base64) == (None, base64.b64encode(b"\xff\x00").decode())
    assert binary.data == {"new": 1}
    assert text.trigger.id == woken.trigger_id
    assert text.trigger.type == "webhook"
    row = row_of(db, invocation_id)
    assert request.context == row.context
    assert "hello" in row.context
    assert (row.state, row.reply, row.worker) == ("succeeded", "done", "test:1")


def test_the_runtime_is_made_from_the_agents_settings_with_its_secret_opened(db: Database) -> None:
    woken = make_woken(
        db,
        runtime_kind="http",
        runtime={"url": "http://a.example/"},
        runtime_secret=BOX.encrypt("whsec_AAAA"),
        timeout_seconds=7,
    )
    runtime = dispatch_once(db, ready_one(db, woken))
    assert runtime.specs == [RuntimeSpec("http", {"url": "http://a.example/"}, "whsec_AAAA", 7)]


def test_an_agent_that_reads_chinese_is_given_its_context_in_chinese(db: Database) -> None:
    english = dispatch_once(db, ready_one(db, make_woken(db, "en"))).requests[0].context
    chinese = dispatch_once(db, ready_one(db, make_woken(db, "zh", language="zh"))).requests[0].context
    assert english.isascii()
    assert not chinese.isascii()


def test_a_repeated_request_differs_in_its_attempt_and_token_alone(db: Database) -> None:
    async def fail(_: RunRequest) -> Outcome:
        return Failed("HTTP 503")

    invocation_id = ready_one(db)
    [first] = dispatch_once(db, invocation_id, fail).requests
    change(db, "UPDATE invocations SET due_at = now()")
    close(db)
    [second] = dispatch_once(db, invocation_id, attempt=2).requests
    assert first.complete_token != second.complete_token
    assert second.attempt == 2
    assert second == first.model_copy(update={"attempt": 2, "complete_token": second.complete_token})


def test_a_job_that_comes_late_runs_nothing(db: Database) -> None:
    invocation_id = ready_one(db)
    assert dispatch_once(db, invocation_id, attempt=2).requests == []
    assert len(dispatch_once(db, invocation_id).requests) == 1
    assert dispatch_once(db, invocation_id).requests == []


@pytest.mark.parametrize(
    ("change_agent", "reason"),
    [("deleted_at = now()", "agent_deleted"), ("expires_at = now()", "agent_expired")],
)
def test_an_agent_that_is_gone_by_now_is_not_run(db: Database, change_agent: str, reason: str) -> None:
    invocation_id = ready_one(db)
    change(db, f"UPDATE agents SET {change_agent}")  # noqa: S608
    assert dispatch_once(db, invocation_id).requests == []
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == ("skipped", reason)


def test_settings_that_cannot_be_run_end_the_invocation_at_once(db: Database) -> None:
    def refuse(spec: RuntimeSpec) -> Runtime:
        raise ConfigurationError(f"There is no runtime {spec.kind!r}.")

    invocation_id = ready_one(db)

    async def run() -> None:
        dispatcher = make_dispatcher(db, refuse)
        await dispatcher.run(invocation_id, 1)
        dispatcher.close()

    asyncio.run(run())
    row = row_of(db, invocation_id)
    assert (row.state, row.tries[0]["error"]) == ("dead", "There is no runtime 'command'.")


def test_a_secret_of_another_key_ends_the_invocation_with_the_remedy(db: Database) -> None:
    invocation_id = ready_one(db, make_woken(db, runtime_secret=b"not ours"))
    dispatch_once(db, invocation_id)
    row = row_of(db, invocation_id)
    assert row.state == "dead"
    assert "REVEILLE_SECRET_KEY" in row.tries[0]["error"]


def test_a_runtime_that_breaks_is_a_failure_like_any_other(db: Database) -> None:
    async def broken(_: RunRequest) -> Outcome:
        raise ZeroDivisionError("by zero")

    invocation_id = ready_one(db)
    dispatch_once(db, invocation_id, broken)
    row = row_of(db, invocation_id)
    assert (row.state, row.tries[0]["error"]) == ("retrying", "The runtime broke: ZeroDivisionError: by zero")


def test_an_accepted_run_awaits_its_report(db: Database) -> None:
    async def accept(_: RunRequest) -> Outcome:
        return Accepted()

    invocation_id = ready_one(db)
    [request] = dispatch_once(db, invocation_id, accept).requests
    assert row_of(db, invocation_id).state == "awaiting"
    with db.begin() as conn:
        complete(conn, invocation_id, 1, reply="later", token=request.complete_token)
    assert row_of(db, invocation_id).reply == "later"


def test_no_transaction_is_open_while_an_agent_runs(db: Database) -> None:
    open_transactions: list[int] = []

    async def look(_: RunRequest) -> Outcome:
        with db.begin() as conn:
            count = conn.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND xact_start IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).scalar_one()
        open_transactions.append(count)
        return Replied("done")

    dispatch_once(db, ready_one(db), look)
    assert open_transactions == [0]


# Being stopped


def run_watched(
    db: Database,
    invocation_id: UUID,
    meanwhile: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    **values: Any,
) -> Scripted:
    """Start a run that hangs, do `meanwhile`, and wait until the watch has ended it."""
    monkeypatch.setattr(dispatch, "WATCH_SECONDS", 0.02)

    async def run() -> Scripted:
        runtime = Scripted(hang)
        dispatcher = make_dispatcher(db, runtime, **values)
        watching = asyncio.ensure_future(dispatcher.watch())
        running = asyncio.ensure_future(dispatcher.run(invocation_id, 1))
        await runtime.started.wait()
        await asyncio.to_thread(meanwhile)
        async with asyncio.timeout(20):
            await running
        watching.cancel()
        dispatcher.close()
        return runtime

    return asyncio.run(run())


def test_a_cancelled_run_is_stopped_and_its_end_makes_it_cancelled(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    invocation_id = ready_one(db)

    def cancel() -> None:
        with db.begin() as conn:
            request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")

    assert run_watched(db, invocation_id, cancel, monkeypatch).was_cancelled
    row = row_of(db, invocation_id)
    assert (row.state, row.tries[0]["outcome"]) == ("cancelled", "cancelled")


def test_a_run_that_was_taken_away_is_stopped_and_changes_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    invocation_id = ready_one(db)

    def take() -> None:
        change(db, "UPDATE invocations SET attempt = 2, worker = 'other:1'")

    assert run_watched(db, invocation_id, take, monkeypatch).was_cancelled
    row = row_of(db, invocation_id)
    assert (row.state, row.attempt, row.worker, row.tries) == ("running", 2, "other:1", [])


def test_a_worker_gives_its_runs_up_when_its_heartbeat_is_old(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    invocation_id = ready_one(db)
    age = [19.9]

    def grow_old() -> None:
        age[0] = 20.1

    runtime = run_watched(db, invocation_id, grow_old, monkeypatch, heartbeat_age=lambda: age[0])
    assert runtime.was_cancelled
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == ("retrying", "worker_lost")


def test_a_shutdown_hands_the_run_back_before_the_job_ends(db: Database) -> None:
    invocation_id = ready_one(db)

    async def run() -> Scripted:
        runtime = Scripted(hang)
        dispatcher = make_dispatcher(db, runtime)
        running = asyncio.ensure_future(dispatcher.run(invocation_id, 1))
        await runtime.started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        dispatcher.close()
        return runtime

    assert asyncio.run(run()).was_cancelled
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.tries[0]["outcome"]) == ("retrying", "worker_shutdown", "handed_back")
    assert close(db).ready == [invocation_id]


def test_a_shutdown_at_any_moment_leaves_no_run_behind(db: Database) -> None:
    """However far a job has come when it is cancelled, its invocation is not left running."""
    woken = make_woken(db)

    async def cancel_after(turns: int, invocation_id: UUID) -> None:
        dispatcher = make_dispatcher(db, Scripted(reply))
        running = asyncio.ensure_future(dispatcher.run(invocation_id, 1))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        dispatcher.close()

    seen = set()
    for turns in (0, 1, 2, 3, 5, 8, 13, 50, 500):
        invocation_id = ready_one(db, woken)
        asyncio.run(cancel_after(turns, invocation_id))
        row = row_of(db, invocation_id)
        seen.add(row.state)
        change(db, "UPDATE invocations SET state = 'succeeded'")
    assert seen <= {"ready", "retrying", "succeeded"}
    assert "retrying" in seen


def test_a_reply_that_is_there_when_the_stop_comes_counts(db: Database) -> None:
    async def stubborn(_: RunRequest) -> Outcome:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return Replied("just in time")

    invocation_id = ready_one(db)

    async def run() -> None:
        runtime = Scripted(stubborn)
        dispatcher = make_dispatcher(db, runtime)
        running = asyncio.ensure_future(dispatcher.run(invocation_id, 1))
        await runtime.started.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        dispatcher.close()

    asyncio.run(run())
    assert row_of(db, invocation_id).reply == "just in time"
