"""Remote agents, followed by real worker processes that are killed or told to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from scheduler.invocations.lifecycle import request_cancel
from scheduler.storage.engine import Database
from tests.acceptance.test_worker_lost import Workers, only_invocation, state_is
from tests.support import a2a_agent as far
from tests.support.a2a_agent import Agent, remote_agent
from tests.support.database import rows
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import fire, make_agent_with_trigger, row_of


@pytest.fixture
def workers(database_url: str, tmp_path: Path) -> Iterator[Workers]:
    """Workers that may reach an agent on loopback."""
    running = Workers(database_url, tmp_path)
    running._environment["REVEILLE_ALLOW_PRIVATE_HOSTS"] = "127.0.0.0/8"
    yield running
    running.kill_all()


@pytest.fixture
def agent() -> Iterator[Agent]:
    with remote_agent(far.waits) as listening:
        yield listening


def followed(db: Database, workers: Workers, agent: Agent) -> UUID:
    """Returns an invocation whose task a worker follows."""
    fire(db, make_agent_with_trigger(db, runtime_kind="a2a", runtime={"url": agent.url}))
    workers.start()
    workers.wait_for(lambda: rows(db, "SELECT task_id FROM remote_tasks"), "the task")
    return only_invocation(db)


def test_a_killed_worker_is_followed_by_one_that_follows_the_same_task(
    db: Database, workers: Workers, agent: Agent
) -> None:
    """The agent gets one message, and its reply is stored."""
    invocation_id = followed(db, workers, agent)
    workers.processes[0].send_signal(signal.SIGKILL)
    agent.go_on.set()
    workers.start()
    workers.wait_for(state_is(db, invocation_id, "succeeded"), "the end")
    row = row_of(db, invocation_id)
    assert (row.reply, row.attempt) == ("At last.", 2)
    assert row.tries[0]["outcome"] == "failed"
    assert len(agent.received) == 1
    assert agent.cancelled == []


def test_a_worker_that_stops_cancels_the_task_and_the_next_one_sends_it_again(
    db: Database, workers: Workers, agent: Agent
) -> None:
    invocation_id = followed(db, workers, agent)
    workers.processes[0].terminate()
    workers.wait_for(lambda: workers.processes[0].poll() is not None, "the worker's end")
    assert agent.cancelled == agent.task_ids
    agent.go_on.set()
    workers.start()
    workers.wait_for(state_is(db, invocation_id, "succeeded"), "the end")
    row = row_of(db, invocation_id)
    assert row.reply == "At last."
    assert row.tries[0]["outcome"] == "handed_back"
    assert len(agent.received) == 2
    assert len(set(agent.message_ids)) == 2


def test_an_invocation_that_is_cancelled_cancels_the_task(db: Database, workers: Workers, agent: Agent) -> None:
    invocation_id = followed(db, workers, agent)
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "test")
    workers.wait_for(state_is(db, invocation_id, "cancelled"), "the end")
    assert agent.cancelled == agent.task_ids
