"""Running invocations on the worker's event loop: what an agent receives, and how its run can end."""

from __future__ import annotations

import asyncio
import base64

import pytest

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RunRequest, Runtime, RuntimeSpec
from scheduler.invocations.lifecycle import complete
from scheduler.storage.engine import Database
from tests.support.database import change
from tests.support.dispatching import BASE_URL, dispatch_once, make_dispatcher
from tests.support.factories import BOX
from tests.support.invocations import close, fire, make_agent_with_trigger, ready_one, row_of


def test_the_agent_is_given_all_firings_with_their_context(db: Database) -> None:
    woken = make_agent_with_trigger(db)
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
    woken = make_agent_with_trigger(
        db,
        runtime_kind="http",
        runtime={"url": "http://a.example/"},
        runtime_secret=BOX.encrypt("whsec_AAAA"),
        timeout_seconds=7,
    )
    runtime = dispatch_once(db, ready_one(db, woken))
    assert runtime.specs == [RuntimeSpec("http", {"url": "http://a.example/"}, "whsec_AAAA", 7)]


def test_an_agent_that_reads_chinese_is_given_its_context_in_chinese(db: Database) -> None:
    english = dispatch_once(db, ready_one(db, make_agent_with_trigger(db, "en"))).requests[0].context
    chinese = (
        dispatch_once(db, ready_one(db, make_agent_with_trigger(db, "zh", language="zh"))).requests[0].context
    )
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
def test_an_agent_that_was_deleted_meanwhile_is_not_run(db: Database, change_agent: str, reason: str) -> None:
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
        await dispatcher.run([(invocation_id, 1)])
        dispatcher.close()

    asyncio.run(run())
    row = row_of(db, invocation_id)
    assert (row.state, row.tries[0]["error"]) == ("dead", "There is no runtime 'command'.")


def test_a_secret_of_another_key_ends_the_invocation_with_the_remedy(db: Database) -> None:
    invocation_id = ready_one(db, make_agent_with_trigger(db, runtime_secret=b"not ours"))
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
