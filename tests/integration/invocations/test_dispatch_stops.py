"""Runs that are stopped: cancelled, taken over, given up or handed back, and none is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.run import Outcome, Replied, RunRequest
from scheduler.invocations import dispatch
from scheduler.invocations.lifecycle import request_cancel
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.engine import Database
from tests.support.database import change
from tests.support.dispatching import Scripted, dispatch_once, hang, make_dispatcher, reply
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import close, make_agent_with_trigger, ready_one, row_of


def run_watched(
    db: Database,
    invocation_id: UUID,
    meanwhile: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    **values: Any,
) -> Scripted:
    """Starts a run that hangs, calls `meanwhile`, and waits until the watch has ended it."""
    monkeypatch.setattr(dispatch, "WATCH_SECONDS", 0.02)

    async def run() -> Scripted:
        runtime = Scripted(hang)
        dispatcher = make_dispatcher(db, runtime, **values)
        watching = asyncio.ensure_future(dispatcher.watch())
        running = asyncio.ensure_future(dispatcher.run([(invocation_id, 1)]))
        await runtime.started.wait()
        await asyncio.to_thread(meanwhile)
        async with asyncio.timeout(20):
            await running
        watching.cancel()
        dispatcher.close()
        return runtime

    return asyncio.run(run())


def shut_down(db: Database, invocation_id: UUID, runtime: Scripted) -> bool:
    """Cancels the job once its agent runs, as a worker's shutdown does; returns whether the job ended cancelled."""

    async def run() -> bool:
        dispatcher = make_dispatcher(db, runtime)
        running = asyncio.ensure_future(dispatcher.run([(invocation_id, 1)]))
        await runtime.started.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        dispatcher.close()
        return running.cancelled()

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


def test_a_worker_gives_up_its_runs_when_its_heartbeat_is_old(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    invocation_id = ready_one(db)
    age = [0.0]

    def grow_old() -> None:
        age[0] = 20.1

    runtime = run_watched(db, invocation_id, grow_old, monkeypatch, heartbeat_age=lambda: age[0])
    assert runtime.was_cancelled
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.tries[0]["outcome"]) == ("retrying", "worker_lost", "failed")


def test_a_worker_that_was_frozen_after_its_claim_calls_nobody(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after SIGSTOP and SIGCONT: others may have taken the run meanwhile, and call the agent themselves."""
    invocation_id = ready_one(db)
    monkeypatch.setattr(dispatch, "STALE_SECONDS", -1.0)
    assert dispatch_once(db, invocation_id).requests == []
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.tries[0]["outcome"]) == ("retrying", "claim_too_old", "handed_back")


def test_a_worker_whose_heartbeat_is_old_at_the_claim_calls_nobody(db: Database) -> None:
    """As after an outage of the database: another worker that is back earlier may take the run at once."""
    invocation_id = ready_one(db)
    runtime = Scripted(reply)

    async def run() -> None:
        dispatcher = make_dispatcher(db, runtime, heartbeat_age=lambda: 20.0)
        await dispatcher.run([(invocation_id, 1)])
        dispatcher.close()

    asyncio.run(run())
    assert runtime.requests == []
    assert row_of(db, invocation_id).reason == "claim_too_old"


def test_a_worker_that_was_frozen_while_it_connected_sends_nothing(db: Database) -> None:
    """The claim was fresh when the run began, and is too old when the connection is there."""
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1))
        writer.close()

    async def connect_and_freeze(_: RunRequest) -> Outcome:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, GuardedClient(allow_private=AllowedPrivate.parse("127.0.0.1")) as client:
            loop = asyncio.get_running_loop()
            clock = loop.time
            loop.time = lambda: clock() + 20.1  # type: ignore[method-assign]  # as after SIGSTOP and SIGCONT
            await client.request("POST", f"http://127.0.0.1:{port}/", timeout=30, max_bytes=10)
        return Replied("")

    invocation_id = ready_one(db)
    dispatch_once(db, invocation_id, connect_and_freeze)
    assert received in ([], [b""])
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.tries[0]["outcome"]) == ("retrying", "claim_too_old", "handed_back")


def test_a_stopping_worker_that_loses_touch_hands_its_runs_back_uncounted(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    invocation_id = ready_one(db)
    monkeypatch.setattr(dispatch, "WATCH_SECONDS", 0.02)

    age = [0.0]

    async def run() -> None:
        runtime = Scripted(hang)
        dispatcher = make_dispatcher(db, runtime, heartbeat_age=lambda: age[0])
        watching = asyncio.ensure_future(dispatcher.watch())
        running = asyncio.ensure_future(dispatcher.run([(invocation_id, 1)]))
        await runtime.started.wait()
        dispatcher.is_stopping = True
        age[0] = 20.1
        async with asyncio.timeout(20):
            await running
        watching.cancel()
        dispatcher.close()

    asyncio.run(run())
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.tries[0]["outcome"]) == ("retrying", "worker_shutdown", "handed_back")


def test_a_shutdown_hands_the_run_back_before_the_job_ends(db: Database) -> None:
    invocation_id = ready_one(db)
    runtime = Scripted(hang)
    assert shut_down(db, invocation_id, runtime)
    assert runtime.was_cancelled
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.tries[0]["outcome"]) == ("retrying", "worker_shutdown", "handed_back")
    assert close(db).ready == [invocation_id]


def test_a_shutdown_at_any_moment_leaves_no_run_behind(db: Database) -> None:
    """However far a job has come when it is cancelled, its invocation is not left running."""
    woken = make_agent_with_trigger(db)

    async def cancel_after(turns: int, invocation_id: UUID) -> None:
        dispatcher = make_dispatcher(db, Scripted(reply))
        running = asyncio.ensure_future(dispatcher.run([(invocation_id, 1)]))
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
    shut_down(db, invocation_id, Scripted(stubborn))
    assert row_of(db, invocation_id).reply == "just in time"
